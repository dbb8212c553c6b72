"""Learning curves drawn with characters: braille dots, or plain ASCII where the encoding has none.

Training is a solid line, validation a dashed one, so that they can be told apart without colour; each is named at its
right end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Curve", "Segment", "can_draw_braille", "draw", "plain"]

# Dots of a braille cell, by (column, row), as bits above U+2800 (Unicode chapter 21, braille patterns).
_BRAILLE = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_ASCII_MARKS = "*o+x"
_DASH = 3  # dots drawn, then as many left out
# Beyond this ratio of largest to smallest loss a linear axis would press the interesting part into one line.
_LOG_RATIO = 30.0
# Decades of a logarithmic axis: a training loss of 1e-8 must not press the validation loss into a line.
_LOG_DECADES = 4.0
_MIN_WIDTH = 12  # of the plotting area, in characters

Segment = tuple[str, int | None]
"""A piece of a line and the index of the curve whose colour it takes, or None."""


@dataclass(frozen=True)
class Curve:
    """One curve.

    Args:
        name: its name in the legend.
        values: one value per epoch, from epoch 1; values that are not finite leave a gap.
        dashed: draw it dashed.
    """

    name: str
    values: Sequence[float]
    dashed: bool = False


def can_draw_braille(encoding: str | None) -> bool:
    """Tell whether an output's encoding has braille characters."""
    try:
        "\u28ff\u2524\u2500".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def draw(
    curves: Sequence[Curve], *, width: int = 80, height: int = 12, mark: int | None = None, ascii_only: bool = False
) -> list[list[Segment]]:
    """Draw curves over epochs.

    Args:
        curves: at most four, of any lengths.
        width: of the whole drawing, in characters.
        height: of the plotting area, in lines.
        mark: an epoch to point at below the axis (the best one).
        ascii_only: use ASCII characters alone.

    Returns:
        the drawing's lines, each a list of (text, index of the curve that colours it or None); empty when no curve
        has a finite value.

    >>> print(plain(draw([Curve("loss", [4, 3, 2, 1])], width=30, height=4, ascii_only=True)))
     4 |****
       |    ******
       |          *******
     1 |                 ***  loss
       +--------------------
        1                  4  epoch
       * loss 1
    """
    points = [v for curve in curves for v in curve.values if math.isfinite(v)]
    if not points:
        return []
    axis = _Axis.of(points, height * (1 if ascii_only else 4))
    left = max(len(_number(axis.low)), len(_number(axis.high))) + 2
    right = 2 + max(len(curve.name) for curve in curves)
    columns = max(_MIN_WIDTH, width - left - 1 - right)
    last = max(len(curve.values) for curve in curves)
    canvas = _Canvas(columns, height, ascii_only)
    for index, curve in enumerate(curves):
        canvas.add(index, curve, axis, last)
    ends = _ends(curves, axis, height)
    bar, corner, line, pointer = ("|", "+", "-", "^") if ascii_only else ("\u2524", "\u2514", "\u2500", "\u25b2")
    rows: list[list[Segment]] = []
    for row in range(height):
        label = axis.label(row, height)
        end: list[Segment] = [("  " + curves[ends[row]].name, ends[row])] if row in ends else []
        rows.append([(f"{label:>{left - 1}} {bar}", None), *canvas.row(row), *end])
    rows.append([(" " * left + corner + line * columns, None)])
    rows.append([(" " * (left + 1) + _ticks(columns, last, mark, pointer) + "  epoch", None)])
    rows.append([(" " * left, None), *_legend(curves, axis, ascii_only)])
    return [_trimmed(row) for row in rows]


def plain(rows: Sequence[Sequence[Segment]]) -> str:
    """Join a drawing's lines into text without colours."""
    return "\n".join("".join(text for text, _ in row) for row in rows)


@dataclass(frozen=True)
class _Axis:
    """The vertical axis: from a value to a dot row counted from the top."""

    low: float
    high: float
    log: bool
    dots: int
    cut: bool = False  # smaller values are drawn on the bottom line

    @staticmethod
    def of(points: Sequence[float], dots: int) -> _Axis:
        low, high = min(points), max(points)
        log = low > 0 and high / low > _LOG_RATIO
        floor = high * 10.0**-_LOG_DECADES
        return _Axis(max(low, floor) if log and floor > 0 else low, high, log, dots, cut=log and low < floor)

    def dot(self, value: float) -> int:
        low, high, v = (math.log(x) if self.log else x for x in (self.low, self.high, max(value, self.low)))
        # Halved before subtracting: the span of two huge numbers of opposite sign is not finite.
        span = high / 2 - low / 2
        share = 0.5 if span == 0 else (high / 2 - v / 2) / span
        return min(self.dots - 1, max(0, round(share * (self.dots - 1))))

    def label(self, row: int, height: int) -> str:
        if row == 0:
            return _number(self.high)
        if row == height - 1:
            return _number(self.low) if self.high > self.low else ""
        if row == (height - 1) / 2:
            middle = math.sqrt(self.low) * math.sqrt(self.high) if self.log else self.low / 2 + self.high / 2
            return _number(middle)
        return ""


