"""One epoch, one evaluation, one decision to stop, against NumPy in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.engine import DIVERGED, RUNNING, STOPPED, Rows, Schedule, Stopping
from fallline.engine.evaluation import evaluate
from fallline.engine.member import end_epoch, train_epoch, train_step
from tests.engine import toy

RATE = 0.05


def one(state: Any) -> Any:
    return jax.tree.map(lambda a: jnp.asarray(a[0]), state)


def schedule(order: Any, count: int | None = None, rest: Any = ()) -> Schedule:
    order, rest = np.asarray(order, np.int32), np.asarray(rest, np.int32)
    made = Schedule(
        order[None],
        np.ones((1, len(order)), np.float32),
        np.asarray(order.size if count is None else count, np.int32),
        np.asarray(100, np.int32),
        np.asarray(1, np.int32),
        rest[None],
        np.ones(1, np.float32),
    )
    return jax.tree.map(jnp.asarray, made)


def epoch(plan: Schedule, coupled: bool = False) -> tuple[list[np.ndarray], float]:
    numbers = {"learning_rate": jnp.asarray(RATE)}
    run = jax.jit(lambda state: train_epoch(toy.task(coupled), numbers, toy.data(), state, plan, jnp.asarray(0)))
    state, running = run(one(toy.begin([3])))
    assert int(state.bad_step) == -1
    return [np.asarray(p) for p in state.params], float(running)


def by_hand(batches: list[list[int]]) -> tuple[list[np.ndarray], float]:
    """Gradient descent in float64 on the batches' real rows alone; the loss is the mean over all rows."""
    x, y, weight = (a.astype(np.float64) for a in toy.data())
    p = [t.astype(np.float64) for t in toy.weights(3)]
    losses = []
    for rows in batches:
        losses += [toy.numpy_loss(p, x[rows], y[rows], weight[rows])] * len(rows)
        gradient = toy.numpy_gradient(p, x[rows], y[rows], weight[rows])
        for tensor, g in zip(p, gradient, strict=True):
            tensor -= RATE * g
    return p, float(np.mean(losses))


def test_steps_follow_the_gradient() -> None:
    params, running = epoch(schedule([[0, 1, 2, 3], [4, 5, 6, 7]]))
    expected, loss = by_hand([[0, 1, 2, 3], [4, 5, 6, 7]])
    assert running == pytest.approx(loss, rel=1e-5)
    for mine, other in zip(params, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("coupled", [False, True])
def test_the_last_partial_batch_is_used(coupled: bool) -> None:
    if coupled:
        plan = schedule([[0, 1, 2, 3]], rest=[4, 5])
    else:
        plan = schedule([[0, 1, 2, 3], [4, 5, 0, 0]], 6)
    params, running = epoch(plan, coupled)
    expected, loss = by_hand([[0, 1, 2, 3], [4, 5]])
    assert running == pytest.approx(loss, rel=1e-5)
    for mine, other in zip(params, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_padding_has_no_influence_whatever() -> None:
    first = epoch(schedule([[0, 1, 2, 0, 0]], 3))
    # Neither the rows behind the last real one, nor whole steps behind it.
    second = epoch(schedule([[0, 1, 2, 19, 23], [7, 7, 7, 7, 7], [8, 8, 8, 8, 8]], 3))
    assert first[1] == second[1]
    for a, b in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_not_finite_names_its_step() -> None:
    x, y, weight = toy.data()
    y = y.copy()
    y[6] = np.nan
    plan = schedule([[0, 1], [2, 3], [4, 6], [5, 7]])
    state, running = train_epoch(
        toy.task(), {"learning_rate": jnp.asarray(RATE)}, (x, y, weight), one(toy.begin([3])), plan, jnp.asarray(0)
    )
    assert int(state.bad_step) == 2
    assert not math.isfinite(float(running))


def rows(batches: Any, count: int, rest: Any = ()) -> Rows:
    return Rows(np.asarray(batches, np.int32), np.asarray(count, np.int32), np.asarray(rest, np.int32))


@pytest.mark.parametrize(
    "parts",
    [
        rows([list(range(10))], 10),
        rows([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]], 10),
        rows([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0], [1, 1, 1, 1]], 10),
        rows([[0, 1, 2, 3], [4, 5, 6, 7]], 8, [8, 9]),
        rows(np.zeros((0, 4)), 0, list(range(10))),
    ],
    ids=["at once", "padded", "with an empty batch", "with a rest", "rest alone"],
)
def test_evaluation_in_batches_is_evaluation_at_once(parts: Rows) -> None:
    state = one(toy.begin([5]))
    found = evaluate(toy.task(), {}, toy.data(), state.params, state.aux, parts)
    x, y, weight = (a[:10].astype(np.float64) for a in toy.data())
    error = toy.forward(toy.weights(5), x, np.tanh) - y
    expected = [np.average(error**2, weights=weight), np.average(np.abs(error), weights=weight)]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5)


