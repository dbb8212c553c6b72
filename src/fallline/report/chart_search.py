"""Pictures of a search: the score from trial to trial, and over one entry of the recipe (its U-curve)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.report.markup import tag
from fallline.report.svg import Drawing, Panel, Scale, fit_text
from fallline.report.text import count, name, number
from fallline.types import Choice, Dimension, Range

__all__ = ["entry_chart", "trial_chart"]

_LEFT, _RIGHT = 58.0, 12.0


def trial_chart(values: np.ndarray, metric: str, *, higher_is_better: bool) -> Drawing:
    """Draw each trial's score in the order in which they were proposed, and the best so far as a line.

    Args:
        values: (t,) scores, NaN where a training diverged.
        metric: in words.
        higher_is_better: its direction.
    """
    made = [_trials(values, metric, higher_is_better, width) for width in (820.0, 350.0)]
    return made[0].with_narrow(made[1])


def _trials(values: np.ndarray, metric: str, higher: bool, width: float) -> Drawing:
    n = len(values)
    x = Scale(-0.5, max(n - 0.5, 0.5), _LEFT, width - _RIGHT)
    panel = Panel(width, 250, x, Scale.around(_robust(values), 200, 28))
    panel.axis_y()
    panel.text(0, 12, metric, "axis")
    panel.axis_x("trial", shown=[(v, count(int(v))) for v in x.ticks(6) if float(v).is_integer() and v >= 0])
    sign = 1.0 if higher else -1.0
    best = sign * np.fmax.accumulate(np.where(np.isfinite(values), sign * values, np.nan))
    panel.line(np.arange(n), best, "train")
    _points(panel, np.arange(n, dtype=float), values)
    finite = values[np.isfinite(values)]
    lost = n - len(finite)
    end = f" {count(lost)} diverged." if lost else ""
    last = number(float(best[-1])) if n and math.isfinite(best[-1]) else "none"
    return panel.drawing("The score from trial to trial", f"{count(n)} trials; the best {metric} is {last}.{end}")


def _robust(values: np.ndarray) -> list[float]:
    """The values that decide the axis: a few lost trainings must not press the others together."""
    finite = values[np.isfinite(values)]
    if len(finite) < 8:
        return [float(v) for v in finite]
    low, middle, high = np.quantile(finite, [0.0, 0.5, 1.0])
    quarter = float(np.subtract(*np.quantile(finite, [0.75, 0.25]))) or abs(float(middle)) or 1.0
    return [max(float(low), float(middle) - 6 * quarter), min(float(high), float(middle) + 6 * quarter)]


def _points(panel: Panel, x: np.ndarray, y: np.ndarray) -> None:
    known = np.isfinite(y) & np.isfinite(x)
    px, py = np.round(panel.x.array(x[known]), 1).tolist(), np.round(panel.y.array(y[known]), 1).tolist()
    panel.add(tag("path", d="".join(f"M{a:g} {b:g}h0" for a, b in zip(px, py, strict=True)), class_="cloud"))


def entry_chart(entry: str, space: Dimension, points: Sequence[Any], values: np.ndarray, best: int) -> Drawing:
    """Draw the score over one entry's values.

    Args:
        entry: its name.
        space: what was searched.
        points: (t) the entry's value in each trial.
        values: (t,) scores.
        best: which trial is the best.
    """
    at, x, ticks = _axis(space, points)
    panel = Panel(400, 216, x, Scale.around(_robust(values), 160, 30))
    panel.axis_y(most=4)
    panel.text(0, 14, fit_text(name(entry, 60), 390), "axis strong")
    log = isinstance(space, Range) and space.log
    panel.axis_x("log scale" if log else "", shown=ticks)
    _points(panel, at, values)
    told = ""
    if math.isfinite(values[best]) and math.isfinite(at[best]):
        panel.add(tag("circle", cx=panel.x(float(at[best])), cy=panel.y(float(values[best])), r=6.0, class_="ring"))
        told = f" The best trial has {_value(points[best])}."
    return panel.drawing(f"The score over {name(entry, 60)}", f"{count(len(points))} trials.{told}")


def _axis(space: Dimension, points: Sequence[Any]) -> tuple[np.ndarray, Scale, list[tuple[float, str]] | None]:
    """(positions, scale, ticks); choices stand side by side in their order."""
    if isinstance(space, Choice):
        words = [_value(v) for v in space.values]
        place = {word: float(i) for i, word in enumerate(words)}
        at = np.array([place.get(_value(v), math.nan) for v in points])
        x = Scale(-0.5, len(words) - 0.5, _LEFT, 400 - _RIGHT)
        wide = (400 - _LEFT - _RIGHT) / max(len(words), 1) - 4
        return at, x, [(float(i), fit_text(word, wide)) for i, word in enumerate(words)]
    at = np.array([float(v) for v in points])
    return at, Scale.around([space.low, space.high], _LEFT, 400 - _RIGHT, log=space.log), None


def _value(value: Any) -> str:
    return number(float(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else name(value, 30)
