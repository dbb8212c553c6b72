"""Watching Keras' own fit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.types import Inside, Outcome
from fallline.watch import statistics as s
from tests.test_package import python

keras = pytest.importorskip("keras")

from tests.watch import backend_program as program  # noqa: E402


def watched(model: Any, watch: Any, x: Any = None, y: Any = None, **more: Any) -> Any:
    given = program.rows() if x is None else (x, y)
    model.fit(*given, **{"epochs": 2, "batch_size": 16, "verbose": 0, "shuffle": False, **more}, callbacks=[watch])
    return watch


def inside_of(watch: Any) -> Inside:
    inside = watch.trace.inside
    assert isinstance(inside, Inside)
    return inside


@pytest.mark.slow
def test_nothing_that_is_watched_changes() -> None:
    assert program.unchanged()


def test_every_statistic_against_keras_own_functions() -> None:
    """Look 0 of a model whose weights are known; gradients and the step by JAX, reductions in float64."""
    import jax

    model, (x, y) = program.plain(), program.rows()
    before = [np.array(w) for w in model.get_weights()]
    hidden = keras.Model(model.inputs[0], [model.get_layer(n).output for n in ("first", "relu", "inner", "last")])
    outputs = dict(zip(("first", "relu", "inner/a", "last"), map(np.asarray, hidden(x)), strict=True))

    def loss(trainable: Any) -> Any:
        out, _ = model.stateless_call(trainable, [], x)
        return keras.ops.mean(keras.losses.binary_crossentropy(y, out))

    gradients = [np.array(g) for g in jax.grad(loss)([v.value for v in model.trainable_variables])]
    inside = inside_of(watched(model, fl.watch.keras(), epochs=1))
    assert not inside.reason
    assert inside.layers == ("first", "relu", "inner/a", "last")
    assert inside.kinds == ("Dense", "ReLU", "Dense", "Dense")
    assert inside.activations == ("", "relu", "tanh", "sigmoid")
    assert inside.output == 3
    assert inside.epochs.tolist() == [0, 1]
    for at, (name, weight) in enumerate((("first", 0), ("relu", None), ("inner/a", 2), ("last", 4))):
        wanted = s.activation_statistics([outputs[name]], inside.activations[at])
        wanted.pop("preactivation_sd")
        if weight is not None:
            wanted |= s.weight_statistics([before[weight]]) | s.gradient_statistics([gradients[weight]])
            wanted["update_norm"] = 0.01 * math.sqrt(before[weight].size)  # Adam's first step is the rate, everywhere
        for statistic, value in wanted.items():
            exact = 1e-2 if statistic == "update_norm" else 1e-3  # Adam's epsilon
            seen = inside.values[statistic][0, 0, at]
            assert seen == pytest.approx(value, rel=exact, abs=1e-7, nan_ok=True), statistic
    assert inside.network["gradient_norm"][0, 0] == pytest.approx(s.norm(gradients), rel=1e-4)
    assert inside.network["distance_from_start"][0, 0] == 0
    assert inside.values["preactivation_sd"][0, 0, 2] == pytest.approx(np.arctanh(outputs["inner/a"]).std(), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_other_backends_see_the_same(backend: str) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = python("-W", "ignore", "-m", "tests.watch.backend_program", KERAS_BACKEND=backend, TF_CPP_MIN_LOG_LEVEL="3")
    assert done.returncode == 0, done.stderr[-2000:]
    theirs, ours = json.loads(done.stdout.splitlines()[-1]), program.seen()
    assert theirs.pop("backend") == backend
    assert theirs.pop("unchanged")
    for group in ("values", "network"):
        for name, values in theirs.pop(group).items():
            mine = np.array(ours[group][name])
            if name.startswith("update") and backend == "tensorflow":  # builds its optimizer with the first step
                mine[0] = np.nan
            np.testing.assert_allclose(np.array(values, float), mine, rtol=5e-3, atol=1e-5, err_msg=name)
        ours.pop(group)
    assert theirs == json.loads(json.dumps(ours))


def test_fallline_itself_sees_the_same_before_the_first_step() -> None:
    x, y = program.rows()
    theirs = inside_of(watched(program.plain(), fl.watch.keras(), epochs=1))
    ours = fl.train(program.plain(), x, y, epochs=1, batch_size=16, watch=1, verbose=0).trace.inside
    assert ours is not None
    assert (ours.layers, ours.kinds, ours.activations, ours.output) == (
        theirs.layers,
        theirs.kinds,
        theirs.activations,
        theirs.output,
    )
    for mine, other in ((ours.values, theirs.values), (ours.network, theirs.network)):
        for name in other:
            np.testing.assert_allclose(mine[name][0, 0], other[name][0, 0], rtol=2e-3, atol=1e-6, err_msg=name)


def test_curves_have_our_names() -> None:
    watch = fl.watch.keras(every=2)
    watched(program.plain(), watch, validation_split=0.25, epochs=5)
    assert watch.trace.quantities == ("accuracy", "learning_rate", "running_loss", "val_accuracy", "val_loss")
    assert watch.trace.n_epochs == 5
    assert inside_of(watch).epochs.tolist() == [0, 2, 4]
    facts = watch.run.facts
    assert (facts["planned_epochs"], facts["batch_size"], facts["n_train"], facts["n_validation"]) == (5, 16, 48, 16)
    assert facts["checked"]["problem_kind"] == "binary"
    assert {"inputs-not-scaled", "learning-rate-too-high"} <= set(watch.diagnose().examined)
    assert fl.diagnose(watch) == watch.diagnose()
    assert "overfit" in watch.diagnose().examined


def test_validation_data_of_its_own_change_nothing() -> None:
    x, y = program.rows()
    ends = []
    for watch in (fl.watch.keras(validation_data=(x[:9], y[:9])), fl.watch.keras()):
        model = program.chancy()
        watched(model, watch)
        ends.append((program.state(model), watch.trace))
    assert all(np.array_equal(a, b) for a, b in zip(ends[0][0], ends[1][0], strict=True))
    held = ends[0][1].curve("val_loss")
    assert len(held) == 2
    assert held[-1] == pytest.approx(model.evaluate(x[:9], y[:9], verbose=0, return_dict=True)["loss"], rel=1e-5)
    assert "val_loss" not in ends[1][1].quantities


def test_a_generator_is_not_touched_and_rows_can_be_given() -> None:
    x, y = program.rows()

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            yield x[:16], y[:16]

    watch = watched(program.plain(), fl.watch.keras(), batches(), None, steps_per_epoch=2, batch_size=None)
    inside = inside_of(watch)
    assert "fl.watch.keras(x=..., y=...)" in inside.reason
    assert np.isfinite(inside.values["weight_sd"][0, :, 0]).all()
    assert np.isnan(inside.values["activation_sd"]).all()
    given = fl.watch.keras(x=x, y=y)
    watched(program.plain(), given, batches(), None, steps_per_epoch=2, batch_size=None)
    assert np.isfinite(inside_of(given).values["gradient_norm"][0, :, 0]).all()


class Stubborn(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """A layer that does not answer when it is called with plain values."""

    def call(self, x: Any) -> Any:
        import jax

        if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer):
            raise RuntimeError("only in compiled programs")
        return x


def test_a_model_that_cannot_be_tapped_still_gives_the_curves() -> None:
    model = keras.Sequential([keras.Input((4,)), Stubborn(), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    watch = watched(model, fl.watch.keras())
    assert "the activations could not be watched: RuntimeError" in inside_of(watch).reason
    assert "only in compiled programs" in inside_of(watch).reason
    assert len(watch.trace.curve("running_loss")) == 2
    assert np.isfinite(inside_of(watch).values["gradient_norm"][0, :, 1]).all()
    assert "divergence" in watch.diagnose().examined


class Shared(keras.Model):  # type: ignore[misc, name-defined]
    """A subclassed model: a shared layer, two layers of one name, one that is never called, one that is nested."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = keras.layers.Dense(2, name="unused")
        self.unused.build((None, 4))
        self.last = keras.layers.Dense(1, name="same")
        self.both = keras.layers.Dense(4, activation="relu", name="same")
        self.rest = [keras.Sequential([keras.layers.Dense(4, name="deep")], name="block")]
        self.mixed = keras.layers.LSTM(3, name="lstm")

    def call(self, x: Any) -> Any:
        y = self.both(self.both(x))
        y = self.rest[0](y)
        return self.last(self.mixed(y[:, None, :]))


