"""Paired differences with their intervals: what each treated arm, or each contender, gained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fallline.report.markup import tag
from fallline.report.svg import Drawing, Panel, Scale, fit_text, text_width
from fallline.report.text import number, tick_words

__all__ = ["Gain", "gain_chart"]

_MOST_DOTS = 60
_BLANK = Scale(0, 1, 0, 1)


@dataclass(frozen=True)
class Gain:
    """One row: who, the mean difference, its 95 % interval, the verdict, and the single differences behind it."""

    name: str
    mean: float
    low: float
    high: float
    level: str
    verdict: str
    single: Sequence[float] = field(default=())


def gain_chart(gains: Sequence[Gain], title: str, axis: str) -> Drawing:
    """Draw differences around 0 with their intervals.

    Args:
        gains: rows from the top.
        title: what the chart shows.
        axis: what a difference is, and which direction is good.
    """
    return _chart(gains, title, axis, 820).with_narrow(_chart(gains, title, axis, 350))


def _chart(gains: Sequence[Gain], title: str, axis: str, width: float) -> Drawing:
    step, top = 52.0, 12.0
    base = top + step * len(gains)
    ends = [v for g in gains for v in (g.mean, g.low, g.high, *g.single[:_MOST_DOTS]) if math.isfinite(v)]
    panel = Panel(width, base + 42, Scale.around([0.0, *ends], 8, width - 8), _BLANK)
    ticks = panel.x.ticks(4 if width < 500 else 7)
    for value, words in zip(ticks, tick_words(ticks), strict=True):
        x = panel.x(value)
        panel.add(tag("line", x1=x, x2=x, y1=top, y2=base, class_="grid"))
        panel.text(x, base + 16, words, "tick", "start" if x < 18 else "end" if x > width - 18 else "middle")
    panel.add(tag("line", x1=panel.x(0), x2=panel.x(0), y1=top, y2=base, class_="zero"))
    panel.text(width / 2, base + 36, axis, "axis", "middle")
    for i, gain in enumerate(gains):
        y = top + step * i
        told = f"{_signed(gain.mean)}, {gain.verdict}"
        panel.text(0, y + 14, fit_text(gain.name, width - text_width(told) - 16), "halo strong")
        panel.text(width, y + 14, told, f"halo outcome {gain.level}", "end")
        middle = y + 30
        dots = [v for v in gain.single[:_MOST_DOTS] if math.isfinite(v)]
        if dots:
            at = np.round(panel.x.array(np.asarray(dots)), 1).tolist()
            panel.add(tag("path", d="".join(f"M{x:g} {middle + 10:g}h0" for x in at), class_="single"))
        if math.isfinite(gain.low) and math.isfinite(gain.high):
            low, high = panel.x(gain.low), panel.x(gain.high)
            d = f"M{low:.1f} {middle - 4:.1f}v8M{low:.1f} {middle:.1f}H{high:.1f}M{high:.1f} {middle - 4:.1f}v8"
            panel.add(tag("path", d=d, class_="whisker model"))
        if math.isfinite(gain.mean):
            panel.add(tag("circle", cx=panel.x(gain.mean), cy=middle, r=5.5, class_="point model"))
    words = "; ".join(
        f"{g.name}: {_signed(g.mean)} (95 % interval {_signed(g.low)} to {_signed(g.high)}), {g.verdict}" for g in gains
    )
    return panel.drawing(title, f"{words}. {axis}.")


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)
