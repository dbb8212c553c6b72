"""Learning curves: training and validation, the members behind them, the best epoch, and where findings show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fallline.report.figures import MOST_MEMBER_POINTS, MOST_POINTS, Curves, decimate, log_floor, log_wanted
from fallline.report.markup import tag
from fallline.report.svg import Drawing, Panel, Scale, spread_out
from fallline.report.text import AS_PERCENT, count, number, percent, percent_ticks, tick_words

__all__ = ["CurveMark", "curve_chart", "rate_chart"]

_MOST_PROBES = 60
_FEW_POINTS = 24  # up to here each epoch gets its own mark


@dataclass(frozen=True)
class CurveMark:
    """A finding's place on the curve."""

    mark: str
    epoch: int
    level: str


@dataclass(frozen=True)
class _Size:
    width: float
    height: float
    left: float
    right: float
    probes: int
    narrow: bool


_WIDE = _Size(820, 350, 58, 132, _MOST_PROBES, False)
_HALF = _Size(400, 270, 52, 88, 40, True)
_SLIM = _Size(350, 270, 50, 78, 0, True)


def curve_chart(
    found: Curves,
    title: str,
    axis: str,
    *,
    marks: Sequence[CurveMark] = (),
    best: int | None = None,
    member_best: Sequence[int] = (),
    half: bool = False,
) -> Drawing:
    """Draw one quantity's learning curves.

    Args:
        found: the numbers.
        title: what the chart shows.
        axis: name of the quantity on the axis.
        marks: findings to be marked at their epoch.
        best: the epoch whose weights were kept, or None.
        member_best: each member's own best epoch.
        half: draw for half the width of the page; the same drawing then serves the phone.
    """
    description = _description(found, axis, best)
    if half:
        return _chart(found, _HALF, axis, marks, best, ()).drawing(title, description)
    wide = _chart(found, _WIDE, axis, marks, best, member_best).drawing(title, description)
    return wide.with_narrow(_chart(found, _SLIM, axis, marks, best, member_best).drawing(title, description))


def _chart(
    found: Curves, size: _Size, axis: str, marks: Sequence[CurveMark], best: int | None, member_best: Sequence[int]
) -> Panel:
    n = max(found.n_epochs, 1)
    show = _formatter(found.name)
    top = 62 if marks else 36
    log = log_wanted(found.values())
    shown = [found.values(), *(m[np.isfinite(m)] for m in found.members)]
    everything = np.concatenate(shown)
    if log:
        everything = np.maximum(everything[everything > 0], log_floor(found))
    elif len(found.values()):
        # One wild member must not flatten the curve of all.
        middle = found.values()
        room = 1.5 * (np.ptp(middle) or abs(float(middle.max())) or 1.0)
        everything = np.clip(everything, middle.min() - room, middle.max() + room)
    x = (
        Scale(0.5, 1.5, size.left, size.width - size.right)
        if n == 1
        else Scale(1, n, size.left, size.width - size.right)
    )
    y = Scale.around(everything, size.height - 50, top, log=log)
    panel = Panel(size.width, size.height, x, y)
    ticks = y.ticks(5)
    words = percent_ticks(ticks) if found.name in AS_PERCENT else tick_words(ticks)
    panel.axis_y(shown=list(zip(ticks, words, strict=True)))
    panel.text(0, 14, axis + (", log scale" if log else ""), "axis")
    panel.axis_x("epoch", shown=[(v, count(int(v))) for v in _epoch_ticks(x, n, 4 if size.narrow else 7)])
    _lost(panel, found, n)
    for member in found.members:
        epochs, values = decimate(np.arange(1, len(member) + 1), member, MOST_MEMBER_POINTS)
        panel.line(
            epochs, np.where(np.isfinite(values), values, np.nan), "faint val" if len(found.val) else "faint train"
        )
    for values, class_ in ((found.running, "running"), (found.train, "train"), (found.val, "val")):
        _line(panel, values, class_)
    _marks(panel, marks, top)
    _best(panel, found, best, member_best, size)
    _end_labels(panel, found, show, size)
    _probes(panel, found, show, size, top)
    return panel


