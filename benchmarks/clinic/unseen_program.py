"""A program as a person would hand it to Keras, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.clinic.unseen_rows import cut

__all__ = ["FADED", "GAP", "MISMATCH", "NO_SIGNAL", "TOO_FAST", "TOO_SLOW", "Program", "Unseen", "dense", "held"]

TOO_FAST = ("learning-rate-too-high", "divergence", "oscillation", "exploding-gradients")
TOO_SLOW = ("learning-rate-too-low", "underfit-stopped-early", "underfit-flat")
FADED = ("vanishing-gradients", "saturated-units", "layer-not-learning")
MISMATCH = ("output-loss-mismatch", "targets-out-of-range")
GAP = ("overfit", "unrepresentative-training-set", "unrepresentative-validation-set", "capacity-unsuited")
NO_SIGNAL = ("no-skill", "suspect-labels", "underfit-flat", "overfit")


@dataclass(frozen=True)
class Program:
    """What a person would hand to ``model.compile`` and ``model.fit``."""

    model: Any
    x: Any
    y: Any
    loss: Any
    optimizer: Any = "adam"
    epochs: int = 15
    batch_size: int = 32
    held: Any = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unseen:
    """A program, the symptoms that name its fault (none: healthy), and others that are truly there as well."""

    names: tuple[str, ...]
    make: Callable[[np.random.Generator], Program]
    also: tuple[str, ...] = ()


def dense(
    columns: Any, hidden: tuple[int, ...], out: int, output: str, activation: str = "relu", **settings: Any
) -> Any:
    """Return a Sequential network of dense layers; the settings are the hidden layers'."""
    import keras

    shape = columns if isinstance(columns, tuple) else (columns,)
    layers: list[Any] = [keras.Input(shape)]
    layers += [keras.layers.Dense(units, activation, **settings) for units in hidden]
    return keras.Sequential([*layers, keras.layers.Dense(out, output)])


def held(model: Any, x: np.ndarray, y: np.ndarray, loss: Any, optimizer: Any = "adam", **more: Any) -> Program:
    """Return the program with the last quarter of the rows held out, as Keras' ``validation_split`` takes them."""
    (x, y), last = cut(x, y)
    return Program(model, x, y, loss, optimizer, held=last, **more)
