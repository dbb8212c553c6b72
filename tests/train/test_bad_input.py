"""Mistakes in the call are answered in words, before anything is compiled."""

from __future__ import annotations

import importlib
import re
from typing import Any

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.errors import BackendError, DataError, FalllineError, InputError
from fallline.recipe import override
from fallline.train.arrays import as_inputs
from fallline.types import Recipe

N = 40
X = np.random.default_rng(0).normal(size=(N, 4)).astype("float32")
Y = X[:, 0]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


class Stepping(keras.Model):
    def train_step(self, *args: Any) -> Any:
        return super().train_step(*args)


def stepping() -> keras.Model:
    inputs = keras.Input((4,))
    made = Stepping(inputs, keras.layers.Dense(1)(inputs))
    made.compile("sgd", "mse")
    return made


def compiled(*layers: keras.layers.Layer, **keywords: Any) -> keras.Model:
    made = keras.Sequential([keras.Input((4,)), *layers])
    made.compile(**keywords)
    return made


def two_outputs() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])


WRONG_X = X.copy()
WRONG_X[3, 2] = np.nan
stopping = keras.callbacks.EarlyStopping
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "NaN in x": ({"x": WRONG_X}, r"x holds nan at index (3, 2)"),
    "infinite y": ({"y": np.where(np.arange(N) == 5, np.inf, Y)}, r"y holds inf at index (5,)"),
    "text": ({"x": np.full((N, 4), "a")}, "x holds <U1 values; a Keras model takes numbers"),
    "objects": ({"y": np.array([None] * N)}, "y holds object values"),
    "ragged": ({"x": [[1.0, 2.0], [3.0]]}, "x is no array: its rows have different lengths"),
    "lengths": ({"y": Y[:-1]}, "The arrays of x and y have [39, 40] rows"),
    "a number": ({"x": 3.0, "y": 1.0}, "at least 1"),
    "nothing": ({"x": X[:0], "y": Y[:0]}, "at least 1"),
    "no y": ({"y": None}, "fl.train(model, x, y)"),
    "width": ({"x": X[:, :3]}, "does not accept x of the shape ('rows', 3)"),
    "width in Keras' words": ({"x": X[:, :3]}, "expected axis -1 of input shape to have value 4"),
    "targets": ({"y": np.zeros((N, 5, 2), "float32")}, "do not accept these targets"),
    "no epochs": ({"epochs": 0}, "epochs = 0 is not allowed: it takes a whole number of at least 1"),
    "half an epoch": ({"epochs": 1.5}, "epochs = 1.5 is not allowed"),
    "batch": ({"batch_size": -1}, "batch_size = -1 is not allowed"),
    "batch of text": ({"batch_size": "big"}, "batch_size = 'big' is not allowed"),
    "seed": ({"seed": -1}, "seed = -1 is not allowed"),
    "split": ({"validation_split": 1.5}, "validation_split = 1.5 is not allowed"),
    "small split": ({"validation_split": 0.999}, "leaves one side empty"),
    "validation": ({"validation_data": X}, "validation_data takes (x, y) or (x, y, sample_weight)"),
    "validation's width": (
        {"validation_data": (X[:, :2], Y)},
        "x has the shape ('rows', 4) in training but ('rows', 2) in validation_data",
    ),
    "validation's structure": ({"validation_data": ({"a": X}, Y)}, "they must agree"),
    "validation's length": ({"validation_data": (X, Y[:3])}, "The arrays of validation_data have [3, 40] rows"),
    "validation's weights": (
        {"validation_data": (X, Y, [1.0, 2.0])},
        "validation sample_weight of shape (2,) is not allowed",
    ),
    "weights": ({"sample_weight": -np.ones(N)}, "sample_weight of shape (40,) is not allowed"),
    "weights as a dict": ({"sample_weight": {"a": np.ones(N)}}, "sample_weight"),
    "class weights by name": ({"class_weight": "balance"}, "class_weight = 'balance' is not allowed"),
    "class weights": ({"class_weight": {"cat": 2.0}}, "class_weight has the entry 'cat'"),
    "stopping": ({"early_stopping": "soon", "validation_split": 0.5}, 'stopping.criterion = "soon" is not allowed'),
    "stopping by 2.5": ({"early_stopping": 2.5, "validation_split": 0.5}, "early_stopping = 2.5 is not allowed"),
    "patience": ({"early_stopping": -3, "validation_split": 0.5}, "early_stopping = -3 is not allowed"),
    "stopping alone": ({"early_stopping": 5}, "early_stopping needs validation rows"),
    "another monitor": (
        {"early_stopping": stopping("val_mae"), "validation_split": 0.5},
        "stops by the smallest 'val_loss'",
    ),
    "baseline": ({"early_stopping": stopping("val_loss", baseline=0.1), "validation_split": 0.5}, "baseline"),
    "target": ({"target": "price"}, "target and kind belong to tables"),
    "activity penalty of a recipe": (
        {"recipe": override(Recipe(), ["activity_l1=0.1"])},
        "activity_regularizer",
    ),
    "factors of a recipe": (
        {"recipe": override(Recipe(), ["penalty_factors=[1, 0, 1, 1]"])},
        "have kernels",
    ),
    "weights of classes twice": (
        {"recipe": override(Recipe(), ["class_weight=balanced"]), "class_weight": {0: 2.0}},
        "Both class_weight and training.class_weight",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_answered(model: keras.Model, name: str) -> None:
    keywords, message = dict(CASES[name][0]), CASES[name][1]
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        fl.train(model, keywords.pop("x", X), keywords.pop("y", Y), **{"verbose": 0, "epochs": 1, **keywords})
    assert len(str(caught.value)) < 500


def half_precision() -> keras.Model:
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, dtype="mixed_float16")])
    made.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), "mse")
    return made