def _formatter(name: str) -> Callable[[float], str]:
    return percent if name in AS_PERCENT else number


def _epoch_ticks(x: Scale, n: int, most: int) -> list[float]:
    if n <= 3:
        return [float(e) for e in range(1, n + 1)]
    whole = [t for t in x.ticks(most) if float(t).is_integer() and t >= 1]
    if whole and x(whole[0]) - x.start > 40:
        whole.insert(0, 1.0)
    return whole


def _line(panel: Panel, values: np.ndarray, class_: str) -> None:
    if not len(values):
        return
    clean = np.where(np.isfinite(values), values, np.nan)
    epochs, points = decimate(np.arange(1, len(values) + 1), clean, MOST_POINTS)
    panel.line(epochs, points, class_)
    if len(values) > _FEW_POINTS or (class_ == "running" and len(values) > 1):
        return
    for px, py in zip(panel.x.array(epochs), panel.y.array(points), strict=True):
        if np.isfinite(py):
            if class_ != "val":
                panel.add(tag("circle", cx=float(px), cy=float(py), r=3.2, class_=f"dot {class_}"))
            else:  # a diamond: told apart without colour
                panel.add(tag("path", d=f"M{px:.1f} {py - 4.2:.1f}l4.2 4.2l-4.2 4.2l-4.2 -4.2z", class_="dot val"))


def _lost(panel: Panel, found: Curves, n: int) -> None:
    if found.lost is None:
        return
    left = panel.x(min(found.lost, n))
    right = max(panel.x.end, left + 6)
    panel.add(tag("rect", x=left, y=panel.y.end, width=right - left, height=panel.y.start - panel.y.end, class_="lost"))
    flip = left > (panel.x.start + panel.x.end) / 2
    panel.text(
        left - 6 if flip else left + 6,
        panel.y.start - 10,
        f"not a number from epoch {count(found.lost)}",
        "halo serious",
        "end" if flip else "start",
    )


def _marks(panel: Panel, marks: Sequence[CurveMark], top: float) -> None:
    places = spread_out([panel.x(m.epoch) for m in marks], 24, panel.x.start, panel.x.end)
    for mark, place in zip(marks, places, strict=True):
        x = panel.x(mark.epoch)
        panel.add(
            tag(
                "path",
                d=f"M{place:.1f} {top - 12:.1f}L{x:.1f} {top:.1f}V{panel.y.start:.1f}",
                class_=f"mark {mark.level}",
            ),
            tag("circle", cx=place, cy=top - 22.0, r=10.0, class_=f"disc {mark.level}"),
            tag("text", mark.mark, x=place, y=top - 17.8, class_="disc-text", text_anchor="middle"),
        )


def _best(panel: Panel, found: Curves, best: int | None, member_best: Sequence[int], size: _Size) -> None:
    for epoch in member_best:
        if 1 <= epoch <= found.n_epochs:
            x = panel.x(epoch)
            panel.add(tag("line", x1=x, x2=x, y1=panel.y.start, y2=panel.y.start - 9, class_="rug"))
    curve = found.val if len(found.val) else found.train
    if best is None or not 1 <= best <= len(curve) or not np.isfinite(curve[best - 1]):
        return
    x, y = panel.x(best), panel.y(float(curve[best - 1]))
    panel.add(tag("circle", cx=x, cy=y, r=6.0, class_="ring"))
    words = f"epoch {count(best)}"
    if found.name == "loss":
        words = f"{'lowest mean' if found.members else 'best'}: {words}"
    # Above the curve, unless there is no room: curves come down from the upper left.
    flip = x > panel.x.end - 96
    panel.text(
        x + (4 if flip else -4 if x - panel.x.start > 60 else 0),
        y - 13 if y - panel.y.end > 30 else y + 22,
        words,
        "halo",
        "end" if flip else "middle" if x - panel.x.start > 60 else "start",
    )


