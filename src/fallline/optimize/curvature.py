"""Curvature of a loss, by products with vectors: the Hessian and the generalised Gauss-Newton matrix of few weights.

Both matrices are made of p products of a matrix with a unit vector, each about as dear as two gradients (Pearlmutter,
Neural Computation 6, 1994), so that nothing beyond the p x p numbers is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fallline.errors import InputError
from fallline.types import Objective

__all__ = ["dense", "gauss_newton_product", "hessian_product"]

Tree = Any
Product = Callable[[jax.Array], jax.Array]

# Columns made at a time: enough to keep a processor busy, few enough that their activations fit beside one another.
_COLUMNS = 32


def hessian_product(loss: Callable[[jax.Array], jax.Array], at: jax.Array) -> Product:
    """Return v -> H v of a scalar function of a vector, forward over reverse (Pearlmutter 1994, eq. 1).

    >>> product = hessian_product(lambda w: w[0] ** 2 * w[1], jnp.asarray([1.0, 3.0]))
    >>> product(jnp.asarray([1.0, 0.0])).tolist()
    [6.0, 2.0]
    """
    return lambda v: jax.jvp(jax.grad(loss), (at,), (v,))[1]


def gauss_newton_product(objective: Objective, at: jax.Array, unravel: Callable[[jax.Array], Tree]) -> Product:
    """Return v -> (J' C J + P) v: the Hessian without the second derivatives of the network.

    J are the derivatives of the outputs, C is the Hessian of the cost by the outputs, P that of the penalty by the
    weights. For squared errors J' C J is the Gauss-Newton matrix of the residuals.
    Source: Schraudolph, Neural Computation 14, 2002, section 3.

    Args:
        objective: with its parts.
        at: (p,) the weights.
        unravel: (p,) -> the weights as the objective takes them.

    Raises:
        InputError: the loss cannot be taken apart.
    """
    outputs, cost, penalty = objective.outputs, objective.cost, objective.penalty
    if outputs is None or cost is None or penalty is None:
        raise InputError(
            "gauss_newton and lm need a loss that compares outputs with targets, but this model computes its own "
            '(compute_loss). Use optimizer.name = "newton", "bfgs", "lbfgs" or "cg".'
        )

    def product(v: jax.Array) -> jax.Array:
        out, moved = jax.jvp(lambda w: outputs(unravel(w)), (at,), (v,))
        curved = jax.jvp(jax.grad(cost), (out,), (moved,))[1]
        (back,) = jax.vjp(lambda w: outputs(unravel(w)), at)[1](curved)
        found: jax.Array = back + hessian_product(lambda w: penalty(unravel(w)), at)(v)
        return found

    return product


def dense(product: Product, p: int, dtype: Any) -> jax.Array:
    """Return the (p, p) symmetric matrix of a product."""
    rows: jax.Array = jax.lax.map(product, jnp.eye(p, dtype=dtype), batch_size=min(p, _COLUMNS))
    return 0.5 * (rows + rows.T)
