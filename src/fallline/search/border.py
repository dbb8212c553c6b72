"""The border check: where the best value lies on the edge of its range, and the range can go on, it is widened."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fallline.recipe.schema import entries
from fallline.rules import best_value_on_border, validation_overfitted
from fallline.search.space import at, place
from fallline.types import Choice, Dimension, Finding, Range, Trial

__all__ = ["beyond", "binned", "border_findings", "luck_findings"]

BINS = 8  # of a range, at most; each with some four trials in it
STEP = 0.5  # share of the range's width by which it grows at once


def binned(dimension: Range, trials: Sequence[Trial], name: str, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Return values of an entry and the best loss at each, ranges of values joined where each was tried once.

    Args:
        dimension: the entry's range.
        trials: finished ones.
        name: the entry.
        sign: 1 where lower is better, else -1.
    """
    values = np.array([float(t.point[name]) for t in trials])
    losses = sign * np.array([t.value for t in trials])
    kept = np.isfinite(losses)
    values, losses = values[kept], losses[kept]
    distinct = np.unique(values)
    if len(distinct) > BINS:
        count = max(3, min(BINS, len(values) // 4))
        shares = np.array([place(dimension, value) for value in values])
        bins = np.minimum((shares * count).astype(int), count - 1)
        centres = [0.0, *((k + 0.5) / count for k in range(1, count - 1)), 1.0]
        distinct = np.unique(bins)
        best = np.array([losses[bins == k].min() for k in distinct])
        return np.array([float(at(dimension, centres[k])) for k in distinct]), best
    return distinct, np.array([losses[values == value].min() for value in distinct])


def border_findings(
    space: Mapping[str, Dimension], trials: Sequence[Trial], higher_is_better: bool
) -> Iterator[tuple[str, Finding]]:
    """Yield (entry, finding) for every range whose best value lies on an edge that is no natural limit."""
    sign = -1.0 if higher_is_better else 1.0
    for name, dimension in space.items():
        if isinstance(dimension, Choice):
            continue
        values, losses = binned(dimension, trials, name, sign)
        entry = entries()[name]
        limits = (-math.inf if entry.low is None else entry.low, math.inf if entry.high is None else entry.high)
        for finding in best_value_on_border.examine(values, losses, name, False, limits):
            yield name, finding


def beyond(dimension: Range, name: str, upwards: bool) -> Range:
    """Return the range widened on one side, as far as the recipe allows."""
    entry = entries()[name]
    low, high = dimension.low, dimension.high
    if dimension.log:
        step = (high / low) ** STEP
        low, high = (low, high * step) if upwards else (low / step, high)
    else:
        step = (high - low) * STEP
        low, high = (low, high + step) if upwards else (low - step, high)
    if entry.low is not None:
        low = max(low, entry.low)
    if entry.above is not None and low <= entry.above:
        low = dimension.low
    if entry.high is not None:
        high = min(high, entry.high)
    if dimension.whole:
        low, high = math.floor(low), math.ceil(high)
    return Range(low, high, log=dimension.log, whole=dimension.whole)


def luck_findings(trials: Sequence[Trial], rows: int, best: float, higher_is_better: bool) -> Iterator[Finding]:
    """Yield a finding when so many trials were judged by so few rows that the best is mostly lucky."""
    yield from validation_overfitted.examine(len(trials), rows, best, higher_is_better=higher_is_better)
