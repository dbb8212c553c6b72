"""Figures of merit with their uncertainty, and the two baselines that define skill.

Everything runs in float64 on the host. A model's score without an interval and without a baseline says little, so both
come from here: `score` attaches a 95 % interval to every figure, `baselines` scores a dummy and a linear model on the
same rows.

How the intervals are made:

* means and functions of means (log loss, accuracy, RMSE, MAE, R2): percentile bootstrap over rows (Efron 1979), all
  figures from the same resamples. Above ``BOOTSTRAP_ROWS`` rows the bootstrap's answer is normal to within its own
  noise, and the delta method (influence of each row on the figure) replaces it;
* AUC: the variance of DeLong, DeLong and Clarke-Pearson (1988, eq. 4-6) from every row's placement value, averaged
  over classes for the macro average, on the logit scale so that the interval stays inside (0, 1);
* an accuracy of exactly 0 or 1 leaves nothing to resample: there the exact binomial bound (Clopper and Pearson 1934).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from fallline.errors import InputError, nearest
from fallline.types import ProblemKind, Score

if TYPE_CHECKING:
    from fallline.types import Problem

__all__ = ["MAIN_METRIC", "area_under_curve", "baselines", "score"]

MAIN_METRIC: dict[str, str] = {
    "regression": "rmse",
    "multioutput": "rmse",
    "binary": "log_loss",
    "multiclass": "log_loss",
    "multilabel": "log_loss",
}

# A probability of exactly 0 for what then happened costs an infinite log loss; 1e-7 (a cost of 16.1) is Keras' epsilon.
PROBABILITY_FLOOR = 1e-7
TAIL = 0.025  # 95 % intervals, two-sided
NORMAL_QUANTILE = 1.959963984540054  # of 1 - TAIL
BOOTSTRAP_ROWS = 50_000
BOOTSTRAP_CHUNK = 4_000_000  # resampled rows held at a time: 32 MB
LINEAR_ROWS = 20_000  # rows that the linear baseline is fitted on at most
LINEAR_CELLS = 40_000_000  # and at most so many cells, so that 10^4 columns still fit in memory
LINEAR_ITERATIONS = 300


@dataclass(frozen=True, eq=False)
class _Statistic:
    """A figure that is a function of means over rows: columns (n, k), combine (..., k) -> (...)."""

    name: str
    columns: np.ndarray
    combine: Callable[[np.ndarray], np.ndarray]
    higher_is_better: bool = False


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
    intervals = _intervals(statistics, weight, n_bootstrap, seed)
    found = [
        made(statistic.name, value, low, high, statistic.higher_is_better)
        for statistic, (value, low, high) in zip(statistics, intervals, strict=True)
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


def _statistics(kind: str, y: np.ndarray, prediction: np.ndarray, weight: np.ndarray) -> list[_Statistic]:
    if kind in ("regression", "multioutput"):
        target, predicted = y.reshape(len(y), -1), prediction.reshape(len(y), -1)
        squared = (target - predicted) ** 2
        found = [
            _Statistic("rmse", squared, _root_mean),
            _Statistic("mae", np.abs(target - predicted).mean(axis=1, keepdims=True), _first),
        ]
        centred = target - np.average(target, axis=0, weights=weight)
        varies = np.ptp(target[weight > 0], axis=0) > 0
        if varies.any():
            parts = [squared[:, varies], centred[:, varies], centred[:, varies] ** 2]
            found.append(_Statistic("r2", np.concatenate(parts, axis=1), _determination, True))
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
        _Statistic("log_loss", loss[:, None], _first),
        _Statistic("accuracy", right.astype(np.float64)[:, None], _first, True),
    ]


# -------------------------------------------------------------------------------------------------- the intervals


def _intervals(
    statistics: list[_Statistic], weight: np.ndarray, n_bootstrap: int, seed: int
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


def _delta_error(statistic: _Statistic, means: np.ndarray, weight: np.ndarray) -> float:
    """Standard error of a function of means: slopes at the means times each row's deviation."""
    deviations = (statistic.columns - means) * (weight / weight.sum())[:, None]
    errors = np.sqrt((deviations**2).sum(axis=0))
    slopes = np.zeros(len(means))
    for k in np.flatnonzero(errors > 0):
        step = np.zeros(len(means))
        step[k] = 0.1 * errors[k]  # small against the curvature, large against rounding
        slopes[k] = (statistic.combine(means + step) - statistic.combine(means - step)) / (2 * step[k])
    return float(np.sqrt(((deviations @ slopes) ** 2).sum()))


# ------------------------------------------------------------------------------------------------------------ AUC


