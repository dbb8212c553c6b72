"""Recipes measured on the held-out rows of the same folds with the same seeds: few compiled programs, plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import InputError, nearest
from fallline.score import MAIN_METRIC
from fallline.types import Problem, Recipe

if TYPE_CHECKING:
    from fallline.types import Run

__all__ = ["METRICS", "Folds", "Measured", "check_recipes", "is_higher_better", "measure", "metric_of"]

Folds = Sequence[tuple[np.ndarray, np.ndarray]]

METRICS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("regression", "multioutput"), ("rmse", "mae", "r2")),
    **dict.fromkeys(("binary", "multiclass", "multilabel"), ("log_loss", "accuracy", "auc")),
}

# Runs trained by one call: enough that a population fills the machine, few enough that an interruption loses little and
# that their traces fit into memory.
_TOGETHER = 400


def metric_of(problem: Problem, metric: str | None) -> str:
    """Return the metric, the problem's main one by default.

    Raises:
        InputError: no metric of this kind of problem.
    """
    allowed = METRICS[problem.kind]
    if metric is None:
        return MAIN_METRIC[problem.kind]
    if metric not in allowed:
        raise InputError(
            f"metric = {metric!r} is not allowed for a {problem.kind} problem: it takes one of {', '.join(allowed)}."
            f"{nearest(str(metric), allowed)}"
        )
    return metric


def is_higher_better(metric: str) -> bool:
    """Return the metric's direction."""
    return metric in ("accuracy", "auc", "r2")


@dataclass(frozen=True, eq=False)
class Measured:
    """One recipe on all folds with all seeds.

    Args:
        values: metric -> (folds, seeds); NaN where a training diverged, or the metric is not defined on the rows.
        diverged: trainings without any member left.
        intervals: metric -> 95 % interval over the rows of the only fold (mean over seeds), where asked for.
    """

    values: dict[str, np.ndarray]
    diverged: int = 0
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def loss(self, metric: str) -> float:
        """Return the mean of a metric, lower is better; infinite where a training gave none."""
        mean = float(self.values[metric].mean())
        if not np.isfinite(mean):
            return float("inf")
        return -mean if is_higher_better(metric) else mean


def measure(
    problem: Problem,
    recipes: Sequence[Recipe],
    *,
    seeds: Sequence[int] | None,
    folds: Folds,
    on_progress: Any = None,
    each: Callable[[int, Measured], None] | None = None,
    together: int = _TOGETHER,
    intervals: bool = False,
) -> list[Measured]:
    """Train every recipe with every seed on every fold and score it on the held-out rows.

    Preparation and early stopping see the training rows alone.

    Args:
        problem: the problem.
        recipes: all are checked against the problem before the first is trained.
        seeds: of the trainings; None: each recipe's own.
        folds: (training rows, held-out rows).
        on_progress: as in `fallline.train_many`.
        each: called with a recipe's place and its figures as soon as they are there.
        together: most runs of one call of the engine.
        intervals: bootstrap the held-out rows of the first fold.

    Returns:
        one for each recipe.

    Raises:
        InputError: a recipe that contradicts the problem.
        KeyboardInterrupt: the training was interrupted; what was finished before was given to ``each``.
    """
    from fallline.train.many import train_many_problems

    check_recipes(problem, recipes, folds)
    found: list[Measured] = []
    rounds = 1 if seeds is None else len(seeds)
    size = rounds * len(folds)
    step = max(1, together // size)
    for start in range(0, len(recipes), step):
        part = list(recipes[start : start + step])
        runs = train_many_problems(problem, part, seeds=seeds, folds=list(folds), on_progress=on_progress)
        if any(run.outcome == "interrupted" for run in runs):
            raise KeyboardInterrupt
        for i in range(len(part)):
            own = runs[i * size : (i + 1) * size]
            found.append(_measured(problem, own, rounds, len(folds)))
            if intervals:
                found[-1] = replace(found[-1], intervals=_intervals(problem, own[:: len(folds)], folds[0][1]))
            if each is not None:
                each(start + i, found[-1])
    return found


def check_recipes(problem: Problem, recipes: Sequence[Recipe], folds: Folds) -> None:
    """Prepare the first fold for every recipe: whatever contradicts the problem is said before work begins.

    Args:
        problem: the problem.
        recipes: to be trained.
        folds: (training rows, held-out rows).

    Raises:
        InputError: a recipe that contradicts the problem.
    """
    from fallline.data import as_pixels
    from fallline.train.prepared import Known, prepare

    known: Known = {}
    for recipe in dict.fromkeys(recipes):
        prepare(as_pixels(problem) if recipe.network.kind == "lenet5" else problem, recipe, folds[0], known)


def _measured(problem: Problem, runs: Sequence[Run], seeds: int, folds: int) -> Measured:
    """Runs of one recipe, seeds outermost, as tables (folds, seeds)."""
    values = {name: np.full((seeds, folds), np.nan) for name in METRICS[problem.kind]}
    for place, run in enumerate(runs):
        for score in run.scores:
            if score.who == "model":
                values[score.metric].flat[place] = score.value
    diverged = sum(run.outcome == "diverged" for run in runs)
    return Measured({name: table.T for name, table in values.items()}, diverged)


def _intervals(problem: Problem, runs: Sequence[Run], rows: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return metric -> the 95 % interval over rows, averaged over runs."""
    from fallline.score import score

    weight = None if problem.sample_weight is None else problem.sample_weight[rows]
    ends: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        if run.held_out is not None:
            for one in score(problem.kind, run.held_out.y, run.held_out.prediction, sample_weight=weight):
                ends.setdefault(one.metric, []).append((one.low, one.high))
    means = {name: np.mean(found, axis=0) for name, found in ends.items()}
    return {name: (float(low), float(high)) for name, (low, high) in means.items()}
