"""Names to Optax: every numeric hyper-parameter is a traced value, so that one program serves a whole population."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fallline.errors import InputError, nearest
from fallline.optimize.average import average
from fallline.optimize.diagonal import diagonal_evaluations, diagonal_init, diagonal_update
from fallline.optimize.gradient_free import GRADIENT_FREE
from fallline.optimize.second_order import SECOND_ORDER, second_order
from fallline.types import OPTIMIZER_NUMBERS, Evaluations, Objective

__all__ = ["OPTIMIZERS", "Optimizer", "make_optimizer"]

Tree = Any
Numbers = dict[str, jax.Array]


@dataclass(frozen=True)
class Optimizer:
    """An optimizer as a pure pair.

    Args:
        init: (params) -> state.
        update: (grads, state, params, numbers, rate) -> (params, state); ``rate`` is the schedule's factor. Where
            ``searches`` is True it also takes the keyword ``objective``, an `fallline.types.Objective`.
        numbers: the names that it reads from ``numbers``.
        searches: looks at the loss beyond its gradient (line searches, curvature, methods without a gradient).
        evaluated: (state) -> what all steps so far have evaluated; None: one gradient a step.
        used: (params, state) -> the weights to evaluate and to keep; None: the parameters.
        random: draws random numbers: ``init`` takes the keyword ``seed``.
    """

    init: Callable[..., Tree]
    update: Callable[..., tuple[Tree, Tree]]
    numbers: tuple[str, ...]
    searches: bool = False
    evaluated: Callable[[Tree], Evaluations] | None = None
    used: Callable[[Tree, Tree], Tree] | None = None
    random: bool = False


def _sgd(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """Z <- momentum z + g; w <- w - rate z (Polyak 1964; with nesterov: Sutskever et al. 2013, eq. 3-4)."""
    return optax.trace(decay=n["momentum"], nesterov=nesterov)


def _adam(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """Adam (Kingma & Ba, arXiv 1412.6980, algorithm 1)."""
    return optax.scale_by_adam(b1=n["beta_1"], b2=n["beta_2"], eps=1e-8)


def _nadam(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """Adam that looks ahead: its mean m is b1 m / (1 - b1^(t+1)) + (1 - b1) g / (1 - b1^t).

    Source: Dozat, Incorporating Nesterov momentum into Adam, ICLR workshop 2016, algorithm 2 with a constant mu, and
    without its further factor beta_2 on v, as elsewhere.
    """
    return optax.scale_by_adam(b1=n["beta_1"], b2=n["beta_2"], eps=1e-8, nesterov=True)


def _rmsprop(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """V <- beta_2 v + (1 - beta_2) g^2; z <- momentum z + g / (sqrt(v) + 1e-8); w <- w - rate z.

    Source: Tieleman & Hinton, Neural networks for machine learning, Coursera, lecture 6.5 (2012), with momentum 0 and
    beta_2 0.9.
    """
    return optax.chain(
        optax.scale_by_rms(decay=n["beta_2"], eps=1e-8, eps_in_sqrt=False), optax.trace(decay=n["momentum"])
    )


def _adagrad(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """S <- s + g^2; w <- w - rate g / sqrt(s + 1e-16) (Duchi, Hazan & Singer, JMLR 12, 2011, figure 1, diagonal).

    The squares start from 0, so that the steps do not depend on the scale of the loss.
    """
    return optax.scale_by_rss(initial_accumulator_value=0.0, eps=1e-16)


def _adadelta(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """V <- beta_2 v + (1 - beta_2) g^2; u = g sqrt(x + 1e-6) / sqrt(v + 1e-6); x <- beta_2 x + (1 - beta_2) u^2.

    Then w <- w - rate u, with rate 1 in the paper: the steps have the units of the weights by themselves.
    Source: Zeiler, arXiv 1212.5701, algorithm 1; beta_2 is its rho, 0.95.
    """
    return optax.scale_by_adadelta(rho=n["beta_2"], eps=1e-6)


def _lion(n: Numbers, nesterov: bool) -> optax.GradientTransformation:
    """W <- w - rate (sign(beta_1 m + (1 - beta_1) g) + weight_decay w); m <- beta_2 m + (1 - beta_2) g.

    Every weight moves by the same amount; beta_1 0.9, beta_2 0.99. Source: Chen et al., arXiv 2302.06675, algorithm 2.
    """
    return optax.scale_by_lion(b1=n["beta_1"], b2=n["beta_2"])


# Which numbers each reads is said in one place, `fallline.types.OPTIMIZER_NUMBERS`.
OPTIMIZERS: dict[str, Callable[[Numbers, bool], optax.GradientTransformation]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adam,
    "nadam": _nadam,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "lion": _lion,
}


def make_optimizer(
    name: str,
    *,
    nesterov: bool = False,
    clip: bool = False,
    factors: Tree = None,
    decayed: Tree = None,
    averaged: bool = False,
) -> Optimizer:
    """Return the named optimizer.

    Args:
        name: a key of `fallline.types.OPTIMIZER_NUMBERS`. ``adamw`` and ``lion`` decay kernels apart from the gradient
            (decoupled weight decay, Loshchilov & Hutter, arXiv 1711.05101). Full-batch optimizers and those without a
            gradient heed none of the options.
        nesterov: look ahead (sgd).
        clip: scale the gradients of a step down to the global norm ``clip_norm``.
        factors: tree like params of floats: each tensor's own factor on the learning rate; None: 1.
        decayed: tree like params of factors on the weight decay, 0: none; None: 1 for tensors with two or more axes.
        averaged: evaluate and keep the mean of the weights from step ``average_after`` on.

    Raises:
        InputError: for an unknown name.
    """
    if name not in OPTIMIZER_NUMBERS:
        allowed = tuple(OPTIMIZER_NUMBERS)
        raise InputError(f"Unknown optimizer {name!r}.{nearest(name, allowed)} Allowed: {', '.join(allowed)}.")
    if name in SECOND_ORDER:
        made = _searching(name)
    elif name in GRADIENT_FREE:
        made = _gradient_free(name)
    elif name == "diagonal_lm":
        made = _diagonal(clip, factors)
    else:
        made = _first_order(name, nesterov, clip, factors, decayed)
    return _averaged(made) if averaged else made


def _averaged(made: Optimizer) -> Optimizer:
    init, update = average(made.init, made.update)
    evaluated = made.evaluated
    return replace(
        made,
        init=init,
        update=update,
        numbers=(*made.numbers, "average_after"),
        evaluated=None if evaluated is None else lambda state: evaluated(state.inner),
        used=lambda params, state: state.mean,
    )


def _clipped(grads: Tree, numbers: Numbers) -> Tree:
    norm = optax.tree.norm(grads)
    return jax.tree.map(lambda g: g * jnp.minimum(1.0, numbers["clip_norm"] / (norm + 1e-12)), grads)


def _diagonal(clip: bool, factors: Tree) -> Optimizer:
    def update(
        grads: Tree, state: Tree, params: Tree, numbers: Numbers, rate: jax.Array, *, objective: Objective
    ) -> tuple[Tree, Tree]:
        grads = _clipped(grads, numbers) if clip else grads
        return diagonal_update(grads, state, params, numbers, rate, objective=objective, factors=factors)

    numbers = ("learning_rate", *OPTIMIZER_NUMBERS["diagonal_lm"], *(("clip_norm",) if clip else ()))
    return Optimizer(diagonal_init, update, numbers, searches=True, evaluated=diagonal_evaluations, random=True)


def _gradient_free(name: str) -> Optimizer:
    init, update, evaluated = GRADIENT_FREE[name]
    return Optimizer(init, update, ("learning_rate",), searches=True, evaluated=evaluated, random=True)


def _first_order(name: str, nesterov: bool, clip: bool, factors: Tree, decayed: Tree) -> Optimizer:
    make, used = OPTIMIZERS[name], OPTIMIZER_NUMBERS[name]

    def init(params: Tree) -> Tree:
        some = {key: jnp.asarray(0.5) for key in used}
        return make(some, nesterov).init(params)

    def update(grads: Tree, state: Tree, params: Tree, numbers: Numbers, rate: jax.Array) -> tuple[Tree, Tree]:
        if clip:
            grads = _clipped(grads, numbers)
        steps, state = make(numbers, nesterov).update(grads, state, params)
        eta = numbers["learning_rate"] * rate
        own = factors if factors is not None else jax.tree.map(lambda _: 1.0, params)
        shrink = decayed if decayed is not None else jax.tree.map(lambda p: float(p.ndim >= 2), params)
        decay = numbers["weight_decay"] if "weight_decay" in used else None

        def move(p: jax.Array, u: jax.Array, factor: float, share: float) -> jax.Array:
            if decay is not None and share:
                u = u + (decay * share) * p
            return p - (eta * factor) * u

        return jax.tree.map(move, params, steps, own, shrink), state

    return Optimizer(init, update, ("learning_rate", *used, *(("clip_norm",) if clip else ())))


def _searching(name: str) -> Optimizer:
    init, update = second_order(name)
    return Optimizer(
        init, update, ("learning_rate", *OPTIMIZER_NUMBERS[name]), searches=True, evaluated=lambda state: state.counts
    )