def _end_labels(panel: Panel, found: Curves, show: Callable[[float], str], size: _Size) -> None:
    ends = []
    for values, word, class_ in (
        (found.train, "training", "train"),
        (found.val, "validation", "val"),
        (found.running, "running", "running"),
    ):
        last = np.flatnonzero(np.isfinite(values))
        if len(last):
            value = float(values[last[-1]])
            words = word if size.narrow else f"{word} {show(value)}"
            ends.append((panel.x(last[-1] + 1), panel.y(value), words, class_))
    if not ends:
        return
    places = spread_out([y for _, y, _, _ in ends], 16, panel.y.end + 4, panel.y.start - 2)
    for (x, y, words, class_), place in zip(ends, places, strict=True):
        start = panel.x.end + 12
        panel.add(tag("path", d=f"M{x + 3:.1f} {y:.1f}L{start - 3:.1f} {place:.1f}", class_="leader"))
        panel.text(start, place + 4, words, f"label {class_}")


def _probes(panel: Panel, found: Curves, show: Callable[[float], str], size: _Size, top: float) -> None:
    """Invisible columns that show their epoch's values when pointed at: a read-out without a script."""
    n = found.n_epochs
    if size.probes == 0 or n < 2:
        return
    chosen = np.unique(np.linspace(1, n, min(n, size.probes)).round().astype(int))
    centres = panel.x.array(chosen.astype(float))
    borders = np.concatenate([[panel.x.start], (centres[1:] + centres[:-1]) / 2, [panel.x.end]])
    for i, epoch in enumerate(chosen.tolist()):
        parts = [f"epoch {count(epoch)}"]
        dots = []
        for values, word, class_ in ((found.train, "training", "train"), (found.val, "validation", "val")):
            if epoch <= len(values) and np.isfinite(values[epoch - 1]):
                value = float(values[epoch - 1])
                parts.append(f"{'' if size.narrow else word + ' '}{show(value)}")
                dots.append(tag("circle", cx=float(centres[i]), cy=panel.y(value), r=3.5, class_=f"dot {class_}"))
        x = float(centres[i])
        panel.add(
            tag(
                "g",
                tag(
                    "rect",
                    x=float(borders[i]),
                    y=float(top),
                    width=float(borders[i + 1] - borders[i]),
                    height=float(panel.y.start - top),
                ),
                tag(
                    "g",
                    tag("line", x1=x, x2=x, y1=float(top), y2=float(panel.y.start)),
                    *dots,
                    tag("text", " · ".join(parts), x=float(panel.x.end), y=14, text_anchor="end"),
                ),
                class_="probe",
            )
        )


def _description(found: Curves, axis: str, best: int | None) -> str:
    show = _formatter(found.name)
    parts = []
    for values, word in ((found.train, "Training"), (found.val, "Validation")):
        finite = np.flatnonzero(np.isfinite(values))
        if len(finite):
            first, last = finite[0], finite[-1]
            parts.append(
                f"{word} {axis} goes from {show(float(values[first]))} at epoch {first + 1} to "
                f"{show(float(values[last]))} at epoch {last + 1}."
            )
    if best is not None:
        parts.append(f"The best epoch is {best}.")
    if found.lost is not None:
        parts.append(f"From epoch {found.lost} on values are not numbers.")
    return " ".join(parts) or "There are no values."


def rate_chart(rate: np.ndarray) -> Drawing:
    """Draw the learning rate over the epochs."""
    found = Curves("learning_rate", rate, np.empty(0), np.empty(0))
    x = Scale(1, max(len(rate), 2), _HALF.left, _HALF.width - 16)
    log = log_wanted(rate)
    panel = Panel(_HALF.width, 190, x, Scale.around(rate, 140, 36, log=log, zero=not log))
    panel.axis_y(most=3)
    panel.text(0, 14, "learning rate" + (", log scale" if log else ""), "axis")
    panel.axis_x("epoch", shown=[(v, count(int(v))) for v in _epoch_ticks(x, len(rate), 5)])
    epochs, values = decimate(np.arange(1, len(rate) + 1), rate, MOST_POINTS)
    panel.line(epochs, values, "plain")
    return panel.drawing("Learning rate", _description(found, "learning rate", None).replace("Training l", "L", 1))