def frozen() -> keras.Model:
    made = compiled(keras.layers.Dense(1), optimizer="sgd", loss="mse")
    made.trainable = False
    return made


MODELS = {
    "all frozen": (frozen, Y, "has no weight that can be trained"),
    "no weights": (lambda: compiled(keras.layers.Flatten(), optimizer="sgd", loss="mse"), X, "has no weights"),
    "scaled loss": (half_precision, Y, "compiled with a scaled loss (mixed_float16)"),
    "own train_step": (stepping, Y, "overrides train_step, which fallline's engine cannot honour"),
    "no loss": (lambda: compiled(keras.layers.Dense(1), optimizer="sgd"), Y, "compiled without a loss"),
    "several outputs": (two_outputs, [Y, Y], "must be compiled first, with one loss per output"),
    "several outputs, one target": (two_outputs, Y, "must be compiled first"),
    "targets of another width": (
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), Y, "gives 2 value(s) per row",
    ),
    "one-hot for a sparse loss": (
        lambda: compiled(keras.layers.Dense(3, "softmax"), optimizer="sgd", loss="sparse_categorical_crossentropy"),
        np.eye(3, dtype="float32")[np.arange(N) % 3], "do not accept these targets",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_cannot_be_trained_so_is_refused(name: str) -> None:
    build, y, message = MODELS[name]
    with pytest.raises(InputError, match=re.escape(message)):
        fl.train(build(), X, y, epochs=1, verbose=0, watch=False)


def test_another_backend_is_refused(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(
        BackendError, match=r"'torch' backend, but fallline trains with JAX\. Import fallline before keras"
    ):
        fl.train(model, X, Y, watch=False)


TABLE: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "preset": (("defualt", X, Y), {}, "Did you mean 'default'"),
    "nothing": ((), {}, "There is nothing to learn from"),
    "not a model": ((3, X, Y), {}, "fl.train was given int first"),
    "twice": ((Recipe(), X, Y), {"recipe": Recipe()}, "a recipe twice"),
    "validation data": (("simple", X, Y), {"validation_data": (X, Y)}, "validation_data belongs to Keras models"),
    "class weight": (("simple", X, Y), {"class_weight": {0: 1.0}}, "training.class_weight"),
    "stopping": (("simple", X, Y), {"early_stopping": "soon"}, 'stopping.criterion = "soon" is not allowed'),
    "stopping of a wrong type": (("simple", X, Y), {"early_stopping": 2.5}, "2.5 is not allowed for a recipe"),
    "epochs": (("simple", X, Y), {"epochs": 0}, "epochs"),
    "constant columns": (("simple", np.ones((N, 2)), Y), {}, "column"),
}


def test_finite_inputs_are_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(importlib.import_module("fallline.train.arrays"), "fills_gaps", again)
    given = as_inputs(None, {"a": X, "b": [np.ones(3), np.ones((3, 2), int)]}, "x")
    assert given["a"].dtype == np.float32
    assert [a.dtype for a in given["b"]] == [np.float32, np.int32]
    with pytest.raises(DataError, match=re.escape("x['a'] holds inf at index (3, 2)")):
        as_inputs(None, {"a": np.where(np.isnan(WRONG_X), np.inf, X)}, "x")


@pytest.mark.parametrize("filled", [True, False])
def test_gaps_pass_where_the_model_fills_them(filled: bool) -> None:
    layers = [keras.layers.Lambda(keras.ops.nan_to_num)] if filled else []
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    if filled:
        assert np.isnan(as_inputs(model, WRONG_X, "x")).sum() == 1
        return
    with pytest.raises(DataError, match=re.escape("x holds nan at index (3, 2)")):
        as_inputs(model, WRONG_X, "x")


@pytest.mark.parametrize("name", TABLE)
def test_a_mistake_with_a_table_is_answered(name: str) -> None:
    positional, keywords, message = TABLE[name]
    with pytest.raises(FalllineError, match=re.escape(message)):
        fl.train(*positional, verbose=0, **keywords)
