"""A training that blows up says at which step and in which layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import fallline as fl

N = 40
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def diverge(model: keras.Model, x: Any = X, y: Any = Y, **keywords: Any) -> tuple[Any, dict[str, Any]]:
    run = fl.train(model, x, y, epochs=3, batch_size=8, shuffle=True, early_stopping=False, verbose=0, **keywords)
    assert run.outcome == "diverged"
    assert all(np.isfinite(np.asarray(w.value)).all() for w in run.model.trainable_variables)
    return run, run.facts["members"][0]


@keras.saving.register_keras_serializable("tests")
def bad_gradient(x: Any) -> Any:
    """The identity, whose gradient at values above 2 is 0 times the infinite slope of a root at 0."""
    return x + 0.0 * keras.ops.sqrt(keras.ops.maximum(2.0 - x, 0.0))


def network(*layers: keras.layers.Layer, optimizer: Any = None) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1, name="last")])
    model.compile(optimizer or keras.optimizers.SGD(0.01), "mse")
    return model


def test_a_layer_that_overflows_is_named() -> None:
    model = network(keras.layers.Dense(4, name="first"), keras.layers.Activation("exponential", name="explosion"))
    model.get_layer("first").bias.assign(np.full(4, 200.0))
    _, member = diverge(model)
    assert (member["bad_step"], member["bad_layer"]) == (0, "explosion")


def test_a_gradient_that_is_not_finite_is_named() -> None:
    model = network(
        keras.layers.Dense(4, name="first"), keras.layers.Activation(bad_gradient), keras.layers.Dense(4, name="later")
    )
    _, member = diverge(model, X * 3)
    # Everything before the bad activation gets NaN from it; what stands behind it does not.
    assert member["bad_layer"].startswith("first/")


def test_a_step_that_throws_the_weights_away_is_named() -> None:
    _, member = diverge(network(optimizer=keras.optimizers.SGD(1e38)))
    assert member["bad_step"] in (0, 1)
    assert member["bad_layer"].startswith("last")


def test_a_learning_rate_that_is_too_high_diverges_in_a_named_step() -> None:
    run, member = diverge(network(keras.layers.Dense(8, name="first"), optimizer=keras.optimizers.SGD(50.0)))
    assert 0 <= member["bad_step"] < run.facts["steps_per_epoch"]
    assert member["bad_layer"]
    assert run.diagnosis.findings[0].symptom == "divergence"


def test_a_loss_that_is_not_finite_by_itself() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), lambda y, p: keras.ops.log(p - p))
    _, member = diverge(model)
    assert (member["bad_step"], member["bad_layer"]) == (0, "loss")


def test_a_healthy_training_has_no_such_entry() -> None:
    run = fl.train(network(), X, Y, epochs=1, early_stopping=False, verbose=0, watch=False)
    assert not {"bad_step", "bad_layer"} & set(run.facts["members"][0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_not_finite_never_reach_the_training(value: float) -> None:
    x = X.copy()
    x[7, 1] = value
    with pytest.raises(fl.errors.DataError, match=r"at index \(7, 1\)"):
        fl.train(network(), x, Y, watch=False)
