"""A population is its members: bit by bit the same alone, among others, on one device or two, in one chunk or many."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from fallline.engine import DIVERGED, RUNNING, STOPPED, Population, Stopping
from tests.engine import toy


def member(state: Any, index: int) -> list[np.ndarray]:
    return [np.asarray(leaf)[index] for leaf in jax.tree.leaves(state)]


def assert_equal(mine: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def seven() -> tuple[Any, np.ndarray]:
    return toy.train(range(7))


def test_there_are_two_devices() -> None:
    assert len(jax.local_devices()) >= 2


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_member_is_the_same_alone_and_among_others(seven: tuple[Any, np.ndarray], size: int) -> None:
    state, seen = toy.train(range(size))
    for i in range(size):
        assert_equal(member(state, i), member(seven[0], i))
        np.testing.assert_array_equal(seen[i], seven[1][i])


def test_one_device_or_two(seven: tuple[Any, np.ndarray]) -> None:
    state, seen = toy.train(range(7), devices=1)
    assert_equal(jax.tree.leaves(state), jax.tree.leaves(seven[0]))
    np.testing.assert_array_equal(seen, seven[1])


def test_the_order_of_the_members_is_indifferent(seven: tuple[Any, np.ndarray]) -> None:
    state, _ = toy.train([4, 0, 6])
    for place, seed in enumerate([4, 0, 6]):
        assert_equal(member(state, place), member(seven[0], seed))


@pytest.mark.parametrize("chunks", [(1, 1, 1, 1, 1, 1), (4, 2)])
def test_chunks_do_not_change_the_result(seven: tuple[Any, np.ndarray], chunks: tuple[int, ...]) -> None:
    state, seen = toy.train(range(7), chunks=chunks)
    assert_equal(jax.tree.leaves(state), jax.tree.leaves(seven[0]))
    np.testing.assert_array_equal(seen, seven[1])


def test_a_diverged_member_is_a_value(seven: tuple[Any, np.ndarray]) -> None:
    state, seen = toy.train(range(7), rates=[0.1, 1e30, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert state.outcome.tolist() == [RUNNING, DIVERGED] + [RUNNING] * 5
    assert state.bad_step[1] >= 0
    assert (np.delete(state.bad_step, 1) == -1).all()
    assert all(np.isfinite(leaf).all() for leaf in state.params)
    assert_equal(member(state, 1)[:4], toy.weights(1))  # the failing epoch is taken back
    assert state.best_epoch[1] == 0
    assert np.isinf(state.best_loss[1])
    for i in (0, 2, 3, 4, 5, 6):
        assert_equal(member(state, i), member(seven[0], i))
    assert np.isnan(seen[1, 1:]).all()


def test_a_stopped_member_waits_for_nobody() -> None:
    # At rate 0 nothing ever improves after the first epoch: patience 2 ends the member after the third.
    state, seen = toy.train(range(3), rates=[0.1, 0.0, 0.1], stopping=Stopping(patience=2))
    assert (state.outcome[1], state.epoch[1], state.best_epoch[1]) == (STOPPED, 3, 1)
    assert np.isfinite(seen[1, :3]).all()
    assert np.isnan(seen[1, 3:]).all()
    assert_equal([t[1] for t in state.best_params], toy.weights(1))


def test_the_best_weights_are_those_of_the_lowest_validation_loss(seven: tuple[Any, np.ndarray]) -> None:
    state, seen = seven
    val_loss = seen[:, :, 3]
    assert (state.best_epoch == val_loss.argmin(axis=1) + 1).all()
    np.testing.assert_array_equal(state.best_loss, val_loss.min(axis=1))
    x, y, weight = (a[16:24].astype(np.float64) for a in toy.data())
    for i in range(7):
        p = [t[i] for t in state.best_params]
        expected = toy.numpy_loss(p, x, y, weight) / weight.mean()
        assert state.best_loss[i] == pytest.approx(expected, rel=1e-5)


def test_without_best_weights_none_are_kept() -> None:
    state, _ = toy.train(range(2), stopping=Stopping(keep_best=False), chunks=(2,))
    assert state.best_params == ()
    assert (state.best_epoch > 0).all()


def test_placed_members_are_padded_with_ended_ones() -> None:
    population = Population(toy.task(), Stopping(), 3, validated=True, devices=jax.local_devices()[:2])
    placed = population.place_state(toy.begin(range(3)))
    assert population.capacity == 4
    assert np.asarray(placed.outcome).tolist() == [RUNNING] * 3 + [STOPPED]


def test_a_member_ends_at_its_own_last_epoch() -> None:
    """Members of one population may have different numbers of epochs, and different numbers of rows."""
    p = 3
    program = toy.population(p, Stopping(), 2)
    schedule = toy.orders(range(p), np.arange(16), 6, 5)
    schedule = schedule._replace(limit=np.array([6, 2, 6], np.int32), rows=np.array([16, 16, 7], np.int32))
    both = toy.rows_for(p, np.arange(16)), toy.rows_for(p, np.arange(16, 24))
    placed, seen = program.start(
        program.place(toy.data(), shared=True),
        6,
        program.place_state(toy.begin(range(p))),
        program.place({"learning_rate": np.full(p, 0.1, np.float32)}),
        program.place(schedule),
        *(program.place(rows) for rows in both),
    )
    whole, curves = toy.train(range(2))
    assert np.asarray(placed.epoch)[:p].tolist() == [6, 2, 6]
    assert np.asarray(placed.outcome)[:p].tolist() == [RUNNING] * 3
    assert_equal(member(placed, 0), member(whole, 0))
    np.testing.assert_array_equal(np.asarray(seen)[1, :2], curves[1, :2])
    assert np.isnan(np.asarray(seen)[1, 2:]).all()
    # The smaller member did two steps an epoch, not four: toy's optimizer counts them.
    assert np.asarray(placed.optimizer)[:p].tolist() == [24, 8, 12]


def test_a_thinned_population_is_evaluated_now_and_then_and_learns_the_same() -> None:
    p, stopping = 2, Stopping(keep_best=False)
    both = toy.rows_for(p, np.arange(16)), toy.rows_for(p, np.arange(16, 24))
    found = []
    for thinned in (False, True):
        program = Population(toy.task(), stopping, p, validated=True)
        if thinned:
            program.thin()
        schedule = toy.orders(range(p), np.arange(16), 8, 5)
        schedule = schedule._replace(limit=np.array([8, 5], np.int32), every=np.full(p, 3, np.int32))
        placed, seen = program.start(
            program.place(toy.data(), shared=True),
            8,
            program.place_state(toy.begin(range(p), stopping)),
            program.place({"learning_rate": np.full(p, 0.1, np.float32)}),
            program.place(schedule),
            *(program.place(rows) for rows in both),
        )
        found.append((placed, np.asarray(seen)[:p]))
    (one, whole), (other, thin) = found
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert np.flatnonzero(np.isfinite(thin[0, :, 1])).tolist() == [2, 5, 7]
    assert np.flatnonzero(np.isfinite(thin[1, :, 1])).tolist() == [2, 4]
    np.testing.assert_allclose(thin[0, [2, 5, 7]], whole[0, [2, 5, 7]], rtol=1e-6)
    assert np.isfinite(thin[0, :, 0]).all()  # the running loss costs nothing
    stops = Population(toy.task(), Stopping(patience=3), p, validated=True)
    stops.thin()
    assert not stops.thinned
