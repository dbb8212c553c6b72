"""The host's side: which rows are seen when, checkpoints that continue bit for bit, stops that were asked for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.engine import Population, Stopping
from fallline.errors import InputError
from fallline.train import loop
from fallline.train.loop import Member, Orders, Plan, _batches, fit_population
from tests.engine import toy

PLAN = Plan(epochs=9, batch_size=5, schedule="coslog4", warmup=0.1, eval_batch=8)
MEMBERS = [
    Member(seed, np.arange(first, first + count), np.arange(16, 24), {"learning_rate": 0.1})
    for seed, first, count in ((11, 0, 16), (12, 3, 12), (13, 1, 14))
]  # fmt: skip


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(toy.task(), Stopping(patience=8), len(MEMBERS), validated=True)


def fit(population: Population, **keywords: Any) -> Any:
    begin = toy.begin([1, 2, 3])
    return fit_population(population, MEMBERS, PLAN, toy.data(), begin.params, begin.aux, begin.optimizer, **keywords)


@pytest.fixture(scope="module")
def whole(population: Population) -> Any:
    return fit(population)


def assert_same(mine: Any, other: Any) -> None:
    for a, b in zip(jax.tree.leaves(mine.state), jax.tree.leaves(other.state), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(mine.seen, other.seen)


def test_watching_does_not_change_the_result(population: Population, whole: Any) -> None:
    events = []
    assert_same(fit(population, on_progress=lambda event: events.append(event)), whole)
    assert [e.epoch for e in events] == sorted(e.epoch for e in events)
    assert events[-1].epoch == PLAN.epochs
    last = [run[np.isfinite(run[:, 3]), 3][-1] for run in whole.seen]
    assert events[-1].val_loss == pytest.approx(np.mean(last), rel=1e-6)


@pytest.mark.parametrize("epoch", [1, 2, 5, 8])
def test_a_resumed_training_is_the_uninterrupted_one(
    population: Population, whole: Any, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_WATCHED_SECONDS", 0.0)  # chunks of one epoch
    saved: list[Any] = []
    part = fit(population, on_progress=lambda e: e.epoch >= epoch, checkpoint=lambda *kept: saved.append(kept))
    assert part.interrupted
    assert part.seen.shape[1] == epoch
    arrays, meta = saved[-1]
    assert meta["epochs_done"] == part.seen.shape[1]
    copies = {name: np.array(a) for name, a in arrays.items()}
    resumed = fit(population, resume=(copies, meta))
    assert not resumed.interrupted
    assert_same(resumed, whole)


def test_ctrl_c_in_the_middle_of_a_chunk_loses_nothing(
    population: Population, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Any] = []
    start, calls = population.start, []

    def interrupted(*given: Any) -> Any:
        found = start(*given)  # the old state is consumed, the new one is not yet in the caller's hands
        calls.append(given[1])
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(population, "start", interrupted)
    monkeypatch.setattr(loop, "_UNWATCHED_SECONDS", 0.0)
    part = fit(population, checkpoint=lambda *kept: saved.append(kept))
    assert part.interrupted
    assert part.seen.shape[1] == part.state.epoch.max() == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    arrays, meta = saved[-1]
    assert_same(fit(population, resume=({k: np.array(v) for k, v in arrays.items()}, meta)), whole)


def test_a_checkpoint_of_another_network_is_refused(population: Population) -> None:
    saved: list[Any] = []
    fit(population, on_progress=lambda e: e.epoch >= 1, checkpoint=lambda *kept: saved.append(kept))
    arrays, meta = saved[-1]
    arrays = {**arrays, "state_0000": np.zeros((3, 9, 9), np.float32)}
    with pytest.raises(InputError, match="another network"):
        fit(population, resume=(arrays, meta))


def members(sizes: list[int]) -> list[Member]:
    return [Member(i, np.arange(100 * i, 100 * i + n), np.arange(3)) for i, n in enumerate(sizes)]


def steps_of(schedule: Any, member: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield from zip(schedule.order[member, epoch], schedule.valid[member], strict=True)
    if schedule.rest.shape[-1]:
        yield schedule.rest[member, epoch], np.ones(schedule.rest.shape[-1])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(1, 50), st.booleans(), st.booleans())
def test_every_row_is_seen_once_in_an_epoch(sizes: list[int], batch: int, shuffle: bool, coupled: bool) -> None:
    group = members(sizes)
    orders = Orders(group, Plan(epochs=3, batch_size=batch, shuffle=shuffle), coupled)
    schedule = orders.chunk(1, 2)
    for i, member in enumerate(group):
        for epoch in range(2):
            steps = list(steps_of(schedule, i, epoch))
            assert len(steps) == orders.steps
            real = np.concatenate([rows[valid > 0] for rows, valid in steps])
            padding = np.concatenate([rows[valid == 0] for rows, valid in steps])
            assert set(padding) <= set(member.train_rows)
            over_again = not coupled and len(member.train_rows) <= (orders.steps - 1) * orders.batch
            assert over_again or len(set(real)) == len(real)
            assert all(valid.any() for _, valid in steps)
            if coupled:  # no padding: members of unequal size leave some rows out of an epoch
                assert len(padding) == 0
                assert len(real) == min(sizes)
                assert set(real) <= set(member.train_rows)
            else:
                assert set(real) == set(member.train_rows)
            assert all(len(rows) <= batch for rows, _ in steps)


def test_no_step_of_a_smaller_member_is_empty() -> None:
    # A batch of padding alone would divide by its 0 real rows; its rows come over again instead, equally often.
    schedule = Orders(members([40, 4]), Plan(epochs=1, batch_size=8), coupled=False).chunk(0, 1)
    assert (schedule.valid.sum(axis=-1) > 0).all()
    rows, counts = np.unique(schedule.order[1], return_counts=True)
    assert rows.tolist() == [100, 101, 102, 103]
    assert counts.tolist() == [10] * 4


@given(st.integers(1, 12), st.integers(1, 12))
def test_rates_follow_the_steps(epochs: int, first: int) -> None:
    plan = Plan(epochs=epochs + first, batch_size=8, schedule="cosine")
    for coupled in (False, True):
        orders = Orders(members([20]), plan, coupled)
        schedule = orders.chunk(first, epochs)
        rates = schedule.rates[0]
        if coupled:
            rates = np.concatenate([rates, schedule.rest_rate[0][:, None]], axis=1)
        step = first * 3 + np.arange(epochs * 3)
        expected = 0.5 * (1 + np.cos(np.pi * step / (3 * plan.epochs)))
        np.testing.assert_allclose(rates[:epochs].ravel(), expected, atol=1e-6)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(1, 50), st.booleans())
def test_evaluation_sees_every_row_once(sizes: list[int], batch: int, exact: bool) -> None:
    rows = [np.arange(100 * i, 100 * i + n) for i, n in enumerate(sizes)]
    made = _batches(rows, batch, exact)
    for i, given_rows in enumerate(rows):
        found = np.concatenate([made.batches[i][made.valid[i] > 0].ravel(), made.rest[i]])
        assert len(set(found)) == len(found)
        assert set(found) == set(given_rows[: min(sizes)] if exact else given_rows)
        assert made.batches.shape[2] <= batch
