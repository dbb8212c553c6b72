"""Row-wise functions in chunks of few different sizes: one or two programs serve tables of every length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["in_chunks", "rows_that_fit"]

# Numbers in the widest intermediate result of a call: 64 MB of float32.
_BUDGET = 16_000_000
_FEWEST, _MOST = 16, 16_384


def rows_that_fit(width: int) -> int:
    """Return how many rows a call may take when its widest intermediate result has so many numbers a row.

    >>> rows_that_fit(256), rows_that_fit(100_000)
    (16384, 128)
    """
    fitting = max(_FEWEST, min(_MOST, _BUDGET // max(width, 1)))
    return 1 << (fitting.bit_length() - 1)


def in_chunks(call: Callable[[np.ndarray], Any], x: np.ndarray, most: int, *, axis: int = 0) -> np.ndarray:
    """Apply ``call`` to (n, d) rows, at most ``most`` at a time, and join the results along ``axis``.

    A last, smaller chunk is padded to the next power of two: tables of 90, 100 and 120 rows share one program.

    Args:
        call: (rows, d) float32 -> array with the rows in ``axis``; every row by itself.
        x: (n, d), n >= 1.
        most: a power of two.
        axis: where the result has its rows.
    """
    size = min(most, max(_FEWEST, 1 << (len(x) - 1).bit_length()))
    parts = []
    for start in range(0, len(x), size):
        part = np.asarray(x[start : start + size], np.float32)
        padded = np.concatenate([part, np.repeat(part[:1], size - len(part), axis=0)]) if len(part) < size else part
        found = np.asarray(call(padded))
        parts.append(found if len(part) == size else np.take(found, np.arange(len(part)), axis=axis))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)
