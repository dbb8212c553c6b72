"""Bayesian search: Optuna's tree-structured Parzen estimator, asked and told (extra ``optuna``).

Source: J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl, "Algorithms for hyper-parameter optimization" (2011); T. Akiba et
al., "Optuna" (2019).
"""

from __future__ import annotations

import math
from typing import Any

from fallline.errors import optional
from fallline.search.strategy import Plan, Proposal, Rounds
from fallline.types import Choice, Dimension

__all__ = ["rounds"]

_AT_ONCE = 4  # candidates of a round: fixed, so that the search is the same with any number of workers


def rounds(plan: Plan) -> Rounds:
    """Propose a few candidates at a time, each round with all earlier results.

    Raises:
        MissingPackageError: Optuna is not installed.
    """
    optuna = optional("optuna", "optuna", "The strategy 'tpe'")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Candidates of one round must not be alike: those under way count as bad ones (the constant liar).
    sampler = optuna.samplers.TPESampler(seed=plan.seed, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    left = plan.trials
    while left > 0:
        asked = [study.ask() for _ in range(min(left, _AT_ONCE))]
        points = [{name: _suggest(trial, name, d) for name, d in plan.space.items()} for trial in asked]
        losses = yield [Proposal(point) for point in points]
        for trial, loss in zip(asked, losses, strict=True):
            if math.isfinite(loss):
                study.tell(trial, loss)
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
        left -= len(asked)


def _suggest(trial: Any, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        # Optuna keeps plain values only: the place stands for the value.
        return dimension.values[trial.suggest_categorical(name, list(range(len(dimension.values))))]
    if dimension.whole:
        return trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
