"""The stochastic diagonal Levenberg-Marquardt method: each weight's own learning rate, from its own curvature."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fallline.errors import InputError
from fallline.optimize.curvature import output_hessian
from fallline.types import Evaluations, Objective

__all__ = ["EVERY", "Diagonal", "diagonal_evaluations", "diagonal_gauss_newton", "diagonal_init", "diagonal_update"]

Tree = Any
Numbers = dict[str, jax.Array]

# The curvature changes slowly: it is looked at in every eighth step, so that it costs a twelfth of the training
# (LeCun et al. 1998, section 9.1: re-estimated now and then, on a small part of the examples).
EVERY = 8
# The curvature of the loss in the outputs takes a product for each of them, and k^2 numbers a row.
_MOST_OUTPUTS = 256


class Diagonal(NamedTuple):
    """State of the method."""

    key: jax.Array  # (2,) uint32
    step: jax.Array  # () int32
    curvature: Tree  # like params: running mean of the diagonal, not yet corrected for its beginning at 0
    weight: jax.Array  # () float32, what the running mean's weights add up to


def diagonal_gauss_newton(objective: Objective, params: Tree, key: jax.Array) -> Tree:
    """Return an unbiased estimate, never negative, of the diagonal of the Gauss-Newton matrix J' H J of a batch.

    With u random, of mean 0 and covariance H (the curvature of the mean loss in the outputs) and independent between
    rows, E[(J' u)^2] is that diagonal; u = L e with L L' = H and e of random signs. One backward pass.

    Source: Bartlett's second identity for H from outputs, as in Martens, Sutskever & Swersky, Estimating the Hessian by
    back-propagating curvature, arXiv 1206.6464, section 3; for classes with sampled labels it is the Gauss-Newton-
    Bartlett estimator of Liu et al., arXiv 2305.14342, section 2.3.

    Args:
        objective: of the batch; its loss can be taken apart.
        params: where.
        key: (2,) uint32 random key.

    Raises:
        InputError: the loss cannot be taken apart, or the network has several outputs or very many units.
    """
    if objective.outputs is None or objective.cost is None:
        raise InputError(
            'optimizer.name = "diagonal_lm" needs a loss that compares outputs with targets, but the model makes its '
            "own (compute_loss). Use another optimizer."
        )
    out, back = jax.vjp(objective.outputs, params)
    if not isinstance(out, jax.Array):
        raise InputError('optimizer.name = "diagonal_lm" takes networks with one output. Use another optimizer.')
    width = out[0].size
    if width > _MOST_OUTPUTS:
        raise InputError(
            f'optimizer.name = "diagonal_lm" takes at most {_MOST_OUTPUTS} output units, but the network has {width}. '
            "Use another optimizer."
        )
    flat, cost = out.reshape(len(out), width), objective.cost

    hessian = output_hessian(lambda values: cost(values.reshape(out.shape)), flat)
    values, vectors = jnp.linalg.eigh(hessian)
    signs = jax.random.rademacher(key, flat.shape, flat.dtype)
    u = jnp.einsum("bij,bj->bi", vectors, jnp.sqrt(jnp.maximum(values, 0.0)) * signs)
    (seen,) = back(u.reshape(out.shape))
    return jax.tree.map(jnp.square, seen)


def diagonal_init(params: Tree, seed: int = 0) -> Diagonal:
    """Return the state before the first step."""
    zero = jnp.zeros(())
    return Diagonal(jax.random.PRNGKey(seed), jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params), zero)


def diagonal_evaluations(state: Diagonal) -> Evaluations:
    """Return what the steps so far have evaluated; an estimate is counted as one product with the curvature."""
    return Evaluations(0 * state.step, state.step, -(-state.step // EVERY))


def diagonal_update(
    grads: Tree,
    state: Diagonal,
    params: Tree,
    numbers: Numbers,
    rate: Any,
    *,
    objective: Objective,
    factors: Tree = None,
) -> tuple[Tree, Diagonal]:
    """W_k <- w_k - rate / (<d2E / dw_k^2> + damping) g_k, with a running mean of the diagonal Gauss-Newton matrix.

    <.> <- beta_2 <.> + (1 - beta_2) estimate in every eighth step, divided by what its weights add up to.

    Source: LeCun, Bottou, Orr & Mueller, Efficient BackProp, 1998, section 9.1, eq. 59-60 (there the diagonal is
    back-propagated layer by layer; here it is estimated without that approximation).
    """
    draw, key = jax.random.split(state.key)
    beta = numbers["beta_2"]

    def look() -> tuple[Tree, jax.Array]:
        estimate = diagonal_gauss_newton(objective, params, draw)
        mean = jax.tree.map(lambda h, e: beta * h + (1.0 - beta) * e, state.curvature, estimate)
        return mean, beta * state.weight + (1.0 - beta)

    curvature, weight = jax.lax.cond(state.step % EVERY == 0, look, lambda: (state.curvature, state.weight))
    eta = numbers["learning_rate"] * rate
    own = factors if factors is not None else jax.tree.map(lambda _: 1.0, params)
    moved = jax.tree.map(
        lambda w, g, h, factor: w - (eta * factor) * g / (h / weight + numbers["damping"]),
        params,
        grads,
        curvature,
        own,
    )
    return moved, Diagonal(key, state.step + 1, curvature, weight)
