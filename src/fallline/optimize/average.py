"""Weights averaged over the steps, beside the weights that move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Averaged", "average"]

Tree = Any


class Averaged(NamedTuple):
    """State of an averaging optimizer."""

    inner: Tree
    mean: Tree  # like params
    step: jax.Array  # () int32


def average(
    init: Callable[..., Tree], update: Callable[..., tuple[Tree, Tree]]
) -> tuple[Callable[..., Averaged], Callable[..., tuple[Tree, Averaged]]]:
    """Return (init, update) of an optimizer that averages the weights of another one from step t0 on.

    mean <- mean + (w - mean) / max(1, t - t0), with t counted from 1 and t0 the number ``average_after``; up to t0 the
    mean is the weight itself. What moves, and where the gradients are taken, is w; the mean is what is evaluated.

    Source: Polyak & Juditsky, SIAM J. Control Optim. 30, 1992; with t0: Bottou, Stochastic gradient descent tricks,
    2012, section 5.3 (ASGD).

    Args:
        init: of the optimizer that moves the weights.
        update: of the same.
    """

    def begin(params: Tree, **options: Any) -> Averaged:
        # A copy: a state is consumed by the step, and no array may be given up twice.
        return Averaged(init(params, **options), jax.tree.map(jnp.array, params), jnp.zeros((), jnp.int32))

    def move(grads: Tree, state: Averaged, params: Tree, numbers: dict[str, Any], rate: Any, **extra: Any) -> Any:
        params, inner = update(grads, state.inner, params, numbers, rate, **extra)
        step = state.step + 1
        share = 1.0 / jnp.maximum(1.0, step - numbers["average_after"])
        return params, Averaged(inner, jax.tree.map(lambda m, w: m + share * (w - m), state.mean, params), step)

    return begin, move
