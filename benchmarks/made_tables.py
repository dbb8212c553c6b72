"""Small made tables: one smooth target with noise, as a quantity or cut at its median into two classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["KINDS", "draw"]

KINDS = ("quantities", "classes")


def draw(
    kind: str, rng: np.random.Generator, rows: int, columns: int, bend: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (rows, columns) and targets (rows,): x w + bend(x) + noise of sd 0.5, w and x standard normal.

    Args:
        kind: ``quantities``; or ``classes``, "yes" above the median and "no" below it, which overlap.
        rng: draws inputs, w and noise, in this order.
        rows: how many.
        columns: inputs.
        bend: (rows, columns) -> (rows,), what is not linear.
    """
    x = rng.normal(size=(rows, columns))
    y = x @ rng.normal(size=columns) + bend(x) + 0.5 * rng.normal(size=rows)
    return x, y if kind == "quantities" else np.where(y > np.median(y), "yes", "no")
