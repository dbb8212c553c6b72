"""Cheap random numbers inside the step, and initial weights: distributions against their formulas."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fallline.network.initialise import INITIALIZERS, initial_kernel
from fallline.network.random import keep_mask, random_bits, standard_normal

SHAPE = (64, 32)


def key(stream: int, call: int) -> jnp.ndarray:
    return jnp.asarray([stream, call], jnp.uint32)


def masks(rate: float, count: int = 100, stream: int = 12345) -> np.ndarray:
    return np.stack([np.asarray(keep_mask(key(stream, call), rate, SHAPE)) for call in range(count)])


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_the_rate_of_a_mask(rate: float) -> None:
    dropped = (~masks(rate)).mean()
    sd = np.sqrt(rate * (1 - rate) / (100 * 64 * 32))
    assert abs(dropped - rate) <= 4 * sd


def independent(a: np.ndarray, b: np.ndarray) -> float:
    """p-value of the chi-square test of independence of two masks."""
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def test_masks_are_independent_between_steps_members_places_and_units() -> None:
    steps, other = masks(0.5), masks(0.5, stream=12346)
    assert independent(steps[:-1], steps[1:]) > 1e-3
    assert independent(steps, other) > 1e-3
    assert independent(steps[:, :-1], steps[:, 1:]) > 1e-3
    assert independent(steps[:, :, :-1], steps[:, :, 1:]) > 1e-3
    assert not (steps[0] == other[0]).all()


def test_every_unit_is_dropped_at_the_same_rate() -> None:
    dropped = (~masks(0.3, count=200)).sum(axis=(0, 1))  # 200 * 64 draws per unit
    expected = 0.3 * 200 * 64
    chi_square = ((dropped - expected) ** 2 / (expected * 0.7)).sum()
    assert stats.chi2.sf(chi_square, SHAPE[1]) > 1e-3


def test_bits_are_uniform() -> None:
    bits = np.concatenate([np.asarray(random_bits(key(7, call), (4096,))) for call in range(16)])
    counts = np.bincount(bits >> 24, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3
    ones = [(bits >> place & 1).mean() for place in range(32)]
    assert np.abs(np.array(ones) - 0.5).max() < 4 * 0.5 / np.sqrt(len(bits))


def test_the_same_key_gives_the_same_numbers() -> None:
    np.testing.assert_array_equal(random_bits(key(1, 2), (50,)), random_bits(key(1, 2), (50,)))
    assert (np.asarray(random_bits(key(1, 2), (50,))) != np.asarray(random_bits(key(1, 3), (50,)))).all()


def test_noise_is_standard_normal() -> None:
    z = np.concatenate([np.asarray(standard_normal(key(3, call), (4096,))) for call in range(16)])
    assert np.isfinite(z).all()
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * len(z))
    assert stats.kstest(z, "norm").pvalue > 1e-3


SPREAD = {
    "glorot_uniform": lambda i, o: np.sqrt(2 / (i + o)),
    "glorot_normal": lambda i, o: np.sqrt(2 / (i + o)),
    "he_uniform": lambda i, o: np.sqrt(2 / i),
    "he_normal": lambda i, o: np.sqrt(2 / i),
    "lecun_uniform": lambda i, o: np.sqrt(1 / i),
    "lecun_normal": lambda i, o: np.sqrt(1 / i),
    "random_normal": lambda i, o: 1.0,
    "random_uniform": lambda i, o: 1 / np.sqrt(3),
}


@pytest.mark.parametrize("fans", [(300, 100), (40, 400), (128, 128)])
@pytest.mark.parametrize("name", SPREAD)
def test_spread_of_initial_kernels(name: str, fans: tuple[int, int]) -> None:
    kernel = initial_kernel(name, np.random.default_rng(0), fans)
    expected, n = SPREAD[name](*fans), kernel.size
    assert kernel.shape == fans
    assert kernel.dtype == np.float32
    assert abs(kernel.mean()) < 4 * expected / np.sqrt(n)
    assert kernel.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * n))
    if name.endswith("uniform"):
        assert np.abs(kernel).max() <= np.sqrt(3) * expected * (1 + 1e-6)


@pytest.mark.parametrize(("name", "expected"), [("random_normal", 0.05), ("random_uniform", 0.05 / np.sqrt(3))])
def test_the_spread_of_normal_and_uniform_weights_can_be_chosen(name: str, expected: float) -> None:
    kernel = initial_kernel(name, np.random.default_rng(0), (200, 100), 0.05)
    assert kernel.std() == pytest.approx(expected, rel=0.03)
    if name == "random_uniform":
        assert 0.0499 < np.abs(kernel).max() <= 0.05


def test_the_fans_of_a_convolution_are_fields_times_channels() -> None:
    kernel = initial_kernel("glorot_uniform", np.random.default_rng(0), (5, 5, 6, 16))
    assert kernel.shape == (5, 5, 6, 16)
    limit = np.sqrt(6 / (25 * 6 + 25 * 16))
    assert 0.99 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)


@pytest.mark.parametrize("fans", [(30, 8), (8, 30), (12, 12)])
def test_orthogonal_is_orthogonal(fans: tuple[int, int]) -> None:
    kernel = initial_kernel("orthogonal", np.random.default_rng(0), fans).astype(np.float64)
    small = kernel.T @ kernel if fans[0] >= fans[1] else kernel @ kernel.T
    np.testing.assert_allclose(small, np.eye(min(fans)), atol=1e-6)


def test_every_initialiser_is_tested() -> None:
    assert set(INITIALIZERS) == {*SPREAD, "orthogonal", "lsuv"}
