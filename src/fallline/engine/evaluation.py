"""The evaluation of one member, batch by batch. Everything is traced."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fallline.engine.member import Array, Data, Numbers, Task, real_rows, take_rows

__all__ = ["Rows", "evaluate", "observe_batch"]

Tree = Any  # a pytree of arrays


class Rows(NamedTuple):
    """Rows to evaluate on, in batches; ``rest`` holds the last partial batch where padding is forbidden."""

    batches: Array  # (m, b) int32
    rows: Array  # () int32: the first so many of the m b rows are real
    rest: Array  # (r,) int32


def observe_batch(
    task: Task, numbers: Numbers, data: Data, carry: Tree, params: Tree, aux: Tree, rows: jax.Array, count: jax.Array
) -> Tree:
    """Add one batch, of whose rows (b,) the first ``count`` are real, to an evaluation's carry."""
    x, y, own = take_rows(data, rows)
    valid = real_rows(rows.shape[0], count)
    weight = jnp.ones_like(valid) if own is None else own
    return task.observe(carry, params, aux, numbers, x, y, weight, valid)


def evaluate(task: Task, numbers: Numbers, data: Data, params: Tree, aux: Tree, rows: Rows) -> jax.Array:
    """Evaluate in evaluation mode, batch by batch; return (q,) quantities."""
    batches, size = rows.batches.shape

    def body(batch: jax.Array | int, carry: Tree) -> Tree:
        count = jnp.minimum(size, rows.rows - batch * size)
        return observe_batch(task, numbers, data, carry, params, aux, jnp.asarray(rows.batches)[batch], count)

    carry = task.begin()
    if batches == 1:  # one batch holds all rows: no loop, so that XLA may use its threads
        carry = body(0, carry)
    elif batches:
        carry = jax.lax.fori_loop(0, (rows.rows + size - 1) // size, body, carry)
    if rows.rest.shape[-1]:
        count = jnp.asarray(rows.rest.shape[-1])
        carry = observe_batch(task, numbers, data, carry, params, aux, jnp.asarray(rows.rest), count)
    return task.finish(carry)