class _Canvas:
    """A grid of cells, each with the dots (or the mark) of the curves that pass through it."""

    def __init__(self, columns: int, height: int, ascii_only: bool) -> None:
        self._ascii = ascii_only
        self._columns, self._height = columns, height
        self._dots: dict[tuple[int, int], int] = {}
        self._owner: dict[tuple[int, int], int] = {}

    def add(self, index: int, curve: Curve, axis: _Axis, last: int) -> None:
        across, down = (1, 1) if self._ascii else (2, 4)
        wide = self._columns * across
        for travelled, (x, y) in enumerate(_path(curve.values, axis, wide, last)):
            if curve.dashed and not self._ascii and (travelled // _DASH) % 2:
                continue
            cell = (x // across, y // down)
            # In a shared cell the later curve gives the colour: validation is what one looks for.
            self._owner[cell] = index
            self._dots[cell] = self._dots.get(cell, 0) | _BRAILLE[x % across][y % down]

    def row(self, row: int) -> list[Segment]:
        out: list[Segment] = []
        for column in range(self._columns):
            owner = self._owner.get((column, row))
            if owner is None:
                text = " "
            else:
                text = _ASCII_MARKS[owner % 4] if self._ascii else chr(0x2800 + self._dots[column, row])
            if out and out[-1][1] == owner:
                out[-1] = (out[-1][0] + text, owner)
            else:
                out.append((text, owner))
        return out


def _path(values: Sequence[float], axis: _Axis, wide: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the dots of a polyline, each once, left to right."""
    before: tuple[int, int] | None = None
    for epoch, value in enumerate(values):
        if not math.isfinite(value):
            before = None
            continue
        here = (round(epoch / max(last - 1, 1) * (wide - 1)), axis.dot(value))
        if before is None:
            yield here
        elif here != before:
            (x0, y0), (x1, y1) = before, here
            steps = max(abs(x1 - x0), abs(y1 - y0))
            for step in range(1, steps + 1):
                yield x0 + round((x1 - x0) * step / steps), y0 + round((y1 - y0) * step / steps)
        before = here


def _ends(curves: Sequence[Curve], axis: _Axis, height: int) -> dict[int, int]:
    """Return line -> curve, for the names at the right ends; names that would meet move apart."""
    wanted = []
    for index, curve in enumerate(curves):
        finite = [v for v in curve.values if math.isfinite(v)]
        if finite:
            wanted.append((axis.dot(finite[-1]) * height // axis.dots, finite[-1], index))
    wanted.sort(key=lambda item: (item[0], -item[1]))
    rows: list[int] = []
    for row, _, _ in wanted:
        free = [r for r in range(height) if r not in rows]
        if free:
            rows.append(min(free, key=lambda r: (abs(r - row), -r)))
    # Whatever lines were found: the larger value stands above.
    return {row: index for row, (_, _, index) in zip(sorted(rows), wanted, strict=False)}


def _ticks(columns: int, last: int, mark: int | None, pointer: str) -> str:
    """Return the line of epoch numbers: the first, the last, and the marked one with a pointer."""
    line = list("1" + " " * (columns - 1))
    end = str(last)
    if last > 1:
        line[columns - len(end) :] = end
    if mark is not None and 1 <= mark <= last:
        text = f"{pointer} best {mark}"
        at = round((mark - 1) / max(last - 1, 1) * (columns - 1))
        # The pointer stands under its epoch; its words go where they do not touch the numbers.
        if at + len(text) + 1 < columns - len(end) and at > 1:
            line[at : at + len(text)] = text
        elif at - len(text) + 1 > 2:
            text = f"best {mark} {pointer}"
            line[at - len(text) + 1 :] = list(text) + [" "] * (columns - at - 1)
    return "".join(line).rstrip()


def _legend(curves: Sequence[Curve], axis: _Axis, ascii_only: bool) -> list[Segment]:
    parts: list[Segment] = []
    for index, curve in enumerate(curves):
        finite = [v for v in curve.values if math.isfinite(v)]
        sample = _ASCII_MARKS[index % 4] if ascii_only else ("\u2812 \u2812" if curve.dashed else "\u2812\u2812\u2812")
        value = f" {_number(finite[-1])}" if finite else " (no finite value)"
        parts += [("   " if parts else "", None), (f"{sample} {curve.name}{value}", index)]
    if axis.log:
        below = f", cut below {_number(axis.low)}" if axis.cut else ""
        parts.append((f"   (logarithmic axis{below})", None))
    return parts


def _trimmed(row: list[Segment]) -> list[Segment]:
    while row and not row[-1][0].strip():
        row = row[:-1]
    if row:
        row = [*row[:-1], (row[-1][0].rstrip(), row[-1][1])]
    return row


def _number(value: float) -> str:
    return f"{value:.3g}"
