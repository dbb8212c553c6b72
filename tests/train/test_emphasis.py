"""Examples with a large error come more often, outliers do not, and a resumed training sees what it would have seen."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.engine import Population, Stopping, row_losses
from fallline.errors import InputError, RecipeError
from fallline.optimize import emphasised, emphasised_orders, next_streaks
from fallline.recipe import default, override
from fallline.train import loop
from fallline.train.keras_task import keras_task
from fallline.train.loop import fit_population
from fallline.train.orders import Emphasis, Member, Orders, Plan
from tests.engine import toy


@given(st.integers(1, 40), st.floats(1.5, 20), st.integers(0, 2**32 - 1), st.data())
def test_everybody_comes_as_often_as_his_weight_says(n: int, times: float, seed: int, data: Any) -> None:
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    found = emphasised_orders(np.arange(n) + 7, chosen, times, seed=seed, first_epoch=3, epochs=2)
    weights = np.where(chosen, times, 1.0) if chosen.any() else np.ones(n)
    expected = n * weights / weights.sum()
    for epoch, order in enumerate(found):
        assert len(order) == n
        counts = np.bincount(order - 7, minlength=n)
        assert (np.abs(counts - expected) < 1 + 1e-9 * n).all()  # rounded up or down
        again = emphasised_orders(np.arange(n) + 7, chosen, times, seed=seed, first_epoch=3 + epoch, epochs=1)
        np.testing.assert_array_equal(again[0], order)


def test_it_is_right_on_average() -> None:
    chosen = np.arange(20) < 4
    found = emphasised_orders(np.arange(20), chosen, 3.0, seed=1, first_epoch=0, epochs=2000)
    mean = np.bincount(found.ravel(), minlength=20) / 2000
    np.testing.assert_allclose(mean, 20 * np.where(chosen, 3, 1) / 28, rtol=0.1)


def test_an_error_that_stays_large_loses_its_emphasis_until_it_is_small() -> None:
    streaks, seen = np.zeros(4, np.uint8), []
    for outlier in (9.0, 9.0, 9.0, np.nan, 0.0, 9.0):
        streaks = next_streaks(streaks, np.array([0.3, outlier, 0.1, 0.2]), 0.25)
        seen.append(emphasised(streaks, 2).tolist())
    assert [row[1] for row in seen] == [True, True, False, False, False, True]
    assert [row[0] for row in seen] == [False, False, False, False, True, False]


EMPHASIS = Emphasis(times=4.0, share=0.25, every=2, patience=1)
PLAIN = Plan(epochs=9, batch_size=5, eval_batch=8)
PLAN = Plan(epochs=9, batch_size=5, order="errors", emphasis=EMPHASIS, eval_batch=8)
MEMBERS = [
    Member(11, np.arange(16), np.arange(16, 24), {"learning_rate": 0.1}),
    Member(12, np.arange(3, 15), np.arange(16, 24), {"learning_rate": 0.1}),
    Member(13, np.arange(1, 15), np.arange(16, 24), {"learning_rate": 0.1}, PLAIN),
]  # fmt: skip


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(toy.task(), Stopping(), len(MEMBERS), validated=True)


def fit(population: Population, **keywords: Any) -> Any:
    begin = toy.begin([1, 2, 3])
    return fit_population(population, MEMBERS, PLAN, toy.data(), begin.params, begin.aux, begin.optimizer, **keywords)


def test_losses_of_single_rows_are_those_of_numpy() -> None:
    x, y, weight = toy.data()
    p = toy.weights(4)
    rows = np.array([3, 0, 3, 20], np.int32)
    found = row_losses(toy.task(), {}, (x, y, weight), p, np.zeros(()), rows)
    wide = [np.asarray(t, np.float64) for t in p]
    np.testing.assert_allclose(found, (toy.forward(wide, x.astype(np.float64), np.tanh) - y)[rows] ** 2, rtol=1e-5)


@pytest.mark.parametrize("epoch", [1, 2, 3, 4, 7])
def test_a_resumed_training_is_the_uninterrupted_one(
    population: Population, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(population)
    assert whole.streaks[:2].any(axis=1).all()
    assert not whole.streaks[2].any()
    monkeypatch.setattr(loop, "_WATCHED_SECONDS", 0.0)  # chunks of one epoch
    saved: list[Any] = []
    part = fit(population, on_progress=lambda e: e.epoch >= epoch, checkpoint=lambda *kept: saved.append(kept))
    assert part.interrupted
    arrays, meta = saved[-1]
    resumed = fit(population, resume=({name: np.array(a) for name, a in arrays.items()}, meta))
    for a, b in zip(jax.tree.leaves(resumed.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(resumed.seen, whole.seen)
    np.testing.assert_array_equal(resumed.streaks, whole.streaks)


def test_a_chunk_ends_at_a_look_and_what_is_taken_sees_it() -> None:
    orders = Orders(MEMBERS, PLAN, False)
    assert [orders.until(epoch) for epoch in (0, 1, 2)] == [2, 1, 2]
    assert orders.looking(0).tolist() == [False] * 3
    assert orders.looking(4).tolist() == [True, True, False]
    part = orders.take(np.array([1, 0]))
    part.emphasise(0, np.arange(12.0))  # rows 12, 13 and 14 are the worst of the second member
    counts = np.bincount(orders.chunk(2, 2).order[1, 0].ravel()[:12], minlength=16)
    assert (counts[12:15] >= 2).all()
    assert counts.sum() == 12


ERRORS = ["training.order=errors", "emphasis_every=1"]


def shared(*changes: str) -> fl.Recipe:
    return override(default("simple"), ["epochs=4", *changes])


def test_a_table_and_a_keras_model_train_by_it() -> None:
    x = np.linspace(-1, 1, 60, dtype=np.float32)[:, None]
    y = np.where(x[:, 0] > 0, 1.0, x[:, 0]).astype(np.float32)
    small = ["split.folds=1", "ensemble.members=2", "hidden=[4]"]
    tables = [fl.train(shared(*small, *more), x, y, verbose=0, watch=False).predict(x[:3]) for more in (ERRORS, [])]
    assert np.isfinite(tables[0]).all()
    assert not np.array_equal(*tables)
    finals = []
    for made in (shared(*ERRORS), shared()):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
        model.compile(loss="mse", metrics=["mae"])
        fl.train(model, x, y, recipe=made, early_stopping=False, verbose=0, watch=False)
        finals.append(model.get_weights()[0])
    assert not np.array_equal(*finals)


def test_rows_of_a_keras_model_have_their_own_losses() -> None:
    x = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    y = np.arange(9) % 2
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dense(2)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    task = keras_task(model, optimizer=None, numbers={}, seed=0, sample=(x[:2], y[:2]), weighted=False)
    found = row_losses(task.task, {}, (x, y, np.ones(9, np.float32)), task.params, task.aux, np.arange(9))
    logits = np.asarray(model(x, training=False), np.float64)
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(9), y]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_contradictions() -> None:
    for changes, message in (
        (["training.order=errors", "shuffle=false"], "keeps the given one"),
        (["emphasis=5"], 'belongs to order = "errors"'),
        (["training.order=errors", "optimizer.name=lbfgs"], "takes all rows at every step"),
    ):
        with pytest.raises(RecipeError, match=message):
            override(default("simple"), changes)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss=lambda y, out: keras.ops.mean((y - out) ** 2))
    x = np.ones((8, 1), np.float32)
    with pytest.raises(RecipeError, match="mean over rows"):
        fl.train(model, x, x, recipe=shared(*ERRORS), verbose=0, watch=False)
    with pytest.raises(InputError, match="keeps the given order"):
        fl.train(keras.Sequential([keras.layers.Dense(1)]), x, x, recipe=shared(*ERRORS), shuffle=False, verbose=0)
