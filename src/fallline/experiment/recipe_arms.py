"""Recipes beside a control recipe: trained on the same seeds and folds of a table, and scored on the held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from fallline.data import folds as make_folds
from fallline.errors import InputError
from fallline.experiment.account import Scored
from fallline.score import score
from fallline.train.jobs import fold_pairs
from fallline.treatments import treat
from fallline.types import Problem, Recipe, Run, Score

__all__ = ["score_recipes"]

Pair = tuple[np.ndarray, np.ndarray]


def score_recipes(
    control: Recipe,
    treated: Any,
    problem: Problem,
    *,
    seeds: Sequence[int],
    folds: Any,
    metric: str | None,
    fork_at: int | None,
    on_progress: Any,
) -> Scored:
    """Train a control and treated recipes as one population and score them.

    Args:
        control: the untreated recipe.
        treated: names of treatments; or a mapping arm -> `Recipe`.
        problem: the table.
        seeds: of the trainings.
        folds: how many, or pairs of rows.
        metric: as in `fallline.experiment`.
        fork_at: likewise.
        on_progress: likewise.

    Raises:
        InputError: see there.
        KeyboardInterrupt: stopped.
    """
    from fallline.train.many import train_many_problems

    arms = _arms(control, treated, problem)
    pairs = make_folds(problem, folds=int(folds)) if isinstance(folds, Integral) else fold_pairs(folds, problem.y)
    if len(pairs) < 2:
        raise InputError(f"folds has {len(pairs)} pair: an experiment takes at least 1 seed and 2 folds.")
    _require_classes(problem, pairs)
    name, higher = _metric(problem, pairs[0], metric)
    runs = train_many_problems(
        problem, list(arms.values()), seeds=seeds, folds=pairs, on_progress=on_progress, fork_at=fork_at,
        names=list(arms),
    )  # fmt: skip
    if any(run.outcome == "interrupted" for run in runs):
        raise KeyboardInterrupt
    values = np.array([_value(run, name, problem, pairs[int(run.facts["fold"])]) for run in runs])
    table = dict(zip(arms, values.reshape(len(arms), len(seeds), len(pairs)), strict=True))
    share = float(np.mean([len(held) / len(rows) for rows, held in pairs]))
    return Scored(table, name, higher, share, problem.n_rows, fork_at)


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


def _require_classes(problem: Problem, pairs: Sequence[Pair]) -> None:
    if problem.kind not in ("binary", "multiclass"):
        return
    for place, (rows, _) in enumerate(pairs):
        absent = np.bincount(problem.y[rows].astype(np.int64), minlength=len(problem.classes)) == 0
        if absent.any():
            raise InputError(
                f"The training rows of fold {place + 1} hold no row of the class "
                f"{str(problem.classes[int(np.argmax(absent))])!r}: what is trained there cannot know it. Join rare "
                "classes, or leave their rows out."
            )


def _constant(problem: Problem, pair: Pair) -> tuple[Score, ...]:
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
    known = {one.metric: one.higher_is_better for one in _constant(problem, pair)}
    name = wanted or next(iter(known))
    if name not in known:
        raise InputError(f"There is no metric {name!r} for this problem; its scores are {', '.join(known)}.")
    return name, known[name]


def _value(run: Run, metric: str, problem: Problem, pair: Pair) -> float:
    values = {one.metric: one.value for one in run.scores}
    if np.isfinite(values.get(metric, np.nan)):
        return float(values[metric])
    return float({one.metric: one.value for one in _constant(problem, pair)}[metric])