def keras_early_stopping(values: list[float], patience: int, min_delta: float) -> tuple[int, int]:
    """Epochs run and best epoch, as keras.callbacks.EarlyStopping counts them."""
    best, best_epoch, wait = None, 0, 0
    for index, value in enumerate(values):
        wait += 1
        if best is None or value + min_delta < best:
            best, best_epoch, wait = value, index + 1, 0
        elif wait >= patience and index > 0:
            return index + 1, best_epoch
    return len(values), best_epoch


# Quarters are exact in float32: no rounding stands between the two ways of counting.
@given(st.lists(st.integers(0, 12), min_size=1, max_size=15), st.integers(1, 4), st.sampled_from([0.0, 0.25, 1.0]))
def test_patience_counts_as_keras_counts(quarters: list[int], patience: int, min_delta: float) -> None:
    values = [q / 4 for q in quarters]
    state, stopping = one(toy.begin([0])), Stopping(patience=patience, min_delta=min_delta)
    for index, value in enumerate(values):
        after = state._replace(params=[jnp.full_like(p, index + 1.0) for p in state.params])
        state = end_epoch(stopping, state, after, jnp.asarray(1.0), jnp.asarray(value))
        if int(state.outcome) == STOPPED:
            break
    ran, best = keras_early_stopping(values, patience, min_delta)
    assert (int(state.epoch), int(state.best_epoch)) == (ran, best)
    assert (int(state.outcome) == STOPPED) == (int(state.wait) >= patience)
    assert all((np.asarray(p) == best).all() for p in state.best_params)


@pytest.mark.parametrize(("running", "monitored"), [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, -np.inf)])
def test_what_is_not_finite_never_becomes_best(running: float, monitored: float) -> None:
    state = one(toy.begin([0]))
    after = state._replace(params=[jnp.full_like(p, jnp.nan) for p in state.params])
    found = end_epoch(Stopping(), state, after, jnp.asarray(running), jnp.asarray(monitored))
    assert int(found.outcome) == DIVERGED
    assert int(found.best_epoch) == 0
    for a, b in zip([*found.params, *found.best_params], [*state.params, *state.best_params], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_rough_beginning_never_becomes_best() -> None:
    state = one(toy.begin([0]))
    for value in (0.1, 0.5, 0.4):
        state = end_epoch(Stopping(first_best=2), state, state, jnp.asarray(1.0), jnp.asarray(value))
    assert int(state.best_epoch) == 3
    assert int(state.outcome) == RUNNING


def test_without_weights_every_example_counts_alike() -> None:
    x, y, _ = toy.data()
    numbers, plan = {"learning_rate": jnp.asarray(RATE)}, schedule([[0, 1, 2, 3], [4, 5, 0, 0]], 6)
    states = [
        train_epoch(toy.task(), numbers, (x, y, weight), one(toy.begin([3])), plan, jnp.asarray(0))[0]
        for weight in (None, np.ones(len(x), np.float32))
    ]
    for a, b in zip(jax.tree.leaves(states[0]), jax.tree.leaves(states[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_searching_update_gets_the_loss_of_its_batch_as_a_function() -> None:
    asked = []

    def update(grads: Any, state: Any, params: Any, numbers: Any, rate: Any, *, objective: Any) -> Any:
        asked.append(objective)
        gain = objective.value - objective.loss(params)
        return [p - gain for p in params], objective.cost(objective.outputs(params)) + objective.penalty(params)

    searching = replace(toy.task(), update=update, searches=True)
    params, x, y, weight = toy.weights(0), *toy.data()
    rows, carry = jnp.array([3, 1, 3], jnp.int32), (params, np.zeros(()), np.zeros(()))
    (moved, _, value), loss = train_step(searching, {}, (x, y, weight), carry, rows, jnp.asarray(2), jnp.ones(()))
    expected = toy.numpy_loss(params, x[[3, 1]], y[[3, 1]], weight[[3, 1]])
    assert len(asked) == 1
    np.testing.assert_allclose([loss, value], expected, rtol=1e-5)
    for old, new in zip(params, moved, strict=True):
        np.testing.assert_allclose(old, new, atol=1e-6)
