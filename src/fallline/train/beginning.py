"""The optimizer's state before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fallline.optimize import Optimizer

__all__ = ["begin_optimizer"]

Tree = Any


def begin_optimizer(optimizer: Optimizer, params: Sequence[np.ndarray], seeds: Sequence[int]) -> Tree:
    """Return the optimizer's state of every member, leaves (p, ...).

    Args:
        optimizer: of the population.
        params: initial weights, each (p, ...).
        seeds: (p,) of the members: each draws random numbers of its own.
    """
    first = [jnp.asarray(p[0]) for p in params]
    if not optimizer.random:
        one = optimizer.init(first)
        return jax.tree.map(lambda a: np.repeat(np.asarray(a)[None], len(seeds), axis=0), one)
    # Only the key depends on the seed, but the optimizer alone knows where it stands.
    states = [jax.tree.map(np.asarray, optimizer.init(first, seed=seed)) for seed in seeds]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *states)
