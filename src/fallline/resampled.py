"""Means over folds and seeds with honest intervals: the variance of overlapping resamples, corrected.

The folds of a cross-validation share most of their training rows, so that their scores are not independent, and the
usual standard error is far too small. The correction adds the share that overlapping training sets cost.

Source: C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003), section 3: the
variance of the mean of J differences is estimated by (1 / J + n_test / n_train) S^2, S^2 their sample variance, and the
statistic is compared with Student's t with J - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.errors import InputError

__all__ = ["Mean", "corrected_mean", "holm"]


@dataclass(frozen=True)
class Mean:
    """A mean over resamples with its uncertainty.

    Args:
        value: the mean.
        low, high: ends of the interval; NaN with a single resample.
        error: the corrected standard error; NaN with a single resample.
        p: two-sided p-value of "the true mean is 0"; NaN with a single resample.
        n: resamples.
    """

    value: float
    low: float
    high: float
    error: float
    p: float
    n: int


def corrected_mean(values: Any, ratio: float, *, level: float = 0.95) -> Mean:
    """Return the mean of one value a fold (or of one paired difference a fold) with the corrected resampled t interval.

    Args:
        values: (J,) one per fold and repeat; average over seeds first.
        ratio: held-out rows / training rows, 1 / (k - 1) for k folds; 0: no correction (independent repetitions).
        level: of the interval.

    Raises:
        InputError: no values, a negative ratio, a level outside 0 .. 1.

    >>> mean = corrected_mean([0.1, 0.2, 0.3, 0.2, 0.2], ratio=0.25)
    >>> round(mean.value, 3), round(mean.low, 3), round(mean.high, 3)
    (0.2, 0.068, 0.332)
    """
    from scipy import stats

    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not len(found):
        raise InputError(f"A mean over folds takes a vector of at least one value; received shape {found.shape}.")
    if not (ratio >= 0 and math.isfinite(ratio)) or not 0 < level < 1:
        raise InputError(f"ratio = {ratio}, level = {level}: they take a number >= 0 and one between 0 and 1.")
    count, mean = len(found), float(found.mean())
    if count < 2 or not math.isfinite(mean):
        return Mean(mean, math.nan, math.nan, math.nan, math.nan, count)
    error = math.sqrt((1 / count + ratio) * float(found.var(ddof=1)))
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    if error == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        p = 2 * float(stats.t.sf(abs(mean) / error, count - 1))
    return Mean(mean, mean - half, mean + half, error, p, count)


def holm(p: Any) -> np.ndarray:
    """Return p-values adjusted for their number: each is the smallest error rate at which its test still counts.

    Args:
        p: (m,) p-values; NaN stays NaN and does not count.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).

    >>> [round(float(value), 9) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    found = np.asarray(p, np.float64)
    adjusted = np.full(found.shape, np.nan)
    where = np.flatnonzero(np.isfinite(found))
    order = where[np.argsort(found[where], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(found[order] * factors))
    return adjusted
