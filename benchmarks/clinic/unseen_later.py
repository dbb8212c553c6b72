"""Programs written after every rule was finished, and run once: what is wrong was written down before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.clinic import unseen_rows as rows
from benchmarks.clinic.unseen_program import (
    FADED,
    MISMATCH,
    TOO_FAST,
    TOO_SLOW,
    Program,
    Unseen,
    dense,
    held,
)

__all__ = ["LATER"]

SPARSE = "sparse_categorical_crossentropy"
BINARY = "binary_crossentropy"


def _gru_of_thousands(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.sines(rng, 400)
    model = keras.Sequential([keras.Input((20, 1)), keras.layers.GRU(12), keras.layers.Dense(1, "sigmoid")])
    return held(model, 500 + 400 * x, (y > 0).astype(np.int32), BINARY, epochs=10)


def _relu_of_three_classes(rng: np.random.Generator) -> Program:
    x, y = rows.blobs(rng)
    return held(dense(8, (24,), 3, "relu", "tanh"), x, y, SPARSE, epochs=15)


def _log_error_of_negative(rng: np.random.Generator) -> Program:
    x, y = rows.waves(rng)
    return held(dense(6, (32,), 1, "linear"), x, y, "mean_squared_logarithmic_error", epochs=20)


def _poisson_of_linear(rng: np.random.Generator) -> Program:
    x, y = rows.counts(rng)
    return held(dense(4, (16,), 1, "linear"), x, y, "poisson", epochs=15)


def _adam_hundred_millionth(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    put = keras.Input((64,))
    inner = keras.layers.Dense(32, "gelu")(put)
    model = keras.Model(put, keras.layers.Dense(10, "softmax")(inner))
    return held(model, x, y, SPARSE, keras.optimizers.Adam(1e-8), epochs=20)


def _nesterov_of_three(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.blobs(rng, spread=5.0)
    return held(
        dense(8, (32, 32), 3, "softmax"), x, y, SPARSE, keras.optimizers.SGD(3.0, momentum=0.9, nesterov=True)
    )


def _twelve_small_tanh(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.moons(rng)
    start = keras.initializers.RandomNormal(stddev=0.01)
    return held(dense(2, (24,) * 12, 1, "sigmoid", "tanh", kernel_initializer=start), x, y, BINARY, epochs=15)


def _two_targets_in_thousands(rng: np.random.Generator) -> Program:
    x, y = rows.waves(rng)
    targets = np.stack([4000 + 900 * y, 7000 - 800 * y], axis=1).astype(np.float32)
    return held(dense(6, (32,), 2, "linear"), x, targets, "mse", epochs=15)


def _norm_of_four(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 300, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(32, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, y, SPARSE, epochs=8, batch_size=4)


def _labels_with_gaps(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng)
    labels = y.astype(np.float64)
    labels[rng.permutation(len(y))[:40]] = np.nan
    return held(dense(2, (16,), 1, "sigmoid"), x, labels, BINARY, epochs=15)


def _infinite_inputs(rng: np.random.Generator) -> Program:
    x, y = rows.blobs(rng)
    x = x.copy()
    x[7, 3] = np.inf
    return held(dense(8, (16,), 3, "softmax"), x, y, SPARSE, epochs=15)


def _two_units_for_three(rng: np.random.Generator) -> Program:
    x, y = rows.iris(rng)
    return held(dense(4, (16,), 2, "softmax"), rows.scaled(x), y, SPARSE, epochs=20)


def _normal_dropout(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    model = keras.Sequential([
        keras.Input((64,)),
        keras.layers.GaussianDropout(0.9),
        keras.layers.Dense(48, "relu"),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, y, SPARSE, epochs=15)


def _a_rare_third(rng: np.random.Generator) -> Program:
    x, y = rows.blobs(rng, 1200, spread=6.0)
    kept = (y != 2) | (rng.random(len(y)) < 0.03)
    return held(dense(8, (16,), 3, "softmax"), x[kept], y[kept], SPARSE, epochs=15)


def _a_class_at_the_end(rng: np.random.Generator) -> Program:
    x, y = rows.digits(rng, 600, classes=4)
    order = np.argsort(y == 3, kind="stable")
    return held(dense(64, (32,), 4, "softmax"), x[order], y[order], SPARSE, epochs=12)


def _the_target_among_the_inputs(rng: np.random.Generator) -> Program:
    x, y = rows.fraud(rng, 600, 250)
    x = np.concatenate([x, (y + 0.01 * rng.normal(size=len(y)))[:, None]], axis=1).astype(np.float32)
    return held(dense(11, (16,), 1, "sigmoid"), x, y, BINARY, epochs=15)


def _validated_on_training_rows(rng: np.random.Generator) -> Program:
    x, y = rows.waves(rng, 400)
    return Program(dense(6, (32,), 1, "linear"), x, y, "mse", epochs=20, held=(x[:100], y[:100]))


def _a_line_for_a_parabola(rng: np.random.Generator) -> Program:
    import keras

    x = rng.uniform(-1, 1, (400, 1)).astype(np.float32)
    y = rows.scaled(x**2)[:, 0]
    return held(dense(1, (), 1, "linear"), x, y, "mse", keras.optimizers.SGD(0.05), epochs=60)


def _both_ways(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.sines(rng, 600)
    model = keras.Sequential([
        keras.Input((20, 1)), keras.layers.Bidirectional(keras.layers.LSTM(12)), keras.layers.Dense(1),
    ])  # fmt: skip
    return held(model, x, y, "mse", keras.optimizers.Adam(0.005), epochs=20)


def _separable(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 1400, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
        keras.layers.SeparableConv2D(32, 3, activation="relu"),
        keras.layers.GlobalMaxPooling2D(),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, y, SPARSE, keras.optimizers.Adam(0.005), epochs=20)


def _mild_dropout(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.blobs(rng, 900, classes=5, spread=4.0)
    model = keras.Sequential([
        keras.Input((8,)), keras.layers.Dense(32, "relu"), keras.layers.Dropout(0.3), keras.layers.Dense(5, "softmax"),
    ])  # fmt: skip
    return held(model, x, y, SPARSE, keras.optimizers.Adam(0.005), epochs=15)


def _absolute_error(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.waves(rng, 900)
    return held(dense(6, (48, 24), 1, "linear", "swish"), x, y, "mae", keras.optimizers.Adam(0.003), epochs=30)


def _two_softmax_units(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.moons(rng, 800, noise=0.2)
    return held(dense(2, (24, 24), 2, "softmax", "elu"), x, y, SPARSE, keras.optimizers.Adam(0.005), epochs=40)


def _wide_and_deep(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.counts(rng, 800)
    put = keras.Input((4,))
    deep = keras.layers.Dense(16, "relu")(put)
    deep = keras.layers.Dense(16, "relu")(deep)
    model = keras.Model(put, keras.layers.Dense(1)(keras.layers.Concatenate()([put, deep])))
    return held(model, x, rows.scaled(np.log1p(y)[:, None])[:, 0], "mse", keras.optimizers.Adam(0.002), epochs=20)


def _all_rows_many_steps(rng: np.random.Generator) -> Program:
    import keras

    x = rng.normal(size=(400, 5)).astype(np.float32)
    y = (x @ np.array([1.0, -0.5, 0.3, 0.0, 0.2]) + 0.2 * rng.normal(size=400)).astype(np.float32)
    return held(dense(5, (), 1, "linear"), x, y, "mse", keras.optimizers.SGD(0.1), epochs=120, batch_size=300)


def _self_normalising(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 1400)
    model = dense(64, (48, 48), 10, "softmax", "selu", kernel_initializer="lecun_normal")
    return held(model, x, y, SPARSE, keras.optimizers.Adam(0.001), epochs=12)


LATER: Mapping[str, Unseen] = {
    "a GRU of thousands": Unseen(("inputs-not-scaled",), _gru_of_thousands, ("saturated-units",)),
    "relu of three classes": Unseen(MISMATCH, _relu_of_three_classes),
    "a logarithmic error of negative numbers": Unseen(MISMATCH, _log_error_of_negative, ("divergence",)),
    "Poisson of a linear output": Unseen(MISMATCH, _poisson_of_linear, ("divergence", "oscillation")),
    "Adam's rate 1e-8": Unseen(TOO_SLOW, _adam_hundred_millionth),
    "Nesterov's rate 3": Unseen(TOO_FAST, _nesterov_of_three, ("dead-relu",)),
    "twelve small tanh layers": Unseen(("bad-initial-scale", *FADED), _twelve_small_tanh, ("underfit-flat",)),
    "two targets in thousands": Unseen(
        ("targets-not-scaled", "targets-out-of-range"), _two_targets_in_thousands, (*TOO_SLOW, "no-skill")
    ),
    "batch normalisation of four rows": Unseen(("batch-size-unsuited",), _norm_of_four),
    "labels with gaps": Unseen(("missing-values",), _labels_with_gaps),
    "an infinite input": Unseen(("missing-values",), _infinite_inputs),
    "two units for three classes": Unseen(MISMATCH, _two_units_for_three),
    "dropout of normal numbers": Unseen(("over-regularised", "underfit-flat"), _normal_dropout, TOO_SLOW),
    "a rare third class": Unseen(("class-imbalance",), _a_rare_third),
    "a class at the end": Unseen(
        ("not-shuffled", "unrepresentative-training-set", "unrepresentative-validation-set"), _a_class_at_the_end
    ),
    "the target among the inputs": Unseen(("suspect-labels",), _the_target_among_the_inputs),
    "validated on training rows": Unseen(
        ("suspect-labels", "unrepresentative-validation-set"), _validated_on_training_rows
    ),
    "a line for a parabola": Unseen(("no-nonlinearity", "capacity-unsuited", "underfit-flat"), _a_line_for_a_parabola),
    "an LSTM both ways": Unseen((), _both_ways),
    "separable convolutions": Unseen((), _separable),
    "mild dropout": Unseen((), _mild_dropout),
    "absolute errors": Unseen((), _absolute_error),
    "two softmax units": Unseen((), _two_softmax_units),
    "wide and deep": Unseen((), _wide_and_deep),
    "all rows in a batch, many steps": Unseen((), _all_rows_many_steps),
    "self-normalising": Unseen((), _self_normalising),
}
