"""Batches of one, of all, and growing ones; orders of examples by their classes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.errors import InputError, RecipeError
from fallline.optimize import alternating_orders
from fallline.recipe import default, override
from fallline.recipe.resolve import resolve
from fallline.train.orders import Member, Orders, Plan, classes_of
from fallline.types import Recipe


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_successive_examples_come_from_different_classes(counts: list[int], seed: int, first: int) -> None:
    classes = np.repeat(np.arange(len(counts)) * 7, counts)
    rows = np.arange(len(classes)) + 100
    found = alternating_orders(rows, classes, seed=seed, first_epoch=first, epochs=2)
    most = max(counts)
    unavoidable = max(0, most - (len(rows) - most) - 1)
    for epoch, order in enumerate(found):
        assert sorted(order.tolist()) == rows.tolist()
        seen = classes[order - 100]
        assert (seen[1:] == seen[:-1]).sum() == unavoidable
        again = alternating_orders(rows, classes, seed=seed, first_epoch=first + epoch, epochs=1)
        np.testing.assert_array_equal(again[0], order)


def test_rare_classes_are_spread_over_the_epoch_and_examples_are_drawn_anew() -> None:
    classes = np.repeat([0, 1, 2], [60, 30, 10])
    first, second = alternating_orders(np.arange(100), classes, seed=1, first_epoch=0, epochs=2)
    assert (first != second).any()
    for part in np.split(classes[first], 5):  # of 20, each with its share of every class
        assert np.abs(np.bincount(part, minlength=3) - [12, 6, 2]).max() <= 2


def test_a_plan_alternates_between_the_classes_of_the_targets() -> None:
    targets = np.array([0, 0, 0, 1, 1, 1, 9, 9])
    members = [Member(3, np.arange(6), np.arange(6, 8))]
    schedule = Orders(members, Plan(epochs=4, batch_size=2, order="classes"), False, targets=targets).chunk(1, 2)
    for epoch in range(2):
        assert (targets[schedule.order[0, epoch]].sum(axis=-1) == 1).all()  # one of each class in every batch of two


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (np.array([2, 0, 1]), [2, 0, 1]),
        (np.array([[1.0], [0.0]]), [1, 0]),
        (np.eye(3)[[2, 0]], [2, 0]),
        (np.array([0.5, 1.0]), None),
        ({"one": np.array([1])}, None),
    ],
)
def test_classes_of_targets(targets: Any, expected: list[int] | None) -> None:
    if expected is None:
        with pytest.raises(InputError, match=r'training\.order = "classes"'):
            classes_of(targets)
    else:
        assert classes_of(targets).tolist() == expected


def recipe(*changes: str) -> Recipe:
    own = ["optimizer.name=sgd", "momentum=0", "learning_rate=0.1", "schedule=constant"]
    return override(default(), [*own, *changes])


def line() -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(-1, 1, 7, dtype=np.float32)[:, None]
    return x, 3 * x + 1


def test_all_rows_at_every_step_is_gradient_descent() -> None:
    x, y = line()
    for keywords in ({"batch_size": "all"}, {"recipe": recipe("batch_size=all")}):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
        run = fl.train(model, x, y, epochs=3, early_stopping=False, verbose=0, **keywords)
        w, b = 1.0, 0.0
        for _ in range(3):
            error = w * x + b - y
            w, b = w - 0.2 * float((error * x).mean()), b - 0.2 * float(error.mean())
        assert run.facts["steps_per_epoch"] == 1
        np.testing.assert_allclose([float(v.ravel()[0]) for v in model.get_weights()], [w, b], rtol=1e-4)


def test_all_means_all_rows_of_a_table() -> None:
    made = resolve(recipe("batch_size=all"), kind="regression", n_rows=321, n_features=2, n_outputs=1)
    assert made.training.batch_size == 321


def test_contradictions() -> None:
    with pytest.raises(RecipeError, match="keeps the given one"):
        recipe("training.order=classes", "shuffle=false")
    with pytest.raises(RecipeError, match="alternates between classes, but the problem is regression"):
        resolve(recipe("training.order=classes"), kind="regression", n_rows=50, n_features=2, n_outputs=1)
    with pytest.raises(RecipeError, match='of at least 1, or "auto" or "all"'):
        recipe("batch_size=al")


GROWING = Plan(epochs=8, batch_size=3, schedule="linear", doublings=(0.25, 0.5))


@pytest.mark.parametrize("coupled", [False, True])
def test_a_batch_grows_at_its_shares_and_drops_no_row(coupled: bool) -> None:
    members = [Member(seed, np.arange(10), np.arange(3)) for seed in (1, 2)]
    orders = Orders(members, GROWING, coupled)
    done, rates, sizes = 0, [], []
    while done < 8:
        epochs = orders.until(done)
        schedule = orders.chunk(done, epochs)
        sizes += [schedule.order.shape[-1]] * epochs
        for epoch in range(epochs):
            seen = np.concatenate([schedule.order[1, epoch].ravel()[: schedule.rows[1]], schedule.rest[1, epoch]])
            assert sorted(seen.tolist()) == list(range(10))
            rates += schedule.rates[1, epoch, : -(-int(schedule.rows[1]) // sizes[-1])].tolist()
            rates += [schedule.rest_rate[1, epoch]] if schedule.rest.shape[-1] else []
        done += epochs
    assert sizes == [3, 3, 6, 6, 10, 10, 10, 10]
    total = 2 * 4 + 2 * 2 + 4 * 1
    assert orders.steps_before(0, 8) == len(rates) == total
    assert [orders.steps_before(0, epoch) for epoch in (0, 1, 2, 3, 4, 5)] == [0, 4, 8, 10, 12, 13]
    np.testing.assert_allclose(rates, 1 - np.arange(total) / total, rtol=1e-5)  # one schedule through all phases


def test_phases_begin_one_after_another_and_members_can_be_taken() -> None:
    members = [Member(seed, np.arange(first, first + 10), np.arange(3)) for seed, first in ((1, 0), (2, 50))]
    orders = Orders(members, Plan(epochs=3, batch_size=2, doublings=(0.01, 0.02)), False)
    assert orders.starts == (0, 1, 2)
    part = orders.take(np.array([1]))
    for epoch in range(3):
        np.testing.assert_array_equal(part.chunk(epoch, 1).order[0], orders.chunk(epoch, 1).order[1])
        assert part.at(epoch).whole is part


def test_a_growing_batch_trains_and_is_what_its_steps_say() -> None:
    x, y = line()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(loss="mse")
    made = recipe("batch_size=2", "batch_doublings=[0.5]", "shuffle=false")
    run = fl.train(model, x, y, recipe=made, epochs=2, early_stopping=False, verbose=0, watch=False)
    w, b = 1.0, 0.0
    for rows in (x[:2], x[2:4], x[4:6], x[6:], x[:4], x[4:]):
        error = (w - 3) * rows + b - 1
        w, b = w - 0.2 * float((error * rows).mean()), b - 0.2 * float(error.mean())
    np.testing.assert_allclose([float(v.ravel()[0]) for v in model.get_weights()], [w, b], rtol=1e-4)
    assert run.facts["evaluations"]["gradients"] == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["batch_doublings=[0.5,0.2]"], "must rise"),
        (["batch_size=all", "batch_doublings=[0.5]"], "holds all rows already"),
    ],
)
def test_contradictions_of_growth(changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(*changes)
