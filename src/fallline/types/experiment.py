"""An experiment: what was asked, what was done, what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Comparison", "Decision", "Experiment"]

Decision = Literal["helps", "hurts", "cannot tell"]


@dataclass(frozen=True)
class Comparison:
    """One treated arm against the control; differences are gains, above 0 where the treated arm is better.

    Args:
        name: of the arm.
        differences: one for each pair (seed, fold), seeds outermost.
        mean: their mean, in the metric's units.
        low: lower end of the 95 % interval of the mean.
        high: upper end.
        p: of the corrected resampled t-test.
        p_adjusted: after Holm's correction for all arms of the experiment.
        decision: ``helps``, ``hurts`` or ``cannot tell``.
        more_seeds: how many more seeds would decide if mean and spread stay as they are; None: decided already, or no
            number of seeds would do, because the folds themselves differ.
    """

    name: str
    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    p: float
    p_adjusted: float
    decision: Decision
    more_seeds: int | None = None


@dataclass(frozen=True)
class Experiment:
    """Treated arms beside an untreated control, on the same seeds and folds.

    Args:
        intent: what was to be found out.
        expectation: what was expected, and why.
        method: what was done: seeds, folds, rows, test.
        result: the figures in one line an arm.
        finding: the conclusion in one sentence.
        metric: by which the arms are compared.
        seeds: of all arms.
        folds: number of folds.
        scores: arm -> its scores, as in `Comparison.differences`; ``control`` is the untreated one.
        comparisons: one for each treated arm.
    """

    intent: str
    expectation: str
    method: str
    result: str
    finding: str
    metric: str
    seeds: tuple[int, ...] = ()
    folds: int = 0
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()

    def __getitem__(self, name: str) -> Comparison:
        return {comparison.name: comparison for comparison in self.comparisons}[name]

    @property
    def best(self) -> Comparison | None:
        """The arm that helps most; None where none helps."""
        helping = [comparison for comparison in self.comparisons if comparison.decision == "helps"]
        return max(helping, key=lambda comparison: comparison.mean, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.intent}\n{self.method}\n{self.result}\n{self.finding}"
