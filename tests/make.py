"""Handmade traces: learning curves and insides of known shape, so that a test says what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fallline.types import Inside, Trace

__all__ = ["decay", "inside", "noise", "sagging", "trace"]


def decay(start: float, end: float, epochs: int, time: float) -> np.ndarray:
    """An exponential approach from ``start`` (epoch 1) towards ``end`` with the given time constant in epochs."""
    return end + (start - end) * np.exp(-np.arange(epochs) / time)


def sagging(start: float, low: float, end: float, epochs: int, best: int) -> np.ndarray:
    """A curve that falls to ``low`` at epoch ``best`` and rises in a straight line to ``end``."""
    falling = decay(start, low, best, best / 6)
    return np.concatenate([falling, np.linspace(falling[-1], end, epochs - best + 1)[1:]])


def noise(epochs: int, sd: float, seed: int = 0) -> np.ndarray:
    """White noise."""
    return sd * np.random.default_rng(seed).standard_normal(epochs)


def trace(*members: dict[str, Sequence[float] | np.ndarray], first_epoch: int = 1) -> Trace:
    """A trace of one or more members, each given by its curves."""
    rows: dict[str, list[object]] = {name: [] for name in ("member", "epoch", "layer", "quantity", "value")}
    for member, curves in enumerate(members):
        for quantity, values in curves.items():
            for epoch, value in enumerate(values, start=first_epoch):
                for name, entry in zip(rows, (member, epoch, "", quantity, float(value)), strict=True):
                    rows[name].append(entry)
    return Trace.from_columns(rows)


def inside(
    layers: Mapping[str, tuple[str, str]] | Sequence[str],
    values: Mapping[str, object],
    *,
    epochs: Sequence[int] | None = None,
    network: Mapping[str, object] | None = None,
    output: int | None = -1,
    members: int = 1,
) -> Inside:
    """What was seen inside a network of the given layers.

    Args:
        layers: layer name -> (class name, activation's name), or names alone: Dense layers with ReLU, the last linear.
        values: statistic -> a number, one per layer (L,), one per look and layer (t, L), or all (members, t, L).
        epochs: (t,) looks; default: as many as the longest of the values, from 0.
        network: statistic -> a number, one per look (t,), or all (members, t).
        output: index of the output layer; -1: the last; None: unknown.
        members: number of members that the smaller values are repeated for.

    >>> inside(["a", "out"], {"gradient_norm": [[1e-9, 1.0]] * 3}).statistics()["layer_gradient_norm"].shape
    (3, 2)
    """
    if not isinstance(layers, Mapping):
        last = len(layers) - 1
        layers = {name: ("Dense", "linear" if i == last else "relu") for i, name in enumerate(layers)}
    arrays = {name: np.asarray(v, np.float32) for name, v in values.items()}
    whole = {name: np.asarray(v, np.float32) for name, v in (network or {}).items()}
    if epochs is None:
        lengths = [a.shape[-2] for a in arrays.values() if a.ndim > 1] + [a.shape[-1] for a in whole.values() if a.ndim]
        epochs = range(max(lengths, default=1))
    shape = (members, len(epochs), len(layers))
    return Inside(
        tuple(layers),
        tuple(kind for kind, _ in layers.values()),
        tuple(activation for _, activation in layers.values()),
        len(layers) - 1 if output == -1 else output,
        np.asarray(epochs),
        {name: np.broadcast_to(a, a.shape if a.ndim == 3 else shape) for name, a in arrays.items()},
        {name: np.broadcast_to(a, a.shape if a.ndim == 2 else shape[:2]) for name, a in whole.items()},
    )
