"""What is to be evaluated, checked, and what the trainings gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.search import Folds, Measured
from fallline.types import Problem, Recipe

__all__ = ["BASELINES", "Outcome", "Task", "scheme_of"]

BASELINES = ("dummy", "linear")


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be evaluated, checked.

    Args:
        problem: the rows and their targets.
        contenders: name -> what is trained: recipes, or Keras models.
        folds: (training rows, held-out rows).
        scheme: the folds in words.
        seeds: of the trainings; None: each recipe's own.
        metrics: what is scored, the main one first.
        rising: those of which more is better.
        share: of the rows to hold out in a single fold.
        split: how folds are made of rows again.
        measure: (contenders, folds, whether a single fold gets intervals over its rows) -> their figures.
        features: training rows -> (n, d) inputs of the baselines, fitted on them; None: there are no baselines.
        on_progress: as for `fallline.train`.
    """

    problem: Problem
    contenders: Mapping[str, Any]
    folds: Folds
    scheme: str
    seeds: list[int] | None
    metrics: tuple[str, ...]
    rising: frozenset[str]
    share: float
    split: Mapping[str, Any]
    measure: Callable[[Sequence[Any], Folds, bool], list[Measured]]
    features: Callable[[np.ndarray], np.ndarray] | None
    on_progress: Any

    @property
    def metric(self) -> str:
        """By which is chosen and compared."""
        return self.metrics[0]

    @property
    def rounds(self) -> int:
        """Trainings of a contender on a fold."""
        return 1 if self.seeds is None else len(self.seeds)

    def measured(self, candidates: Sequence[Any], folds: Folds) -> list[Measured]:
        """Return the figures of each candidate on these folds."""
        return self.measure(candidates, folds, len(self.folds) == 1 and folds[0][1] is self.folds[0][1])

    def loss(self, one: Measured) -> float:
        """Return the mean of the main metric, lower is better; infinite where a training gave none."""
        mean = float(one.values[self.metric].mean())
        return float("inf") if not np.isfinite(mean) else -mean if self.metric in self.rising else mean


@dataclass(eq=False)
class Outcome:
    """What the trainings gave: contender -> metric -> (folds, seeds), and (low, high) of a single hold-out."""

    values: dict[str, dict[str, np.ndarray]]
    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    chosen: tuple[Recipe | str, ...] = ()
    selected_on: float = float("nan")
    trainings: int = 0
    diverged: int = 0
    notes: list[str] = field(default_factory=list)


def scheme_of(problem: Problem, pairs: Folds, counted: bool, repeats: int, split: Mapping[str, Any]) -> str:
    """Say in words how the rows were parted.

    Args:
        problem: the rows.
        pairs: the folds.
        counted: they were asked for by their number.
        repeats: partitions.
        split: by what.
    """
    if not counted:
        return f"{len(pairs)} given folds"
    words = "hold-out" if len(pairs) == 1 else f"{len(pairs) // repeats} folds"
    if repeats > 1:
        words += f" x {repeats} repeats"
    if split["time"] is not None:
        return f"{words} in time" + (f" by {split['time']}" if isinstance(split["time"], str) else "")
    if split["group"] is not None or problem.groups is not None:
        return f"{words} by group"
    return words + (", stratified" if problem.is_classification and split["stratify"] else "")
