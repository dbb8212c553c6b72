"""Convolutions as banded products, against JAX's own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fallline.network.banded import convolution, pays


def _direct(x: jax.Array, kernel: jax.Array, padding: str) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), padding.upper(), dimension_numbers=("NHWC", "HWIO", "NHWC"))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("image", "kernel"),
    [
        ((2, 12, 11, 3), (5, 5, 3, 6)),  # one strip
        ((2, 5, 37, 2), (2, 3, 2, 16)),  # ten strips, the last one not full; an even kernel
        ((1, 3, 1, 1), (1, 1, 1, 1)),
        ((3, 4, 70, 1), (4, 1, 1, 16)),  # more strips than are allowed: wider ones
    ],
)
def test_values_and_gradients(image: tuple[int, ...], kernel: tuple[int, ...], padding: str) -> None:
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in (image, kernel))
    found, pull = jax.vjp(lambda x, w: convolution(x, w, padding), x, w)
    expected, pull_expected = jax.vjp(lambda x, w: _direct(x, w, padding), x, w)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    slope = jnp.asarray(rng.normal(size=found.shape), jnp.float32)
    for mine, other in zip(pull(slope), pull_expected(slope), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-3)


def test_many_channels_and_wide_images_are_left_to_xla() -> None:
    assert pays(28, 3, 6)
    assert pays(10, 6, 16)
    assert not pays(24, 32, 64)
    assert not pays(222, 3, 16)
