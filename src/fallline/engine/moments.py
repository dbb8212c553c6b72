"""Means, deviations and norms of tensors, on the device, with as few passes over their entries as can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Moments", "dot", "moments", "pooled", "square", "squares"]

Tree = Any


def square(tree: Tree) -> jax.Array:
    """The sum of squares of all entries."""
    return sum((jnp.sum(jnp.square(leaf.astype(jnp.float32))) for leaf in jax.tree.leaves(tree)), jnp.zeros(()))


def dot(a: Tree, b: Tree) -> jax.Array:
    """The sum of the products of all pairs of entries."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum((jnp.sum(one.astype(jnp.float32) * two.astype(jnp.float32)) for one, two in pairs), jnp.zeros(()))


class Moments(NamedTuple):
    """Of the entries of one tensor or several."""

    entries: int
    mean: jax.Array
    spread: jax.Array  # sum of squared deviations from the mean

    @property
    def sd(self) -> jax.Array:
        """The standard deviation."""
        return jnp.sqrt(self.spread / self.entries)

    @property
    def square(self) -> jax.Array:
        """The sum of squares, without another pass over the entries."""
        return self.spread + self.entries * jnp.square(self.mean)


def moments(tensor: jax.Array) -> Moments:
    """The moments of all entries of a tensor, in two passes."""
    values = tensor.astype(jnp.float32)
    mean = jnp.sum(values) / values.size
    # Not E[x^2] - mean^2: in float32 little is left of it where the mean is large.
    return Moments(values.size, mean, jnp.sum(jnp.square(values - mean)))


def pooled(parts: Sequence[Moments]) -> Moments:
    """The moments of all entries together (Chan, Golub, LeVeque, 1983, equation 2.1)."""
    if len(parts) == 1:
        return parts[0]
    count = sum(part.entries for part in parts)
    mean = sum((part.entries * part.mean for part in parts), jnp.zeros(())) / count
    apart = (part.spread + part.entries * jnp.square(part.mean - mean) for part in parts)
    return Moments(count, mean, sum(apart, jnp.zeros(())))


def squares(tree: Tree, known: dict[int, Moments]) -> jax.Array:
    """`square`, given the moments of some of the leaves."""
    own = (known[i].square if i in known else square(leaf) for i, leaf in enumerate(jax.tree.leaves(tree)))
    return sum(own, jnp.zeros(()))
