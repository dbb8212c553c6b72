"""Faulty programs whose data, outputs and losses do not fit; what is wrong was written down before they were run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.clinic import unseen_rows as rows
from benchmarks.clinic.unseen_program import FADED, MISMATCH, TOO_FAST, TOO_SLOW, Program, Unseen, dense, held

__all__ = ["DATA_AND_OUTPUTS"]

def _one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[y]


def _cnn_softmax_of_one(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, classes=2, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(32, "relu"),
        keras.layers.Dense(1, "softmax"),
    ])
    return held(model, x, y, "binary_crossentropy", epochs=8)


def _sigmoids_of_three_classes(rng: np.random.Generator) -> Program:
    x, y = rows.iris(rng)
    return held(
        dense(4, (16,), 3, "sigmoid"), rows.scaled(x), _one_hot(y, 3), "categorical_crossentropy", epochs=40
    )


def _softmax_for_a_number(rng: np.random.Generator) -> Program:
    x, y = rows.diabetes(rng)
    return held(dense(10, (32, 16), 1, "softmax"), x, y, "mse", epochs=20)


def _relu_for_standardised_numbers(rng: np.random.Generator) -> Program:
    x, y = rows.waves(rng)
    return held(dense(6, (32, 32), 1, "relu"), x, y, "mse", epochs=30)


def _sigmoid_for_prices(rng: np.random.Generator) -> Program:
    x, y = rows.waves(rng)
    return held(dense(6, (32,), 1, "sigmoid"), x, 250_000 + 80_000 * y, "mse", epochs=20)


def _tanh_for_percent(rng: np.random.Generator) -> Program:
    x, y = rows.waves(rng)
    return held(dense(6, (32,), 1, "tanh"), x, np.clip(50 + 20 * y, 0, 100), "mae", "rmsprop", epochs=20)


def _labels_from_one(rng: np.random.Generator) -> Program:
    x, y = rows.iris(rng)
    return held(dense(4, (16,), 3, "softmax"), rows.scaled(x), y + 1, "sparse_categorical_crossentropy", epochs=30)


def _mse_on_one_hot(rng: np.random.Generator) -> Program:
    x, y = rows.digits(rng)
    return held(dense(64, (64,), 10, "linear"), x, _one_hot(y, 10), "mse")


def _labels_of_minus_one(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng)
    return held(dense(2, (32, 16), 1, "sigmoid"), x, 2 * y - 1, "binary_crossentropy", epochs=30)


def _labels_are_words(rng: np.random.Generator) -> Program:
    x, y = rows.iris(rng)
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    return held(dense(4, (16,), 3, "softmax"), rows.scaled(x), words, "sparse_categorical_crossentropy")


def _one_hot_with_sparse(rng: np.random.Generator) -> Program:
    x, y = rows.blobs(rng)
    return held(dense(8, (16,), 3, "softmax"), x, _one_hot(y, 3), "sparse_categorical_crossentropy")


def _softmax_called_logits(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return held(dense(64, (64,), 10, "softmax"), x, y, loss)


def _logits_called_softmax(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, images=True)
    put = keras.Input((8, 8, 1))
    inner = keras.layers.Conv2D(8, 3, activation="relu")(put)
    inner = keras.layers.GlobalMaxPooling2D()(inner)
    model = keras.Model(put, keras.layers.Dense(10)(inner))
    return held(model, x, y, keras.losses.SparseCategoricalCrossentropy())


def _categorical_with_one_unit(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng)
    return held(dense(2, (16,), 1, "sigmoid"), x, y.astype(np.float32), "categorical_crossentropy")


def _sparse_with_one_unit(rng: np.random.Generator) -> Program:
    x, y = rows.blobs(rng, classes=2)
    return held(dense(8, (12, 8), 1, "sigmoid"), x, y, "sparse_categorical_crossentropy")


def _two_units_one_label(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng)
    return held(dense(2, (16,), 2, "softmax"), x, y, "binary_crossentropy")


def _softmax_of_many_labels(rng: np.random.Generator) -> Program:
    x = rng.normal(size=(600, 8)).astype(np.float32)
    y = (x @ rng.normal(size=(8, 5)) > 0).astype(np.float32)
    return held(dense(8, (32,), 5, "softmax"), x, y, "categorical_crossentropy", epochs=20)


def _hinge_with_sigmoid(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng)
    return held(dense(2, (16,), 1, "sigmoid"), x, y, "hinge", epochs=25)


def _autoencoder_relu_output(rng: np.random.Generator) -> Program:
    hidden = rng.normal(size=(600, 3))
    x = rows.scaled(hidden @ rng.normal(size=(3, 12)) + 0.1 * rng.normal(size=(600, 12)))
    return held(dense(12, (8, 3, 8), 12, "relu", "tanh"), x, x, "mse", epochs=30)


def _lstm_unscaled(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.passengers(rng)
    model = keras.Sequential([keras.Input((12, 1)), keras.layers.LSTM(16), keras.layers.Dense(1)])
    return held(model, x, y, "mse", epochs=15)


def _tanh_of_pixels(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    return held(
        dense(64, (64, 32), 10, "softmax", "tanh"), x * 255, y, "sparse_categorical_crossentropy",
        keras.optimizers.SGD(0.01),
    )  # fmt: skip


def _cnn_of_bytes(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, np.round(x * 255).astype(np.float64), y, "sparse_categorical_crossentropy", epochs=8)


def _word_numbers_as_inputs(rng: np.random.Generator) -> Program:
    x, y = rows.texts(rng, words=5000)
    return held(dense(12, (32,), 1, "sigmoid"), x.astype(np.float32), y, "binary_crossentropy", epochs=15)


def _target_in_millions(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.waves(rng)
    return held(dense(6, (32,), 1, "linear"), x, 1e6 * (3 + y), "mse", keras.optimizers.SGD(0.01), epochs=15)


def _validation_unscaled(rng: np.random.Generator) -> Program:
    x, y = rows.iris(rng)
    (x, y), (val_x, val_y) = rows.cut(x * np.array([10, 10, 10, 10], np.float32), y)
    return Program(
        dense(4, (16,), 3, "softmax"), rows.scaled(x), y, "sparse_categorical_crossentropy", epochs=40,
        held=(val_x, val_y),
    )  # fmt: skip


def _holes_in_y(rng: np.random.Generator) -> Program:
    x, y = rows.diabetes(rng)
    y = rows.scaled(y[:, None])[:, 0]
    y[rng.permutation(len(y))[:12]] = np.nan
    return held(dense(10, (16,), 1, "linear"), x, y, "mse", epochs=20)


def _holes_in_x(rng: np.random.Generator) -> Program:
    x, y = rows.iris(rng)
    x = rows.scaled(x)
    x[rng.permutation(len(x))[:10], 2] = np.nan
    return held(dense(4, (16,), 3, "softmax"), x, y, "sparse_categorical_crossentropy", epochs=20)


def _constant_and_double_columns(rng: np.random.Generator) -> Program:
    x, y = rows.waves(rng)
    x = np.concatenate([x, np.ones((len(x), 1)), x[:, :2] * 3], axis=1).astype(np.float32)
    return held(dense(9, (32, 32), 1, "linear"), x, y, "mse", epochs=30)


DATA_AND_OUTPUTS: Mapping[str, Unseen] = {
    "a CNN with softmax of one unit": Unseen(MISMATCH, _cnn_softmax_of_one, ("underfit-flat", "no-skill")),
    "sigmoids of three classes, categorical cross-entropy": Unseen(MISMATCH, _sigmoids_of_three_classes),
    "softmax for a number": Unseen(
        MISMATCH, _softmax_for_a_number, ("targets-not-scaled", "underfit-flat", "no-skill")
    ),
    "relu for standardised numbers": Unseen(MISMATCH, _relu_for_standardised_numbers, ("dead-relu", "underfit-flat")),
    "sigmoid for prices": Unseen(MISMATCH, _sigmoid_for_prices, ("targets-not-scaled", "underfit-flat", "no-skill")),
    "tanh for percent": Unseen(MISMATCH, _tanh_for_percent, ("targets-not-scaled", "underfit-flat", "no-skill")),
    "labels from one": Unseen((*MISMATCH, "suspect-labels"), _labels_from_one, ("divergence",)),
    "squared error on one-hot labels": Unseen(MISMATCH, _mse_on_one_hot),
    "labels of -1 and 1": Unseen((*MISMATCH, "suspect-labels"), _labels_of_minus_one, ("divergence",)),
    "labels are words": Unseen((*MISMATCH, "suspect-labels"), _labels_are_words),
    "one-hot labels with the sparse loss": Unseen(MISMATCH, _one_hot_with_sparse),
    "softmax called logits": Unseen(MISMATCH, _softmax_called_logits, TOO_SLOW),
    "logits called softmax": Unseen(MISMATCH, _logits_called_softmax, ("divergence", "underfit-flat")),
    "categorical cross-entropy of one unit": Unseen(
        MISMATCH, _categorical_with_one_unit, ("underfit-flat", "no-skill")
    ),
    "sparse cross-entropy of one unit": Unseen(MISMATCH, _sparse_with_one_unit, ("underfit-flat", "no-skill")),
    "two units for one label": Unseen(MISMATCH, _two_units_one_label),
    "softmax for many labels at once": Unseen(MISMATCH, _softmax_of_many_labels, ("underfit-flat",)),
    "hinge with sigmoid": Unseen(MISMATCH, _hinge_with_sigmoid),
    "an autoencoder with relu output": Unseen(MISMATCH, _autoencoder_relu_output, ("dead-relu", "underfit-flat")),
    "an LSTM of an unscaled series": Unseen(
        ("targets-not-scaled", "inputs-not-scaled"), _lstm_unscaled,
        ("underfit-flat", "underfit-stopped-early", "learning-rate-too-low", "not-shuffled", "saturated-units",
         "unrepresentative-validation-set", "unrepresentative-training-set", "no-skill", "inputs-correlated"),
    ),
    "tanh of pixels": Unseen(("inputs-not-scaled", "saturated-units"), _tanh_of_pixels, FADED),
    "a CNN of bytes": Unseen(("inputs-not-scaled",), _cnn_of_bytes),
    "word numbers as inputs": Unseen(
        ("inputs-not-scaled",), _word_numbers_as_inputs, ("no-skill", "underfit-flat", *TOO_FAST, "overfit")
    ),
    "a target in millions": Unseen(
        ("targets-not-scaled", "targets-out-of-range"), _target_in_millions, (*TOO_FAST, "dead-relu")
    ),
    "validation rows unscaled": Unseen(
        ("unrepresentative-validation-set", "unrepresentative-training-set"), _validation_unscaled, ("overfit",)
    ),
    "holes in the targets": Unseen(("missing-values", "suspect-labels"), _holes_in_y, ("divergence",)),
    "holes in the inputs of iris": Unseen(("missing-values",), _holes_in_x, ("divergence",)),
    "a constant and two double columns": Unseen(("inputs-correlated",), _constant_and_double_columns),
}  # fmt: skip
