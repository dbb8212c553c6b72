"""Pictures of the data: class balance, distributions, small bars for tables, and how rows were split."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fallline.report.markup import tag
from fallline.report.svg import Drawing, Panel, Scale, fit_text
from fallline.report.text import count, name, number, percent

__all__ = ["class_bars", "histogram", "mini_histogram", "mini_levels", "share_bar", "split_picture"]

MOST_CLASSES = 30
_BLANK = Scale(0, 1, 0, 1)


def class_bars(counts: Sequence[tuple[str, int]], title: str) -> Drawing:
    """Draw rows per class as bars, most frequent first; beyond 30 classes the rest shares one bar."""
    total = sum(n for _, n in counts)
    ordered = sorted(counts, key=lambda pair: -pair[1])
    shown = [(name(label, 60), n) for label, n in ordered[:MOST_CLASSES]]
    if len(ordered) > MOST_CLASSES:
        shown.append((f"{len(ordered) - MOST_CLASSES} more", sum(n for _, n in ordered[MOST_CLASSES:])))
    step = 26.0 if len(shown) <= 12 else 18.0
    height = step * len(shown) + 6
    panel = Panel(400, height, Scale(0, max((n for _, n in shown), default=1) or 1, 124, 296), _BLANK)
    for i, (label, n) in enumerate(shown):
        y = 3 + i * step
        panel.text(116, y + step / 2 + 3, fit_text(label, 112), "", "end")
        panel.add(
            tag(
                "rect",
                x=124,
                y=y + 2,
                width=max(panel.x(n) - 124, 1.0),
                height=step - (7 if step > 20 else 5),
                rx=2,
                class_="bar",
            )
        )
        panel.text(panel.x(n) + 8, y + step / 2 + 3, f"{count(n)} · {percent(n / total if total else 0)}", "tick")
    words = "; ".join(f"{label}: {count(n)}" for label, n in shown[:10])
    return panel.drawing(title, f"{len(counts)} classes. {words}.")


def histogram(edges: np.ndarray, counts: np.ndarray, title: str, axis: str) -> Drawing:
    """Draw a distribution with axes."""
    edges, counts = np.asarray(edges, np.float64), np.asarray(counts, np.float64)
    low, high = float(edges[0]), float(edges[-1])
    if not high > low:
        low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, len(edges))
    panel = Panel(400, 210, Scale(low, high, 50, 388), Scale(0, float(counts.max()) * 1.06 or 1.0, 162, 30))
    panel.axis_y(most=4)
    panel.text(0, 14, "rows", "axis")
    for k, n in enumerate(counts.tolist()):
        if n:
            left, right, top = panel.x(float(edges[k])), panel.x(float(edges[k + 1])), panel.y(n)
            panel.add(
                tag("rect", x=left + 0.5, y=top, width=max(right - left - 1, 0.8), height=162 - top, class_="bar")
            )
    panel.axis_x(fit_text(axis, 300), 5)
    return panel.drawing(title, f"From {number(low)} to {number(high)}, {count(int(counts.sum()))} rows.")


def mini_histogram(edges: np.ndarray, counts: np.ndarray, title: str) -> Drawing:
    """Draw a distribution the size of a word: one path, no axes."""
    heights = np.asarray(counts, np.float64)
    most = heights.max() if len(heights) else 0
    width, height = 120.0, 28.0
    parts = []
    if most > 0:
        step = width / len(heights)
        for k, n in enumerate((heights / most * (height - 2)).tolist()):
            if n > 0:
                tall, wide = max(n, 1.0), max(step - 1, 0.6)
                parts.append(f"M{k * step:.1f} {height - tall:.1f}h{wide:.1f}V{height:g}h-{wide:.1f}z")
    panel = Panel(width, height, _BLANK, _BLANK)
    panel.add(
        tag("path", d=f"M0 {height - 0.5:g}H{width:g}", class_="base"), tag("path", d="".join(parts), class_="bar")
    )
    ends = f"from {number(float(edges[0]))} to {number(float(edges[-1]))}" if len(edges) else "empty"
    return panel.drawing(title, f"Histogram {ends}.")


def mini_levels(levels: Sequence[tuple[str, int]], total: int, title: str) -> Drawing:
    """Draw the shares of a category's most frequent levels as one bar, most frequent first."""
    width, height = 120.0, 28.0
    panel = Panel(width, height, _BLANK, _BLANK)
    at, total = 0.0, max(total, sum(n for _, n in levels))
    for k, (_, n) in enumerate(levels[:8]):
        wide = width * n / total if total else 0.0
        if wide >= 0.5:
            panel.add(
                tag(
                    "rect", x=at, y=9, width=max(wide - 1.2, 0.4), height=height - 9, rx=1.5, class_=f"bar s{min(k, 4)}"
                )
            )
        at += wide
    if at < width - 1:
        panel.add(tag("rect", x=at, y=9, width=width - at, height=height - 9, rx=1.5, class_="rest"))
    words = "; ".join(f"{name(label, 30)}: {percent(n / total if total else 0)}" for label, n in levels[:5])
    return panel.drawing(title, f"Shares of levels: {words}.")


