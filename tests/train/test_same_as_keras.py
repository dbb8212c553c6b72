"""With early stopping off, training a Keras model is the training that Keras' own fit would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tests.train.same_fit import assert_same, both

# Keras 3.15 under NumPy 2.4: its variables' own `get_weights`.

N = 70  # a last partial batch of 6 in 16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5)).astype("float32")
QUANTITY = (X @ RNG.normal(size=5) + 0.1 * RNG.normal(size=N)).astype("float32")
LABEL = (QUANTITY > 0).astype("int32")
CLASS = np.digitize(QUANTITY, [-1.0, 1.0]).astype("int32")
WEIGHT = RNG.uniform(0.2, 2.0, N).astype("float32")
IMAGES = RNG.normal(size=(N, 6, 6, 1)).astype("float32")
SERIES = RNG.normal(size=(N, 4, 3)).astype("float32")


def everything() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(8, "tanh", kernel_regularizer=keras.regularizers.L2(0.01)),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(
                6, "relu", activity_regularizer=keras.regularizers.L2(0.1), kernel_constraint="max_norm"
            ),
            keras.layers.Dense(1),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=1.0),
        "mse",
        metrics=["mae"],
        weighted_metrics=["mse"],
    )
    return model


def scheduled() -> keras.Model:
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(8, "relu")(inputs)
    frozen = keras.layers.Dense(4, "tanh", trainable=False)(hidden)
    out = keras.layers.Dense(3, "softmax")(keras.layers.Concatenate()([hidden, frozen]))
    model = keras.Model(inputs, out)
    rate = keras.optimizers.schedules.ExponentialDecay(0.02, decay_steps=3, decay_rate=0.8)
    model.compile(keras.optimizers.AdamW(rate, use_ema=True), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.out = keras.layers.Dense(1)
        self.hidden = keras.layers.Dense(8, "elu")  # made last, used first

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.hidden(x))


def subclassed(*metrics: Any) -> keras.Model:
    model = Subclassed()
    precision = keras.metrics.Precision(thresholds=0.0, name="precision")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=[precision, *metrics])
    return model


def area() -> keras.Model:
    return subclassed(keras.metrics.AUC(20, from_logits=True, name="auc"))


def summed() -> keras.Model:
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.002), keras.losses.MeanSquaredError(reduction="sum"))
    return model


def scalar_loss() -> keras.Model:
    """A loss function of one's own that mixes the rows of a batch."""

    def loss(y: Any, p: Any) -> Any:
        return keras.ops.sqrt(keras.ops.mean(keras.ops.square(y - p)))

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), loss)
    return model


def mixing_operation() -> keras.Model:
    """An operation of the graph, not a layer, mixes the rows of a batch."""
    inputs = keras.Input((5,))
    centred = inputs - keras.ops.mean(inputs, axis=0, keepdims=True)
    model = keras.Model(inputs, keras.layers.Dense(1)(centred))
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=False, jit_compile=True)
    return model


def one_hot() -> keras.Model:
    model = keras.Sequential([keras.Input((5,)), keras.layers.LayerNormalization(), keras.layers.Dense(3, "softmax")])
    model.compile(
        keras.optimizers.RMSprop(0.01), keras.losses.CategoricalCrossentropy(label_smoothing=0.1), metrics=["accuracy"]
    )
    return model


def convolution() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def recurrent() -> keras.Model:
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Masking(), keras.layers.LSTM(4), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mae")
    return model


