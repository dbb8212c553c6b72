"""What happened inside the layers: a statistic as a heat map of layers x epochs, small and readable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fallline.report.markup import tag
from fallline.report.svg import Drawing, Panel, Scale, fit_text, text_width
from fallline.report.text import count, name, number, percent

__all__ = ["MOST_LAYERS", "layer_chart"]

MOST_LAYERS = 24
_MOST_COLUMNS = 60
_SHADES = 7  # more cannot be told apart in a cell of this size
_BLANK = Scale(0, 1, 0, 1)


def layer_chart(
    values: np.ndarray, layers: Sequence[str], epochs: np.ndarray, title: str, *, share: bool, marks: Sequence[int] = ()
) -> Drawing:
    """Draw one statistic of the layers over the epochs; the first layer stands at the top.

    Args:
        values: (t, L), NaN where a layer has no such thing.
        layers: (L) names.
        epochs: (t,) of the looks, ascending.
        title: the statistic in words.
        share: values are shares in [0, 1]; else sizes, shaded by their order of magnitude.
        marks: epochs of findings.
    """
    names = [name(layer, 40) for layer in layers]
    left = min(120.0, max(text_width(fit_text(n, 110)) for n in names) + 10)
    tall = 22.0 if len(names) <= 10 else 15.0
    top, right = 30.0, 396.0
    bottom = top + tall * len(names)
    panel = Panel(400, bottom + 62, _BLANK, Scale(0, 1, bottom, top))
    panel.text(0, 14, title, "axis strong")
    shown = _columns(len(epochs))
    edges = np.linspace(left, right, len(shown) + 1)
    shade, ends = _shades(values[shown], share=share)
    for row, label in enumerate(names):
        panel.text(left - 6, top + (row + 0.5) * tall + 4, fit_text(label, left - 10), "tiny", "end")
    for k in range(_SHADES):
        d = "".join(_cells(shade == k, edges, top, tall))
        if d:
            panel.add(tag("path", d=d, class_=f"heat h{k}"))
    missing = "".join(_cells(shade < 0, edges, top, tall))
    if missing:
        panel.add(tag("path", d=missing, class_="cell none"))
    middles = (edges[1:] + edges[:-1]) / 2
    for epoch in marks:
        x = float(middles[int(np.abs(epochs[shown] - epoch).argmin())])
        panel.add(tag("path", d=f"M{x - 4:.1f} {top - 8:g}h8l-4 6z", class_="pointer"))
    _epochs(panel, epochs[shown], middles, bottom)
    _legend(panel, ends, bottom + 34, left, share=share)
    return panel.drawing(title, _told(values, names, epochs, share=share))


def _columns(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, _MOST_COLUMNS)).round().astype(int))


def _shades(values: np.ndarray, *, share: bool) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the shade of each cell, -1 for none, and the values at both ends of the scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = values if share else np.log10(np.where(values > 0, values, np.nan))
    finite = scaled[np.isfinite(scaled)]
    low, high = (0.0, 1.0) if share else (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if not share and high - low < 1:  # less than a decade: no drama where there is none
        low, high = (low + high - 1) / 2, (low + high + 1) / 2
    part = np.where(np.isfinite(scaled), (scaled - low) / (high - low), -1.0)
    shade = np.where(part < 0, -1, np.clip((part * _SHADES).astype(int), 0, _SHADES - 1))
    if not share:
        shade = np.where(values == 0, 0, shade)
    return shade, (low, high) if share else (10**low, 10**high)


def _cells(chosen: np.ndarray, edges: np.ndarray, top: float, tall: float) -> list[str]:
    """Path data of the chosen cells (columns, rows); neighbours in a row are one box."""
    parts = []
    for row in range(chosen.shape[1]):
        flags = np.concatenate([[False], chosen[:, row], [False]])
        starts, stops = np.flatnonzero(flags[1:] & ~flags[:-1]), np.flatnonzero(flags[:-1] & ~flags[1:])
        for a, b in zip(starts.tolist(), stops.tolist(), strict=True):
            wide = float(edges[b] - edges[a])
            parts.append(f"M{edges[a]:.1f} {top + row * tall + 0.5:.1f}h{wide:.1f}v{tall - 1:.1f}h-{wide:.1f}z")
    return parts


def _epochs(panel: Panel, epochs: np.ndarray, middles: np.ndarray, bottom: float) -> None:
    for i in np.unique([0, len(epochs) // 2, len(epochs) - 1]).tolist():
        anchor = "end" if i == len(epochs) - 1 and i else "start" if i == 0 else "middle"
        words = f"epoch {count(int(epochs[i]))}" if i == 0 else count(int(epochs[i]))
        at = float(middles[i]) + (6 if anchor == "end" else -6 if anchor == "start" else 0)
        panel.text(at, bottom + 16, words, "tick", anchor)


def _legend(panel: Panel, ends: tuple[float, float], y: float, left: float, *, share: bool) -> None:
    wide = 16.0
    low, high = (percent(v, 0) if share else number(v, 1) for v in ends)
    for k in range(_SHADES):
        panel.add(tag("rect", x=left + k * wide, y=y, width=wide, height=9, class_=f"heat h{k}"))
    panel.text(left, y + 22, low, "tiny")
    panel.text(left + _SHADES * wide, y + 22, high, "tiny", "end")
    panel.text(left + _SHADES * wide + 10, y + 9, "" if share else "log scale", "tiny")


def _told(values: np.ndarray, names: Sequence[str], epochs: np.ndarray, *, share: bool) -> str:
    """Each layer's first and last value in words."""
    show = percent if share else number
    parts = []
    for row, label in enumerate(names):
        known = np.flatnonzero(np.isfinite(values[:, row]))
        if len(known):
            first, last = float(values[known[0], row]), float(values[known[-1], row])
            parts.append(f"{label}: {show(first)} at first, {show(last)} at last.")
    span = f"Epochs {count(int(epochs[0]))} to {count(int(epochs[-1]))}. " if len(epochs) else ""
    return span + (" ".join(parts) or "There are no values.")
