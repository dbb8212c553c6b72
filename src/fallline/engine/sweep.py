"""Members trained for a few steps while their learning rate changes at each: the losses, nothing else."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fallline.engine.member import Task, train_step

__all__ = ["sweep"]

Tree = Any


def sweep(task: Task, numbers: Tree, data: Tree, start: Tree, orders: jax.Array, rates: jax.Array) -> jax.Array:
    """Return the loss before each step, (p, s).

    Args:
        task: what a member computes.
        numbers: its numbers, (p,) each.
        data: (x, y, weight) with n rows, shared.
        start: (params, aux, optimizer state) of p members.
        orders: (p, s, b) int32, rows of each step.
        rates: (s,) factors on the learning rate.
    """

    def one(member: Tree) -> jax.Array:
        numbers, start, order = member

        def step(carry: Tree, now: Tree) -> tuple[Tree, jax.Array]:
            rows, rate = now
            return train_step(task, numbers, data, carry, rows, jnp.asarray(rows.shape[0], jnp.int32), rate)

        losses: jax.Array = jax.lax.scan(step, start, (order, rates))[1]
        return losses

    run = jax.jit(partial(jax.lax.map, one))
    found: jax.Array = run((numbers, start, orders))
    return found
