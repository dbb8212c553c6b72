"""How strongly one column goes with another, in [0, 1], whatever their kinds."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["correlation_ratio", "cramers_v", "linear_or_rank"]


def linear_or_rank(x: np.ndarray, y: np.ndarray) -> float:
    """Return the larger of |Pearson's r| and |Spearman's rho| of two quantities (n,), over rows where both are present.

    >>> round(linear_or_rank(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0, 100.0, 1000.0])), 3)
    1.0
    """
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    if len(x) < 3:
        return math.nan
    return max(_pearson(x, y), _pearson(_ranks(x), _ranks(y)))


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    x, y = _unit(x), _unit(y)
    return min(abs(float(x @ y)), 1.0)


def _unit(x: np.ndarray) -> np.ndarray:
    largest = np.abs(x).max()
    centred = x / largest if largest > 0 else x
    centred = centred - centred.mean()
    length = math.sqrt(float(centred @ centred))
    # Below rounding error a constant would pass for a signal.
    return centred / length if length > 1e-12 * math.sqrt(len(x)) else np.zeros_like(centred)


def _ranks(x: np.ndarray) -> np.ndarray:
    """Return average ranks, ties sharing theirs."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: np.ndarray = (ends - (counts - 1) / 2.0)[inverse]
    return ranks


def correlation_ratio(codes: np.ndarray, y: np.ndarray) -> float:
    """Return eta = sqrt(between-groups / total sum of squares) of a quantity y (n,) by groups (n,); code < 0: missing.

    Corrected for the number of groups as in Kelley's epsilon squared, so that many small groups do not look related.
    Source: Kelley, T. L. (1935), An unbiased correlation ratio measure, PNAS 21, 554-559.

    >>> correlation_ratio(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 5.0, 5.0]))
    1.0
    """
    present = (codes >= 0) & ~np.isnan(y)
    codes, y = codes[present], y[present]
    if len(y) < 3:
        return math.nan
    codes = np.unique(codes, return_inverse=True)[1]
    groups = int(codes.max()) + 1
    if groups < 2 or groups >= len(y):
        return 0.0
    largest = np.abs(y).max()
    y = y / largest if largest > 0 else y
    y = y - y.mean()
    total = float(y @ y)
    if total <= 1e-24 * len(y):
        return 0.0
    sums, counts = np.bincount(codes, y), np.bincount(codes)
    within = max(total - float((sums**2 / counts).sum()), 0.0)
    return math.sqrt(min(max(1.0 - (within / (len(y) - groups)) / (total / (len(y) - 1)), 0.0), 1.0))


def cramers_v(a: np.ndarray, b: np.ndarray) -> float:
    """Return the bias-corrected Cramér's V of two categories (n,) (negative code: missing).

    Source: Bergsma, W. (2013), A bias-correction for Cramér's V and Tschuprow's T, J. Korean Stat. Soc. 42, 323-328.

    >>> round(cramers_v(np.array([0, 0, 1, 1] * 50), np.array([1, 1, 0, 0] * 50)), 2)
    1.0
    """
    present = (a >= 0) & (b >= 0)
    a, b = np.unique(a[present], return_inverse=True)[1], np.unique(b[present], return_inverse=True)[1]
    n = len(a)
    if n < 3:
        return math.nan
    rows, columns = int(a.max()) + 1, int(b.max()) + 1
    if rows < 2 or columns < 2:
        return 0.0
    counts_a, counts_b = np.bincount(a), np.bincount(b)
    # Only the cells that occur: a category of thousands of levels would make a huge, nearly empty table.
    cells, seen = np.unique(a * columns + b, return_counts=True)
    phi2 = float((seen**2 / (counts_a[cells // columns] * counts_b[cells % columns])).sum()) - 1.0
    corrected = max(phi2 - (rows - 1) * (columns - 1) / (n - 1), 0.0)
    rows_c = rows - (rows - 1) ** 2 / (n - 1)
    columns_c = columns - (columns - 1) ** 2 / (n - 1)
    smaller = min(rows_c, columns_c) - 1.0
    return min(math.sqrt(corrected / smaller), 1.0) if smaller > 0 else 0.0
