"""Moments against float64 NumPy."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from fallline.engine.moments import moments, pooled


def test_pooled_moments_are_those_of_all_entries_together() -> None:
    rng = np.random.default_rng(0)
    parts = [(1000 + rng.standard_normal((7, k))).astype(np.float32) for k in (3, 1, 40)]
    together = pooled([moments(jnp.asarray(part)) for part in parts])
    entries = np.concatenate([part.ravel() for part in parts]).astype(np.float64)
    assert float(together.mean) == pytest.approx(entries.mean(), rel=1e-6)
    assert float(together.sd) == pytest.approx(entries.std(), rel=1e-3)
    assert float(together.square) == pytest.approx((entries**2).sum(), rel=1e-6)
