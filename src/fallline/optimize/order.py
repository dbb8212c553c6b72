"""The order in which examples are seen, drawn on the host.

A device sort of 500 numbers costs more than ten training steps of a small network on a CPU; NumPy draws the same
permutation in a few microseconds, and it depends on the seed and the epoch alone, so that a resumed training sees the
same order.
"""

from __future__ import annotations

import numpy as np

__all__ = ["epoch_orders"]


def epoch_orders(rows: np.ndarray, *, seed: int, first_epoch: int, epochs: int, shuffle: bool) -> np.ndarray:
    """Return the order of the rows in each epoch, shape (epochs, len(rows)) int32.

    Args:
        rows: (n,) row numbers of one member's training set.
        seed: the member's seed.
        first_epoch: number of the first epoch, from 0.
        epochs: how many epochs.
        shuffle: a new permutation in each epoch; else the order as given.

    >>> epoch_orders(np.array([7, 8, 9]), seed=0, first_epoch=0, epochs=2, shuffle=False).tolist()
    [[7, 8, 9], [7, 8, 9]]
    """
    rows = np.asarray(rows, np.int32)
    if not shuffle:
        return np.broadcast_to(rows, (epochs, len(rows)))
    out = np.empty((epochs, len(rows)), np.int32)
    for i in range(epochs):
        # Philox is counter-based: (seed, epoch) names a stream of its own at no set-up cost.
        generator = np.random.Generator(np.random.Philox(key=[seed, first_epoch + i]))
        out[i] = generator.permutation(rows)
    return out
