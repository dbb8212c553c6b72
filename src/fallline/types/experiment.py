"""An experiment: what was asked, what was done, what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fallline.types.verbs import Reported, verb

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
class Experiment(Reported):
    """Treated arms beside an untreated control, on the same seeds and folds.

    Args:
        intent: what was to be found out.
        expectation: what was expected, and why.
        method: what was done: seeds, folds, rows, test.
        result: the figures in one line an arm.
        finding: the conclusion in one sentence.
        metric: by which the arms are compared.
        higher_is_better: its direction.
        seeds: of all arms.
        folds: number of folds.
        fork_at: the arms go on from the control behind this epoch; None: each begins at the beginning.
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
    higher_is_better: bool = False
    fork_at: int | None = None
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

    def plot(self, ax: Any = None) -> Any:
        """Draw every arm's gains, their means and their intervals; return Matplotlib's axes.

        Args:
            ax: axes to draw on; None: new ones.
        """
        return verb("fallline.plot:plot_experiment")(self, ax)

    def _rows(self) -> list[tuple[str, ...]]:
        """The table: a line for the control and one for each arm."""
        means = {arm: sum(values) / len(values) for arm, values in self.scores.items() if values}
        control = next(iter(means.items()), None)
        rows: list[tuple[str, ...]] = []
        if control is not None:
            rows.append((control[0], f"{control[1]:.4g}", "", "", "", ""))
        for one in self.comparisons:
            mean = f"{means[one.name]:.4g}" if one.name in means else ""
            interval = f"[{one.low:+.3g}, {one.high:+.3g}]"
            rows.append((one.name, mean, f"{one.mean:+.3g}", interval, f"{one.p_adjusted:.3f}", one.decision))
        return rows

    @property
    def _head(self) -> tuple[str, ...]:
        direction = "higher" if self.higher_is_better else "lower"
        return "arm", f"{self.metric} ({direction} is better)", "gain", "95 % interval", "p", "decision"

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Experiment:
        """Return the experiment whose `to_dict` this is, lists instead of tuples allowed.

        Raises:
            KeyError, TypeError: it is not.
        """
        comparisons = tuple(
            Comparison(**{**one, "differences": tuple(one["differences"])}) for one in given["comparisons"]
        )
        scores = {arm: tuple(values) for arm, values in given["scores"].items()}
        return Experiment(**{**given, "seeds": tuple(given["seeds"]), "scores": scores, "comparisons": comparisons})

    def __str__(self) -> str:
        rows = [self._head, *self._rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self._head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self.intent, self.method, "", *(f"  {line}" for line in lines), "", self.finding])

    def _repr_html_(self) -> str:
        from html import escape

        head = "".join(f"<th>{escape(cell)}</th>" for cell in self._head)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self._rows()
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{escape(self.intent)}</p>{table}<p><b>{escape(self.finding)}</b></p><p>{escape(self.method)}</p>"
