"""Pictures of held-out predictions: confusion matrix, calibration curve, predicted against true, residuals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fallline.report.figures import Calibration, density, finite_range
from fallline.report.markup import tag
from fallline.report.svg import Drawing, Panel, Scale, fit_text, text_width
from fallline.report.text import count, name, number, percent

__all__ = ["calibration_chart", "confusion_chart", "residual_chart", "scatter_chart"]

MOST_CELLS = 40  # classes beyond which a matrix is no picture any more
_MOST_COUNTS = 12  # classes up to which cells carry their counts
_MOST_POINTS = 500
_CELLS = 34


def confusion_chart(table: np.ndarray, classes: Sequence[str]) -> Drawing:
    """Draw true class (rows) against predicted class (columns); the shade is the share of the true class."""
    k = len(table)
    words = [name(c, 60) for c in classes]
    left = min(130.0, max(44.0, max(text_width(fit_text(w, 118)) for w in words) + 12)) + 18
    cell = min((400 - left) / k, 108.0)
    wide = max(text_width(w) for w in words) > cell - 2
    top = 40 + (min(86.0, max(text_width(fit_text(w, 100)) for w in words) * 0.72 + 8) if wide else 18)
    panel = Panel(400, top + cell * k + 8, Scale(0, k, left, left + cell * k), Scale(0, k, top, top + cell * k))
    panel.text(left, 14, "predicted →", "axis")
    panel.text(0, top - 8, "true ↓", "axis")
    rows = table.sum(axis=1)
    small = "tiny" if cell < 14 else ""
    step = max(1, round(11 / cell + 0.49))  # labels that would touch are thinned out
    for i in range(k):
        at = (i + 0.5) * cell
        if i % step == 0:
            panel.text(left - 8, top + at + 4, fit_text(words[i], left - 12), small, "end")
            x, y = left + at, top - 8
            panel.add(
                tag(
                    "text",
                    fit_text(words[i], 100 if wide else cell),
                    x=x,
                    y=y,
                    transform=f"rotate(-45 {x:.1f} {y:.1f})" if wide else None,
                    text_anchor=None if wide else "middle",
                    class_=small or None,
                )
            )
        for j in range(k):
            n, share = int(table[i, j]), float(table[i, j] / rows[i]) if rows[i] else 0.0
            told = f"true {words[i]}, predicted {words[j]}: {count(n)}" if n and k > _MOST_COUNTS else ""
            shown = k <= _MOST_COUNTS and bool(n or k <= 6)
            place = (left + j * cell, top + i * cell)
            _confusion_cell(panel, place, cell, n, share, right=i == j, told=told, shown=shown)
    right = int(np.trace(table))
    return panel.drawing(
        "Confusion matrix",
        f"{count(right)} of {count(int(table.sum()))} rows are on the diagonal, where prediction and truth agree. "
        + " ".join(f"{w}: {count(int(table[i, i]))} of {count(int(rows[i]))} right." for i, w in enumerate(words[:12])),
    )


def _confusion_cell(
    panel: Panel, place: tuple[float, float], size: float, n: int, share: float, *, right: bool, told: str, shown: bool
) -> None:
    """Draw one cell of a confusion matrix.

    Args:
        panel: to draw on.
        place: its upper left corner.
        size: of its side.
        n: rows in it.
        share: of the true class' rows.
        right: whether they were predicted right.
        told: what is said of it under the pointer; "": nothing.
        shown: whether its number is written into it.
    """
    x, y = place
    panel.add(
        tag(
            "rect",
            tag("title", told) if told else "",
            x=x + 0.75,
            y=y + 0.75,
            width=size - 1.5,
            height=size - 1.5,
            rx=min(3.0, size / 8),
            class_="cell none" if n == 0 else "cell right" if right else "cell wrong",
            fill_opacity=None if n == 0 else float(0.10 + 0.5 * share),
        )
    )
    if shown:
        middle, two = y + 0.5 * size + 4, size >= 46
        panel.text(x + 0.5 * size, middle - (7 if two else 0), count(n), "strong" if n else "tick", "middle")
        if two:
            panel.text(x + 0.5 * size, middle + 10, percent(share, 0), "", "middle")


def calibration_chart(found: Calibration, axis: str) -> Drawing:
    """Draw predicted probability against what came true, with intervals and the number of rows behind each point."""
    side, left, top = 262.0, 58.0, 28.0
    panel = Panel(400, 400, Scale(0, 1, left, 386), Scale(0, 1, top + side, top))
    ticks = [(v / 5, percent(v / 5, 0)) for v in range(6)]
    panel.axis_y(shown=ticks)
    panel.text(0, 14, "came true", "axis")
    panel.add(tag("line", x1=panel.x(0), y1=panel.y(0), x2=panel.x(1), y2=panel.y(1), class_="ideal"))
    filled = np.flatnonzero(found.counts > 0)
    panel.line(found.predicted[filled], found.observed[filled], "val solid")
    for b in filled.tolist():
        x = panel.x(float(found.predicted[b]))
        panel.add(
            tag(
                "line",
                x1=x,
                x2=x,
                y1=panel.y(float(found.low[b])),
                y2=panel.y(float(found.high[b])),
                class_="whisker val",
            ),
            tag(
                "circle",
                tag(
                    "title",
                    f"predicted {percent(float(found.predicted[b]))}, came true "
                    f"{percent(float(found.observed[b]))}, {count(int(found.counts[b]))} rows",
                ),
                cx=x,
                cy=panel.y(float(found.observed[b])),
                r=4.5,
                class_="dot val",
            ),
        )
    _count_strip(panel, found, top + side)
    panel.text((left + 386) / 2, 396, axis, "axis", "middle")
    told = " ".join(
        f"Predicted {percent(float(found.predicted[b]), 0)}: {percent(float(found.observed[b]), 0)} came true "
        f"({count(int(found.counts[b]))} rows)."
        for b in filled.tolist()
    )
    return panel.drawing("Calibration", f"Expected calibration error {percent(found.error)}. {told}")


def _count_strip(panel: Panel, found: Calibration, base: float) -> None:
    """Bars under the curve: how many rows stand behind each of its points."""
    most = max(int(found.counts.max()), 1)
    floor = base + 62
    for b, n in enumerate(found.counts.tolist()):
        left, right = panel.x(float(found.edges[b])), panel.x(float(found.edges[b + 1]))
        tall = 34 * n / most
        panel.add(tag("rect", x=left + 1, y=floor - tall, width=right - left - 2, height=max(tall, 0.5), class_="bar"))
        if n:
            panel.text((left + right) / 2, floor - tall - 4, count(n), "tiny", "middle")
    panel.add(tag("line", x1=panel.x(0), x2=panel.x(1), y1=base, y2=base, class_="base"))
    panel.text(panel.x(0) - 8, floor - 2, "rows", "tick", "end")
    for v in range(0, 11, 2):
        panel.text(panel.x(v / 10), floor + 16, percent(v / 10, 0), "tick", "middle")


def scatter_chart(y: np.ndarray, prediction: np.ndarray, target: str) -> Drawing:
    """Draw predicted against true values: points, or shaded cells when there are many."""
    low, high = finite_range([y, prediction])
    x = Scale.around([low, high], 62, 388)
    panel = Panel(400, 392, x, Scale(x.low, x.high, 340, 24))
    panel.axis_y(most=5)
    panel.axis_x(fit_text(f"true {target}", 300), 5)
    panel.text(0, 12, fit_text(f"predicted {target}", 300), "axis")
    _cloud(panel, y, prediction)
    panel.add(tag("line", x1=panel.x.start, y1=panel.y.start, x2=panel.x.end, y2=panel.y.end, class_="ideal"))
    r = (
        float(np.corrcoef(y, prediction)[0, 1])
        if len(y) > 1 and np.ptp(y) > 0 and np.ptp(prediction) > 0
        else float("nan")
    )
    return panel.drawing(f"Predicted against true {target}", f"{count(len(y))} rows; correlation {number(r)}.")


def residual_chart(y: np.ndarray, prediction: np.ndarray, target: str) -> Drawing:
    """Draw errors (true - predicted) against predictions."""
    errors = y - prediction
    most = float(np.abs(errors).max()) or 1.0
    panel = Panel(400, 392, Scale.around(prediction, 62, 388), Scale.around([-most, most], 340, 24))
    panel.axis_y(most=5)
    panel.axis_x(fit_text(f"predicted {target}", 300), 5)
    panel.text(0, 12, "true − predicted", "axis")
    _cloud(panel, prediction, errors)
    panel.add(tag("line", x1=panel.x.start, x2=panel.x.end, y1=panel.y(0), y2=panel.y(0), class_="ideal"))
    q = np.quantile(errors, [0.05, 0.5, 0.95])
    return panel.drawing(
        f"Errors of {target}",
        f"The median error is {number(q[1])}; nine in ten errors lie between {number(q[0])} and {number(q[2])}.",
    )


def _cloud(panel: Panel, x: np.ndarray, y: np.ndarray) -> None:
    px, py = panel.x.array(x), panel.y.array(y)
    if len(x) <= _MOST_POINTS:
        dots = "".join(
            f"M{a:g} {b:g}h0" for a, b in zip(np.round(px, 1).tolist(), np.round(py, 1).tolist(), strict=True)
        )
        panel.add(tag("path", d=dots, class_="cloud"))
        return
    xs = np.linspace(panel.x.start, panel.x.end, _CELLS + 1)
    ys = np.linspace(panel.y.end, panel.y.start, _CELLS + 1)
    wide, tall = float(xs[1] - xs[0]), float(ys[1] - ys[0])
    for level, cells in enumerate(density(px, py, xs, ys), start=1):
        d = "".join(f"M{xs[i]:.1f} {ys[j]:.1f}h{wide - 0.6:.1f}v{tall - 0.6:.1f}h-{wide - 0.6:.1f}z" for i, j in cells)
        if d:
            panel.add(tag("path", d=d, class_=f"density d{level}"))
