"""Permutation importance: one bar a column, the single shufflings as dots on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fallline.report.markup import tag
from fallline.report.svg import Drawing, Panel, Scale, fit_text, text_width
from fallline.report.text import number, tick_words

__all__ = ["importance_chart"]

_BLANK = Scale(0, 1, 0, 1)


def importance_chart(columns: Sequence[tuple[str, np.ndarray]], axis: str) -> Drawing:
    """Draw how much worse the score becomes when a column is shuffled.

    Args:
        columns: (name, one value a shuffling), most important first.
        axis: what a value is.
    """
    return _chart(columns, axis, 820, 200).with_narrow(_chart(columns, axis, 350, 120))


def _chart(columns: Sequence[tuple[str, np.ndarray]], axis: str, width: float, most: float) -> Drawing:
    left = min(most, max(text_width(fit_text(name, most - 10)) for name, _ in columns) + 14)
    right, step, top = 58.0, 22.0, 6.0
    base = top + step * len(columns)
    everything = np.concatenate([values for _, values in columns])
    panel = Panel(width, base + 42, Scale.around([0.0, *everything.tolist()], left, width - right), _BLANK)
    ticks = panel.x.ticks(3 if width < 500 else 6)
    for value, words in zip(ticks, tick_words(ticks), strict=True):
        x = panel.x(value)
        panel.add(tag("line", x1=x, x2=x, y1=top, y2=base, class_="grid"))
        panel.text(x, base + 16, words, "tick", "middle")
    zero = panel.x(0)
    for i, (label, values) in enumerate(columns):
        y, mean = top + step * i, float(values.mean())
        start, end = sorted((zero, panel.x(mean)))
        panel.text(left - 8, y + 15, fit_text(label, left - 12), "", "end")
        panel.add(tag("rect", x=start, y=y + 5, width=max(end - start, 0.8), height=12, rx=1.5, class_="bar"))
        dots = "".join(f"M{x:g} {y + 11:g}h0" for x in np.round(panel.x.array(values), 1).tolist())
        panel.add(tag("path", d=dots, class_="single ink"))
        panel.text(width, y + 15, number(mean, 2), "tick", "end")
    panel.add(tag("line", x1=zero, x2=zero, y1=top, y2=base, class_="zero"))
    panel.text((left + width - right) / 2, base + 36, axis, "axis", "middle")
    words = "; ".join(
        f"{name}: {number(float(v.mean()), 2)}, from {number(float(v.min()), 2)} to {number(float(v.max()), 2)}"
        for name, v in columns
    )
    return panel.drawing("Importance of the columns", f"{axis}. {words}.")
