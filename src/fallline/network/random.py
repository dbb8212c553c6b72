"""Cheap random numbers for masks and noise inside a training step.

Threefry, JAX's default generator, costs more than the whole step of a small network on a CPU (68 us for a 32 x 64 mask,
measured). A dropout mask needs no cryptographic quality: here every element hashes its own index together with a key,
which XLA fuses into the multiplication that uses the mask.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

__all__ = ["keep_mask", "random_bits", "standard_normal"]

# Multipliers of the 32-bit integer finaliser "lowbias32" (C. Wellons, Hash Prospector, 2018), chosen there by search
# for the lowest avalanche bias among two-round xorshift-multiply hashes.
_MULTIPLY_1 = 0x7FEB352D
_MULTIPLY_2 = 0x846CA68B
_GOLDEN = 0x9E3779B9  # 2^32 / golden ratio: spreads consecutive counters over the range


def _mix(bits: jax.Array) -> jax.Array:
    bits = (bits ^ (bits >> 16)) * jnp.uint32(_MULTIPLY_1)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(_MULTIPLY_2)
    return bits ^ (bits >> 16)


def random_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return uniform 32-bit integers of the given shape; the upper bits are the better ones.

    Rows and columns are hashed once each; an element mixes the sum of its two by two multiplications. The hashes are
    kept from being computed again for every element, and again in the backward pass.

    Args:
        key: (2,) uint32: a stream (one per member and layer) and a counter (one per call).
        shape: static shape of the result.
    """
    start = _mix(_mix(key[0]) + jnp.uint32(_GOLDEN) * key[1])
    rows, columns = math.prod(shape[:-1]), math.prod(shape[-1:])
    row = _mix(jnp.arange(rows, dtype=jnp.uint32) + start)
    column = _mix(jnp.arange(columns, dtype=jnp.uint32) ^ (start * jnp.uint32(_GOLDEN)))
    row, column = jax.lax.optimization_barrier((row, column))
    bits = (row[:, None] + column) * jnp.uint32(_MULTIPLY_1)
    mixed: jax.Array = (bits ^ (bits >> 15)) * jnp.uint32(_MULTIPLY_2)
    return mixed.reshape(shape)


def keep_mask(key: jax.Array, rate: jax.Array | float, shape: tuple[int, ...]) -> jax.Array:
    """Return a boolean mask that is False with probability ``rate`` (to 2^-24).

    Args:
        key: (2,) uint32, as for `random_bits`.
        rate: share of False, in [0, 1); may be traced.
        shape: static shape of the mask.
    """
    # Whole numbers are compared: to turn every element's bits into a float first would cost more than drawing them.
    threshold = (jnp.asarray(rate, jnp.float32) * jnp.float32(2.0**32)).astype(jnp.uint32)
    keep: jax.Array = random_bits(key, shape) >= threshold
    return keep


def standard_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return float32 standard normal numbers (inverse of the error function on uniform bits)."""
    half_open = ((random_bits(key, shape) >> 8).astype(jnp.float32) + 0.5) * jnp.float32(2.0**-24)
    normal: jax.Array = jnp.float32(math.sqrt(2.0)) * jax.lax.erf_inv(2.0 * half_open - 1.0)
    return normal
