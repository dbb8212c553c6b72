"""Figures of merit: what a model's predictions are worth on rows."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np

from fallline.errors import InputError, nearest
from fallline.score.area import area_under_curve
from fallline.score.intervals import Statistic, intervals
from fallline.types import ProblemKind, Score

__all__ = ["MAIN_METRIC", "score"]

MAIN_METRIC: dict[str, str] = {
    "regression": "rmse",
    "multioutput": "rmse",
    "binary": "log_loss",
    "multiclass": "log_loss",
    "multilabel": "log_loss",
}

# A probability of exactly 0 for what then happened costs an infinite log loss; 1e-7 (a cost of 16.1) is Keras' epsilon.
PROBABILITY_FLOOR = 1e-7


def score(
    kind: ProblemKind,
    y: Any,
    prediction: Any,
    *,
    rows: str = "test",
    who: str = "model",
    seed: int = 0,
    n_bootstrap: int = 1000,
    sample_weight: Any = None,
) -> tuple[Score, ...]:
    """Score predictions with 95 % intervals; the first entry is the main metric.

    Classification: ``log_loss``, ``accuracy``, ``auc``; regression: ``rmse``, ``mae``, ``r2``. Probabilities are
    clipped to [1e-7, 1 - 1e-7] before the logarithm. Class 1 of a binary problem is predicted above 0.5. Multi-class
    AUC is the macro average of one-vs-rest over the classes that occur. For several labels, log loss and accuracy are
    means over rows and labels, AUC the macro average; for several targets RMSE, MAE and R2 are averaged over targets,
    as scikit-learn does. ``auc`` and ``r2`` are left out where they are not defined (one class, constant target).
    Predictions with NaN or infinity score NaN: they are never made to look like something.

    Args:
        kind: the problem's kind.
        y: encoded targets as in `Problem.y`: (n,) or (n, k).
        prediction: as in `HeldOut`: regression (n,), multioutput (n, k), binary (n,) probability of class 1,
            multiclass (n, classes) probabilities, multilabel (n, k) probabilities.
        rows: what the rows are (``test``, ``out_of_fold``, ``validation``).
        who: ``model`` or the baseline's name.
        seed: of the bootstrap.
        n_bootstrap: resamples; 0: no intervals.
        sample_weight: (n,) weights of the rows, or None.

    Returns:
        The scores, main metric first.

    Raises:
        InputError: shapes do not fit the kind, no rows, targets that are not finite, or useless weights.

    >>> main, accuracy, auc = score("binary", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], n_bootstrap=0)
    >>> main.metric, round(main.value, 4), accuracy.value, auc.value
    ('log_loss', 0.4723, 0.75, 0.75)
    """
    target, predicted, weight = _checked(kind, y, prediction, sample_weight)
    n = len(target)

    def made(name: str, value: float, low: float, high: float, better: bool) -> Score:
        return Score(name, value, low, high, rows=rows, n=n, who=who, higher_is_better=better)

    if not np.isfinite(predicted).all():
        names = ("rmse", "mae", "r2") if kind in ("regression", "multioutput") else ("log_loss", "accuracy", "auc")
        return tuple(made(name, math.nan, math.nan, math.nan, name in ("r2", "accuracy", "auc")) for name in names)

    statistics = _statistics(kind, target, predicted, weight)
    found = [
        made(statistic.name, value, low, high, statistic.higher_is_better)
        for statistic, (value, low, high) in zip(
            statistics, intervals(statistics, weight, n_bootstrap, seed), strict=True
        )
    ]
    if kind in ("binary", "multiclass", "multilabel"):
        area = area_under_curve(_one_per_column(kind, target, predicted), predicted, weight)
        if not math.isnan(area[0]):
            low, high = area[1:] if n_bootstrap else (math.nan, math.nan)
            found.append(made("auc", area[0], low, high, True))
    return tuple(found)


# ------------------------------------------------------------------------------------------------------ checks


def _checked(kind: str, y: Any, prediction: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kinds = get_args(ProblemKind)
    if kind not in kinds:
        raise InputError(f"The problem kind is {kind!r}; allowed are {', '.join(kinds)}.{nearest(str(kind), kinds)}")
    target = np.asarray(y, np.float64)
    predicted = np.asarray(prediction, np.float64)
    wide = kind in ("multioutput", "multilabel")
    if target.ndim != (2 if wide else 1) or len(target) == 0:
        allowed = "(n, k)" if wide else "(n,)"
        raise InputError(f"Targets of a {kind} problem have shape {allowed} with n >= 1; received {target.shape}.")
    if kind == "multiclass":
        fits = predicted.ndim == 2 and len(predicted) == len(target)
    else:
        fits = predicted.shape == target.shape
    if not fits:
        allowed = f"({len(target)}, classes)" if kind == "multiclass" else str(target.shape)
        raise InputError(f"Predictions of a {kind} problem have shape {allowed} here; received {predicted.shape}.")
    if not np.isfinite(target).all():
        raise InputError("Targets hold NaN or infinity; score only rows that have a target.")
    if kind in ("binary", "multilabel") and not np.isin(target, (0, 1)).all():
        raise InputError(f"Targets of a {kind} problem are 0 or 1; received values such as {target.max():g}.")
    if kind == "multiclass" and not (np.isin(target, np.arange(predicted.shape[1]))).all():
        raise InputError(
            f"Targets of a multiclass problem are class indices below the {predicted.shape[1]} predicted classes; "
            f"received values from {target.min():g} to {target.max():g}."
        )
    weight = np.ones(len(target)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if weight.shape != (len(target),) or not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum() > 0:
        raise InputError(
            f"sample_weight needs {len(target)} finite weights >= 0 of which one is > 0; received shape {weight.shape}."
        )
    return target, predicted, weight


# -------------------------------------------------------------------------------------------------- the figures


def _first(means: np.ndarray) -> np.ndarray:
    first: np.ndarray = means[..., 0]
    return first


def _root_mean(means: np.ndarray) -> np.ndarray:
    roots: np.ndarray = np.sqrt(np.maximum(means, 0.0)).mean(axis=-1)
    return roots


def _determination(means: np.ndarray) -> np.ndarray:
    """R2 averaged over targets, from the means of squared errors, centred targets and their squares."""
    squared, centred, square = np.split(means, 3, axis=-1)
    variance = square - centred**2
    with np.errstate(divide="ignore", invalid="ignore"):
        explained: np.ndarray = np.where(variance > 0, 1 - squared / variance, np.nan).mean(axis=-1)
    return explained


def _statistics(kind: str, y: np.ndarray, prediction: np.ndarray, weight: np.ndarray) -> list[Statistic]:
    if kind in ("regression", "multioutput"):
        target, predicted = y.reshape(len(y), -1), prediction.reshape(len(y), -1)
        squared = (target - predicted) ** 2
        found = [
            Statistic("rmse", squared, _root_mean),
            Statistic("mae", np.abs(target - predicted).mean(axis=1, keepdims=True), _first),
        ]
        centred = target - np.average(target, axis=0, weights=weight)
        varies = np.ptp(target[weight > 0], axis=0) > 0
        if varies.any():
            parts = [squared[:, varies], centred[:, varies], centred[:, varies] ** 2]
            found.append(Statistic("r2", np.concatenate(parts, axis=1), _determination, True))
        return found
    if kind == "multiclass":
        label = y.astype(np.int64)
        chosen = prediction[np.arange(len(y)), label]
        loss = -np.log(np.clip(chosen, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR))
        right = prediction.argmax(axis=1) == label
    else:
        p = np.clip(prediction, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR).reshape(len(y), -1)
        t = y.reshape(len(y), -1)
        loss = -np.where(t == 1, np.log(p), np.log1p(-p)).mean(axis=1)
        right = ((prediction.reshape(len(y), -1) > 0.5) == t).mean(axis=1)
    return [
        Statistic("log_loss", loss[:, None], _first),
        Statistic("accuracy", right.astype(np.float64)[:, None], _first, True),
    ]


def _one_per_column(kind: str, y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return (y[:, None] == np.arange(prediction.shape[1])).astype(np.float64) if kind == "multiclass" else y
