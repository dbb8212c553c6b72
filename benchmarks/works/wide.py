"""A wide network: what is measured is arithmetic.

784-512-512-10, ReLU, SGD 0.01 with momentum 0.9, batch 128, 10,000 random rows, no validation. Compilation is excluded
and reported apart.
"""

from __future__ import annotations

from benchmarks.harness import Measurement, Work
from benchmarks.works import _networks as networks

__all__ = ["WORK"]


def setup(quick: bool) -> networks.Task:
    """Random rows: the figure does not depend on what is learned."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(10_000, 784)).astype(np.float32)
    y = rng.integers(0, 10, 10_000).astype(np.int64)
    return networks.Task(sizes=(784, 512, 512, 10), x=x, y=y, validation=None, epochs=1 if quick else 5, batch=128)


WORK = Work(title="wide: 784-512-512-10, batch 128, 10,000 random rows, no validation", unit="us per step", setup=setup)


@WORK.peer("fallline", needs=("jax", "keras", "optax"))
def fallline(task: networks.Task) -> Measurement:
    """The public call on a Keras model."""
    return networks.fallline(task)


@WORK.peer("sklearn", needs=("sklearn",), bar=1.05)
def sklearn(task: networks.Task) -> Measurement:
    """scikit-learn's MLP."""
    return networks.sklearn_fit(task)


@WORK.peer("keras_jax", needs=("keras", "jax"), environment={"KERAS_BACKEND": "jax"}, bar=1.05)
def keras_jax(task: networks.Task) -> Measurement:
    """Keras' own fit on JAX."""
    return networks.keras_fit(task)


@WORK.peer("keras_tf", needs=("keras", "tensorflow"), environment={"KERAS_BACKEND": "tensorflow"}, bar=1.05)
def keras_tf(task: networks.Task) -> Measurement:
    """Keras' own fit on TensorFlow."""
    return networks.keras_fit(task)


@WORK.peer("torch", needs=("torch",), bar=1.05)
def torch(task: networks.Task) -> Measurement:
    """PyTorch, eager, a hand-written loop over slices."""
    return networks.torch_loop(task)
