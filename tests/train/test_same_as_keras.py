"""With early stopping off, training a Keras model is the training that Keras' own fit would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from fallline.train.keras_task import keras_task
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
TOKENS = RNG.integers(0, 4, (N, 6))


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


def pictures() -> keras.Model:
    """A class for every cell of a picture."""
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(3, 3, padding="same", activation="softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def steps() -> keras.Model:
    """Two quantities at every step of a sequence that is as long as the last batch has rows."""
    model = keras.Sequential([keras.Input((6, 6)), keras.layers.SimpleRNN(4, return_sequences=True)])
    model.add(keras.layers.Dense(2))
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return model


def masked_steps() -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Embedding(4, 3, mask_zero=True)])
    model.add(keras.layers.SimpleRNN(4, return_sequences=True))
    model.add(keras.layers.Dense(1, "sigmoid"))
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model


def picture_and_class() -> keras.Model:
    inputs = keras.Input((6, 6, 1))
    cells = keras.layers.Conv2D(1, 3, padding="same", name="cells")(inputs)
    one = keras.layers.Dense(1, "sigmoid", name="one")(keras.layers.Flatten()(cells))
    model = keras.Model(inputs, {"cells": cells, "one": one})
    model.compile(keras.optimizers.SGD(0.05), {"cells": "mae", "one": "binary_crossentropy"})
    return model


CASES: dict[str, tuple[Callable[[], keras.Model], Any, Any, dict[str, Any]]] = {
    "everything": (everything, X, QUANTITY, {"validation_split": 0.2, "sample_weight": WEIGHT}),
    "scheduled": (scheduled, X, CLASS, {"validation_data": (X[:30], CLASS[:30]), "class_weight": {0: 2.0, 2: 0.5}}),
    "subclassed": (subclassed, X, LABEL, {"validation_data": (X[:30], LABEL[:30], WEIGHT[:30])}),
    "summed": (summed, X, QUANTITY, {"validation_data": (X[:30], QUANTITY[:30])}),
    "steps": (steps, IMAGES[..., 0], np.cumsum(IMAGES[..., :1, 0].repeat(2, 2), 1), {"validation_split": 0.2}),
}
SLOW = {
    "area": (area, X, LABEL, {"validation_split": 0.3}),
    "scalar loss": (scalar_loss, X, QUANTITY[:, None], {"validation_split": 0.3}),
    "mixing operation": (mixing_operation, X, QUANTITY[:, None], {}),
    "one hot": (one_hot, X, np.eye(3, dtype="float32")[CLASS], {"validation_split": 0.2, "class_weight": {0: 3.0}}),
    "convolution": (convolution, IMAGES, LABEL[:, None], {"validation_split": 0.2}),
    "recurrent": (recurrent, SERIES, QUANTITY, {"sample_weight": WEIGHT}),
    "pictures": (pictures, IMAGES, (IMAGES[..., 0] > 0) * 2, {"validation_split": 0.2}),
    "masked steps": (masked_steps, TOKENS, (TOKENS > 1)[..., None] * 1, {}),
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


def test_a_weight_is_its_rows_whatever_the_loss_has_for_axes() -> None:
    """Keras takes no weights (b,) of such losses: it is asked for the loss of each row instead."""
    model = pictures()
    y = (IMAGES[..., 0] > 0) * 2
    rows = [model.evaluate(IMAGES[i : i + 1], y[i : i + 1], verbose=0)[0] for i in range(6)]
    task = keras_task(model, optimizer=None, numbers={}, seed=0, sample=(IMAGES[:2], y[:2]), weighted=True)
    loss, _ = task.task.loss(task.params, task.aux, {}, IMAGES[:6], y[:6], WEIGHT[:6])
    assert float(loss) == pytest.approx(np.mean(WEIGHT[:6] * rows), rel=1e-5)


def test_a_weight_belongs_to_every_output() -> None:
    model = picture_and_class()
    y = {"cells": IMAGES, "one": LABEL[:, None]}
    rows = []
    for i in range(4):
        one = keras.tree.map_structure(lambda a, i=i: a[i : i + 1], y)
        rows.append(model.evaluate(IMAGES[i : i + 1], one, verbose=0, return_dict=True)["loss"])
    sample = (IMAGES[:2], keras.tree.map_structure(lambda a: a[:2], y))
    task = keras_task(model, optimizer=None, numbers={}, seed=0, sample=sample, weighted=True)
    four = keras.tree.map_structure(lambda a: a[:4], y)
    loss, _ = task.task.loss(task.params, task.aux, {}, IMAGES[:4], four, WEIGHT[:4])
    assert float(loss) == pytest.approx(np.mean(WEIGHT[:4] * rows), rel=1e-5)


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
