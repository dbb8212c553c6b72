"""Trainings that part in mid-run: the untreated goes on as if nothing had happened, the others from the same place."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from fallline.data import make_problem
from fallline.errors import InputError
from fallline.recipe import default, override
from fallline.train.keras_many import begin_many_keras, train_many_keras
from fallline.train.many import train_many_problems

EPOCHS, AT, SEEDS = 8, 3, [0, 1]
FOLDS = [(np.arange(0, 60), np.arange(60, 80)), (np.arange(20, 80), np.arange(0, 20))]


@pytest.fixture(scope="module")
def problem():
    x = np.random.default_rng(0).normal(size=(80, 3))
    return make_problem({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}, x @ [1.0, -2.0, 0.5] + np.sin(3 * x[:, 0]))


@pytest.fixture(scope="module")
def recipe():
    # Dropout counts its calls, Adam its steps, the cosine its place, patience its epochs.
    said = (
        f"epochs={EPOCHS}", "hidden=[6]", "dropout=0.1", "optimizer.name=adam", "learning_rate=0.02",
        "schedule=cosine", "warmup=0.2", "patience=4", "criterion=patience", "batch_size=16",
    )  # fmt: skip
    return override(default("simple"), said)


@pytest.fixture(scope="module")
def forked(problem, recipe):
    arms = [recipe, override(recipe, ["learning_rate=0.002"]), override(recipe, ["dropout=0.5"]),
            override(recipe, ["optimizer.name=rmsprop"])]  # fmt: skip
    return train_many_problems(problem, arms, seeds=SEEDS, folds=FOLDS, fork_at=AT)


def test_an_untreated_recipe_goes_on_exactly_as_without_the_fork(problem, recipe, forked):
    whole = train_many_problems(problem, [recipe], seeds=SEEDS, folds=FOLDS)
    for one, other in zip(whole, forked, strict=False):
        assert one.outcome == other.outcome
        np.testing.assert_array_equal(one.trace.curve("loss"), other.trace.curve("loss"))
        np.testing.assert_array_equal(one.held_out.prediction, other.held_out.prediction)


def test_the_arms_share_the_beginning_and_nothing_else(forked):
    control, *arms = [forked[i : i + 4] for i in range(0, 16, 4)]
    for arm in arms:
        for one, other in zip(control, arm, strict=True):
            ours, theirs = one.trace.curve("loss"), other.trace.curve("loss")
            np.testing.assert_array_equal(ours[:AT], theirs[:AT])
            assert ours[AT] != theirs[AT]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("hidden=[6, 6]", "its weights have other shapes"),
        ("prepare.numeric=robust", "what the network is given"),
        ("initializer=lecun_normal", "first weights alone"),
        ("members=2", "number of networks"),
    ],
)
def test_what_cannot_go_on_is_named_before_any_training(problem, recipe, change, why):
    arms = [recipe, override(recipe, [change])]
    with pytest.raises(InputError, match=f"larger: .*{why}"):
        train_many_problems(problem, arms, folds=FOLDS, fork_at=AT, names=("control", "larger"))


def test_the_fork_lies_inside_of_the_training(problem, recipe):
    with pytest.raises(InputError, match="1 to 7"):
        train_many_problems(problem, [recipe], folds=FOLDS, fork_at=EPOCHS)


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(1).normal(size=(80, 3)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.float32)


def small(rate, dropout=0.2):
    first, last = keras.layers.Dense(6, "relu", name="first"), keras.layers.Dense(1, "sigmoid", name="last")
    between = [keras.layers.BatchNormalization(name="bn"), keras.layers.Dropout(dropout, name="drop")]
    model = keras.Sequential([keras.Input((3,)), first, *between, last])
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def test_a_keras_model_goes_on_exactly_and_another_rate_from_the_same_place(data):
    model, folds = small(0.01), [(rows, np.zeros(0, int), held) for rows, held in FOLDS]
    given = {"seeds": SEEDS, "folds": folds, "epochs": EPOCHS, "early_stopping": False}
    whole = train_many_keras(model, *data, **given)
    fork = begin_many_keras(model, *data, at=AT, **given)
    same = train_many_keras(model, *data, fork=fork, **given)
    for one, other in zip(whole, same, strict=True):
        np.testing.assert_array_equal(one.held_out.prediction, other.held_out.prediction)
        np.testing.assert_array_equal(one.trace.curve("running_loss"), other.trace.curve("running_loss"))
        assert one.scores == other.scores
        assert one.scores[0].rows == "test"
    frozen = train_many_keras(small(0.0), *data, fork=fork, **given)
    for one, begun in zip(frozen, fork.found.values(), strict=True):
        for weights, held in zip(one.model.trainable_variables, begun[0].state.params, strict=True):
            np.testing.assert_array_equal(np.asarray(weights), held[0])


def test_frozen_layers_and_trained_optimizers_do_not_reach_into_other_seeds(data):
    x, y = data
    model = small(0.01)
    model.get_layer("first").trainable = False
    kernel = np.asarray(model.get_layer("first").kernel)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(1000)
    (run,) = train_many_keras(model, x, y, seeds=[3], epochs=1, early_stopping=False)
    np.testing.assert_array_equal(np.asarray(run.model.get_layer("first").kernel), kernel)
    assert int(run.model.optimizer.iterations.numpy()) == 3
