"""Initial weights, drawn on the host with NumPy: the same seed gives the same weights alone and inside a population."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

__all__ = ["INITIALIZERS", "initial_kernel"]

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _uniform(limit: float, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.uniform(-limit, limit, shape)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Orthonormal rows or columns, whichever are fewer (Saxe et al., arXiv 1312.6120)."""
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return q if shape[0] >= shape[1] else q.T


# fan_in = shape[0], fan_out = shape[1]
INITIALIZERS: dict[str, Draw] = {
    # U(+-sqrt(6 / (fan_in + fan_out))), sd sqrt(2 / (fan_in + fan_out)): Glorot & Bengio 2010, eq. 16 and 12
    "glorot_uniform": lambda rng, s: _uniform(math.sqrt(6.0 / (s[0] + s[1])), rng, s),
    "glorot_normal": lambda rng, s: rng.standard_normal(s) * math.sqrt(2.0 / (s[0] + s[1])),
    # sd sqrt(2 / fan_in): He et al., arXiv 1502.01852, eq. 10
    "he_uniform": lambda rng, s: _uniform(math.sqrt(6.0 / s[0]), rng, s),
    "he_normal": lambda rng, s: rng.standard_normal(s) * math.sqrt(2.0 / s[0]),
    # sd 1 / sqrt(fan_in): LeCun et al. 1998, Efficient BackProp, eq. 16
    "lecun_uniform": lambda rng, s: _uniform(math.sqrt(3.0 / s[0]), rng, s),
    "lecun_normal": lambda rng, s: rng.standard_normal(s) * math.sqrt(1.0 / s[0]),
    "orthogonal": _orthogonal,
    "random_normal": lambda rng, s: rng.standard_normal(s),
}

def initial_kernel(name: str, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Draw a kernel (fan_in, fan_out), float32."""
    return INITIALIZERS[name](rng, shape).astype(np.float32)
