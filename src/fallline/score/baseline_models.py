"""The two models that every network has to beat: they define skill."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import InputError
from fallline.score.figures import score
from fallline.types import Score

if TYPE_CHECKING:
    from fallline.types import Problem

__all__ = ["baselines"]

LINEAR_ROWS = 20_000  # rows that the linear baseline is fitted on at most
LINEAR_CELLS = 40_000_000  # and at most so many cells, so that 10^4 columns still fit in memory
LINEAR_ITERATIONS = 300


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
