"""A training as plain settings, and one trial of it: built, diagnosed, written down."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.clinic.tables import TABLES

__all__ = ["Program", "Said", "base", "build", "diagnosed", "optimizer_of", "rules_cost"]

_LOSSES = {
    "binary": ("sigmoid", "binary_crossentropy"),
    "multiclass": ("softmax", "sparse_categorical_crossentropy"),
    "regression": ("linear", "mse"),
}


@dataclass(frozen=True)
class Program:
    """Everything about one training.

    Args:
        x, y, val_x, val_y: rows, (n, ...) and (n,).
        units: outputs of the last layer.
        hidden: units of each hidden layer.
        optimizer: name in ``keras.optimizers``, with `rate` and `momentum` (SGD only).
        kernel, bias: Keras initializers of the hidden layers, or None for Keras' defaults.
        kind: as in `tables.Table`.
        images: shape of one image; a small convolutional network is built, and `hidden` are its dense layers.
        pieces: layers before each activation ("norm") and after it ("dropout").
    """

    x: np.ndarray
    y: np.ndarray
    val_x: np.ndarray | None
    val_y: np.ndarray | None
    kind: str
    units: int
    output: str
    loss: str
    hidden: tuple[int, ...] = (32, 32)
    activation: str = "relu"
    optimizer: str = "Adam"
    rate: float = 0.003
    momentum: float = 0.0
    batch: int = 32
    epochs: int = 30
    dropout: float = 0.0
    norm: bool = False
    l2: float = 0.0
    kernel: Any = None
    bias: Any = None
    shuffle: bool = True
    images: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Said:
    """What the diagnosis said: (symptom, severity, epoch) in rank order; and what the check alone said."""

    findings: list[tuple[str, str, int | None]] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    error: str = ""

    @classmethod
    def of(cls, diagnosis: Any, checked: Any = ()) -> Said:
        """Read two diagnoses."""
        return cls([(f.symptom, f.severity, f.epoch) for f in diagnosis], [f.symptom for f in checked])


def base(table: str, seed: int) -> Program:
    """Return the healthy program of a data set."""
    facts = TABLES[table]
    x, y, val_x, val_y = facts.arrays(seed)
    output, loss = _LOSSES[facts.kind]
    units = int(max(y.max(), val_y.max())) + 1 if facts.kind == "multiclass" else 1
    return Program(x, y, val_x, val_y, facts.kind, units, output, loss, epochs=facts.epochs)


def build(program: Program, seed: int) -> Any:
    """Return the uncompiled Keras model."""
    import keras

    keras.utils.set_random_seed(seed)
    layers: list[Any] = [keras.Input(program.x.shape[1:])]
    if program.images is not None:
        layers += [keras.layers.Reshape(program.images)] if program.x.ndim == 2 else []
        layers += [keras.layers.Conv2D(8, 3, activation="relu"), keras.layers.Flatten()]
    settings: dict[str, Any] = {}
    if program.kernel is not None:
        settings["kernel_initializer"] = _initializer(program.kernel)
    if program.bias is not None:
        settings["bias_initializer"] = keras.initializers.Constant(program.bias)
    if program.l2:
        settings["kernel_regularizer"] = keras.regularizers.L2(program.l2)
    for units in program.hidden:
        if program.norm:
            layers += [keras.layers.Dense(units, **settings), keras.layers.BatchNormalization()]
            layers.append(keras.layers.Activation(program.activation))
        else:
            layers.append(keras.layers.Dense(units, program.activation, **settings))
        if program.dropout:
            layers.append(keras.layers.Dropout(program.dropout))
    last = {"kernel_initializer": settings["kernel_initializer"]} if program.kernel == "zeros" else {}
    layers.append(keras.layers.Dense(program.units, program.output, **last))
    return keras.Sequential(layers)


def _initializer(kernel: Any) -> Any:
    import keras

    return keras.initializers.RandomNormal(stddev=kernel) if isinstance(kernel, float) else kernel


def optimizer_of(program: Program) -> Any:
    """Return its optimizer."""
    import keras

    momentum: Mapping[str, float] = {"momentum": program.momentum} if program.momentum else {}
    return getattr(keras.optimizers, program.optimizer)(program.rate, **momentum)


def diagnosed(program: Program, seed: int) -> Said:
    """Check and diagnose; an error of either is part of the result."""
    import fallline as fl

    held = None if program.val_x is None else (program.val_x, program.val_y)
    arguments: dict[str, Any] = {
        "loss": program.loss,
        "batch_size": program.batch,
        "epochs": program.epochs,
        "validation_data": held,
        "shuffle": program.shuffle,
    }
    warnings.simplefilter("ignore")  # Keras, too, has something to say about some of them
    try:
        model = build(program, seed)
        checked = fl.check(model, program.x, program.y, optimizer=optimizer_of(program), **arguments)
        optimizer = optimizer_of(program)
        found = fl.diagnose_training(model, program.x, program.y, optimizer=optimizer, seed=seed, **arguments)
    except Exception as error:  # noqa: BLE001  a trial that fails is counted, with its reason
        return Said(error=f"{type(error).__name__}: {error}"[:300])
    return Said.of(found, checked)


def rules_cost(program: Program, seed: int, repetitions: int) -> list[tuple[float, float]]:
    """Return seconds of all rules over one watched training, its statistics gathered anew each time.

    Each time on the clock and on this process's own: where others work on the machine, the first is theirs, too.
    """
    import fallline as fl

    model = build(program, seed)
    model.compile(optimizer=optimizer_of(program), loss=program.loss)
    held = None if program.val_x is None else (program.val_x, program.val_y)
    run = fl.train(
        model, program.x, program.y, validation_data=held, epochs=program.epochs, batch_size=program.batch,
        early_stopping=False, verbose=0,
    )  # fmt: skip
    seconds = []
    for _ in range(repetitions + 1):
        began, used = time.perf_counter(), time.process_time()
        fl.diagnose(run)
        seconds.append((time.perf_counter() - began, time.process_time() - used))
    return seconds[1:]  # the first call loads the rules