def test_subclassed_shared_nested_and_recurrent_layers() -> None:
    model = Shared()
    model(program.rows()[0])
    model.compile("sgd", loss="mse")
    inside = inside_of(watched(model, fl.watch.keras()))
    assert not inside.reason
    assert inside.layers == ("same_2", "block/deep", "lstm", "same", "unused")
    assert inside.output == 3
    assert inside.activations == ("relu", "", "tanh", "", "")
    finite = np.isfinite(inside.values["activation_sd"][0, -1])
    assert finite.tolist() == [True, True, True, True, False]
    # Three tensors of an LSTM less its bias.
    lstm = model.mixed
    wanted = s.weight_statistics([np.array(w) for w in lstm.get_weights()[:2]])["weight_norm"]
    assert inside.values["weight_norm"][0, -1, 2] == pytest.approx(wanted, rel=1e-5)


def test_a_convolution_and_frozen_layers() -> None:
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(3, 3, activation="relu", bias_initializer=keras.initializers.Constant(-9.0)),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential(layers)
    layers[1].trainable = False
    model.compile("sgd", loss="mse")
    rng = np.random.default_rng(0)
    watch = watched(model, fl.watch.keras(), rng.normal(size=(20, 8, 8, 1)), rng.normal(size=20))
    inside = inside_of(watch)
    assert inside.values["dead_share"][0, :, 0].tolist() == [1.0] * 3
    assert np.isnan(inside.values["gradient_norm"][0, :, 0]).all()
    assert (inside.values["gradient_norm"][0, :, 2] == 0).all()


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "completed"),
        ({"rate": 1e30}, "diverged"),
        ({"stop": True}, "stopped_early"),
        ({"error": True}, "interrupted"),
    ],
)
def test_how_it_ended(change: dict[str, Any], outcome: Outcome) -> None:
    class Ends(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if change.get("error"):
                raise KeyboardInterrupt
            self.model.stop_training = bool(change.get("stop"))

    model = program.plain()
    model.compile(keras.optimizers.SGD(change.get("rate", 0.01)), loss="mse")
    watch = fl.watch.keras()
    try:
        model.fit(*program.rows(), epochs=2, verbose=0, callbacks=[watch, Ends()])
    except KeyboardInterrupt:
        assert outcome == "interrupted"
    assert watch.run.outcome == outcome


def test_a_second_fit_is_a_run_of_its_own() -> None:
    model, watch = program.plain(), fl.watch.keras()
    watched(model, watch)
    watched(model, watch, epochs=5, initial_epoch=2)
    assert watch.trace.n_epochs == 3
    assert watch.run.outcome == "completed"


def test_before_any_training_there_is_an_empty_run() -> None:
    assert fl.watch.keras().trace.n_epochs == 0
    assert fl.watch.keras().trace.inside is None


def test_the_rate_of_a_schedule_is_that_of_the_last_step() -> None:
    model = program.plain()
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.1, 0.01])
    model.compile(keras.optimizers.SGD(rate), loss="mse")
    watch = watched(model, fl.watch.keras())  # 4 steps an epoch
    np.testing.assert_allclose(watch.trace.curve("learning_rate"), [0.1, 0.01])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"every": 0}, "every=0"),
        ({"every": True}, "every=True"),
        ({"y": [1]}, "without x"),
        ({"validation_data": 3}, "pair"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        fl.watch.keras(**given)
