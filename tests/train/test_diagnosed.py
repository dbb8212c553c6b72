"""Faults planted into small trainings are named first, and sound trainings of many shapes stay silent."""

from __future__ import annotations

import importlib
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, make_circles, make_moons

import fallline as fl
from fallline.errors import InputError
from fallline.keras_config import loss_weights

CIRCLES = tuple(np.asarray(a) for a in make_circles(400, factor=0.5, noise=0.1, random_state=1))
MOONS = tuple(np.asarray(a) for a in make_moons(400, noise=0.1, random_state=0))
IRIS = load_iris(return_X_y=True)
IRIS = ((IRIS[0] - IRIS[0].mean(axis=0)) / IRIS[0].std(axis=0), IRIS[1])
DIGITS = load_digits(return_X_y=True)
LINE = (np.linspace(-1, 1, 100)[:, None], np.linspace(-1, 1, 100) * 0.7 + 0.1)
CURVE = (np.linspace(-2, 2, 200)[:, None], np.sin(np.linspace(-2, 2, 200) * 2))
Dense = keras.layers.Dense
# Where a fault is not one of the shape, a network of a shape that stands here already needs no further compilation.


def network(data: Any, *layers: Any) -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input(np.shape(data[0])[1:]), *layers])


def sgd(rate: float, momentum: float = 0.0) -> Any:
    return keras.optimizers.SGD(rate, momentum=momentum)


def adam(rate: float = 0.01) -> Any:
    return keras.optimizers.Adam(rate)


def told(data: Any, layers: list[Any], loss: str, optimizer: Any, epochs: int, batch: int = 32, **more: Any) -> Any:
    x, y = np.asarray(data[0], np.float32), np.asarray(data[1])
    y = y.astype(np.float32) if y.dtype.kind == "f" else y
    return fl.diagnose_training(
        network(data, *layers), x, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch, **more
    )


BINARY = "binary_crossentropy"
SPARSE = "sparse_categorical_crossentropy"
FAULTS: dict[str, Any] = {
    "output-loss-mismatch": lambda: told(CIRCLES, [Dense(8, "relu"), Dense(1, "relu")], BINARY, adam(), 10),
    "inputs-not-scaled": lambda: told(
        (CIRCLES[0] * 500 + 1000, CIRCLES[1]), [Dense(8, "tanh"), Dense(1, "sigmoid")], BINARY, adam(), 20
    ),
    "learning-rate-too-high": lambda: told(CIRCLES, [Dense(8, "tanh"), Dense(1, "sigmoid")], BINARY, adam(5.0), 20),
    "learning-rate-too-low": lambda: told(CIRCLES, [Dense(8, "tanh"), Dense(1, "sigmoid")], BINARY, adam(1e-6), 20),
    "symmetric-units": lambda: told(
        CIRCLES,
        [Dense(16, "relu", kernel_initializer="zeros"), Dense(1, "sigmoid", kernel_initializer="zeros")],
        BINARY,
        adam(),
        10,
    ),
    "bad-initial-scale": lambda: told(
        (DIGITS[0] / 16, DIGITS[1]),
        [Dense(64, "relu", kernel_initializer=keras.initializers.RandomNormal(stddev=5.0)), Dense(10, "softmax")],
        SPARSE,
        adam(0.003),
        3,
    ),
    "over-regularised": lambda: told(
        MOONS,
        [Dense(16, "relu", kernel_regularizer=keras.regularizers.L2(2.0)), Dense(1, "sigmoid")],
        BINARY,
        adam(),
        20,
    ),
    "targets-not-scaled": lambda: told((CURVE[0], CURVE[1] * 5e4), [Dense(32, "tanh"), Dense(1)], "mse", adam(), 300),
    "targets-out-of-range": lambda: told(
        (CURVE[0], CURVE[1] * 3), [Dense(16, "tanh"), Dense(1, "tanh")], "mse", adam(), 20
    ),
    "no-nonlinearity": lambda: told(CIRCLES, [Dense(16), Dense(16), Dense(1, "sigmoid")], BINARY, adam(), 20),
    "not-shuffled": lambda: told(
        (MOONS[0][np.argsort(MOONS[1])], np.sort(MOONS[1])),
        [Dense(16, "relu"), Dense(1, "sigmoid")],
        BINARY,
        adam(),
        10,
        shuffle=False,
    ),
    "suspect-labels": lambda: told(
        (CIRCLES[0], np.ones(400, int)), [Dense(16, "relu"), Dense(1, "sigmoid")], BINARY, adam(), 5
    ),
    "missing-values": lambda: told(
        (np.where(np.arange(800).reshape(400, 2) == 7, np.nan, CIRCLES[0]), CIRCLES[1]),
        [Dense(8, "relu"), Dense(1, "sigmoid")],
        BINARY,
        adam(),
        5,
    ),
}


