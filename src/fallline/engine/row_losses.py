"""The loss of every single example."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fallline.engine.evaluation import observe_batch
from fallline.engine.member import Data, Numbers, Task

__all__ = ["row_losses"]

Tree = Any


def row_losses(task: Task, numbers: Numbers, data: Data, params: Tree, aux: Tree, rows: jax.Array) -> jax.Array:
    """Return (b,) the loss that evaluation finds in each of the rows alone; what does not depend on a row is in all.

    Args:
        task: what a member computes.
        numbers: of one member.
        data: (x, y, weight) with n rows.
        params: of one member.
        aux: of one member.
        rows: (b,) int32.
    """

    def one(row: jax.Array) -> jax.Array:
        x, y, weight = data
        # An example's own weight says what its error is worth, not how large it is.
        alone = (x, y, None if weight is None else jnp.ones_like(weight))
        carry = observe_batch(task, numbers, alone, task.begin(), params, aux, row[None], jnp.asarray(1))
        return task.finish(carry)[0]

    found: jax.Array = jax.vmap(one)(rows)
    return found
