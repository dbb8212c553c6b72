"""Where a piecewise linear embedding bends: at quantiles of what the training rows hold."""

from __future__ import annotations

import numpy as np

__all__ = ["bin_starts", "knots_of"]

# Bins narrower than this are joined: in scaled numbers a thousandth of the spread of the middle half of the rows. Much
# narrower ones would be lost in single precision.
_NARROWEST = 1e-3
# Rows that are looked at: a quantile is then known to half a percent, and a table of millions costs no more.
_MOST_ROWS = 10_000


def knots_of(values: np.ndarray, bins: int, rng: np.random.Generator) -> np.ndarray:
    """Return at most ``bins + 1`` rising knots, the smallest and the largest value among them.

    Every other knot is a quantile of the rows, the others are quantiles of the different values: where most rows
    hold one value, the rows' quantiles alone would all fall on it and leave the others without a knot. The levels are
    moved by a random share of a step, so that members of an ensemble bend in different places. Where there are no more
    different values than knots, each is one.

    Args:
        values: (n,) scaled numbers, n >= 1.
        bins: how many bins at most.
        rng: draws the shift.

    >>> knots_of(np.array([0.0, 0.0, 1.0, 3.0, 1.0]), 4, np.random.default_rng(0)).tolist()
    [0.0, 1.0, 3.0]
    """
    different = np.unique(values)
    if len(different) > bins + 1:
        levels = (np.arange(1, bins) + rng.uniform(-0.5, 0.5)) / bins
        inner = [np.quantile(values, levels[::2]), np.quantile(different, levels[1::2])]
        different = np.unique(np.concatenate([different[[0, -1]], *inner]))
    kept = [different[0]]
    for knot in different[1:]:
        if knot - kept[-1] >= _NARROWEST:
            kept.append(knot)
    return np.asarray(kept)


def bin_starts(x: np.ndarray, bins: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the bins of each column as (start, 1 / width), (m, bins) float32 each; 1 / width is 0 where none is.

    Args:
        x: (n, m) scaled numbers of the training rows.
        bins: how many bins a column has at most.
        rng: see `knots_of`.
    """
    if len(x) > _MOST_ROWS:
        x = x[rng.choice(len(x), _MOST_ROWS, replace=False)]
    start, inverse = np.zeros((2, x.shape[1], bins), np.float32)
    for column in range(x.shape[1]):
        knots = knots_of(x[:, column].astype(np.float64), bins, rng)
        start[column, : len(knots) - 1] = knots[:-1]
        inverse[column, : len(knots) - 1] = 1.0 / np.diff(knots)
    return start, inverse
