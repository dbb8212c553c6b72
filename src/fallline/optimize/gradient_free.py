"""Optimizers that look at the loss alone: the baselines that show what a gradient is worth.

Both draw random numbers; the state holds the key, so that a resumed training draws the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from fallline.types import Evaluations, Objective

__all__ = ["GRADIENT_FREE", "Evolution", "Guesses"]

Tree = Any
Numbers = dict[str, jax.Array]


class Guesses(NamedTuple):
    """State of random guessing."""

    key: jax.Array  # (2,) uint32
    step: jax.Array  # () int32


def _guess_init(params: Tree, seed: int = 0) -> Guesses:
    return Guesses(jax.random.PRNGKey(seed), jnp.zeros((), jnp.int32))


def _guess(
    grads: Tree, state: Guesses, params: Tree, numbers: Numbers, rate: Any, *, objective: Objective
) -> tuple[Tree, Guesses]:
    """Draw all weights anew from N(0, learning_rate^2); keep them where the batch's loss is lower.

    Two evaluations of the loss a step, no gradient.
    """
    draw, key = jax.random.split(state.key)
    flat, whole = ravel_pytree(params)
    guess = whole(numbers["learning_rate"] * rate * jax.random.normal(draw, flat.shape, flat.dtype))
    better = objective.loss(guess) < objective.value
    return jax.tree.map(lambda new, old: jnp.where(better, new, old), guess, params), Guesses(key, state.step + 1)


class Evolution(NamedTuple):
    """State of the evolution strategy."""

    key: jax.Array  # (2,) uint32
    step: jax.Array  # () int32
    path: jax.Array  # (n,) evolution path of the step size
    factor: jax.Array  # () own factor on the step size


def _evolution_init(params: Tree, seed: int = 0) -> Evolution:
    flat, _ = ravel_pytree(params)
    return Evolution(jax.random.PRNGKey(seed), jnp.zeros((), jnp.int32), jnp.zeros_like(flat), jnp.ones((), flat.dtype))


def _children(n: int) -> int:
    return 4 + math.floor(3 * math.log(n))


def _evolve(
    grads: Tree, state: Evolution, params: Tree, numbers: Numbers, rate: Any, *, objective: Objective
) -> tuple[Tree, Evolution]:
    """A (mu/mu_w, lambda) evolution strategy with cumulative step-size adaptation.

    lambda = 4 + floor(3 ln n) children x + sigma z, z ~ N(0, I); the better half, weighted by rank, is the next parent;
    sigma grows while successive moves agree and shrinks while they turn back. sigma begins at the learning rate.
    lambda + 1 evaluations of the loss a step, no gradient.

    Source: Hansen & Ostermeier, Evolutionary Computation 9, 2001; constants: Hansen, arXiv 1604.00772, eq. 48-57 and
    table 1, without the adaptation of the covariance matrix.
    """
    flat, whole = ravel_pytree(params)
    n = flat.size
    children = _children(n)
    parents = children // 2
    raw = [math.log((children + 1) / 2) - math.log(i) for i in range(1, parents + 1)]
    weights = jnp.asarray([w / sum(raw) for w in raw], flat.dtype)
    mass = sum(raw) ** 2 / sum(w * w for w in raw)  # mu_eff
    decay = (mass + 2) / (n + mass + 5)
    damping = 1 + 2 * max(0.0, math.sqrt((mass - 1) / (n + 1)) - 1) + decay
    expected = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))  # of |z|

    draw, key = jax.random.split(state.key)
    z = jax.random.normal(draw, (children, n), flat.dtype)
    sigma = numbers["learning_rate"] * rate * state.factor
    losses = jax.vmap(lambda one: objective.loss(whole(flat + sigma * one)))(z)
    best = jnp.argsort(jnp.where(jnp.isnan(losses), jnp.inf, losses))[:parents]
    move = weights @ z[best]
    path = (1 - decay) * state.path + math.sqrt(decay * (2 - decay) * mass) * move
    factor = state.factor * jnp.exp(decay / damping * (jnp.linalg.norm(path) / expected - 1))
    return whole(flat + sigma * move), Evolution(key, state.step + 1, path, factor)


def _guess_evaluations(state: Guesses) -> Evaluations:
    return Evaluations(2 * state.step, 0 * state.step, 0 * state.step)


def _evolution_evaluations(state: Evolution) -> Evaluations:
    return Evaluations((_children(state.path.shape[-1]) + 1) * state.step, 0 * state.step, 0 * state.step)


# name -> (init(params, seed), update, what the steps so far have evaluated)
GRADIENT_FREE: dict[str, tuple[Callable[..., Tree], Callable[..., Tree], Callable[[Any], Evaluations]]] = {
    "guess": (_guess_init, _guess, _guess_evaluations),
    "evolution": (_evolution_init, _evolve, _evolution_evaluations),
}
