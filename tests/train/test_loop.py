"""The host's side: which rows are seen when, checkpoints that continue bit for bit, stops that were asked for."""

from __future__ import annotations

import signal
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.engine import Population, Stopping, steps_of
from fallline.errors import InputError
from fallline.train import loop
from fallline.train.loop import fit_population
from fallline.train.orders import Member, Orders, Plan, bucket, in_batches
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


def test_a_checkpoint_of_another_network_is_refused(population: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_WATCHED_SECONDS", 0.0)  # chunks of one epoch
    saved: list[Any] = []
    fit(population, on_progress=lambda e: e.epoch >= 1, checkpoint=lambda *kept: saved.append(kept))
    arrays, meta = saved[-1]
    arrays = {**arrays, "state_0000": np.zeros((3, 9, 9), np.float32)}
    with pytest.raises(InputError, match="another network"):
        fit(population, resume=(arrays, meta))


def members(sizes: list[int]) -> list[Member]:
    return [Member(i, np.arange(100 * i, 100 * i + n), np.arange(3)) for i, n in enumerate(sizes)]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(1, 50), st.booleans(), st.booleans())
def test_every_row_is_seen_once_in_an_epoch(sizes: list[int], batch: int, shuffle: bool, coupled: bool) -> None:
    group = members(sizes[:1] if coupled else sizes)  # where padding is forbidden members are of one size
    orders = Orders(group, Plan(epochs=3, batch_size=batch, shuffle=shuffle), coupled)
    schedule = orders.chunk(1, 2)
    for i, member in enumerate(group):
        own = jax.tree.map(lambda a, i=i: a[i], schedule)
        for epoch in range(2):
            steps = steps_of(own, epoch)
            assert len(steps) == orders.steps[i] == -(-len(member.train_rows) // orders.batch)
            real = np.concatenate([rows[:count] for rows, count, _ in steps])
            padding = np.concatenate([rows[count:] for rows, count, _ in steps])
            assert sorted(real) == member.train_rows.tolist()
            assert set(padding) <= set(member.train_rows)
            assert all(count > 0 for _, count, _ in steps)
            assert not (coupled and len(padding))
            assert all(len(rows) <= batch for rows, _, _ in steps)


def test_orders_are_the_same_in_company_and_in_any_chunk() -> None:
    plan = Plan(epochs=200, batch_size=8)
    whole = Orders(members([40, 9, 40]), plan, False).chunk(0, 200)
    alone = Orders(members([40, 9])[1:], plan, False)
    for first, epochs in ((0, 3), (60, 10), (127, 2)):
        part = alone.chunk(first, epochs)
        mine, other = part.order[0, :epochs], whole.order[1, first : first + epochs]
        rows = [order[:, :2].reshape(epochs, -1)[:, :9] for order in (mine, other)]
        np.testing.assert_array_equal(*rows)


def test_nearly_equal_sizes_have_equal_shapes() -> None:
    shapes = [
        jax.tree.map(np.shape, Orders(members([n]), Plan(epochs=100, batch_size=1), False).chunk(0, 1))
        for n in (113, 114)
    ]
    assert shapes[0] == shapes[1]
    shapes = [jax.tree.map(np.shape, in_batches([np.arange(n)], 1000, False)) for n in (113, 114)]
    assert shapes[0] == shapes[1]


@given(st.integers(1, 10**9))
def test_a_bucket_is_at_most_a_sixteenth_larger(n: int) -> None:
    assert n <= bucket(n) <= n * (1 + 1 / 16)
    assert bucket(bucket(n)) == bucket(n)


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
    sizes = sizes[:1] * len(sizes) if exact else sizes
    rows = [np.arange(100 * i, 100 * i + n) for i, n in enumerate(sizes)]
    made = in_batches(rows, batch, exact)
    for i, given_rows in enumerate(rows):
        found = np.concatenate([made.batches[i].ravel()[: made.rows[i]], made.rest[i]])
        assert found.tolist() == given_rows.tolist()
        assert not (exact and made.rows[i] < made.batches[i].size)
        assert made.batches.shape[2] <= bucket(batch)


def test_members_are_dealt_out_anew_when_a_device_has_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that end early leave their places to the others, and every result stays what it is."""
    program = Population(toy.task(), Stopping(patience=2), 4, validated=True)
    rates = (0.1, 0.0, 0.05, 0.0)  # at rate 0 nothing improves: the second and the fourth stop after three epochs
    group = [Member(i, np.arange(16), np.arange(16, 24), {"learning_rate": rate}) for i, rate in enumerate(rates)]
    arranged: list[list[int]] = []
    arrange = loop._Session.arrange

    def spy(session: Any, chosen: np.ndarray) -> Any:
        placed = arrange(session, chosen)
        arranged.append(session.places.tolist())
        return placed

    monkeypatch.setattr(loop._Session, "arrange", spy)
    monkeypatch.setattr(loop, "_WATCHED_SECONDS", 0.0)  # chunks of one epoch

    def train(chosen: list[int], **keywords: Any) -> Any:
        begin = toy.begin(chosen)
        state = (begin.params, begin.aux, begin.optimizer)
        return fit_population(program, [group[i] for i in chosen], PLAN, toy.data(), *state, **keywords)

    whole = train([0, 1, 2, 3], on_progress=lambda event: False)
    if len(program.devices) == 2:
        assert arranged == [[0, 2, 1, 3], [0, -1, 2, -1]]
    for i in range(4):
        one = train([i])
        for a, b in zip(jax.tree.leaves(whole.state), jax.tree.leaves(one.state), strict=True):
            np.testing.assert_array_equal(a[i], b[0])
        np.testing.assert_array_equal(whole.seen[i, : one.seen.shape[1]], one.seen[0])


def test_memory_that_is_not_enough_names_what_to_lower(population: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*given: Any) -> Any:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes")

    monkeypatch.setattr(population, "start", exhausted)
    with pytest.raises(InputError, match=r"3 networks at once .*batch_size.*network\.hidden"):
        fit(population)

    def other(*given: Any) -> Any:
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(population, "start", other)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        fit(population)
