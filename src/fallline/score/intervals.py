"""The uncertainty of figures that are functions of means over rows: the bootstrap, or the delta method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["NORMAL_QUANTILE", "Statistic", "intervals"]

TAIL = 0.025  # 95 % intervals, two-sided
NORMAL_QUANTILE = 1.959963984540054  # of 1 - TAIL
BOOTSTRAP_ROWS = 50_000
BOOTSTRAP_CHUNK = 4_000_000  # resampled rows held at a time: 32 MB


@dataclass(frozen=True, eq=False)
class Statistic:
    """A figure that is a function of means over rows: columns (n, k), combine (..., k) -> (...)."""

    name: str
    columns: np.ndarray
    combine: Callable[[np.ndarray], np.ndarray]
    higher_is_better: bool = False


def intervals(
    statistics: list[Statistic], weight: np.ndarray, n_bootstrap: int, seed: int
) -> Iterator[tuple[float, float, float]]:
    """Yield (value, low, high) per statistic, all from the same resamples."""
    n = len(weight)
    edges = np.cumsum([0] + [statistic.columns.shape[1] for statistic in statistics])
    columns = np.concatenate([statistic.columns for statistic in statistics], axis=1)
    means = np.average(columns, axis=0, weights=weight)
    bootstrap = 0 < n <= BOOTSTRAP_ROWS and n_bootstrap > 0
    resampled = _resampled_means(columns, weight, n_bootstrap, seed) if bootstrap else None
    for statistic, start, stop in zip(statistics, edges[:-1], edges[1:], strict=True):
        value = float(statistic.combine(means[start:stop]))
        low, high = math.nan, math.nan
        if statistic.name == "accuracy" and value in (0.0, 1.0) and n_bootstrap:
            bound = TAIL ** (weight @ weight / weight.sum() ** 2)  # one over the effective number of rows
            low, high = (bound, 1.0) if value else (0.0, 1.0 - bound)
        elif resampled is not None:
            values = statistic.combine(resampled[:, start:stop])
            if np.isfinite(values).any():
                low, high = np.nanquantile(values, (TAIL, 1 - TAIL))
        elif n_bootstrap:
            spread = _delta_error(statistic, means[start:stop], weight)
            low, high = value - NORMAL_QUANTILE * spread, value + NORMAL_QUANTILE * spread
        if statistic.name != "r2":
            low = max(low, 0.0)
        if statistic.higher_is_better:
            high = min(high, 1.0)
        yield value, float(low), float(high)


def _resampled_means(columns: np.ndarray, weight: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
    """Weighted means of columns (n, k) under resampled rows, shape (n_bootstrap, k)."""
    n = len(weight)
    generator = np.random.default_rng(seed)
    table = np.concatenate([columns * weight[:, None], weight[:, None]], axis=1)
    sums = np.empty((n_bootstrap, table.shape[1]))
    chunk = max(1, BOOTSTRAP_CHUNK // n)
    for start in range(0, n_bootstrap, chunk):
        size = min(chunk, n_bootstrap - start)
        counts = np.empty((size, n))
        for row in counts:
            row[:] = np.bincount(generator.integers(0, n, n), minlength=n)
        sums[start : start + size] = counts @ table
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[:, -1:] > 0, sums[:, :-1] / sums[:, -1:], np.nan)


def _delta_error(statistic: Statistic, means: np.ndarray, weight: np.ndarray) -> float:
    """Standard error of a function of means: slopes at the means times each row's deviation."""
    deviations = (statistic.columns - means) * (weight / weight.sum())[:, None]
    errors = np.sqrt((deviations**2).sum(axis=0))
    slopes = np.zeros(len(means))
    for k in np.flatnonzero(errors > 0):
        step = np.zeros(len(means))
        step[k] = 0.1 * errors[k]  # small against the curvature, large against rounding
        slopes[k] = (statistic.combine(means + step) - statistic.combine(means - step)) / (2 * step[k])
    return float(np.sqrt(((deviations @ slopes) ** 2).sum()))
