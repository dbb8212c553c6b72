"""A tiny network: what is measured is the overhead of a training step, not arithmetic.

2-50-1, ReLU, SGD 0.01 with momentum 0.9, batch 32, 500 training and 500 validation rows of make_circles, validation
every epoch. Compilation is excluded and reported apart.
"""

from __future__ import annotations

from benchmarks.harness import Measurement, Work
from benchmarks.works import _networks as networks

__all__ = ["WORK"]


def setup(quick: bool) -> networks.Task:
    """The circles of the catalogue's batch-size experiment, split in halves."""
    import numpy as np
    from sklearn.datasets import make_circles

    x, y = make_circles(1000, noise=0.1, factor=0.5, random_state=1)
    x, y = x.astype(np.float32), y.astype(np.float32)
    return networks.Task(
        sizes=(2, 50, 1), x=x[:500], y=y[:500], validation=(x[500:], y[500:]), epochs=20 if quick else 300, batch=32
    )


WORK = Work(
    title="small: 2-50-1, batch 32, make_circles 500/500, 300 epochs, validation every epoch",
    unit="us per step",
    setup=setup,
)


@WORK.peer("fallline", needs=("jax", "keras", "optax"))
def fallline(task: networks.Task) -> Measurement:
    """The public call on a Keras model."""
    return networks.fallline(task)


@WORK.peer("sklearn", needs=("sklearn",), bar=15)
def sklearn(task: networks.Task) -> Measurement:
    """Fit without any validation: less work than the others do, in scikit-learn's favour."""
    return networks.sklearn_fit(task)


@WORK.peer("sklearn_validated", needs=("sklearn",))
def sklearn_validated(task: networks.Task) -> Measurement:
    """The same with the validation rows scored every epoch."""
    return networks.sklearn_validated(task)


@WORK.peer("keras_jax", needs=("keras", "jax"), environment={"KERAS_BACKEND": "jax"}, bar=25)
def keras_jax(task: networks.Task) -> Measurement:
    """Keras' own fit on JAX."""
    return networks.keras_fit(task)


@WORK.peer("keras_tf", needs=("keras", "tensorflow"), environment={"KERAS_BACKEND": "tensorflow"}, bar=300)
def keras_tf(task: networks.Task) -> Measurement:
    """Keras' own fit on TensorFlow."""
    return networks.keras_fit(task)


@WORK.peer("torch", needs=("torch",), bar=25)
def torch(task: networks.Task) -> Measurement:
    """PyTorch, eager, a hand-written loop over slices (a DataLoader would be slower)."""
    return networks.torch_loop(task)
