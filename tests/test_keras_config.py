"""Writing a model as data costs no import of TensorFlow."""

from __future__ import annotations

import importlib.abc
import sys
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.utils import module_utils

import fallline as fl
from fallline.keras_config import cloned, compile_like, without_tensorflow
from fallline.store.model_file import model_bytes
from fallline.treatments import design_of


class _Watch(importlib.abc.MetaPathFinder):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name == "tensorflow":
            self.asked.append(name)
            raise ModuleNotFoundError(name)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> _Watch:
    """A process in which TensorFlow could be imported and has not been."""
    found = _Watch()
    monkeypatch.setattr(sys, "meta_path", [found, *sys.meta_path])
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    for name in ("_available", "module"):
        monkeypatch.setattr(module_utils.tensorflow, name, None)
    return found


def _model() -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    return model


def test_saving_and_treating_do_not_import_tensorflow(watch: _Watch) -> None:
    model = _model()
    model_bytes(model)
    design_of(model)
    assert watch.asked == []
    keras.saving.serialize_keras_object(model)
    assert watch.asked  # Keras asks otherwise: without this the test above would prove nothing


def test_checking_a_model_that_is_not_built_does_not_import_tensorflow(watch: _Watch) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    fl.check(keras.Sequential([keras.layers.Dense(1)]), x, x[:, 0], loss="mse")
    assert watch.asked == []


def test_keras_is_left_as_it_was(watch: _Watch) -> None:
    with without_tensorflow():
        assert not module_utils.tensorflow.available
    assert module_utils.tensorflow._available is None


def test_a_tensorflow_that_is_there_is_asked(watch: _Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", keras)
    with without_tensorflow():
        assert module_utils.tensorflow._available is None


# ----------------------------------------------------------------------------------- functions of the user's own


def half_squares(y: Any, prediction: Any) -> Any:
    """A loss that no config can name."""
    return keras.ops.mean(keras.ops.square(y - prediction), axis=-1) / 2


def cube(x: Any) -> Any:
    """An activation that no config can name."""
    return x**3


@pytest.mark.parametrize("loss", [half_squares, lambda y, p: keras.ops.abs(y - p)], ids=["function", "lambda"])
def test_a_model_with_a_loss_of_ones_own_is_trained_many_times(loss: Any) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, cube), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.015625)
    model.compile(optimizer, loss=loss, metrics=[keras.metrics.MeanAbsoluteError()])
    runs = fl.train_many(model, x, x[:, 0], seeds=2, epochs=2, early_stopping=False, verbose=0)
    made = runs[1].model
    assert made.loss is loss
    assert made.optimizer is not optimizer
    assert float(made.optimizer.learning_rate) == 0.015625
    found = made.evaluate(x, x[:, 0], verbose=0)[0]
    assert found == pytest.approx(runs[1].history["loss"].iloc[-1], rel=1e-4)


def test_a_copy_takes_nothing_from_the_model() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, cube)])
    metric = keras.metrics.MeanAbsoluteError(name="own")
    model.compile("sgd", loss=half_squares, metrics=[metric])
    copy = cloned(model)
    compile_like(copy, model)
    assert model.compiled
    assert copy.layers[0].activation is cube
    assert copy.layers[0] is not model.layers[0]
    copy.evaluate(np.ones((3, 2)), np.ones(3), verbose=0)
    assert metric.count == 0.0