def share_bar(share: float, title: str, class_: str = "bar") -> Drawing:
    """Draw a share in [0, 1] as a bar the size of a word."""
    panel = Panel(64, 12, _BLANK, _BLANK)
    panel.add(tag("rect", x=0, y=3, width=64, height=6, rx=3, class_="trough"))
    if math.isfinite(share) and share > 0:
        panel.add(tag("rect", x=0, y=3, width=max(min(share, 1.0) * 64, 2.0), height=6, rx=3, class_=class_))
    return panel.drawing(title, f"{number(share)} on a scale from 0 to 1.")


# --------------------------------------------------------------------------------------------------- the split


def split_picture(test: float, folds: int, validation: float, *, most: int = 8) -> Drawing:
    """Draw which rows train, which validate and which were kept for the score.

    Args:
        test: share of rows kept for the score.
        folds: number of folds; 1: one validation part.
        validation: share of training rows that validate, when there is one fold.
        most: folds drawn at most.
    """
    wide = _split(820, test, folds, validation, most)
    return wide.with_narrow(_split(350, test, folds, validation, most))


def _hatching(left: float, right: float, top: float, bottom: float, step: float = 9.0) -> str:
    """Path data of slanted lines that fill a box: a pattern without an id."""
    tall, parts = bottom - top, []
    for start in np.arange(left - tall + step / 2, right, step).tolist():
        a, b = max(start, left), min(start + tall, right)
        parts.append(f"M{a:.1f} {bottom - (a - start):.1f}L{b:.1f} {bottom - (b - start):.1f}")
    return "".join(parts)


def _split(width: float, test: float, folds: int, validation: float, most: int) -> Drawing:
    border = width * (1 - test)
    drawn = min(max(folds, 1), most)
    top, tall, step = 26.0, 16.0, 22.0
    bottom = top + drawn * step - (step - tall)
    panel = Panel(width, bottom + (24 if folds > most else 8), Scale(0, 1, 0, width), _BLANK)
    panel.text(0, 14, f"training {percent(1 - test, 0)} of rows" if test else "all rows", "label train")
    if test > 0:
        panel.text(width, 14, f"test {percent(test, 0)}", "label ink", "end")
        left = border + 4
        panel.add(tag("rect", x=left, y=top, width=width - left, height=bottom - top, rx=3, class_="kept"))
        panel.add(tag("path", d=_hatching(left, width, top, bottom), class_="hatch"))
    for i in range(drawn):
        y = top + i * step
        share = 1 / folds if folds > 1 else validation
        start = border * i * share if folds > 1 else border * (1 - share)
        panel.add(tag("rect", x=0, y=y, width=border, height=tall, rx=3, class_="fold"))
        panel.add(tag("rect", x=start, y=y, width=max(border * share, 2.0), height=tall, rx=3, class_="validation"))
        if i == 0:
            words = "validates"
            inside = border * share > 66
            anchor = "middle" if inside else "start" if start < border / 2 else "end"
            at = (
                start + border * share / 2
                if inside
                else start + border * share + 6
                if start < border / 2
                else start - 6
            )
            panel.text(at, y + 12.2, words, "tiny on" if inside else "tiny", anchor)
    if folds > most:
        panel.text(0, bottom + 18, f"… {folds} folds in all", "tick")
    description = f"{percent(test)} of the rows are kept for the score. "
    description += (
        f"The others form {folds} folds; each validates once."
        if folds > 1
        else (f"Of the others, {percent(validation)} validate.")
    )
    return panel.drawing("How the rows were split", description)
