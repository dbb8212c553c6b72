"""Experiments on Keras models: what each arm is shown, how it is judged, and what is found."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.experiment import EnoughError, keras_arms
from fallline.experiment.account import Plan
from fallline.train.keras_settings import output_unit
from fallline.treatments import design_of, treat
from fallline.types import HeldOut, Run, Trace

NOTHING = Trace.from_columns({"member": [], "epoch": [], "layer": [], "quantity": [], "value": []})

FOLDS = 3


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=(90, 2)).astype(np.float32)
    return x, (x @ [1.0, -1.0] > 0).astype(np.int32)


def classifier(rate=0.05):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(4, "tanh", name="first"), keras.layers.Dense(1, "sigmoid", name="last")]
    )
    model.compile(keras.optimizers.SGD(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


class Recorder:
    """In the place of the training: notes what every arm is shown, and predicts 0.5."""

    def __init__(self, outcome="completed"):
        self.calls, self.outcome = [], outcome

    def __call__(self, model, x, y, *, seeds, folds, **given):
        self.calls.append((model, y, folds, given))
        facts = {"restored": False}
        return [
            Run(None, NOTHING, self.outcome, facts=facts, held_out=HeldOut(y[held], np.full((len(held), 1), 0.5)))
            for _ in seeds
            for *_, held in folds
        ]


@pytest.fixture
def recorder(monkeypatch):
    found = Recorder()
    monkeypatch.setattr(keras_arms, "train_many_keras", found)
    return found


def test_an_arm_that_stops_early_validates_on_training_rows_and_is_judged_on_rows_it_never_saw(recorder, data):
    found = fl.experiment(classifier(), ["early-stopping", "use-adam"], *data, seeds=2, folds=FOLDS, epochs=7)
    control, stopping, adam = recorder.calls
    assert [call[3]["early_stopping"] for call in recorder.calls] == [False, 20, False]
    assert all(call[3]["epochs"] == 7 for call in recorder.calls)
    for fold in range(FOLDS):
        rows, none, held = control[2][fold]
        inner, validation, same = stopping[2][fold]
        assert len(none) == 0
        np.testing.assert_array_equal(adam[2][fold][0], rows)
        np.testing.assert_array_equal(held, same)
        assert sorted([*inner, *validation]) == sorted(rows)
        assert not set(held) & set(rows)
        assert len(validation) == 12
    assert "early-stopping" in found.method


def test_a_treatment_is_told_of_the_training_rows_of_its_fold_alone(recorder, data):
    x = np.array(data[0]) * 10 + 7
    fl.experiment(classifier(), "scale-inputs", x, data[1], seeds=1, folds=FOLDS)
    _, *treated = recorder.calls
    assert len(treated) == FOLDS
    for model, _, ((rows, _, _),), _ in treated:
        np.testing.assert_allclose(model.layers[0].mean.ravel(), x[rows].mean(axis=0), rtol=1e-5)


def test_predictions_of_scaled_targets_are_turned_back(monkeypatch):
    x = np.linspace(-1, 1, 60, dtype=np.float32)[:, None]
    y = 500 + 100 * x[:, 0]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    def perfect(model, x, y, *, seeds, folds, **given):
        return [Run(None, NOTHING, "completed", held_out=HeldOut(y[held], y[held])) for *_, held in folds]

    monkeypatch.setattr(keras_arms, "train_many_keras", perfect)
    found = fl.experiment(model, "scale-targets", x, y, seeds=1, folds=FOLDS)
    np.testing.assert_allclose(found.scores["scale-targets"], 0, atol=1e-3)
    assert found.metric == "rmse"


def test_a_lost_training_scores_as_the_best_constant(monkeypatch, data):
    monkeypatch.setattr(keras_arms, "train_many_keras", Recorder("diverged"))
    found = fl.experiment(classifier(), "use-adam", *data, seeds=1, folds=FOLDS)
    assert found.metric == "log_loss"
    np.testing.assert_allclose(found.scores["control"], np.log(2), atol=0.02)
    assert found["use-adam"].mean == 0


def test_a_mean_of_networks_is_judged_by_what_each_of_them_gives(recorder, data):
    averaged = treat(classifier(), "average-networks").build()
    assert output_unit(averaged, data[0]) == ("sigmoid", 1)
    found = fl.experiment(classifier(), ["average-networks", "use-adam"], *data, seeds=1, folds=FOLDS)
    assert found.metric == "log_loss"
    given = keras.Input((2,))
    parts = [keras.layers.Dense(1, kind)(given) for kind in ("sigmoid", "tanh")]
    assert output_unit(keras.Model(given, keras.layers.Average()(parts)), data[0]) == ("linear", 1)


def test_the_output_of_a_model_of_ones_own_inside_another_passes_for_linear(data):
    class Own(keras.Model):
        def call(self, x):
            return x[:, :1]

    given = keras.Input((2,))
    built = keras.Sequential([given, Own()])
    for whole in (keras.Sequential([Own()]), built, keras.Model(given, Own()(given))):
        assert output_unit(whole, data[0]) == ("linear", 1)


def test_stopping_ends_the_experiment(monkeypatch, data):
    monkeypatch.setattr(keras_arms, "train_many_keras", Recorder("interrupted"))
    with pytest.raises(KeyboardInterrupt):
        fl.experiment(classifier(), "use-adam", *data, seeds=1, folds=FOLDS)


def test_a_remedy_helps_from_the_beginning_and_in_mid_run(data):
    given = {"seeds": 2, "folds": FOLDS, "epochs": 6, "batch_size": 16}
    found = fl.experiment(classifier(1e-6), {"faster": classifier(0.5), "same": classifier(1e-6)}, *data, **given)
    assert found["faster"].decision == "helps"
    assert found["same"].mean == 0
    forked = fl.experiment(classifier(1e-6), {"faster": classifier(0.5)}, *data, fork_at=2, **given)
    assert forked["faster"].decision == "helps"
    assert forked.scores["control"] == found.scores["control"]
    assert "epoch 2" in forked.intent


def test_models_with_other_targets_are_compared_by_their_loss():
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    given = keras.Input((2,))
    model = keras.Model(given, [keras.layers.Dense(1)(given), keras.layers.Dense(2)(given)])
    model.compile(keras.optimizers.SGD(0.0), ["mse", "mse"])
    found = fl.experiment(model, {"same": model}, x, [x[:, :1], x], seeds=1, folds=2, epochs=1)
    assert found.metric == "loss"
    assert found["same"].mean == 0


@pytest.mark.parametrize(
    ("treated", "more", "words"),
    [
        ("use-adm", {}, "Did you mean 'use-adam'"),
        ([], {}, "nothing to compare"),
        ({"control": classifier()}, {}, "none is called"),
        ("use-adam", {"metric": "rmse"}, "its scores are log_loss"),
        ("use-adam", {"folds": 1}, "2 folds"),
        ("wider-layers", {"fork_at": 2, "epochs": 5}, "wider-layers: its weights have other shapes"),
        ("use-adam", {"fork_at": 9, "epochs": 5}, "1 to 4"),
        ("use-adam", {"target": "y"}, "trained on x and y"),
    ],
)
def test_mistakes_are_explained_before_any_training(data, treated, more, words):
    with pytest.raises(InputError, match=words):
        fl.experiment(classifier(), treated, *data, **more)


def test_a_design_is_trained_once_on_the_same_folds(recorder, data):
    base = design_of(classifier(), epochs=4)
    arms = {name: treat(base, name) for name in ("use-adam", "lower-learning-rate", "raise-learning-rate")}
    plan, given = Plan([0], FOLDS), {"training": {}, "memory": {}}
    first = keras_arms.score_models(base, {"use-adam": arms["use-adam"]}, *data, plan, **given)
    assert len(recorder.calls) == 2
    # What was an arm is the control now, built anew and so with other names.
    second = keras_arms.score_models(treat(base, "use-adam"), arms, *data, plan, **given)
    assert len(recorder.calls) == 4
    np.testing.assert_array_equal(second.table["control"], first.table["use-adam"])
    keras_arms.score_models(base, arms, *data, Plan([1], FOLDS), **given)
    assert len(recorder.calls) == 8


def test_arms_that_are_done_when_it_is_enough_are_compared(recorder, data, monkeypatch):
    def until(calls):
        def trained(*given, **named):
            if len(recorder.calls) == calls:
                raise EnoughError
            return recorder(*given, **named)

        monkeypatch.setattr(keras_arms, "train_many_keras", trained)

    base = design_of(classifier(), epochs=4)
    arms = {name: treat(base, name) for name in ("use-adam", "lower-learning-rate", "early-stopping")}
    until(3)
    found = keras_arms.score_models(base, arms, *data, Plan([0], FOLDS), training={})
    assert list(found.table) == ["control", "use-adam", "lower-learning-rate"]
    assert not found.notes
    recorder.calls.clear()
    until(1)
    with pytest.raises(EnoughError):
        keras_arms.score_models(base, arms, *data, Plan([0], FOLDS), training={})


def test_an_arm_that_does_not_fill_the_gaps_counts_as_lost_and_one_that_does_is_trained(data):
    x, y = data
    holed = x.copy()
    holed[::7, 1] = np.nan
    found = fl.experiment(classifier(), ["fill-missing", "use-adam"], holed, y, seeds=1, folds=FOLDS, epochs=2)
    assert found["use-adam"].differences == (0.0,) * FOLDS
    assert found["fill-missing"].mean != 0.0
    assert "nothing is trained for control, use-adam" in found.method
    with pytest.raises(InputError, match="x holds nan at index"):
        fl.experiment(classifier(), "use-adam", holed, y, seeds=1, folds=FOLDS, epochs=2)
