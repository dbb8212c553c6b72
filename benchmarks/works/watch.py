"""What it costs to look inside after every epoch: weights, gradients, updates and activations of every layer.

784-512-512-10, batch 128, fifty steps an epoch. A network of a hundred weights whose epoch takes 80 us cannot be looked
at for 5 % of that; by itself fallline looks some twenty times in a training, not behind every epoch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import Measurement, Work

__all__ = ["WORK"]


class Task(NamedTuple):
    """What is trained."""

    x: np.ndarray
    y: np.ndarray
    epochs: int


def setup(quick: bool) -> Task:
    """784-512-512-10 on random rows: a step of some milliseconds, fifty of them an epoch."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6400, 784)).astype(np.float32)
    return Task(x, rng.integers(0, 10, 6400), 2 if quick else 10)


WORK = Work(
    title="watch: 784-512-512-10, batch 128, 50 steps an epoch, everything inside watched behind every epoch",
    unit="us per step",
    setup=setup,
    reference="watched",
)


def _measure(task: Task, watch: Any) -> Measurement:
    import keras

    import fallline as fl

    seconds = []
    for _ in range(3):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((784,)), keras.layers.Dense(512, "relu"), keras.layers.Dense(512, "relu"),
             keras.layers.Dense(10)]
        )  # fmt: skip
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
        run = fl.train(
            model, task.x, task.y, epochs=task.epochs, batch_size=128, early_stopping=False, verbose=0, watch=watch
        )
        seconds.append(float(run.facts["seconds"]))
    looks = 0 if run.trace.inside is None else len(run.trace.inside.epochs)
    return Measurement(1e6 * min(seconds[1:]) / (task.epochs * 50), {"looks": looks})


@WORK.peer("watched", needs=("jax", "keras", "optax"), environment={"KERAS_BACKEND": "jax"})
def watched(task: Task) -> Measurement:
    """A look behind every epoch, and one before the first."""
    return _measure(task, 1)


@WORK.peer("unwatched", needs=("jax", "keras", "optax"), environment={"KERAS_BACKEND": "jax"}, bar=1 / 1.05)
def unwatched(task: Task) -> Measurement:
    """Nobody looks: the watched training may take 5 % more."""
    return _measure(task, False)
