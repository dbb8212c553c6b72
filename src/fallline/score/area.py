"""The area under the ROC curve, with its uncertainty."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fallline.score.intervals import NORMAL_QUANTILE

__all__ = ["area_under_curve"]


def area_under_curve(y: Any, prediction: Any, sample_weight: Any = None) -> tuple[float, float, float]:
    """Return the area under the ROC curve with its 95 % interval, macro-averaged over columns.

    Columns in which only one of the two values occurs have no AUC and are left out of the average. The interval is
    DeLong's (see `fallline.score`); NaN for a perfect separation, where the data hold no information on its width.

    Args:
        y: (n,) or (n, k) of 0 and 1.
        prediction: scores of the same shape; larger means 1.
        sample_weight: (n,) weights, or None.

    Returns:
        (value, low, high); all NaN when no column has both values.

    >>> area_under_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])[0]
    0.75
    """
    truth = np.asarray(y, np.float64).reshape(len(y), -1) == 1
    scores = np.asarray(prediction, np.float64).reshape(len(truth), -1)
    weight = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    kept = weight > 0
    truth, scores, weight = truth[kept], scores[kept], weight[kept]
    areas, influence = [], np.zeros(len(truth))
    for t, s in zip(truth.T, scores.T, strict=True):
        if t.any() and not t.all():
            area, one = _placements(t, s, weight)
            areas.append(area)
            influence += one
    if not areas:
        return math.nan, math.nan, math.nan
    area = float(np.mean(areas))
    error = float(np.sqrt((influence**2).sum())) / len(areas)
    if error == 0 or not 0 < area < 1:
        return area, math.nan, math.nan
    logit, half = math.log(area / (1 - area)), NORMAL_QUANTILE * error / (area * (1 - area))
    return area, _sigmoid(logit - half), _sigmoid(logit + half)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _placements(truth: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """AUC of one column and each row's influence on it (DeLong 1988, eq. 4-6, with weights)."""
    _, tied = np.unique(scores, return_inverse=True)
    levels = int(tied.max()) + 1
    ones = np.bincount(tied, weight * truth, levels)
    zeros = np.bincount(tied, weight * ~truth, levels)
    zeros_below = np.cumsum(zeros) - zeros / 2
    ones_above = ones.sum() - np.cumsum(ones) + ones / 2
    place = np.where(truth, zeros_below[tied] / zeros.sum(), ones_above[tied] / ones.sum())
    area = float(np.average(place[truth], weights=weight[truth]))
    influence = np.empty(len(truth))
    for chosen in (truth, ~truth):
        count = int(chosen.sum())
        correction = math.sqrt(count / (count - 1)) if count > 1 else 1.0
        influence[chosen] = correction * weight[chosen] / weight[chosen].sum() * (place[chosen] - area)
    return area, influence
