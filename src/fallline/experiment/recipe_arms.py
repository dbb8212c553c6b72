"""Recipes beside a control recipe: trained on the same seeds and folds of a table, and scored on the held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.data import require_classes
from fallline.errors import InputError
from fallline.experiment.account import Pair, Plan, Scored
from fallline.score import score
from fallline.treatments import treat
from fallline.types import Problem, Recipe, Run, Score

__all__ = ["constant_scores", "score_recipes"]


def score_recipes(control: Recipe, treated: Any, problem: Problem, plan: Plan) -> Scored:
    """Train a control and treated recipes as one population and score them.

    Args:
        control: the untreated recipe.
        treated: names of treatments; or a mapping arm -> `Recipe`.
        problem: the table.
        plan: seeds, folds, metric.

    Raises:
        InputError: see `fallline.experiment`.
        KeyboardInterrupt: stopped.
    """
    from fallline.train.many import train_many_problems

    arms = _arms(control, treated, problem)
    pairs = plan.pairs(problem)
    require_classes(problem, pairs)
    name, higher = _metric(problem, pairs[0], plan.metric)
    runs = train_many_problems(
        problem, list(arms.values()), seeds=plan.seeds, folds=pairs, on_progress=plan.on_progress,
        fork_at=plan.fork_at, names=list(arms),
    )  # fmt: skip
    if any(run.outcome == "interrupted" for run in runs):
        raise KeyboardInterrupt
    values = np.array([_value(run, name, problem, pairs[int(run.facts["fold"])]) for run in runs])
    table = dict(zip(arms, values.reshape(len(arms), len(plan.seeds), len(pairs)), strict=True))
    share = float(np.mean([len(held) / len(rows) for rows, held in pairs]))
    return Scored(table, name, higher, share, problem.n_rows, plan.fork_at)


def _arms(base: Recipe, treated: Any, problem: Problem) -> dict[str, Recipe]:
    arms = {"control": base}
    if isinstance(treated, Mapping):
        wrong = [name for name, one in treated.items() if not isinstance(one, Recipe) or name == "control"]
        if wrong:
            raise InputError(
                f"{', '.join(map(str, wrong))}: beside a control recipe every arm is a Recipe, and none is called "
                "'control'."
            )
        arms |= dict(treated)
    else:
        for name in [treated] if isinstance(treated, str) else list(treated):
            arms[name] = treat(base, name, problem)
    if len(arms) < 2:
        raise InputError("There is nothing to compare: name at least one treatment, or give a mapping arm -> recipe.")
    return arms


def constant_scores(problem: Problem, pair: Pair) -> tuple[Score, ...]:
    """Scores, on a fold's held-out rows, of the constant prediction that its training rows suggest."""
    rows, held = pair
    y = problem.y[rows]
    if problem.kind == "multiclass":
        classes = int(problem.y.max()) + 1
        guess = (np.bincount(y.astype(int), minlength=classes) + 1.0) / (len(y) + classes)
    else:
        guess = np.asarray(y.mean(axis=0))
    prediction = np.broadcast_to(guess, (len(held), *np.shape(guess)))
    return score(problem.kind, problem.y[held], prediction, n_bootstrap=0)


def _metric(problem: Problem, pair: Pair, wanted: str | None) -> tuple[str, bool]:
    known = {one.metric: one.higher_is_better for one in constant_scores(problem, pair)}
    name = wanted or next(iter(known))
    if name not in known:
        raise InputError(f"There is no metric {name!r} for this problem; its scores are {', '.join(known)}.")
    return name, known[name]


def _value(run: Run, metric: str, problem: Problem, pair: Pair) -> float:
    values = {one.metric: one.value for one in run.scores}
    if np.isfinite(values.get(metric, np.nan)):
        return float(values[metric])
    return float({one.metric: one.value for one in constant_scores(problem, pair)}[metric])
