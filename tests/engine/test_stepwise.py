"""The loop on the host does what the compiled loop does."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from fallline.engine import DIVERGED, STOPPED, Population, Stepwise, Stopping
from tests.engine import toy

SEEDS = (0, 1, 2)


def train(program: Population, rates: list[float], chunks: tuple[int, ...], *, rest: bool) -> tuple[Any, np.ndarray]:
    placed = program.place_state(toy.begin(SEEDS))
    data, numbers = program.place(toy.data(), shared=True), program.place({"learning_rate": np.float32(rates)})
    on_train = toy.rows_for(3, np.arange(16))
    on_val = toy.rows_for(3, np.arange(16, 24))
    if rest:  # nothing is padded: 8 rows as 3 + 3 + 2
        whole = on_val.batches[:, 0]
        full = whole[:, :6].reshape(3, 2, 3)
        on_val = on_val._replace(batches=full, rows=np.full(3, 6, np.int32), rest=whole[:, 6:])
    schedule = toy.orders(SEEDS, np.arange(16), sum(chunks), 5)
    if rest:  # 16 rows as 5 + 5 + 5 + 1
        cut = schedule.order[:, :, 3, :1]
        schedule = schedule._replace(
            order=schedule.order[:, :, :3], rates=schedule.rates[:, :, :3], rows=np.full(3, 15, np.int32), rest=cut
        )
    both = program.place(on_train), program.place(on_val)
    return toy.run_chunks(program, data, placed, numbers, schedule, both, chunks)


@pytest.mark.parametrize("rest", [False, True])
def test_the_same_curves_weights_and_outcomes(rest: bool) -> None:
    stopping = Stopping(patience=2)
    rates = [0.1, 1e30, 0.0]  # learns, diverges, stands still
    compiled = Population(toy.task(coupled=rest), stopping, 3, validated=True)
    stepwise = Stepwise(toy.task(coupled=rest), stopping, 3, validated=True)
    one, seen_one = train(compiled, rates, (8,), rest=rest)
    # A chunk without epochs builds the programs and leaves the state as it is.
    two, seen_two = train(stepwise, rates, (0, 3, 5), rest=rest)
    np.testing.assert_allclose(seen_two, seen_one, rtol=2e-5, atol=1e-6)
    assert one.outcome.tolist() == two.outcome.tolist()
    assert two.outcome[1] == DIVERGED
    assert STOPPED in two.outcome
    assert one.epoch.tolist() == two.epoch.tolist()
    assert one.best_epoch.tolist() == two.best_epoch.tolist()
    assert one.bad_step.tolist() == two.bad_step.tolist()
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-5, atol=1e-6)


def test_chunks_do_not_matter() -> None:
    whole = train(Stepwise(toy.task(), Stopping(), 3, validated=True), [0.1] * 3, (6,), rest=False)
    parts = train(Stepwise(toy.task(), Stopping(), 3, validated=True), [0.1] * 3, (2, 1, 3), rest=False)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_array_equal(a, b)
