"""Pictures of scores: model against baselines with intervals, and the spread over an ensemble's members."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fallline.report.markup import Markup, tag
from fallline.report.svg import Drawing, Panel, Scale, fit_text, text_width
from fallline.report.text import (
    AS_PERCENT,
    count,
    metric,
    number,
    percent_ticks,
    score_interval,
    score_value,
    tick_words,
)
from fallline.types import Score

__all__ = ["interval_chart", "strip_chart"]

_BLANK = Scale(0, 1, 0, 1)


def _mark(x: float, y: float, who: str) -> Markup:
    """A shape per kind of model: disc, diamond, square; told apart without colour."""
    if who == "model":
        return tag("circle", cx=x, cy=y, r=6.0, class_="point model")
    if who == "linear":
        return tag("path", d=f"M{x:.1f} {y - 6.5:.1f}l6.5 6.5l-6.5 6.5l-6.5 -6.5z", class_="point other")
    return tag("rect", x=x - 5, y=y - 5, width=10, height=10, class_="point other")


def interval_chart(scores: Sequence[tuple[str, Score]]) -> Drawing:
    """Draw one metric for several models as points with their 95 % intervals.

    Args:
        scores: (who in words, score), all of one metric, best placed first.
    """
    first = scores[0][1]
    as_percent = first.metric in AS_PERCENT
    step, top = 50.0, 30.0
    height = top + step * len(scores) + 26
    ends = [v for _, s in scores for v in (s.value, s.low, s.high) if math.isfinite(v)]
    panel = Panel(400, height, Scale.around(ends, 10, 390), _BLANK)
    base = top + step * len(scores) - 4
    ticks = panel.x.ticks(4)
    for value, words in zip(ticks, percent_ticks(ticks) if as_percent else tick_words(ticks), strict=True):
        x = panel.x(value)
        panel.add(tag("line", x1=x, x2=x, y1=top, y2=base, class_="grid"))
        panel.text(x, base + 16, words, "tick", "start" if x < 16 else "end" if x > 384 else "middle")
    arrow = "higher is better →" if first.higher_is_better else "← lower is better"
    panel.text(0, 14, metric(first.metric), "axis strong")
    panel.text(400, 14, arrow, "tick", "end")
    bar = _threshold(scores)
    if bar is not None:
        panel.add(tag("line", x1=panel.x(bar), x2=panel.x(bar), y1=top - 6, y2=base, class_="threshold"))
    for i, (words, score) in enumerate(scores):
        y = top + step * i
        kind = "model" if score.who == "model" else "other"
        figure = score_value(score)
        panel.text(
            0, y + 16, fit_text(words, 390 - text_width(figure) - 110), "halo strong" if kind == "model" else "halo"
        )
        span = score_interval(score)
        panel.add(
            tag(
                "text",
                tag("tspan", figure, class_="strong" if kind == "model" else None),
                tag("tspan", span, dx=7, class_="tick") if span else "",
                x=400,
                y=y + 16,
                text_anchor="end",
                class_="halo",
            )
        )
        if math.isfinite(score.low) and math.isfinite(score.high):
            low, high = panel.x(score.low), panel.x(score.high)
            panel.add(
                tag(
                    "path",
                    d=f"M{low:.1f} {y + 27:.1f}v8M{low:.1f} {y + 31:.1f}H{high:.1f}M{high:.1f} {y + 27:.1f}v8",
                    class_=f"whisker {kind}",
                )
            )
        if math.isfinite(score.value):
            panel.add(_mark(panel.x(score.value), y + 31, score.who))
    told = "; ".join(
        f"{w}: {score_value(s)}" + (f" ({score_interval(s)})" if score_interval(s) else "") for w, s in scores
    )
    return panel.drawing(
        f"{metric(first.metric).capitalize()} against the baselines", f"{told}. {arrow.strip('→← ').capitalize()}."
    )


def _threshold(scores: Sequence[tuple[str, Score]]) -> float | None:
    """The better baseline's value: what has to be passed."""
    others = [s.value for _, s in scores if s.who not in ("model", "control") and math.isfinite(s.value)]
    if not others:
        return None
    return max(others) if scores[0][1].higher_is_better else min(others)


def strip_chart(values: Sequence[tuple[int, float]], axis: str) -> Drawing:
    """Draw one point per member of an ensemble, with mean and standard deviation.

    Args:
        values: (member, value), finite.
        axis: what the value is.
    """
    numbers = np.array([v for _, v in values])
    mean, sd = float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    panel = Panel(400, 150, Scale.around(numbers, 16, 384), _BLANK)
    middle, base = 54.0, 104.0
    ticks = panel.x.ticks(4)
    for value, words in zip(ticks, tick_words(ticks), strict=True):
        x = panel.x(value)
        panel.add(tag("line", x1=x, x2=x, y1=14, y2=base, class_="grid"))
        panel.text(x, base + 16, words, "tick", "middle")
    low, high = panel.x(mean - sd), panel.x(mean + sd)
    panel.add(tag("rect", x=low, y=middle - 30, width=max(high - low, 1.0), height=60, rx=4, class_="band"))
    panel.add(tag("line", x1=panel.x(mean), x2=panel.x(mean), y1=middle - 34, y2=middle + 34, class_="meanline"))
    for (member, value), level in zip(values, _stacked(panel.x.array(numbers)), strict=True):
        panel.add(
            tag(
                "circle",
                tag("title", f"member {member + 1}: {number(value)}"),
                cx=panel.x(value),
                cy=middle + max(-36.0, min(36.0, 9.0 * level)),
                r=4.2,
                class_="point model",
            )
        )
    panel.text(200, base + 36, axis, "axis", "middle")
    return panel.drawing(
        "Spread over the members",
        f"{count(len(values))} members: mean {number(mean)}, standard deviation {number(sd)}, "
        f"from {number(float(numbers.min()))} to {number(float(numbers.max()))}.",
    )


def _stacked(x: np.ndarray, gap: float = 9.0) -> list[int]:
    """Levels 0, 1, -1, 2 ... for points so that none covers another: a beeswarm from left to right."""
    placed: list[tuple[float, int]] = []
    levels = [0] * len(x)
    for i in np.argsort(x, kind="stable").tolist():
        taken = {level for at, level in placed[-40:] if abs(at - x[i]) < gap}
        level = next(c for c in (k // 2 if k % 2 == 0 else -(k // 2 + 1) for k in range(200)) if c not in taken)
        levels[i] = level
        placed.append((float(x[i]), level))
    return levels
