"""Losses and quantities per row, in JAX; the loss follows from maximum likelihood (catalogue T1)."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from fallline.network.activations import UNIT_TARGETS, activation
from fallline.types import ProblemKind

__all__ = ["main_quantity", "row_losses", "row_quantity"]

RowLoss = Callable[[jax.Array, jax.Array], jax.Array]


def _cross_entropy(kind: ProblemKind, smoothing: float | jax.Array) -> RowLoss:
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


def _hinge(kind: ProblemKind) -> RowLoss:
    """Max(0, 1 - t z) with targets t of -1 and +1, one per label; for classes that exclude each other by the margin.

    The margin of a class is its output's lead over the best other one, z_y - max_{c != y} z_c: Crammer & Singer, JMLR 2
    (2001), eq. 5. For two labels: Cortes & Vapnik, Machine Learning 20 (1995).
    """
    if kind == "multiclass":

        def margin(out: jax.Array, y: jax.Array) -> jax.Array:
            own = jax.nn.one_hot(y, out.shape[-1], dtype=bool)
            best_other = jnp.max(jnp.where(own, -jnp.inf, out), axis=-1)
            return jnp.maximum(0.0, 1.0 + best_other - jnp.sum(jnp.where(own, out, 0.0), axis=-1))

        return margin
    return lambda out, y: jnp.maximum(0.0, 1.0 - (2.0 * y.reshape(out.shape) - 1.0) * out).mean(axis=-1)


def _bounded(kind: ProblemKind, output: str, values: str) -> RowLoss:
    """Mean over units of (f(z) - t)^2 with the unit f and what it is to reach.

    Source: LeCun et al. 1998, Efficient BackProp, section 4.5.
    """
    low, high = UNIT_TARGETS[output, values]
    unit = activation(output)

    def squares(out: jax.Array, y: jax.Array) -> jax.Array:
        present = jax.nn.one_hot(y, out.shape[-1]) if kind == "multiclass" else y.reshape(out.shape)
        rows: jax.Array = jnp.square(unit(out) - (low + (high - low) * present)).mean(axis=-1)
        return rows

    return squares


def row_losses(
    kind: ProblemKind,
    name: str,
    *,
    smoothing: float | jax.Array = 0.0,
    output: str = "plain",
    target_values: str = "inside",
) -> RowLoss:
    """Return (outputs (b, k), targets) -> (b,) losses.

    Args:
        kind: of the problem.
        name: ``cross_entropy``, ``mse``, ``mae``, ``huber`` (delta 1) or ``hinge``.
        smoothing: label smoothing (cross-entropy); may be traced.
        output: output unit for labels under ``mse``: ``sigmoid`` or ``lecun_tanh``.
        target_values: what such a unit is to reach: ``inside`` or ``asymptotes``.
    """
    if name == "cross_entropy":
        return _cross_entropy(kind, smoothing)
    if name == "hinge":
        return _hinge(kind)
    if output != "plain":
        return _bounded(kind, output, target_values)
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
