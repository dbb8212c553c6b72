"""Losses and quantities per row, in JAX; the loss follows from maximum likelihood (catalogue T1)."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from fallline.types import ProblemKind

__all__ = ["main_quantity", "row_losses", "row_quantity"]

RowLoss = Callable[[jax.Array, jax.Array], jax.Array]


def _cross_entropy(kind: ProblemKind, smoothing: float) -> RowLoss:
    """-sum_c t_c log p_c with targets moved by the smoothing towards the uniform distribution.

    Source: Szegedy et al. 2016, section 7.
    """
    if kind == "multiclass":

        def multiclass(out: jax.Array, y: jax.Array) -> jax.Array:
            logp = jax.nn.log_softmax(out, axis=-1)
            own = jnp.take_along_axis(logp, y[:, None].astype(jnp.int32), axis=-1)[:, 0]
            return -(1.0 - smoothing) * own - smoothing * logp.mean(axis=-1)

        return multiclass

    def sigmoid(out: jax.Array, y: jax.Array) -> jax.Array:
        target = y.reshape(out.shape).astype(out.dtype) * (1.0 - smoothing) + 0.5 * smoothing
        # softplus(z) - t z, summed over labels' mean: one logit for binary, one per label for multi-label
        rows: jax.Array = optax.sigmoid_binary_cross_entropy(out, target).mean(axis=-1)
        return rows

    return sigmoid


def row_losses(kind: ProblemKind, name: str, *, smoothing: float = 0.0) -> RowLoss:
    """Return (outputs (b, k), targets) -> (b,) losses.

    Args:
        kind: of the problem.
        name: ``cross_entropy``, ``mse``, ``mae`` or ``huber`` (delta 1).
        smoothing: label smoothing (cross-entropy).
    """
    if name == "cross_entropy":
        return _cross_entropy(kind, smoothing)
    pointwise: dict[str, Callable[[jax.Array], jax.Array]] = {
        "mse": jnp.square,
        "mae": jnp.abs,
        "huber": lambda e: optax.huber_loss(e, delta=1.0),
    }
    cost = pointwise[name]
    return lambda out, y: cost(out - y.reshape(out.shape)).mean(axis=-1)


def main_quantity(kind: ProblemKind) -> str:
    """Name of the performance curve that is drawn beside the loss."""
    return "rmse" if kind in ("regression", "multioutput") else "accuracy"


def row_quantity(kind: ProblemKind) -> RowLoss:
    """Return (outputs, targets) -> (b,) values whose mean is the accuracy, or the squared error of regression."""
    if kind == "multiclass":
        return lambda out, y: (jnp.argmax(out, axis=-1) == y).astype(jnp.float32)
    if kind in ("binary", "multilabel"):
        return lambda out, y: ((out > 0) == (y.reshape(out.shape) > 0.5)).mean(axis=-1, dtype=jnp.float32)
    return lambda out, y: jnp.square(out - y.reshape(out.shape)).mean(axis=-1)
