"""Initial weights, drawn on the host with NumPy: the same seed gives the same weights alone and inside a population.

Which one suits which activation: a layer multiplies the variance of what flows through it by fan_in Var(w) times what
its activation leaves of it. LeCun's sd fan_in^-1/2 keeps it for units of slope about 1 (linear, tanh near 0, SELU,
1.7159 tanh(2x/3)); ReLU and its family halve it, so He's has sqrt(2) more; Glorot's is the mean of what the way forward
(fan_in) and the way back (fan_out) ask for, the usual choice for tanh and sigmoid. `fallline.recipe.resolve` chooses so
where a recipe says "auto".
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

__all__ = ["INITIALIZERS", "initial_kernel"]

Fans = tuple[int, int]  # fan_in, fan_out
Draw = Callable[[np.random.Generator, tuple[int, int], Fans, float], np.ndarray]


def _uniform(limit: float, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.uniform(-limit, limit, shape)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Orthonormal rows or columns, whichever are fewer (Saxe et al., arXiv 1312.6120)."""
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return q if shape[0] >= shape[1] else q.T


INITIALIZERS: dict[str, Draw] = {
    # U(+-sqrt(6 / (fan_in + fan_out))), sd sqrt(2 / (fan_in + fan_out)): Glorot & Bengio 2010, eq. 16 and 12
    "glorot_uniform": lambda rng, s, f, a: _uniform(math.sqrt(6.0 / (f[0] + f[1])), rng, s),
    "glorot_normal": lambda rng, s, f, a: rng.standard_normal(s) * math.sqrt(2.0 / (f[0] + f[1])),
    # sd sqrt(2 / fan_in): He et al., arXiv 1502.01852, eq. 10
    "he_uniform": lambda rng, s, f, a: _uniform(math.sqrt(6.0 / f[0]), rng, s),
    "he_normal": lambda rng, s, f, a: rng.standard_normal(s) * math.sqrt(2.0 / f[0]),
    # sd 1 / sqrt(fan_in): LeCun et al. 1998, Efficient BackProp, eq. 16
    "lecun_uniform": lambda rng, s, f, a: _uniform(math.sqrt(3.0 / f[0]), rng, s),
    "lecun_normal": lambda rng, s, f, a: rng.standard_normal(s) * math.sqrt(1.0 / f[0]),
    "orthogonal": lambda rng, s, f, a: _orthogonal(rng, s),
    # LSUV begins orthogonal; what follows needs data (`fallline.network.lsuv`).
    "lsuv": lambda rng, s, f, a: _orthogonal(rng, s),
    "random_normal": lambda rng, s, f, a: rng.standard_normal(s) * a,
    "random_uniform": lambda rng, s, f, a: _uniform(a, rng, s),
}


def initial_kernel(name: str, rng: np.random.Generator, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
    """Draw a kernel, float32.

    Args:
        name: a key of `INITIALIZERS`.
        rng: where the numbers come from.
        shape: (fan_in, fan_out), or (height, width, channels in, channels out) of a convolution.
        scale: sigma of ``random_normal``, a of ``random_uniform``.

    >>> bool(np.abs(initial_kernel("random_uniform", np.random.default_rng(0), (100, 10), 0.3)).max() <= 0.3)
    True
    """
    field = math.prod(shape[:-2])
    flat = (field * shape[-2], shape[-1])
    return INITIALIZERS[name](rng, flat, (flat[0], field * shape[-1]), scale).reshape(shape).astype(np.float32)