@pytest.mark.parametrize("symptom", FAULTS)
def test_a_planted_fault_is_named(symptom: str) -> None:
    result = FAULTS[symptom]()
    assert symptom in {finding.symptom for finding in result}, str(result)
    assert not result.healthy
    consequences = {"targets-out-of-range": "output-loss-mismatch"}  # the range is one case of the disagreement
    assert result[0].symptom in (symptom, consequences.get(symptom)), str(result)


ZOO: dict[str, Any] = {
    "circles, relu": lambda: told(CIRCLES, [Dense(16, "relu"), Dense(1, "sigmoid")], BINARY, adam(), 60),
    "circles, deep tanh": lambda: told(
        CIRCLES, [Dense(8, "tanh"), Dense(8, "tanh"), Dense(1, "sigmoid")], BINARY, adam(), 60
    ),
    "moons, sgd": lambda: told(MOONS, [Dense(32, "relu"), Dense(1, "sigmoid")], BINARY, sgd(0.1, 0.9), 80),
    "iris, softmax": lambda: told(IRIS, [Dense(16, "relu"), Dense(3, "softmax")], SPARSE, adam(), 60),
    "digits": lambda: told(
        (DIGITS[0] / 16, DIGITS[1]), [Dense(64, "relu"), Dense(10, "softmax")], SPARSE, adam(0.003), 15
    ),
    "digits, batch norm and dropout": lambda: told(
        (DIGITS[0] / 16, DIGITS[1]),
        [
            Dense(128),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.3),
            Dense(10, "softmax"),
        ],
        SPARSE,
        adam(0.003),
        15,
    ),
    "a line": lambda: told(LINE, [Dense(1)], "mse", sgd(0.1), 100),
    "a curve": lambda: told(CURVE, [Dense(32, "tanh"), Dense(1)], "mse", adam(), 300),
    "rows in order, but shuffled": lambda: told(
        (MOONS[0][np.argsort(MOONS[1])], np.sort(MOONS[1])),
        [Dense(16, "relu"), Dense(1, "sigmoid")],
        BINARY,
        adam(),
        60,
    ),
}


@pytest.mark.parametrize("name", ZOO)
def test_a_sound_training_is_silent(name: str) -> None:
    result = ZOO[name]()
    assert result.healthy, str(result)


def test_the_model_that_was_given_stays_as_it_is() -> None:
    model = network(CIRCLES, Dense(16, "relu"), Dense(1, "sigmoid"))
    model.compile("adam", "binary_crossentropy")
    before = [w.copy() for w in model.get_weights()]
    fl.diagnose_training(model, *CIRCLES, epochs=2)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert int(model.optimizer.iterations) == 0


def test_an_adapted_scale_comes_along() -> None:
    """The copy that is trained scales its inputs as the model that was given does."""
    x = CIRCLES[0] * 500 + 3000
    scale = keras.layers.Normalization()
    scale.adapt(x)
    result = told((x, CIRCLES[1]), [scale, Dense(16, "relu"), Dense(1, "sigmoid")], BINARY, adam(), 60)
    assert result.healthy, str(result)


