"""Ranges of recipe entries, trials, and what a search found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fallline.types.diagnosis import Finding
from fallline.types.recipe import Recipe
from fallline.types.verbs import Reported, verb

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Choice", "Dimension", "Range", "Search", "Trial"]


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``.

    Args:
        low, high: both ends belong to it.
        log: equal ratios are equally likely, as for quantities whose magnitude is unknown.
        whole: whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    """One of some values; where they are numbers, in rising order, their order counts.

    Args:
        values: what may be chosen.
    """

    values: tuple[Any, ...]


Dimension = Range | Choice


@dataclass(frozen=True, eq=False)
class Trial:
    """One candidate and how it did.

    Args:
        number: its place in the search, from 0.
        point: recipe entry -> value.
        value: mean of the metric over folds and seeds; NaN where a training diverged.
        values: fold -> its values, one a seed.
        epochs: the epochs it was given, where the strategy gives fewer than the recipe says; else None.
        diverged: trainings without a result.
        recipe: the recipe that was tried.
    """

    number: int
    point: Mapping[str, Any]
    value: float
    values: tuple[tuple[float, ...], ...]
    epochs: int | None
    diverged: int
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class Search(Reported):
    """All trials of a search, the best of them, and whether it lies on the border.

    Args:
        metric: by which was judged.
        higher_is_better: its direction.
        strategy: how candidates were proposed.
        space: entry -> what was searched, after widening.
        trials: in the order in which they were proposed.
        findings: of the border check, and of too many trials on too few rows.
        outcome: ``completed``, ``interrupted``, or ``budget`` where the time was over.
        trainings: how many trainings it took.
        rows: held-out rows that the trials were judged by.
    """

    metric: str
    higher_is_better: bool
    strategy: str
    space: Mapping[str, Dimension]
    trials: tuple[Trial, ...]
    findings: tuple[Finding, ...] = ()
    outcome: Literal["completed", "interrupted", "budget"] = "completed"
    trainings: int = 0
    rows: int = 0

    @property
    def best(self) -> Trial:
        """The best trial among those with the full number of epochs; its score was selected on and flatters."""
        sign = -1.0 if self.higher_is_better else 1.0
        full = [trial for trial in self.trials if trial.epochs is None] or list(self.trials)
        return min(full, key=lambda trial: (math.isnan(trial.value), sign * trial.value, trial.number))

    @property
    def recipe(self) -> Recipe:
        """The recipe of the best trial."""
        return self.best.recipe

    @property
    def table(self) -> pd.DataFrame:
        """One row a trial: its number, the entries, epochs and the score."""
        import pandas as pd

        rows = [
            {"trial": t.number, **t.point, "epochs": t.epochs, self.metric: t.value, "diverged": t.diverged}
            for t in self.trials
        ]
        return pd.DataFrame(rows).set_index("trial")

    def u_curve(self, entry: str) -> pd.DataFrame:
        """Return the score over one entry: its value, the best, the mean, and how many trials."""
        found: pd.DataFrame = verb("fallline.search.curves:u_curve")(self, entry)
        return found

    def importance(self) -> pd.DataFrame:
        """Return each entry's share of the score's variance."""
        found: pd.DataFrame = verb("fallline.search.curves:importance")(self)
        return found

    def plot(self, ax: Any = None) -> Any:
        """Draw the score over the entry that matters most; return Matplotlib's axes."""
        return self.plot_u_curve(str(self.importance()["entry"].iloc[0]), ax)

    def plot_u_curve(self, entry: str, ax: Any = None) -> Any:
        """Draw the score over one entry; return Matplotlib's axes."""
        return verb("fallline.search.plots:plot_u_curve")(self, entry, ax)

    def plot_importance(self, ax: Any = None) -> Any:
        """Draw each entry's share of the score's variance; return Matplotlib's axes."""
        return verb("fallline.search.plots:plot_importance")(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-able values (NaN where there is none)."""
        return {
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "strategy": self.strategy,
            "outcome": self.outcome,
            "trainings": self.trainings,
            "best": self.best.number if self.trials else None,
            "trials": [
                {"number": t.number, "point": dict(t.point), "value": t.value, "values": [list(v) for v in t.values],
                 "epochs": t.epochs, "diverged": t.diverged}
                for t in self.trials
            ],
            "findings": [finding.message for finding in self.findings],
        }  # fmt: skip

    def __str__(self) -> str:
        if not self.trials:
            return f"{self.strategy}: no trial was finished ({self.outcome})"
        best = self.best
        lines = [f"{self.strategy}: {len(self.trials)} trials, {self.trainings:,} trainings, {self.outcome}"]
        lines.append(f"best {self.metric} {best.value:.4f} (trial {best.number}; selected on, so it flatters)")
        lines += [f"  {name} = {value}" for name, value in best.point.items()]
        return "\n".join([*lines, *(f"  {finding.message}" for finding in self.findings)])
