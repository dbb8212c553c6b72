"""LeNet-5 on a CPU: convolutions, whose threads a compiled loop would lose.

conv 6@5x5 - max pool - conv 16@5x5 - max pool - 120 - 84 - 10, ReLU, images of 32 x 32 x 3, batch 256, SGD, momentum.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import Measurement, Work

__all__ = ["WORK"]

_BATCH = 256


class Task(NamedTuple):
    """Images, their classes, and how often they are seen."""

    x: np.ndarray
    y: np.ndarray
    epochs: int

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.epochs * len(self.x) // _BATCH


def setup(quick: bool) -> Task:
    """Random images: a step costs what it costs."""
    rng = np.random.default_rng(0)
    n = 4 * _BATCH if quick else 20 * _BATCH
    return Task(rng.normal(size=(n, 32, 32, 3)).astype(np.float32), rng.integers(0, 10, n), 1 if quick else 3)


WORK = Work(title="lenet: LeNet-5, batch 256, 32 x 32 x 3", unit="us per step", setup=setup)


def _model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    L = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)), L.Conv2D(6, 5, activation="relu"), L.MaxPooling2D(),
            L.Conv2D(16, 5, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(120, "relu"),
            L.Dense(84, "relu"), L.Dense(10),
        ]
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    return model


@WORK.peer("fallline", needs=("jax", "keras", "optax"))
def fallline(task: Task) -> Measurement:
    """``fl.train``, without the evaluation of training rows that nobody else does."""
    import fallline as fl

    def call() -> Any:
        given = {"batch_size": _BATCH, "early_stopping": False, "verbose": 0, "watch": False}
        return fl.train(_model(), task.x, task.y, epochs=task.epochs, **given)

    call()
    run = call()
    return Measurement(1e6 * float(run.facts["seconds"]) / task.steps, {"loss": run.trace.curve("running_loss")[-1]})


def _keras(task: Task) -> Measurement:
    model = _model()
    model.fit(task.x, task.y, epochs=1, batch_size=_BATCH, verbose=0)
    start = time.perf_counter()
    history = model.fit(task.x, task.y, epochs=task.epochs, batch_size=_BATCH, verbose=0)
    return Measurement(1e6 * (time.perf_counter() - start) / task.steps, {"loss": history.history["loss"][-1]})


@WORK.peer("keras_jax", needs=("keras", "jax"), environment={"KERAS_BACKEND": "jax"}, bar=1 / 1.1)
def keras_jax(task: Task) -> Measurement:
    """Keras' own fit on JAX."""
    return _keras(task)


@WORK.peer("keras_tf", needs=("keras", "tensorflow"), environment={"KERAS_BACKEND": "tensorflow"}, bar=1 / 1.1)
def keras_tf(task: Task) -> Measurement:
    """Keras' own fit on TensorFlow."""
    return _keras(task)


@WORK.peer("torch", needs=("torch",), bar=1 / 1.1)
def torch(task: Task) -> Measurement:
    """PyTorch, eager, slices."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    x, y = torch.from_numpy(task.x.transpose(0, 3, 1, 2).copy()), torch.from_numpy(task.y)

    def epoch() -> Any:
        order, total = torch.randperm(len(x)), torch.zeros(())
        for first in range(0, len(x), _BATCH):
            rows = order[first : first + _BATCH]
            optimizer.zero_grad()
            loss = criterion(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        return total / len(x)

    epoch()
    start = time.perf_counter()
    for _ in range(task.epochs):
        mean = epoch()
    return Measurement(1e6 * (time.perf_counter() - start) / task.steps, {"loss": mean.item()})
