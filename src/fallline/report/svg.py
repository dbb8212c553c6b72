"""A small drawing board: scales, axes and marks as inline SVG, coloured by the page's style sheet.

Drawings carry no colours of their own, only class names, so that one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fallline.report.markup import Markup, join, tag
from fallline.report.text import tick_words

__all__ = ["Drawing", "Panel", "Scale", "fit_text", "path", "spread_out", "text_width"]

FONT = 12.5  # px, as in the style sheet
_WIDE, _SLIM = frozenset("mwMW@%—–…ABCDEGHKNOQRUVXYZÄÖÜ"), frozenset("iljtfrI.,:;!|'()[] \u202f")


@dataclass(frozen=True)
class Drawing:
    """A finished picture.

    Args:
        width: of its coordinate system, px at natural size.
        height: likewise.
        title: what it shows, for screen readers and tooltips.
        description: what there is to see in it, with the numbers that matter.
        body: the marks.
        narrow: the same picture drawn for a phone, or None when this one serves.
    """

    width: float
    height: float
    title: str
    description: str
    body: Markup
    narrow: Drawing | None = None

    def with_narrow(self, narrow: Drawing) -> Drawing:
        """Return this drawing with a second one for narrow screens."""
        return replace(self, narrow=narrow)


def text_width(text: str, size: float = FONT) -> float:
    """Estimate the width of a text in px: a sans-serif's average, a little generous."""
    return size * sum(0.72 if s in _WIDE else 0.33 if s in _SLIM else 1.0 if ord(s) > 0x2E80 else 0.57 for s in text)


def fit_text(text: str, width: float, size: float = FONT) -> str:
    """Cut a text so that it fits a width."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


@dataclass(frozen=True)
class Scale:
    """A map from values to px.

    Args:
        low: value at the start.
        high: value at the end; larger than ``low``.
        start: px.
        end: px.
        log: logarithmic; both values are then positive.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Map one value."""
        return float(self.array(np.asarray([value]))[0])

    def array(self, values: np.ndarray) -> np.ndarray:
        """Map many values; those outside land on the border."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        v = np.asarray(values, np.float64)
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                v = np.log(v)
        share: np.ndarray = self.start + np.clip((v - low) / (high - low), 0.0, 1.0) * (self.end - self.start)
        return share

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values inside the scale, about ``most`` of them."""
        return _log_ticks(self.low, self.high, most) if self.log else _linear_ticks(self.low, self.high, most)

    @staticmethod
    def around(values: Iterable[float], start: float, end: float, *, log: bool = False, zero: bool = False) -> Scale:
        """Return a scale that shows all finite values with a little air.

        Args:
            values: what is to be shown.
            start: px of the smallest.
            end: px of the largest.
            log: logarithmic.
            zero: begin at 0.
        """
        v = np.asarray(list(values), np.float64)
        v = v[np.isfinite(v) & (v > 0)] if log else v[np.isfinite(v)]
        low, high = (float(v.min()), float(v.max())) if len(v) else (0.5, 1.0) if log else (0.0, 1.0)
        if log:
            ratio = max(high / low, 1.05) ** 0.05
            return Scale(low / ratio, high * ratio, start, end, True)
        low = min(low, 0.0) if zero else low
        air = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        return Scale(low if zero and low == 0 else low - air, high + air, start, end)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / max(most, 1)
    if not math.isfinite(raw) or raw <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [
        round(i * step, 12 - math.floor(math.log10(step))) for i in range(first, math.floor(high / step + 1e-9) + 1)
    ]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1,), (1, 3), (1, 2, 5)):
        ticks = [m * 10.0**p for p in powers for m in parts if low <= m * 10.0**p <= high]
        if len(ticks) >= 3:
            return ticks[:: max(1, math.ceil(len(ticks) / (most + 1)))]
    linear = [t for t in _linear_ticks(low, high, most) if t > 0]
    return linear or [low]


def _worded(ticks: list[float]) -> list[tuple[float, str]]:
    return list(zip(ticks, tick_words(ticks), strict=True))


def path(x: np.ndarray, y: np.ndarray) -> str:
    """Return the path data of a line; it is broken where a value is missing."""
    parts, pen = [], False
    for px, py in zip(np.round(x, 1).tolist(), np.round(y, 1).tolist(), strict=True):
        if not (math.isfinite(px) and math.isfinite(py)):
            pen = False
            continue
        parts.append(f"{'L' if pen else 'M'}{px:g} {py:g}")
        pen = True
    return "".join(parts)


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart so that neighbours keep a gap, as little as a downward and an upward pass need."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = list(wanted)
    for before, now in zip([None, *order], order, strict=False):
        floor = low if before is None else placed[before] + gap
        placed[now] = max(placed[now], floor)
    ceiling = high
    for now in reversed(order):
        placed[now] = min(placed[now], ceiling)
        ceiling = placed[now] - gap
    return placed


@dataclass
class Panel:
    """One set of axes under construction.

    Args:
        width: px.
        height: px.
        x: horizontal scale.
        y: vertical scale; ``start`` is the bottom.
    """

    width: float
    height: float
    x: Scale
    y: Scale
    marks: list[Markup] = field(default_factory=list)

    def add(self, *marks: Markup) -> None:
        """Put marks on top of those already there."""
        self.marks.extend(marks)

    def text(self, x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> None:
        """Write words at a point."""
        self.add(
            tag(
                "text",
                words,
                x=float(x),
                y=float(y),
                class_=class_ or None,
                text_anchor=None if anchor == "start" else anchor,
            )
        )

    def axis_y(self, label: str = "", most: int = 5, *, shown: Sequence[tuple[float, str]] | None = None) -> None:
        """Draw horizontal grid lines with their values, and the axis' name above them."""
        for value, words in shown if shown is not None else _worded(self.y.ticks(most)):
            y = self.y(value)
            self.add(tag("line", x1=self.x.start, x2=self.x.end, y1=y, y2=y, class_="grid"))
            self.text(self.x.start - 8, y + 4, words, "tick", "end")
        if label:
            self.text(0, min(self.y.start, self.y.end) - 12, label, "axis")

    def axis_x(self, label: str = "", most: int = 6, *, shown: Sequence[tuple[float, str]] | None = None) -> None:
        """Draw the base line with its values, and the axis' name at its end."""
        base = max(self.y.start, self.y.end)
        self.add(tag("line", x1=self.x.start, x2=self.x.end, y1=base, y2=base, class_="base"))
        for value, words in shown if shown is not None else _worded(self.x.ticks(most)):
            x = self.x(value)
            self.add(tag("line", x1=x, x2=x, y1=base, y2=base + 4, class_="base"))
            self.text(x, base + 18, words, "tick", "middle")
        if label:
            self.text((self.x.start + self.x.end) / 2, base + 36, label, "axis", "middle")

    def line(self, x: np.ndarray, y: np.ndarray, class_: str) -> None:
        """Draw a line through points given as values."""
        self.add(tag("path", d=path(self.x.array(x), self.y.array(y)), class_="line " + class_))

    def drawing(self, title: str, description: str) -> Drawing:
        """Return what was drawn."""
        return Drawing(self.width, self.height, title, description, join(self.marks))
