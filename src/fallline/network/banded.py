"""Convolution of few channels as a few products with banded matrices.

XLA's convolutions on a CPU are written for tens of channels and waste most of a vector register on 3 or 6. Along the
width a convolution is linear in a row of pixels: the outputs of a strip of columns are the strip's pixels, with the
border that the kernel sees, times a matrix that holds the kernel once per column, shifted, and 0 elsewhere. One product
per strip does all of it, and its two gradients are products too. Of the numbers multiplied most are 0 (for a strip of
t columns all but width / (t + width - 1)), and it is the faster one all the same, forward and backward together:
256 images of 32 x 32 x 3, 5 x 5, 6 filters: 25 ms by XLA's convolution, 11 so; 14 x 14 x 6, 16 filters: 10 and 5 ms.
From some 8 channels or 16 filters on it no longer pays.

Source: Goodfellow, Bengio & Courville 2016, section 9.1: a convolution as a product with a Toeplitz matrix.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["convolution", "pays"]

# Where it was faster than XLA's convolution, of 24 shapes on two cores (AMD EPYC, AVX-512).
_MOST_CHANNELS, _MOST_FILTERS, _MOST_COLUMNS = 7, 16, 64
_PRODUCT_COLUMNS = 64  # of a strip's matrix: fewer do not fill the product's inner loop, more multiply more zeros
_MOST_STRIPS = 12  # each is a product to compile


def pays(columns: int, channels: int, filters: int) -> bool:
    """True where `convolution` is no slower than XLA's on a CPU.

    Args:
        columns: width of the output.
        channels: of the input.
        filters: channels of the output.
    """
    return columns <= _MOST_COLUMNS and channels <= _MOST_CHANNELS and filters <= _MOST_FILTERS


def _bands(kernel: jax.Array, strip: int) -> jax.Array:
    """Return the matrix of a strip of outputs, (height * (strip + width - 1) * channels, strip * filters).

    Args:
        kernel: (height, width, channels, filters).
        strip: columns of output.
    """
    height, width, channels, filters = kernel.shape
    seen = strip + width - 1
    pixel, column, tap = np.ogrid[:seen, :strip, :width]
    where = jnp.asarray(pixel - column == tap, kernel.dtype)
    matrix = jnp.einsum("pct,htio->hpico", where, kernel)
    return matrix.reshape(height * seen * channels, strip * filters)


def convolution(x: jax.Array, kernel: jax.Array, padding: str = "valid") -> jax.Array:
    """Return what a convolution with stride 1 returns, (images, rows out, columns out, filters).

    A value that is not finite reaches all outputs of its strip, not only those whose window holds it.

    Args:
        x: (images, rows, columns, channels).
        kernel: (height, width, channels, filters).
        padding: ``valid``, or ``same``: zeros around the image, so that rows and columns stay.

    >>> image, kernel = jnp.arange(12.0).reshape(1, 3, 4, 1), jnp.ones((2, 2, 1, 1))
    >>> convolution(image, kernel)[0, :, :, 0].tolist()
    [[10.0, 14.0, 18.0], [26.0, 30.0, 34.0]]
    """
    # The strips' windows are cut out again for the gradient: no slower than keeping them, and they take much memory.
    found: jax.Array = jax.checkpoint(partial(_by_strips, padding=padding))(x, kernel)
    return found


def _by_strips(x: jax.Array, kernel: jax.Array, padding: str) -> jax.Array:
    height, width, channels, filters = kernel.shape
    border = [((n - 1) // 2, n // 2) if padding == "same" else (0, 0) for n in (height, width)]
    images, rows, columns, _ = x.shape
    rows, columns = rows + sum(border[0]) - height + 1, columns + sum(border[1]) - width + 1
    strips = min(_MOST_STRIPS, -(-columns * filters // _PRODUCT_COLUMNS))
    strip = -(-columns // strips)
    strips = -(-columns // strip)
    seen = strip + width - 1
    (top, bottom), (left, right) = border
    x = jnp.pad(x, ((0, 0), (top, bottom), (left, right + strips * strip - columns), (0, 0)))
    matrix, found = _bands(kernel, strip), []
    for first in range(0, strips * strip, strip):
        flat = x[:, :, first : first + seen].reshape(images, rows + height - 1, seen * channels)
        windows = jnp.concatenate([flat[:, row : row + rows] for row in range(height)], axis=-1)
        found.append((windows.reshape(images * rows, -1) @ matrix).reshape(images, rows, strip, filters))
    return jnp.concatenate(found, axis=2)[:, :, :columns]
