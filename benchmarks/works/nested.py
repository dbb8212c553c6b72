"""Nested cross-validation: 5 outer x 5 inner folds x 20 candidates x 3 seeds, then the outer trainings: 1,515 in all.

breast_cancer (569 x 30), the preset ``simple``, candidates drawn at random from a space of four entries. Importing is
excluded, compilation is not: the figure is the whole call, as the person waits for it.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Measurement, Work

__all__ = ["WORK"]


def setup(quick: bool) -> tuple[Any, Any, int]:
    """The table and the number of candidates."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return x, y, 2 if quick else 20


WORK = Work(
    title="nested: 5 x 5 folds, 20 candidates, 3 seeds, breast_cancer 569 x 30, whole call with compilation",
    unit="s",
    setup=setup,
)


@WORK.peer("fallline", needs=("jax", "keras", "optax"), limit=120)
def fallline(task: tuple[Any, Any, int]) -> Measurement:
    """One call of fl.evaluate."""
    import time

    import fallline as fl
    from fallline.search import log, uniform

    x, y, trials = task
    space = {
        "optimizer.learning_rate": log(3e-4, 3e-2),
        "network.dropout": uniform(0.05, 0.5),
        "optimizer.l2": log(1e-6, 1e-2),
        "optimizer.beta_1": uniform(0.8, 0.95),
    }
    began = time.perf_counter()
    found = fl.evaluate("simple", (x, y), folds=5, inner=5, seeds=3, nested=space, trials=trials)
    seconds = time.perf_counter() - began
    return Measurement(
        seconds,
        {
            "trainings": found.trainings,
            "nested_log_loss": found.score("nested").value,
            "selected_on": found.selected_on,
            "linear_log_loss": found.score("linear").value,
        },
    )


@WORK.peer("keras_jax", needs=("jax", "keras"), environment={"KERAS_BACKEND": "jax"}, bar=50)
def keras_jax(task: tuple[Any, Any, int]) -> Measurement:
    """The loop over fits that Keras' users write, of the same networks; some are timed, and all of them counted.

    A new model for every candidate and fold, as the preset trains it: 64-64, batch 32, at most 300 epochs, ended after
    20 without a better loss on a fifth of the rows.
    """
    import time

    import keras
    import numpy as np
    from sklearn.model_selection import StratifiedKFold, train_test_split

    x, y, trials = task
    rng, sample = np.random.default_rng(0), 4 if trials > 2 else 1
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y))
    losses, begun = [], time.perf_counter()
    for fit in range(sample):
        outer = folds[fit % 5][0]
        inner, held = list(StratifiedKFold(5, shuffle=True, random_state=0).split(x[outer], y[outer]))[fit % 5]
        rows, held = outer[inner], outer[held]
        train, val = train_test_split(rows, test_size=0.2, random_state=0, stratify=y[rows])
        mean, sd = x[train].mean(axis=0), x[train].std(axis=0)
        rate, dropout, l2 = np.exp(rng.uniform(np.log(3e-4), np.log(3e-2))), rng.uniform(0.05, 0.5), 1e-4
        layers: list[Any] = [keras.Input((x.shape[1],))]
        for _ in range(2):
            layers += [
                keras.layers.Dense(64, "relu", kernel_initializer="he_normal",
                                   kernel_regularizer=keras.regularizers.L2(l2)),
                keras.layers.Dropout(dropout),
            ]  # fmt: skip
        model = keras.Sequential([*layers, keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
        stop = keras.callbacks.EarlyStopping("val_loss", patience=20, restore_best_weights=True)
        model.fit(
            (x[train] - mean) / sd, y[train], epochs=300, batch_size=32, verbose=0, callbacks=[stop],
            validation_data=((x[val] - mean) / sd, y[val]),
        )  # fmt: skip
        losses.append(float(model.evaluate((x[held] - mean) / sd, y[held], verbose=0)))
    fits = 5 * (5 * trials + 1) * 3  # the winner of each outer fold once more; all of them with three seeds
    seconds = (time.perf_counter() - begun) * fits / sample
    return Measurement(seconds, {"fits_timed": sample, "fits": fits, "inner_loss": float(np.mean(losses))})
