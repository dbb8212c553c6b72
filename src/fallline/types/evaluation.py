"""What an evaluation found: how well a way of training does on rows that nobody chose anything by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.types.recipe import Recipe
from fallline.types.run import Score
from fallline.types.verbs import Reported

__all__ = ["Difference", "Evaluation"]


@dataclass(frozen=True)
class Difference:
    """A paired difference between two contenders on the same folds.

    Args:
        who: the one.
        against: the other.
        metric: of which figure.
        value: mean of who - against.
        low, high: ends of the 95 % interval (corrected resampled t); NaN with a single fold.
        p: two-sided p-value, adjusted for the number of comparisons (Holm).
        higher_is_better: direction of the metric.
    """

    who: str
    against: str
    metric: str
    value: float
    low: float
    high: float
    p: float
    higher_is_better: bool = False

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``cannot tell``: whether the p-value is below 5 %, and in which direction."""
        if not self.p < 0.05:
            return "cannot tell"
        return "better" if (self.value > 0) == self.higher_is_better else "worse"

    def __str__(self) -> str:
        return (
            f"{self.who} - {self.against}: {self.value:+.4g} [{self.low:.4g}, {self.high:.4g}], p = {self.p:.2g}: "
            f"{self.verdict}"
        )


@dataclass(frozen=True, eq=False)
class Evaluation(Reported):
    """Scores of recipes or Keras models and of baselines on the held-out rows of the same folds.

    Args:
        metric: the main metric.
        higher_is_better: its direction.
        scheme: the folds in words.
        names: the contenders, then the baselines.
        values: metric -> contender -> (folds, seeds); NaN where a training diverged or the metric is not defined.
        scores: for every contender the mean of each metric with its 95 % interval, main metric first; the interval of a
            mean over folds is the corrected resampled t, that of a single hold-out the bootstrap over rows.
        differences: paired, of the main metric, of every contender against every one after it.
        folds: (training rows, held-out rows) of each fold.
        seeds: of the trainings; empty: each recipe's own.
        chosen: nested: the recipe, or the name of the Keras model, that was chosen inside each outer fold.
        selected_on: nested: mean score of the chosen recipes on the rows that they were chosen by, which flatters.
        trainings: how many trainings it took.
        notes: sentences for the reader.
    """

    metric: str
    higher_is_better: bool
    scheme: str
    names: tuple[str, ...]
    values: Mapping[str, Mapping[str, np.ndarray]]
    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]
    seeds: tuple[int, ...]
    chosen: tuple[Recipe | str, ...] = ()
    selected_on: float = math.nan
    trainings: int = 0
    notes: tuple[str, ...] = field(default=())

    def score(self, who: str, metric: str | None = None) -> Score:
        """Return the mean score of one contender.

        Args:
            who: one of ``names``.
            metric: default: the main metric.

        Raises:
            KeyError: no such contender or metric.
        """
        for found in self.scores:
            if found.who == who and found.metric == (metric or self.metric):
                return found
        raise KeyError(f"no score {metric or self.metric!r} of {who!r}; there are {', '.join(self.names)}.")

    @property
    def best(self) -> str:
        """The contender or baseline of the best mean."""
        sign = -1.0 if self.higher_is_better else 1.0
        means = {name: sign * self.score(name).value for name in self.names}
        return min(means, key=lambda name: (math.isnan(means[name]), means[name]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-able values (NaN where there is none)."""
        return {
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "scheme": self.scheme,
            "scores": [vars(score) for score in self.scores],
            "differences": [vars(one) | {"verdict": one.verdict} for one in self.differences],
            "values": {
                metric: {who: np.asarray(table).tolist() for who, table in tables.items()}
                for metric, tables in self.values.items()
            },
            "seeds": list(self.seeds),
            "selected_on": self.selected_on,
            "trainings": self.trainings,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        direction = "higher" if self.higher_is_better else "lower"
        width = max(len(name) for name in self.names)
        lines = [f"{self.metric} ({direction} is better), {self.scheme}, {self.trainings:,} trainings"]
        for name in self.names:
            one = self.score(name)
            lines.append(f"  {name:{width}}  {one.value:.4f}  [{one.low:.4f}, {one.high:.4f}]")
        lines += [f"  {one}" for one in self.differences if one.who not in ("dummy", "linear")]
        if self.chosen:
            lines.append(
                f"  chosen inside each fold; on the rows it was chosen by it scored {self.selected_on:.4f}, which is "
                "no forecast"
            )
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])