CASES: dict[str, tuple[Callable[[], keras.Model], Any, Any, dict[str, Any]]] = {
    "everything": (everything, X, QUANTITY, {"validation_split": 0.2, "sample_weight": WEIGHT}),
    "scheduled": (scheduled, X, CLASS, {"validation_data": (X[:30], CLASS[:30]), "class_weight": {0: 2.0, 2: 0.5}}),
    "subclassed": (subclassed, X, LABEL, {"validation_data": (X[:30], LABEL[:30], WEIGHT[:30])}),
    "summed": (summed, X, QUANTITY, {"validation_data": (X[:30], QUANTITY[:30])}),
}
SLOW = {
    "area": (area, X, LABEL, {"validation_split": 0.3}),
    "scalar loss": (scalar_loss, X, QUANTITY[:, None], {"validation_split": 0.3}),
    "mixing operation": (mixing_operation, X, QUANTITY[:, None], {}),
    "one hot": (one_hot, X, np.eye(3, dtype="float32")[CLASS], {"validation_split": 0.2, "class_weight": {0: 3.0}}),
    "convolution": (convolution, IMAGES, LABEL[:, None], {"validation_split": 0.2}),
    "recurrent": (recurrent, SERIES, QUANTITY, {"sample_weight": WEIGHT}),
}


def check(name: str) -> None:
    build, x, y, keywords = {**CASES, **SLOW}[name]
    history, theirs, run = both(build, x, y, **keywords)
    assert_same(history, theirs, run)


@pytest.mark.parametrize("name", CASES)
def test_same_curves_and_weights(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_same_curves_and_weights_of_more_models(name: str) -> None:
    check(name)


class TwoHeads(keras.Model):
    """Two inputs by name, two outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = keras.layers.Dense(6, "tanh")
        self.size = keras.layers.Dense(1, name="size")
        self.sort = keras.layers.Dense(3, "softmax", name="sort")

    def call(self, x: dict[str, Any]) -> dict[str, Any]:
        hidden = self.shared(keras.ops.concatenate([x["a"], x["b"]], axis=-1))
        return {"size": self.size(hidden), "sort": self.sort(hidden)}


def two_heads() -> keras.Model:
    model = TwoHeads()
    model.compile(
        keras.optimizers.SGD(0.05),
        {"size": "mse", "sort": "sparse_categorical_crossentropy"},
        loss_weights={"size": 0.3, "sort": 2.0},
        metrics={"size": ["mae"], "sort": ["accuracy"]},
    )
    return model


def two_in_a_list() -> keras.Model:
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    hidden = keras.layers.Dense(6, "tanh")(keras.layers.Concatenate()([a, b]))
    model = keras.Model(
        [a, b], [keras.layers.Dense(1, name="size")(hidden), keras.layers.Dense(3, "softmax", name="sort")(hidden)]
    )
    model.compile(
        keras.optimizers.SGD(0.05), ["mse", "sparse_categorical_crossentropy"], metrics=[["mae"], ["accuracy"]]
    )
    return model


def test_inputs_and_outputs_by_name() -> None:
    x, y = {"a": X[:, :2], "b": X[:, 2:]}, {"size": QUANTITY[:, None], "sort": CLASS}
    assert_same(*both(two_heads, x, y, validation_split=0.2))


@pytest.mark.slow
def test_inputs_and_outputs_in_a_list() -> None:
    assert_same(*both(two_in_a_list, [X[:, :2], X[:, 2:]], [QUANTITY[:, None], CLASS], validation_split=0.2))


class OwnLoss(keras.Model):
    """`compute_loss` overridden, and a metric of its own inside, as the Keras guide shows."""

    def __init__(self) -> None:
        super().__init__()
        self.out = keras.layers.Dense(1)
        self.seen = keras.metrics.Mean(name="seen")

    def call(self, x: Any) -> Any:
        return self.out(x)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        loss = keras.ops.mean(keras.ops.abs(y - y_pred) ** 1.5)
        self.seen.update_state(loss)
        return loss


@pytest.mark.slow
def test_a_loss_of_the_models_own_is_honoured() -> None:
    def build() -> keras.Model:
        model = OwnLoss()
        model.compile(keras.optimizers.SGD(0.05))
        return model

    assert_same(*both(build, X, QUANTITY[:, None], validation_split=0.3))
