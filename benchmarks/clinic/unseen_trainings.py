"""Faulty programs whose rates, networks or rows are at fault; what is wrong was written down before they were run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.clinic import unseen_rows as rows
from benchmarks.clinic.unseen_program import FADED, GAP, NO_SIGNAL, TOO_FAST, TOO_SLOW, Program, Unseen, dense, held

__all__ = ["TRAININGS"]

def _one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[y]


def _adam_a_tenth(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    model = dense(64, (64, 64), 10, "softmax")
    return held(model, x, y, "sparse_categorical_crossentropy", keras.optimizers.Adam(0.1))


def _sgd_ten_millionth(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.iris(rng)
    model = dense(4, (10,), 3, "softmax")
    return held(
        model, rows.scaled(x), _one_hot(y, 3), "categorical_crossentropy", keras.optimizers.SGD(1e-7), epochs=50
    )


def _adadelta(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, _one_hot(y, 10), "categorical_crossentropy", keras.optimizers.Adadelta(), epochs=12)


def _one_epoch(rng: np.random.Generator) -> Program:
    x, y = rows.digits(rng)
    return held(dense(64, (32,), 10, "softmax"), x, y, "sparse_categorical_crossentropy", "sgd", epochs=1)


def _whole_batch(rng: np.random.Generator) -> Program:
    x, y = rows.digits(rng)
    model = dense(64, (64,), 10, "softmax")
    return held(model, x, y, "sparse_categorical_crossentropy", "sgd", epochs=10, batch_size=600)


def _batch_of_one(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.waves(rng, 200)
    return held(dense(6, (32, 32), 1, "linear"), x, y, "mse", keras.optimizers.Adam(0.02), epochs=10, batch_size=1)


def _norm_of_two(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, 300)
    model = keras.Sequential([
        keras.Input((64,)),
        keras.layers.Dense(32),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("relu"),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, y, "sparse_categorical_crossentropy", epochs=8, batch_size=2)


def _sgd_of_one(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    model = dense(64, (64, 64, 64), 10, "softmax")
    return held(model, x, y, "sparse_categorical_crossentropy", keras.optimizers.SGD(1.0, momentum=0.9))


def _xor_without_hidden(rng: np.random.Generator) -> Program:
    x, y = rows.xor()
    return Program(dense(2, (), 1, "sigmoid"), x, y, "binary_crossentropy", "sgd", epochs=200, batch_size=4)


def _deep_sigmoid(rng: np.random.Generator) -> Program:
    x, y = rows.digits(rng)
    model = dense(64, (64,) * 8, 10, "softmax", "sigmoid")
    return held(model, x, y, "sparse_categorical_crossentropy", "sgd")


def _zeros(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.moons(rng)
    put = keras.Input((2,))
    inner = keras.layers.Dense(16, "tanh", kernel_initializer="zeros")(put)
    inner = keras.layers.Dense(16, "tanh", kernel_initializer="zeros")(inner)
    model = keras.Model(put, keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros")(inner))
    return held(model, x, y, "binary_crossentropy", epochs=20)


def _he_times_ten(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    start = keras.initializers.VarianceScaling(200.0)
    model = dense(64, (48,) * 4, 10, "softmax", kernel_initializer=start)
    return held(model, x, y, "sparse_categorical_crossentropy")


def _no_activation(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.moons(rng, noise=0.1)
    put = keras.Input((2,))
    inner = keras.layers.Dense(64)(put)
    inner = keras.layers.Dense(64)(inner)
    inner = keras.layers.Dense(32)(inner)
    model = keras.Model(put, keras.layers.Dense(1, "sigmoid")(inner))
    return held(model, x, y, "binary_crossentropy", epochs=30)


def _dropout_of_nine_tenths(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.9),
        keras.layers.Dense(32, "relu"),
        keras.layers.Dropout(0.9),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, y, "sparse_categorical_crossentropy")


def _l2_of_one(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    model = dense(64, (64, 32), 10, "softmax", kernel_regularizer=keras.regularizers.L2(1.0))
    return held(model, x, y, "sparse_categorical_crossentropy")


def _activity_penalty(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.blobs(rng)
    model = dense(8, (32, 32), 3, "softmax", activity_regularizer=keras.regularizers.L1(0.1))
    return held(model, x, y, "sparse_categorical_crossentropy", epochs=20)


def _norm_then_dropout(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng, images=True)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(32, "relu"),
        keras.layers.Dropout(0.5),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(10, "softmax"),
    ])
    return held(model, x, y, "sparse_categorical_crossentropy")


def _nothing_trainable(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.digits(rng)
    base = dense(64, (32,), 16, "relu")
    base.trainable = False
    last = keras.layers.Dense(10, "softmax")
    model = keras.Sequential([keras.Input((64,)), base, last])
    last.trainable = False
    return held(model, x, y, "sparse_categorical_crossentropy", epochs=5)


def _forgetful(rng: np.random.Generator) -> Program:
    import keras

    x = rng.normal(size=(400, 120, 1)).astype(np.float32)
    y = (x[:, 0, 0] > 0).astype(np.int32)
    model = keras.Sequential([
        keras.Input((120, 1)), keras.layers.SimpleRNN(8), keras.layers.Dense(1, "sigmoid"),
    ])  # fmt: skip
    return held(model, x, y, "binary_crossentropy", epochs=12)


def _narrow_code(rng: np.random.Generator) -> Program:
    x, _ = rows.digits(rng)
    return held(dense(64, (1,), 64, "sigmoid"), x, x, "mse", epochs=25)


def _huge_for_few(rng: np.random.Generator) -> Program:
    x, y = rows.blobs(rng, rows=120, classes=2, columns=40, spread=8.0)
    model = dense(40, (512, 512), 1, "sigmoid")
    return held(model, x, np.where(rng.random(120) < 0.2, 1 - y, y), "binary_crossentropy", epochs=60)


def _sorted_rows(rng: np.random.Generator) -> Program:
    x, y = rows.digits(rng, classes=4, rows=500)
    order = np.argsort(y, kind="stable")
    model = dense(64, (32,), 4, "softmax")
    return held(
        model, x[order], y[order], "sparse_categorical_crossentropy", more={"shuffle": False}, epochs=12
    )


def _one_in_a_hundred(rng: np.random.Generator) -> Program:
    x, y = rows.fraud(rng)
    return held(dense(10, (16,), 1, "sigmoid"), x, y, "binary_crossentropy", epochs=10)


def _labels_of_other_rows(rng: np.random.Generator) -> Program:
    x, y = rows.digits(rng)
    model = dense(64, (32,), 10, "softmax")
    return held(model, x, rng.permutation(y), "sparse_categorical_crossentropy", epochs=15)


def _five_validation_rows(rng: np.random.Generator) -> Program:
    x, y = rows.moons(rng, 400, noise=0.3)
    return Program(
        dense(2, (16,), 1, "sigmoid"), x[5:], y[5:], "binary_crossentropy", epochs=25, held=(x[:5], y[:5])
    )


def _one_class_only(rng: np.random.Generator) -> Program:
    x, _ = rows.moons(rng)
    return held(dense(2, (16,), 1, "sigmoid"), x, np.zeros(len(x), np.int32), "binary_crossentropy")


def _text_by_heart(rng: np.random.Generator) -> Program:
    import keras

    x, y = rows.texts(rng, 160, words=2000)
    wrong = rng.random(len(y)) < 0.2
    model = keras.Sequential([
        keras.Input((12,)),
        keras.layers.Embedding(2000, 32),
        keras.layers.LSTM(32),
        keras.layers.Dense(1, "sigmoid"),
    ])
    return held(model, x, np.where(wrong, 1 - y, y), "binary_crossentropy", epochs=40)


TRAININGS: Mapping[str, Unseen] = {
    "Adam's rate a tenth": Unseen(TOO_FAST, _adam_a_tenth, ("dead-relu", "underfit-flat", "no-skill")),
    "SGD's rate 1e-7": Unseen(TOO_SLOW, _sgd_ten_millionth, ("layer-not-learning", "no-skill")),
    "Adadelta as it comes": Unseen((*TOO_SLOW, "plateau"), _adadelta, ("layer-not-learning",)),
    "one epoch of SGD": Unseen(TOO_SLOW, _one_epoch),
    "all rows in one batch": Unseen(("batch-size-unsuited", *TOO_SLOW), _whole_batch),
    "batches of one row": Unseen(("batch-size-unsuited", *TOO_FAST), _batch_of_one, ("overfit",)),
    "batch normalisation of two rows": Unseen(("batch-size-unsuited",), _norm_of_two, ("oscillation",)),
    "SGD's rate 1 with momentum": Unseen(TOO_FAST, _sgd_of_one, ("dead-relu", "underfit-flat", "no-skill")),
    "XOR without a hidden layer": Unseen(
        ("no-nonlinearity", "capacity-unsuited", "underfit-flat"), _xor_without_hidden,
        ("no-skill", "batch-size-unsuited"),
    ),
    "eight sigmoid layers of digits": Unseen(FADED, _deep_sigmoid, ("underfit-flat", "no-skill", *TOO_SLOW)),
    "zeros in a functional model": Unseen(
        ("symmetric-units", "bad-initial-scale"), _zeros, ("underfit-flat", "no-skill", "layer-not-learning")
    ),
    "ten times He's start": Unseen(
        ("bad-initial-scale", "exploding-gradients"), _he_times_ten, ("overfit", "oscillation", "divergence")
    ),
    "no activation in a functional model": Unseen(
        ("no-nonlinearity", "capacity-unsuited", "underfit-flat"), _no_activation
    ),
    "dropout of nine tenths": Unseen(("over-regularised", "underfit-flat"), _dropout_of_nine_tenths, TOO_SLOW),
    "L2 of 1": Unseen(("over-regularised", "underfit-flat"), _l2_of_one, ("no-skill", "plateau")),
    "an activity penalty of a tenth": Unseen(
        ("over-regularised", "underfit-flat"), _activity_penalty, ("dead-relu", "no-skill")
    ),
    "dropout before batch normalisation": Unseen(("batch-norm-with-dropout",), _norm_then_dropout),
    "nothing trainable": Unseen(("layer-not-learning", "underfit-flat"), _nothing_trainable, ("no-skill", *TOO_SLOW)),
    "a forgetful recurrent layer": Unseen(
        (*FADED, "no-skill", "underfit-flat", "capacity-unsuited"), _forgetful, ("overfit",)
    ),
    "a code of one unit": Unseen(("capacity-unsuited", "underfit-flat"), _narrow_code, TOO_SLOW),
    "a huge network for few rows": Unseen(GAP, _huge_for_few),
    "rows in the order of the classes": Unseen(
        ("not-shuffled", "unrepresentative-training-set", "unrepresentative-validation-set"), _sorted_rows,
        ("overfit", "no-skill", "oscillation"),
    ),
    "one in a hundred": Unseen(("class-imbalance",), _one_in_a_hundred, ("no-skill",)),
    "labels of other rows": Unseen(NO_SIGNAL, _labels_of_other_rows),
    "five validation rows": Unseen(("unrepresentative-validation-set",), _five_validation_rows),
    "one class only": Unseen(("suspect-labels", "class-imbalance"), _one_class_only, ("no-skill",)),
    "a text learned by heart": Unseen(GAP, _text_by_heart),
}  # fmt: skip