def _one_per_column(kind: str, y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return (y[:, None] == np.arange(prediction.shape[1])).astype(np.float64) if kind == "multiclass" else y


def area_under_curve(y: Any, prediction: Any, sample_weight: Any = None) -> tuple[float, float, float]:
    """Return the area under the ROC curve with its 95 % interval, macro-averaged over columns.

    Columns in which only one of the two values occurs have no AUC and are left out of the average. The interval is
    DeLong's (see the module); it is NaN for a perfect separation, where the data hold no information on its width.

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


# ------------------------------------------------------------------------------------------------------ baselines


def baselines(
    problem: Problem,
    features: Any,
    train_rows: Any,
    test_rows: Any,
    *,
    seed: int = 0,
    rows: str = "test",
    n_bootstrap: int = 1000,
) -> tuple[Score, ...]:
    """Score the two models that every network has to beat, fitted on the training rows, on the same test rows.

    ``dummy`` knows no inputs: it predicts the class shares or the mean. ``linear`` is scikit-learn's
    LogisticRegression (C = 1, at most 300 iterations of L-BFGS) or Ridge (alpha = 1) on the prepared features; above
    20,000 training rows it is fitted on a seeded random sample of 20,000 of them (fewer above 2,000 columns).

    Args:
        problem: the problem.
        features: (n, d) prepared inputs of all rows of the problem, finite.
        train_rows: (a,) row numbers to fit on.
        test_rows: (b,) row numbers to score.
        seed: of the sample and of the bootstrap.
        rows: what the scored rows are, as in `score`.
        n_bootstrap: as in `score`.

    Returns:
        The dummy's scores, then the linear model's, each with the main metric first.

    Raises:
        InputError: features do not fit the problem or are not finite, or a list of rows is empty.
    """
    x = np.asarray(features)
    fit, held = np.asarray(train_rows, np.int64), np.asarray(test_rows, np.int64)
    if x.ndim != 2 or len(x) != problem.n_rows:
        raise InputError(f"Prepared features have shape ({problem.n_rows}, d) for this problem; received {x.shape}.")
    if not len(fit) or not len(held):
        raise InputError(f"Baselines need rows to fit and rows to score; received {len(fit)} and {len(held)}.")
    if not (np.isfinite(x[fit]).all() and np.isfinite(x[held]).all()):
        raise InputError("Prepared features hold NaN or infinity; missing values are filled by the preparation.")
    weight = None if problem.sample_weight is None else np.asarray(problem.sample_weight, np.float64)
    outputs = problem.n_outputs

    def scored(prediction: np.ndarray, who: str) -> tuple[Score, ...]:
        shaped = prediction if problem.y.ndim == 2 or problem.kind == "multiclass" else prediction[:, 0]
        held_weight = None if weight is None else weight[held]
        return score(problem.kind, problem.y[held], shaped, rows=rows, who=who, seed=seed,
                     n_bootstrap=n_bootstrap, sample_weight=held_weight)

    fit_weight = None if weight is None else weight[fit]
    level = _mean_target(problem, fit, fit_weight)
    dummy = scored(np.repeat(level[None, :], len(held), axis=0), "dummy")
    if x.shape[1] == 0:
        return dummy + scored(np.repeat(level[None, :], len(held), axis=0), "linear")

    most = max(1_000, min(LINEAR_ROWS, LINEAR_CELLS // max(x.shape[1], 1)))
    sample = fit
    if len(fit) > most:
        sample = np.sort(np.random.default_rng(seed).choice(fit, most, replace=False))
    sample_weight = None if weight is None else weight[sample]
    inputs, held_inputs = x[sample].astype(np.float64), x[held].astype(np.float64)
    if problem.is_classification:
        linear = _logistic(problem, inputs, problem.y[sample], held_inputs, sample_weight, level)
    else:
        from sklearn.linear_model import Ridge

        model = Ridge(alpha=1.0).fit(inputs, problem.y[sample], sample_weight=sample_weight)
        linear = model.predict(held_inputs).reshape(len(held), outputs)
    return dummy + scored(linear, "linear")


def _mean_target(problem: Problem, rows: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Class shares, label shares or mean targets of the rows, shape (outputs,)."""
    y = problem.y[rows]
    encoded = y[:, None] == np.arange(len(problem.classes)) if problem.kind == "multiclass" else y.reshape(len(y), -1)
    return np.atleast_1d(np.average(encoded.astype(np.float64), axis=0, weights=weight))


def _logistic(
    problem: Problem, x: np.ndarray, y: np.ndarray, held: np.ndarray, weight: np.ndarray | None, level: np.ndarray
) -> np.ndarray:
    """Probabilities of logistic regression for the held rows, shape (b, outputs); classes it never saw get 0."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    def probabilities(labels: np.ndarray, width: int) -> np.ndarray:
        out = np.zeros((len(held), width))
        present = np.unique(labels)
        if len(present) < 2:
            out[:, int(present[0])] = 1.0
            return out
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # bounded on purpose; see `baselines`
            model = LogisticRegression(max_iter=LINEAR_ITERATIONS).fit(x, labels, sample_weight=weight)
        out[:, present.astype(np.int64)] = model.predict_proba(held)
        return out

    if problem.kind == "multiclass":
        return probabilities(y, len(level))
    columns = y.reshape(len(y), -1).T
    return np.stack([probabilities(column, 2)[:, 1] for column in columns], axis=1)
