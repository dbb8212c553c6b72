"""Handmade traces: learning curves of known shape, so that a test says what it means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fallline.types import Trace

__all__ = ["decay", "noise", "sagging", "trace"]


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
