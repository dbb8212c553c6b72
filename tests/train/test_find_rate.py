"""The learning-rate finder: hand-made curves, a loss whose useful rates are known, and what it leaves alone."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.data import split_rows
from fallline.errors import InputError, RecipeError
from fallline.recipe import default, override
from fallline.train.find_rate import smooth, steepest, valley, with_found_rate

RATES = np.geomspace(1e-7, 10.0, 100)


def logistic(middle: int) -> np.ndarray:
    """A loss that falls from 1 to 0, fastest at this step."""
    return 1.0 / (1.0 + np.exp((np.arange(100) - middle) / 3.0))


@pytest.mark.parametrize("middle", [30, 50, 70])
def test_the_steepest_fall_is_found_behind_the_first_steps(middle: int) -> None:
    losses = logistic(middle)
    losses[:3] = [9.0, 5.0, 1.0]  # not looked at
    assert steepest(RATES, losses) == pytest.approx(RATES[middle])


def test_the_valley_is_the_middle_of_the_longest_fall() -> None:
    losses = np.concatenate([np.ones(40), np.linspace(1.0, 0.1, 31)[1:], np.full(30, np.nan)])
    # It falls at the steps 40 to 69, with step 39 before them 31 long: 69 - 15.
    assert valley(RATES, losses) == pytest.approx(RATES[69 - 15])


def test_smoothing_is_a_corrected_running_mean_that_ends_where_the_loss_explodes() -> None:
    found = smooth(np.array([2.0, 2.0, 1.0, *[1.0] * 20, 1000.0, 1.0]))
    expected = [2.0, 2.0, (0.1 * 1.0 + 0.09 * 2.0 + 0.081 * 2.0) / (0.1 + 0.09 + 0.081)]
    np.testing.assert_allclose(found[:3], expected)
    assert np.isfinite(found[:23]).all()
    assert np.isnan(found[23:]).all()


def quadratic(seed: int = 0) -> tuple[Any, np.ndarray, np.ndarray]:
    """Linear regression on standard normal inputs: gradient descent on the mse diverges from a rate of 1 on."""
    x = np.random.default_rng(seed).normal(size=(2000, 1))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    return model, x, 3.0 * x


def test_a_keras_model_is_tried_by_its_own_kind_of_optimizer_and_stays_as_it_is() -> None:
    model, x, y = quadratic()
    recipe = override(default(), ["optimizer.name=sgd", "momentum=0"])
    found = fl.find_learning_rate(model, x, y, recipe=recipe, batch_size=200, seeds=4)
    assert found.losses.shape == (4, 100)
    assert 1e-3 < found.suggestion < 1.0
    assert found.spread[0] <= found.suggestion <= found.spread[1]
    exploded = found.rates[np.isfinite(found.losses).sum(axis=1) - 1]
    assert ((exploded > 0.5) & (exploded < 9.0)).all()  # the running mean is late
    assert all((np.asarray(v) == 0.0).all() for v in model.trainable_variables)
    assert fl.find_learning_rate(model, x, y, seeds=1).optimizer == "sgd"
    assert "networks; the loss falls fastest at" in str(found)


def test_networks_of_a_recipe_differ_by_their_seeds_and_repeat_by_them() -> None:
    x = np.random.default_rng(0).normal(size=(300, 2))
    found = [fl.find_learning_rate("simple", x, x[:, 0] * x[:, 1], seeds=k) for k in (3, 2)]
    np.testing.assert_allclose(found[0].losses[:2], found[1].losses, rtol=1e-4)
    assert len(np.unique(found[0].losses[:, 0])) == 3
    assert 1e-5 < found[0].suggestion < 1.0
    run = fl.train(
        override(default("simple"), [f"learning_rate={found[0].suggestion}", "epochs=3"]), x, x[:, 0], verbose=0,
        watch=False,
    )
    assert run.outcome == "completed"


def test_a_recipe_that_says_find_trains_with_what_the_training_rows_suggest() -> None:
    x = np.random.default_rng(0).normal(size=(160, 2))
    y = x[:, 0] * x[:, 1]
    recipe = override(default("simple"), ["learning_rate=find", "epochs=2", "network.hidden=[8]"])
    run = fl.train(recipe, x, y, verbose=0, watch=False)
    facts = run.facts["learning_rate_found"]
    assert run.recipe.optimizer.learning_rate == facts["suggestion"] > 1e-6
    assert facts["lowest"] <= facts["suggestion"] <= facts["highest"]
    # What stands in the untouched rows changes nothing.
    other = y.copy()
    other[split_rows(fl.make_problem(x, y), recipe.split, recipe.seed)[1]] = 100.0
    found, _ = with_found_rate(fl.make_problem(x, other), recipe)
    assert found.optimizer.learning_rate == run.recipe.optimizer.learning_rate
    many = fl.train_many(recipe, x, y, seeds=[0], folds=2, verbose=0)
    assert all(one.recipe.optimizer.learning_rate == one.facts["learning_rate_found"]["suggestion"] for one in many)


def test_a_keras_model_is_trained_with_the_rate_that_was_found() -> None:
    model, x, y = quadratic()
    recipe = override(default("simple"), ["learning_rate=find", "optimizer.name=sgd"])
    keywords = {"recipe": recipe, "batch_size": 200, "epochs": 2, "early_stopping": False, "verbose": 0}
    many = fl.train_many(model, x, y, seeds=[0], **keywords)
    run = fl.train(model, x, y, **keywords)
    assert run.recipe.optimizer.learning_rate == run.facts["learning_rate_found"]["suggestion"]
    assert 1e-3 < run.recipe.optimizer.learning_rate < 1.0
    assert many[0].facts["learning_rate_found"] == run.facts["learning_rate_found"]


def test_what_chooses_its_own_steps_has_no_rate_to_be_found() -> None:
    with pytest.raises(RecipeError, match="tries steps along a gradient"):
        override(default(), ["optimizer.name=lm", "learning_rate=find"])


def test_mistakes_are_told() -> None:
    model, x, y = quadratic()
    with pytest.raises(InputError, match="chooses the length of its steps itself"):
        fl.find_learning_rate(model, x, y, recipe=override(default(), ["optimizer.name=lm"]))
    for wrong in ({"seeds": 0}, {"steps": 3}, {"low": 1.0, "high": 0.1}, {"low": math.nan}):
        with pytest.raises(InputError, match="not allowed"):
            fl.find_learning_rate(model, x, y, **wrong)
    with pytest.raises(InputError, match="first"):
        fl.find_learning_rate(3, x, y[:, 0])
    with pytest.raises(InputError, match="begin lower"):
        fl.find_learning_rate(model, x, y, low=1e4, high=1e6, seeds=1)


def test_it_is_drawn() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model, x, y = quadratic()
    ax = fl.find_learning_rate(model, x, y, seeds=2).plot()
    assert ax.get_xscale() == "log"
    assert len(ax.lines) == 3
    pyplot.close(ax.figure)
