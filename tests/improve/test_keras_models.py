"""Keras models of the user's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.improve.candidates import candidates
from fallline.improve.keras_models import KerasBench, design_from
from fallline.treatments import design_of

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(120, 2)) * [1.0, 2000.0] + [0.0, 500.0]).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)


def network(optimizer="adam"):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1, "sigmoid")])
    model.compile(optimizer, "binary_crossentropy")
    return model


def bench(model=None, y=Y, **changes):
    design = design_from(network() if model is None else model, None, None, {"epochs": 3})
    return KerasBench(design, X, y, **{"folds": 3, "holdout": 0.2, "metric": None, "seed": 0, **changes})


def test_rows_are_held_out_and_divided_by_class():
    made = bench()
    assert made.held_out == 24
    assert not set(made.held) & set(made.inner)
    assert abs(Y[made.held].mean() - Y.mean()) < 0.05
    first, second = ([held.tolist() for _, held in pairs] for pairs in made.partitions)
    assert first != second
    assert made.about == bench().about
    assert made.about != bench(seed=1).about


def test_designs_are_told_apart_and_what_changes_nothing_is_left_out():
    made = bench()
    scaled = made.treated(made.control, ("scale-inputs",))
    assert made.key(scaled) != made.key(made.control)
    assert made.key(scaled) == made.key(made.treated(made.control, ("scale-inputs",)))
    assert made.viable(scaled)
    assert made.treated(made.control, ("shuffle",)) is None
    assert scaled.training["epochs"] == 3


def test_gaps_in_the_inputs_let_through_what_fills_them_alone():
    x = X.copy()
    x[::9, 0] = np.nan
    made = KerasBench(design_from(network(), None, None, {"epochs": 1}), x, Y, folds=3, holdout=0, metric=None, seed=0)
    found = made.diagnosed(made.control, lambda now: False)
    assert found[0].symptom == "missing-values"
    offered = list(candidates(made, made.control, found, tried=()))
    assert ("fill-missing",) in [one.treatments for one in offered]
    assert all("fill-missing" in one.treatments for one in offered)
    filled = offered[0].subject.build()
    assert "missing-values" not in [finding.symptom for finding in fl.check(filled, x, Y)]
    assert fl.train(filled, x, Y, epochs=1, verbose=0).outcome == "completed"


def test_first_weights_are_drawn_by_the_seed_and_the_given_model_stays():
    model = network()
    given = [np.array(w) for w in model.get_weights()]
    made = bench(model)
    one, two = made._drawn(made.control), made._drawn(made.control)
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), two.get_weights(), strict=True))
    assert not np.array_equal(one.get_weights()[0], given[0])
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), given, strict=True))


def test_what_cannot_be_improved_is_said_before_any_work():
    bare = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for call, words in (
        (lambda: fl.improve(bare, X, Y), "not compiled"),
        (lambda: fl.improve(bare, X, Y, optimizer="adam"), "a loss must be given"),
        (lambda: fl.improve(network(), X), "trained on x and y"),
        (lambda: fl.improve(design_of(network()), X, Y, loss="mse"), "brings its loss"),
        (lambda: fl.improve("simple", X, Y, epochs=3), "these are of Keras models"),
        (lambda: bench(folds=200), "folds"),
    ):
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.slow
def test_inputs_that_are_not_scaled_are_scaled():
    events = []
    found = fl.improve(
        network(keras.optimizers.Adam(0.1)), X, Y, epochs=8, folds=3, seeds=2, trainings=12, budget=None,
        on_event=events.append,
    )  # fmt: skip
    assert "inputs-not-scaled" in [finding.symptom for finding in found.before]
    assert "scale-inputs" in next(iter(found.ledger[0].arms.values()))
    assert found.trainings <= 12
    whos = {score.who for score in found.scores}
    assert whos == {"model", "control", "dummy"}
    assert found.run.model.predict(X[:5], verbose=0).shape == (5, 1)
    assert found.to_dict()["ledger"]


@pytest.mark.slow
def test_scaled_targets_are_turned_back():
    y = 5000.0 + 1000.0 * X[:, 0]
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    made = bench(model, y=y)
    run, scores = made._last(made.treated(made.control, ("scale-inputs", "scale-targets")), "model", lambda now: False)
    predicted = run.model.predict(X, verbose=0)
    assert predicted.mean() == pytest.approx(5000.0, rel=0.4)
    assert {score.metric for score in scores} == {"rmse", "mae", "r2"}
