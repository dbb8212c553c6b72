"""Ten times ten folds: what trustworthy evaluation costs, compilation and all.

100 fits of 30-64-64-1 with batch normalisation and dropout 0.2, Adam 0.001, batch 32, 100 epochs, on scikit-learn's
breast cancer table, and the held-out rows of each. The figure is the whole call in a fresh process with no program kept
on disk, libraries imported. The peers do a sample of the fits, one after another, and their time is scaled up.
"""

from __future__ import annotations

import time
import warnings
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import Measurement, Work

__all__ = ["WORK"]

_FITS = 100
_BATCH, _RATE, _DROPOUT = 32, 0.001, 0.2


class Task(NamedTuple):
    """The table, its folds, and how long each fit lasts."""

    x: np.ndarray
    y: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]
    epochs: int
    sample: int  # fits that a peer does


def setup(quick: bool) -> Task:
    """Breast cancer, standardised; 10 x 10 folds."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import RepeatedStratifiedKFold
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    folds = list(RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0).split(x, y))
    scaled = StandardScaler().fit_transform(x).astype(np.float32)
    return Task(scaled, y.astype(np.float32), folds, 2 if quick else 100, 1 if quick else 5)


WORK = Work(
    title="crossvalidation: 10 x 10 folds of breast cancer, 30-64-64-1 with batch norm and dropout, 100 epochs",
    unit="s for 100 fits",
    setup=setup,
)


def _model() -> Any:
    import keras

    layers: list[Any] = [keras.Input((30,))]
    for _ in range(2):
        layers += [
            keras.layers.Dense(64, "relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(_DROPOUT)
        ]  # fmt: skip
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(_RATE), keras.losses.BinaryCrossentropy(from_logits=True))
    return model


@WORK.peer("fallline", needs=("jax", "keras", "optax"), environment={"KERAS_BACKEND": "jax", "FALLLINE_CACHE": ""})
def fallline(task: Task) -> Measurement:
    """``fl.train_many`` on the model and the folds."""
    import keras

    import fallline as fl

    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    given = {"epochs": task.epochs, "batch_size": _BATCH, "early_stopping": False, "verbose": 0}
    runs = fl.train_many(_model(), task.x, task.y, folds=task.folds, **given)
    seconds = time.perf_counter() - start
    scores = [run.scores[0].value for run in runs]
    return Measurement(
        seconds,
        {
            "compile_seconds": float(runs[0].facts["compile_seconds"]),
            "us_per_member_step": 1e6 * float(runs[0].facts["seconds"]) / (len(runs) * task.epochs * 17),
            "held_out_loss": float(np.mean(scores)),
        },
    )


@WORK.peer("sklearn", needs=("sklearn",), bar=10)
def sklearn(task: Task) -> Measurement:
    """scikit-learn's MLP, which has neither batch normalisation nor dropout: less work."""
    from sklearn.neural_network import MLPClassifier

    def fit(train: np.ndarray, held: np.ndarray) -> float:
        model = MLPClassifier(
            (64, 64), batch_size=_BATCH, learning_rate_init=_RATE, max_iter=task.epochs, tol=0.0,
            n_iter_no_change=task.epochs + 1, random_state=0,
        )  # fmt: skip
        model.fit(task.x[train], task.y[train])
        p = np.clip(model.predict_proba(task.x[held])[:, 1], 1e-7, 1 - 1e-7)
        return float(-np.mean(np.where(task.y[held] > 0, np.log(p), np.log1p(-p))))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _sampled(task, fit)


@WORK.peer("keras_jax", needs=("keras", "jax"), environment={"KERAS_BACKEND": "jax"}, bar=50)
def keras_jax(task: Task) -> Measurement:
    """The loop that Keras' users write: a new model for every fold."""

    def fit(train: np.ndarray, held: np.ndarray) -> float:
        model = _model()
        model.fit(task.x[train], task.y[train], epochs=task.epochs, batch_size=_BATCH, verbose=0)
        return float(model.evaluate(task.x[held], task.y[held], verbose=0))

    return _sampled(task, fit)


def _sampled(task: Task, fit: Any) -> Measurement:
    losses, start = [], time.perf_counter()
    for train, held in task.folds[: task.sample]:
        losses.append(fit(train, held))
    seconds = (time.perf_counter() - start) * _FITS / task.sample
    return Measurement(seconds, {"fits_timed": task.sample, "held_out_loss": float(np.mean(losses))})
