"""Healthy trainings of many shapes: whatever warns here is a false alarm.

A member is healthy by design, not by what any rule says: scaled inputs, an output that fits its loss, a usual rate, as
many epochs as it takes to learn and not many more, and a network that suits the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.clinic.program import Program, base

__all__ = ["ZOO", "Member"]

Change = Callable[[Program], Program]


@dataclass(frozen=True)
class Member:
    """One healthy training: a data set, and how it differs from that set's plain program."""

    table: str
    change: Change

    def program(self, seed: int) -> Program:
        """Return its program."""
        return self.change(base(self.table, seed))


def _set(**settings: object) -> Change:
    return lambda program: replace(program, **settings)


def _share(part: float) -> Change:
    """Fewer training rows."""
    return lambda program: replace(
        program, x=program.x[: int(part * len(program.x))], y=program.y[: int(part * len(program.y))]
    )


def _noisy_labels(program: Program) -> Program:
    """One label in ten is wrong, in training and validation alike; few epochs and weight decay keep it healthy."""
    rng = np.random.default_rng(0)

    def flip(y: np.ndarray) -> np.ndarray:
        y, wrong = y.copy(), rng.random(len(y)) < 0.1
        y[wrong] = (y[wrong] + 1) % (int(y.max()) + 1)
        return y

    assert program.val_y is not None
    return replace(
        program, y=flip(program.y), val_y=flip(program.val_y), hidden=(16,), epochs=max(10, program.epochs // 2)
    )


def _noisy_targets(program: Program) -> Program:
    rng = np.random.default_rng(0)

    def blur(y: np.ndarray) -> np.ndarray:
        return (y + rng.normal(0, 0.4, len(y))).astype(np.float32)

    assert program.val_y is not None
    return replace(program, y=blur(program.y), val_y=blur(program.val_y), hidden=(16,), epochs=25)


def _uneven(program: Program) -> Program:
    """Three to one: uneven, and nothing to worry about."""
    assert program.val_x is not None
    assert program.val_y is not None

    def thin(y: np.ndarray) -> np.ndarray:
        rows = np.arange(len(y))
        return rows[(y == 0) | (rows % 3 == 0)]

    train, held = thin(program.y), thin(program.val_y)
    return replace(
        program, x=program.x[train], y=program.y[train], val_x=program.val_x[held], val_y=program.val_y[held],
    )  # fmt: skip


_EVERYWHERE: Mapping[str, Change] = {
    "plain": _set(),
    "wide": _set(hidden=(96,), rate=0.002),
    "deep": _set(hidden=(24, 24, 24, 24), rate=0.002),
    "tanh": _set(activation="tanh"),
    "batch norm": _set(norm=True),
    "dropout 0.2": _set(dropout=0.2),
    "SGD with momentum": _set(optimizer="SGD", rate=0.02, momentum=0.9),
    "gelu": _set(activation="gelu", hidden=(32,)),
}
_SOME: Mapping[str, tuple[tuple[str, ...], Change]] = {
    "small": (("cancer", "wine", "quantiles"), _set(hidden=(8,), rate=0.01)),
    "noisy labels": (("cancer", "circles", "moons"), _noisy_labels),
    "noisy targets": (("friedman1", "friedman2"), _noisy_targets),
    "uneven classes": (("circles", "moons"), _uneven),
    "images": (("digits",), _set(images=(8, 8, 1), hidden=(32,), rate=0.002)),
    "images, dropout": (("digits",), _set(images=(8, 8, 1), hidden=(32,), rate=0.002, dropout=0.2)),
    "large batches": (("digits", "friedman1", "moons"), _set(batch=128, rate=0.01)),
    "RMSprop": (("cancer", "friedman2"), _set(optimizer="RMSprop", rate=0.001)),
    "AdamW": (("digits", "wine"), _set(optimizer="AdamW")),
    "mild L2": (("digits", "quantiles"), _set(l2=1e-4)),
    "without validation": (("circles", "quantiles", "friedman2"), _set(val_x=None, val_y=None)),
    "linear": (("cancer", "wine"), _set(hidden=(), rate=0.01, epochs=40)),
    "elu": (("friedman1", "moons"), _set(activation="elu")),
    "sigmoid": (("cancer", "digits"), _set(activation="sigmoid", hidden=(32,), rate=0.01)),
    "long": (("circles", "moons"), _set(hidden=(12,), epochs=100)),
    "half the rows": (("circles", "moons"), _share(0.5)),
}

ZOO: Mapping[str, Member] = {
    f"{name}, {table}": Member(table, change)
    for name, change in _EVERYWHERE.items()
    for table in ("cancer", "digits", "circles", "friedman1", "wine", "moons", "quantiles", "friedman2")
} | {f"{name}, {table}": Member(table, change) for name, (tables, change) in _SOME.items() for table in tables}
