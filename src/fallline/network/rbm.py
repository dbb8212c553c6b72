"""Restricted Boltzmann machines by contrastive divergence.

Binary units: p(v, h) ~ exp(b v + c h + v W h). Visible numbers (Gaussian, variance 1): p(v, h) ~ exp(-|v - b|^2 / 2 +
c h + v W h).

Source: Hinton, Training products of experts by minimizing contrastive divergence, Neural Computation 14 (2002), eq. 2.5
and section 6; Hinton, A practical guide to training restricted Boltzmann machines (2010), sections 2, 3 and 13.2.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Machine", "cd_gradient", "train_rbm"]

Array = jax.Array | np.ndarray


class Machine(NamedTuple):
    """Weights of a machine with n visible and m hidden units."""

    weights: Array  # (n, m)
    visible: Array  # (n,) biases
    hidden: Array  # (m,) biases


def cd_gradient(machine: Machine, v: Array, key: jax.Array, steps: int, gaussian: bool) -> Machine:
    """Return the CD-k estimate of the gradient of the mean log-likelihood; as k grows it becomes the gradient itself.

    Args:
        machine: where the gradient is taken.
        v: (b, n) visible rows: 0/1 or probabilities, or numbers of variance about 1.
        key: of the samples.
        steps: k, Gibbs steps of the negative phase.
        gaussian: the visible units hold numbers.
    """

    def probable_hidden(v: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(v @ machine.weights + machine.hidden)

    def gibbs(v: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        first, second = jax.random.split(key)
        p = probable_hidden(v)
        h = (jax.random.uniform(first, p.shape) < p).astype(v.dtype)
        mean = h @ machine.weights.T + machine.visible
        if gaussian:
            return mean + jax.random.normal(second, mean.shape), None
        return (jax.random.uniform(second, mean.shape) < jax.nn.sigmoid(mean)).astype(v.dtype), None

    v = jnp.asarray(v)
    positive = probable_hidden(v)
    # The machine's own samples: started at the data, k steps on.
    w, _ = jax.lax.scan(gibbs, v, jax.random.split(key, steps))
    negative = probable_hidden(w)
    return Machine((v.T @ positive - w.T @ negative) / len(v), (v - w).mean(axis=0), (positive - negative).mean(axis=0))


def train_rbm(
    start: Machine, v: np.ndarray, *, epochs: int, rate: float, batch: int, steps: int, gaussian: bool, seed: int
) -> Machine:
    """Return the machine after plain steps along the CD-k estimate.

    Args:
        start: first weights.
        v: (rows, n) visible rows.
        epochs: passes over the rows.
        rate: step size.
        batch: rows per step.
        steps: k.
        gaussian: the visible units hold numbers.
        seed: of the order of the rows and of the samples.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 3]))
    batch = min(batch, len(v))

    @jax.jit
    def epoch(machine: Machine, rows: jax.Array, key: jax.Array) -> Machine:
        def step(machine: Machine, xs: tuple[jax.Array, jax.Array]) -> tuple[Machine, None]:
            part, own = xs
            found = cd_gradient(machine, jnp.take(data, part, axis=0), own, steps, gaussian)
            return jax.tree.map(lambda w, g: w + rate * g, machine, found), None

        return jax.lax.scan(step, machine, (rows, jax.random.split(key, len(rows))))[0]

    data = jnp.asarray(v, jnp.float32)
    machine = Machine(*(jnp.asarray(part, jnp.float32) for part in start))
    for _ in range(epochs):
        # The rows that fill no batch are others in every epoch.
        rows = rng.permutation(len(v))[: len(v) // batch * batch].reshape(-1, batch)
        machine = epoch(machine, rows, jax.random.key(int(rng.integers(2**31))))
    return Machine(*(np.asarray(part) for part in machine))
