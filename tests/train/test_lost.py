"""A training of which nothing can come ends early and says why; a healthy or a slow one does not."""

from __future__ import annotations

import keras
import numpy as np

import fallline as fl
from fallline.train.lost import LostWatch
from fallline.types import Progress

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 2)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def told(*curves: list[float], planned: int = 1000) -> LostWatch:
    watch, epoch = LostWatch(), 0
    for curve in curves:
        epoch += len(curve)
        if watch(Progress(epoch, planned, curves={"loss": tuple(curve)})):
            break
    return watch


def test_an_explosion_ends_it_and_a_slow_start_does_not() -> None:
    exploded = told([0.7, 0.6, 0.5], [40.0, 900.0, 4e4, 5e4]).finding
    assert exploded is not None
    assert exploded.symptom == "divergence"
    assert told([0.7, 0.6, 0.5], [0.9, 0.4, 0.3]).finding is None
    assert told([0.7, 0.6999, 0.6998, 0.6997] * 5).finding is None


def test_a_listener_is_told_of_every_event_and_may_stop_by_itself() -> None:
    seen: list[int] = []
    watch = LostWatch(lambda event: seen.append(event.epoch) or event.epoch == 2)
    assert not watch(Progress(1, 9, curves={"loss": (0.5,)}))
    assert watch(Progress(2, 9, curves={"loss": (0.4,)}))
    assert (seen, watch.finding) == ([1, 2], None)


def test_a_dead_network_ends_early_and_says_why() -> None:
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(8, "relu", bias_initializer=keras.initializers.Constant(-100.0))
    model = keras.Sequential([keras.Input((2,)), hidden, keras.layers.Dense(1, "sigmoid", use_bias=False)])
    model.compile("sgd", "binary_crossentropy")
    run = fl.train(model, X, Y, epochs=200_000, early_stopping=False, verbose=0, stop_when_lost=True)
    assert run.outcome == "stopped_early"
    assert run.facts["lost"]["symptom"] == "underfit-flat"
    assert len(run.history) < 200_000
    assert "underfit-flat" in {finding.symptom for finding in run.diagnosis}
