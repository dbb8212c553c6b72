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
from fallline.keras_config import without_tensorflow
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
