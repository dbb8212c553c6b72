"""The same multilayer perceptron, trained by fallline and by each peer: what the works on speed share.

Everybody trains with SGD 0.01, momentum 0.9, tracks the training loss, and validates where the task says so. Each peer
is warmed up first (compilation, allocation), then timed; the time per step is the whole training divided by its steps,
so that validation, shuffling and bookkeeping are inside.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Measurement

__all__ = ["Task", "fallline", "keras_fit", "keras_model", "sklearn_fit", "sklearn_validated", "torch_loop"]

LEARNING_RATE, MOMENTUM = 0.01, 0.9


@dataclass(frozen=True)
class Task:
    """What is trained on what.

    Args:
        sizes: units per layer, inputs first; one output means binary cross-entropy, more mean classes.
        x: (n, sizes[0]) float32.
        y: (n,) float32 of 0/1, or int64 class index.
        validation: the same pair for validation, or None.
        epochs: passes over the rows.
        batch: rows per step; the last, smaller one counts as a step.
    """

    sizes: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    validation: tuple[np.ndarray, np.ndarray] | None
    epochs: int
    batch: int

    @property
    def steps(self) -> int:
        """Steps in the whole training."""
        return self.epochs * math.ceil(len(self.x) / self.batch)

    @property
    def binary(self) -> bool:
        """True for one output unit."""
        return self.sizes[-1] == 1


def _measurement(task: Task, seconds: float, loss: float, **extras: float) -> Measurement:
    return Measurement(1e6 * seconds / task.steps, {**extras, "loss": float(loss)})


def keras_model(task: Task) -> Any:
    """The compiled Keras model of a task."""
    import keras

    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, activation="relu") for units in task.sizes[1:-1]]
    model = keras.Sequential([keras.Input((task.sizes[0],)), *hidden, keras.layers.Dense(task.sizes[-1])])
    losses = keras.losses
    loss = losses.BinaryCrossentropy if task.binary else losses.SparseCategoricalCrossentropy
    model.compile(optimizer=keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM), loss=loss(from_logits=True))
    return model


def fallline(task: Task) -> Measurement:
    """``fl.train`` on a compiled Keras model.

    The figure is the training alone, as the run states it; ``call_us`` is the whole second call per step (reading the
    model, the diagnosis and all), ``compile_seconds`` what the first call took longer than the second.
    """
    import fallline as fl

    def call() -> tuple[Any, float]:
        model = keras_model(task)
        start = time.perf_counter()
        run = fl.train(
            model,
            task.x,
            task.y,
            epochs=task.epochs,
            batch_size=task.batch,
            validation_data=task.validation,
            early_stopping=False,
            seed=0,
            verbose=0,
            watch=False,  # nobody else looks inside; what it costs is the work "watch"
        )
        return run, time.perf_counter() - start

    _, first = call()
    run, second = call()
    if run.trace.n_epochs != task.epochs:
        raise RuntimeError(f"fallline ran {run.trace.n_epochs} epochs instead of {task.epochs}")
    seconds = float(run.facts["seconds"])
    return _measurement(
        task,
        seconds,
        run.trace.curve("running_loss")[-1],
        call_us=1e6 * second / task.steps,
        compile_seconds=max(first - second, 0.0),
    )


def keras_fit(task: Task) -> Measurement:
    """``model.fit`` on the backend that KERAS_BACKEND names."""
    model = keras_model(task)
    options = {"batch_size": task.batch, "validation_data": task.validation, "verbose": 0}
    start = time.perf_counter()
    model.fit(task.x, task.y, epochs=1, **options)
    compiled = time.perf_counter()
    history = model.fit(task.x, task.y, epochs=task.epochs, **options)
    seconds = time.perf_counter() - compiled
    return _measurement(task, seconds, history.history["loss"][-1], compile_seconds=compiled - start)


def _sklearn_model(task: Task) -> Any:
    from sklearn.neural_network import MLPClassifier

    # Neither a tolerance nor a patience: all epochs are run, as by everybody else.
    return MLPClassifier(
        hidden_layer_sizes=task.sizes[1:-1],
        solver="sgd",
        learning_rate_init=LEARNING_RATE,
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=task.batch,
        max_iter=task.epochs,
        tol=0.0,
        n_iter_no_change=task.epochs + 1,
        random_state=0,
    )


def sklearn_fit(task: Task) -> Measurement:
    """``MLPClassifier.fit``, without validation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it has not converged: it was not asked to
        _sklearn_model(task).set_params(max_iter=1).fit(task.x, task.y)
        model = _sklearn_model(task)
        start = time.perf_counter()
        model.fit(task.x, task.y)
        seconds = time.perf_counter() - start
    return _measurement(task, seconds, model.loss_)


def sklearn_validated(task: Task) -> Measurement:
    """``MLPClassifier.partial_fit``, one epoch a call, and the log-loss of the validation rows after each."""
    from sklearn.metrics import log_loss

    if task.validation is None:
        raise ValueError("the task has no validation rows")
    classes = np.unique(task.y)
    model = _sklearn_model(task)
    start = 0.0
    for epoch in range(task.epochs + 1):  # the first warms up
        if epoch == 1:
            start = time.perf_counter()
        model.partial_fit(task.x, task.y, classes=classes)
        log_loss(task.validation[1], model.predict_proba(task.validation[0]))
    return _measurement(task, time.perf_counter() - start, model.loss_)


def torch_loop(task: Task) -> Measurement:
    """The loop that PyTorch's tutorials write, with slices instead of a DataLoader."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[Any] = []
    for inputs, units in zip(task.sizes, task.sizes[1:], strict=False):
        layers += [nn.Linear(inputs, units), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    criterion = nn.BCEWithLogitsLoss() if task.binary else nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)
    held = tuple(torch.from_numpy(part) for part in task.validation) if task.validation else ()

    def output(rows: Any) -> Any:
        return model(rows).squeeze(-1) if task.binary else model(rows)

    def epoch() -> Any:
        model.train()
        order, total = torch.randperm(len(x)), torch.zeros(())
        for first in range(0, len(x), task.batch):
            rows = order[first : first + task.batch]
            optimizer.zero_grad()
            loss = criterion(output(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        if held:
            model.eval()
            with torch.no_grad():
                criterion(output(held[0]), held[1]).item()
        return total / len(x)

    epoch()
    start = time.perf_counter()
    for _ in range(task.epochs):
        mean = epoch()
    return _measurement(task, time.perf_counter() - start, mean.item())