class Subclassed(keras.Model):
    """What makes the output is only seen while it trains."""

    def __init__(self, kernel: str, output: str) -> None:
        super().__init__()
        self.out = Dense(1, output)  # made first, used last
        self.hidden = Dense(8, "relu", kernel_initializer=kernel)

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))


@pytest.mark.parametrize(
    ("kernel", "output", "symptom"),
    [
        ("glorot_uniform", "softmax", "output-loss-mismatch"),
        ("zeros", "sigmoid", "symmetric-units"),
        ("glorot_uniform", "sigmoid", ""),
    ],
)
def test_a_subclassed_model_is_looked_into(kernel: str, output: str, symptom: str) -> None:
    keras.utils.set_random_seed(0)
    result = fl.diagnose_training(Subclassed(kernel, output), *MOONS, loss=BINARY, optimizer=adam(0.02), epochs=40)
    warned = [f.symptom for f in result if f.severity != "note" and f.symptom != "underfit-stopped-early"]
    assert warned == ([symptom] if symptom else []), str(result)


def test_a_target_for_every_step() -> None:
    x = np.random.default_rng(0).normal(size=(60, 5, 2)).astype("float32")
    layers = [keras.layers.SimpleRNN(8, return_sequences=True), Dense(1)]
    result = told((x, x[..., 0] * 0.5), layers, "mse", adam(), 30)
    assert result.healthy, str(result)
    assert {"dead-relu", "vanishing-gradients"} & set(result.examined)  # not by Keras' own fit


class Own(keras.Model):
    """A subclassed model with a training step of its own, which fallline's engine does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = Dense(4, "relu"), Dense(1, "sigmoid")

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))

    def train_step(self, *given: Any) -> Any:
        return super().train_step(*given)


def test_a_model_that_only_keras_trains_gets_the_curve_rules() -> None:
    model = Own()
    model(CIRCLES[0][:1])
    before = [w.copy() for w in model.get_weights()]
    result = fl.diagnose_training(model, CIRCLES[0] * 1000, CIRCLES[1], loss=BINARY, optimizer="sgd", epochs=6)
    assert "underfit-stopped-early" in result.examined
    assert "inputs-not-scaled" in {finding.symptom for finding in result}
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_what_no_training_takes_is_still_checked() -> None:
    result = told(IRIS, [Dense(8, "relu"), Dense(3, "softmax")], "categorical_crossentropy", "adam", 2)
    assert result[0].symptom == "output-loss-mismatch"
    words = told((IRIS[0], np.array(["a", "b"])[(IRIS[1] > 0) * 1]), [Dense(1, "sigmoid")], BINARY, "adam", 2)
    assert [f.symptom for f in words if f.severity != "note"] == ["output-loss-mismatch"]
    with pytest.raises(InputError, match="a Keras model takes numbers"):
        fl.diagnose_training(network(IRIS, Dense(1, "sigmoid")), np.full((150, 4), "a"), IRIS[1] > 0, loss=BINARY)
    with pytest.raises(InputError, match="takes a Keras model"):
        fl.diagnose_training("model", *CIRCLES)


def test_the_weights_of_the_losses_come_along_with_the_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])
    model.compile("sgd", loss=["mse", "mse"], loss_weights=[0.2, 3.0])
    trained: list[keras.Model] = []

    def caught(copy: keras.Model, *_: object, **__: object) -> None:
        trained.append(copy)
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("fallline.train.diagnosed"), "train", caught)
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    for loss, weights in ((None, [0.2, 3.0]), (["mae", "mse"], None)):
        with pytest.raises(KeyboardInterrupt):
            fl.diagnose_training(model, x, [x[:, :1], x[:, 1:2]], loss=loss, optimizer=None, epochs=1, batch_size=8)
        assert loss_weights(trained.pop()) == weights
