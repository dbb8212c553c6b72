"""Curvature of a loss: the Hessian and the generalised Gauss-Newton matrix of few weights.

The Hessian is made of p products with a unit vector, each about as dear as two gradients (Pearlmutter, Neural
Computation 6, 1994). The Gauss-Newton matrix is made of the Jacobian, row by row, where the network has few outputs:
that takes as many gradients as there are outputs; else of products, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fallline.errors import InputError
from fallline.types import Objective

__all__ = ["dense", "gauss_newton_matrix", "gauss_newton_product", "hessian_product", "output_hessian"]

Tree = Any
Product = Callable[[jax.Array], jax.Array]

# Columns made at a time: enough to keep a processor busy, few enough that their activations fit beside one another.
_COLUMNS = 32
# Of the Jacobian so many numbers are made at a time: 16 MiB.
_NUMBERS = 4_194_304
# In arithmetic: n k p^2 multiplications for the product of the Jacobian with itself, against 6 n p^2 for p products.
_MOST_OUTPUTS = 4


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


def output_hessian(cost: Callable[[jax.Array], jax.Array], out: jax.Array) -> jax.Array:
    """Return (b, k, k): the second derivatives of a mean loss by the outputs (b, k) of each row.

    >>> output_hessian(lambda out: jnp.mean(out**2), jnp.ones((2, 1))).ravel().tolist()
    [1.0, 1.0]
    """
    slope = jax.grad(cost)

    def product(direction: jax.Array) -> jax.Array:
        found: jax.Array = jax.jvp(slope, (out,), (jnp.broadcast_to(direction, out.shape),))[1]
        return found

    hessian = jnp.moveaxis(jax.vmap(product)(jnp.eye(out.shape[1], dtype=out.dtype)), 0, -1)  # rows are apart
    both: jax.Array = 0.5 * (hessian + hessian.swapaxes(1, 2))
    return both


def gauss_newton_matrix(
    objective: Objective, at: jax.Array, unravel: Callable[[jax.Array], Tree]
) -> tuple[jax.Array, int, int]:
    """Return the (p, p) matrix of `gauss_newton_product`, and the gradients and the products that it took.

    Args:
        objective: with its parts.
        at: (p,) the weights.
        unravel: (p,) -> the weights as the objective takes them.

    Raises:
        InputError: the loss cannot be taken apart.
    """
    product = gauss_newton_product(objective, at, unravel)
    outputs, cost, penalty, row = objective.outputs, objective.cost, objective.penalty, objective.row_outputs
    assert outputs is not None
    assert cost is not None
    assert penalty is not None
    shape = jax.eval_shape(lambda w: outputs(unravel(w)), at)
    width = shape.size // shape.shape[0] if hasattr(shape, "shape") else _MOST_OUTPUTS + 1
    if row is None or width > _MOST_OUTPUTS:
        return dense(product, at.size, at.dtype), 0, at.size
    out = outputs(unravel(at))
    curved = output_hessian(lambda flat: cost(flat.reshape(shape.shape)), out.reshape(-1, width))

    rows = out.shape[0]
    size = max(1, min(rows, _NUMBERS // (width * at.size)))
    full = rows // size * size
    numbers = jnp.arange(rows)

    def block(total: jax.Array, some: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        return total + summed(some), None

    def summed(some: tuple[jax.Array, jax.Array]) -> jax.Array:
        i, own = some
        jacobian = jax.vmap(jax.jacrev(lambda w, j: row(unravel(w), j).reshape(width)), (None, 0))(at, i)
        found: jax.Array = jnp.einsum("bip,bij,bjq->pq", jacobian, own, jacobian, optimize="optimal")
        return found

    blocks = (numbers[:full].reshape(-1, size), curved[:full].reshape(-1, size, width, width))
    matrix = jax.lax.scan(block, jnp.zeros((at.size, at.size), at.dtype), blocks)[0]
    if full < rows:
        matrix = matrix + summed((numbers[full:], curved[full:]))
    extra = hessian_product(lambda w: penalty(unravel(w)), at)
    return 0.5 * (matrix + matrix.T) + dense(extra, at.size, at.dtype), width, 0
