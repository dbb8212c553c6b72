"""What is watched inside a training: which layers, when; that it changes nothing, and that nobody needs to ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.train.inside import MOST_LOOKS, depth_of, look_epochs
from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS, Inside

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 4)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, "relu", name="first"),
            keras.layers.Dropout(0.2, name="drop"),
            keras.layers.Dense(5, name="second"),
            keras.layers.Activation("tanh", name="bend"),
            keras.layers.Dense(1, "sigmoid", name="out"),
        ]
    )


def shared_and_nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, "relu", name="a")], name="inner")
    again = keras.layers.Dense(4, "tanh", name="again")
    start = keras.Input((4,))
    left, right = again(start), again(inner(start))
    return keras.Model(start, keras.layers.Dense(1, name="out")(keras.layers.Add(name="sum")([left, right])))


class Own(keras.Model):
    """A subclassed model with a layer that is only called inside a loop of JAX."""

    def __init__(self) -> None:
        super().__init__()
        self.last = keras.layers.Dense(1, name="last")
        self.hidden = keras.layers.Dense(5, "sigmoid", name="hidden")
        self.sealed = keras.layers.Dense(5, "relu", name="sealed")

    def call(self, x: Any) -> Any:
        return self.last(jax.lax.map(lambda row: self.sealed(row[None])[0], self.hidden(x)))


def train(model: keras.Model, **keywords: Any) -> Any:
    return fl.train(model, X, Y, verbose=0, **{"epochs": 4, "batch_size": 16, "early_stopping": False, **keywords})


def seeded(make: Callable[[], keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(3)
    return make()


def test_a_sequential_model_layer_by_layer() -> None:
    model = seeded(sequential)
    before = [np.array(w) for w in model.get_weights()]
    inside = train(model, watch=2).trace.inside
    assert inside.layers == ("first", "drop", "second", "bend", "out")
    assert inside.kinds == ("Dense", "Dropout", "Dense", "Activation", "Dense")
    assert inside.activations == ("relu", "", "", "tanh", "sigmoid")
    assert (inside.output, inside.reason) == (4, "")
    assert inside.epochs.tolist() == [0, 2, 4]
    assert set(inside.values) == set(LAYER_STATISTICS)
    assert set(inside.network) == set(NETWORK_STATISTICS)
    weights = inside.values["weight_sd"][0]
    np.testing.assert_allclose(weights[0, [0, 2, 4]], [before[i].std() for i in (0, 2, 4)], rtol=1e-5)
    now = model.get_weights()
    np.testing.assert_allclose(weights[-1, [0, 2, 4]], [now[i].std() for i in (0, 2, 4)], rtol=1e-5)
    assert np.isnan(weights[:, [1, 3]]).all()
    known = {name: np.isfinite(values[0]).all(axis=0).tolist() for name, values in inside.values.items()}
    assert known["activation_sd"] == [True] * 5
    assert known["dead_share"] == [True, False, False, False, False]
    assert known["saturated_share"] == [False, False, False, True, True]
    assert known["preactivation_sd"] == [True, False, True, True, True]  # a linear layer has its own
    assert inside.network["distance_from_start"][0, 0] == 0
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(now, before, strict=True)))
    np.testing.assert_allclose(inside.network["distance_from_start"][0, -1], moved, rtol=1e-5)


def test_outputs_are_those_of_the_model_in_evaluation_mode() -> None:
    model = seeded(sequential)
    first = keras.Model(model.inputs[0], model.get_layer("bend").output)
    inside = train(model, watch=1, epochs=1).trace.inside
    rows = np.random.default_rng(0).permutation(80)
    out = np.asarray(first(X[rows], training=False))
    assert inside.values["activation_mean"][0, -1, 3] == pytest.approx(out.mean(), rel=1e-4)
    assert inside.values["activation_sd"][0, -1, 3] == pytest.approx(out.std(), rel=1e-4)


def test_shared_and_nested_layers() -> None:
    inside = train(seeded(shared_and_nested)).trace.inside
    assert sorted(inside.layers) == ["again", "inner/a", "out", "sum"]
    assert inside.layers[inside.output] == "out"
    assert np.isfinite(inside.values["activation_sd"]).all()


def test_a_subclassed_model_and_a_layer_that_cannot_be_seen() -> None:
    run = train(seeded(Own))
    inside = run.trace.inside
    assert inside.layers == ("hidden", "last", "sealed")
    assert inside.layers[inside.output] == "last"
    assert "sealed" in inside.reason
    assert np.isnan(inside.values["activation_sd"][..., 2]).all()
    assert np.isfinite(inside.values["gradient_norm"]).all()
    assert np.isfinite(inside.values["activation_sd"][..., :2]).all()


def test_a_model_that_cannot_be_tapped_still_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    from fallline.train import inside as module

    def broken(*args: Any) -> Any:
        raise RuntimeError("no way in")

    monkeypatch.setattr(module, "_tapped", broken)
    run = train(seeded(sequential))
    assert run.outcome == "completed"
    assert "no way in" in run.trace.inside.reason
    assert np.isnan(run.trace.inside.values["activation_sd"]).all()
    assert np.isfinite(run.trace.inside.values["gradient_norm"][..., 0]).all()


@pytest.mark.parametrize("make", [sequential, Own])
def test_watching_changes_no_weight_and_leaves_nothing_behind(make: Callable[[], keras.Model]) -> None:
    weights = []
    for watch in (False, True, "all"):
        model = seeded(make)
        run = train(model, watch=watch, validation_split=0.2)
        weights.append([*model.get_weights(), run.history.to_numpy()])
        assert (run.trace.inside is None) == (watch is False)
        assert not any("call" in vars(layer) for layer in model._flatten_layers())
    for others in weights[1:]:
        for a, b in zip(weights[0], others, strict=True):
            np.testing.assert_array_equal(a, b)
    inside: Inside = run.trace.inside
    assert np.isfinite(inside.network["sharpness"]).all()
    assert np.isfinite(inside.network["curvature_along_step"]).all()


def test_a_convolution_step_by_step_and_batch_norm() -> None:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, activation="relu", name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(1, "sigmoid", name="out"),
        ]
    )
    images = RNG.standard_normal((40, 6, 6, 1)).astype(np.float32)
    run = fl.train(model, images, Y[:40], epochs=2, verbose=0, early_stopping=False)
    inside = run.trace.inside
    assert inside.epochs.tolist() == [0, 1, 2]
    assert np.isfinite(inside.values["activation_sd"]).all()
    assert np.isfinite(inside.values["gradient_norm"][..., [0, 1, 3]]).all()
    # The rows of a batch influence one another: the gradient is not a mean over parts.
    assert np.isnan(inside.network["gradient_noise_scale"]).all()


def test_recurrent_layers_are_seen_from_outside() -> None:
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.GRU(3, name="gru"), keras.layers.Dense(1, name="out")])
    x = RNG.standard_normal((30, 5, 2)).astype(np.float32)
    inside = fl.train(model, x, Y[:30], epochs=1, verbose=0, early_stopping=False).trace.inside
    assert inside.layers == ("gru", "out")
    assert np.isfinite(inside.values["activation_sd"]).all()


def test_what_watch_takes() -> None:
    assert depth_of(True) == ("usual", 0)
    assert depth_of(False) == ("", 0)
    assert depth_of(3) == ("usual", 3)
    assert depth_of("all") == ("all", 0)
    for given in (0, -1, 2.5, "some"):
        with pytest.raises(InputError, match="watch"):
            train(sequential(), watch=given)


@pytest.mark.parametrize(("epochs", "share"), [(1, 1.0), (7, 0.1), (100, 3.0), (1000, 1e6)])
def test_looks_begin_close_and_end_with_the_training(epochs: int, share: float) -> None:
    looks = look_epochs(epochs, share=share)
    assert (looks[0], looks[1], looks[-1]) == (0, 1, epochs)
    assert len(looks) <= min(MOST_LOOKS, epochs + 1)
    assert (np.diff(looks) >= 1).all()
