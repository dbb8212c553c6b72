"""Names to Optax: every numeric hyper-parameter is a traced value, so that one program serves a whole population."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fallline.errors import InputError, nearest

__all__ = ["OPTIMIZERS", "Optimizer", "make_optimizer"]

Tree = Any
Numbers = dict[str, jax.Array]


@dataclass(frozen=True)
class Optimizer:
    """An optimizer as a pure pair.

    Args:
        init: (params) -> state.
        update: (grads, state, params, numbers, rate) -> (params, state); ``rate`` is the schedule's factor. It reads
            ``learning_rate, momentum, beta_1, beta_2, weight_decay, clip_norm`` from ``numbers``.
        numbers: the names it reads.
    """

    init: Callable[[Tree], Tree]
    update: Callable[..., tuple[Tree, Tree]]
    numbers: tuple[str, ...]


def _sgd(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """Z <- momentum z + g; w <- w - rate z (Polyak 1964; with nesterov: Sutskever et al. 2013, eq. 3-4)."""
    return optax.trace(decay=n["momentum"], nesterov=nesterov)


def _adam(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """Adam (Kingma & Ba, arXiv 1412.6980, algorithm 1)."""
    return optax.scale_by_adam(b1=n["beta_1"], b2=n["beta_2"], eps=1e-8)


OPTIMIZERS: dict[str, tuple[Callable[[Numbers, bool], optax.GradientTransformation], tuple[str, ...]]] = {
    "sgd": (_sgd, ("momentum",)),
    "adam": (_adam, ("beta_1", "beta_2")),
    "adamw": (_adam, ("beta_1", "beta_2", "weight_decay")),
}


def make_optimizer(
    name: str, *, nesterov: bool = False, clip: bool = False, factors: Tree = None, decayed: Tree = None
) -> Optimizer:
    """Return the named optimizer.

    Args:
        name: ``sgd``, ``adam`` or ``adamw`` (decoupled weight decay, Loshchilov & Hutter, arXiv 1711.05101).
        nesterov: look ahead (sgd).
        clip: scale the gradients of a step down to the global norm ``clip_norm``.
        factors: tree like params of floats: each tensor's own factor on the learning rate; None: 1.
        decayed: tree like params of bools: tensors that weight decay shrinks; None: those with two or more axes.

    Raises:
        InputError: for an unknown name.
    """
    if name not in OPTIMIZERS:
        raise InputError(f"Unknown optimizer {name!r}.{nearest(name, OPTIMIZERS)} Allowed: {', '.join(OPTIMIZERS)}.")
    make, used = OPTIMIZERS[name]

    def init(params: Tree) -> Tree:
        some = {key: jnp.asarray(0.5) for key in used}
        return make(some, nesterov).init(params)

    def update(grads: Tree, state: Tree, params: Tree, numbers: Numbers, rate: jax.Array) -> tuple[Tree, Tree]:
        if clip:
            norm = optax.tree.norm(grads)
            grads = jax.tree.map(lambda g: g * jnp.minimum(1.0, numbers["clip_norm"] / (norm + 1e-12)), grads)
        steps, state = make(numbers, nesterov).update(grads, state, params)
        eta = numbers["learning_rate"] * rate
        own = factors if factors is not None else jax.tree.map(lambda _: 1.0, params)
        shrink = decayed if decayed is not None else jax.tree.map(lambda p: p.ndim >= 2, params)
        decay = numbers["weight_decay"] if "weight_decay" in used else None

        def move(p: jax.Array, u: jax.Array, factor: float, decays: bool) -> jax.Array:
            if decay is not None and decays:
                u = u + decay * p
            return p - (eta * factor) * u

        return jax.tree.map(move, params, steps, own, shrink), state

    return Optimizer(init, update, ("learning_rate", *used, *(("clip_norm",) if clip else ())))
