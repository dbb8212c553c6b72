"""The order in which examples are seen, drawn on the host.

A device sort of 500 numbers costs more than ten training steps of a small network on a CPU. NumPy draws the same
permutation in a few microseconds, and it depends on the seed and the epoch alone, so that a resumed training sees the
same order. Epochs are drawn in blocks: to set up a generator costs more than to shuffle 500 rows with it.
"""

from __future__ import annotations

import numpy as np

__all__ = ["epoch_orders"]

# Rows drawn at once, and epochs at most: a block must be small enough that drawing a part of it in vain is cheap. Both
# belong to the definition of the order: with other numbers the same seed gives another order.
_BLOCK_ROWS, _BLOCK_EPOCHS = 65_536, 64


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
    size = max(1, min(_BLOCK_EPOCHS, _BLOCK_ROWS // max(1, len(rows))))
    out = np.empty((epochs, len(rows)), np.int32)
    last = first_epoch + epochs
    for block in range(first_epoch // size, -(-last // size)):
        begin, end = max(first_epoch, block * size), min(last, (block + 1) * size)
        # Philox is counter-based: (seed, block) names a stream of its own.
        generator = np.random.Generator(np.random.Philox(key=[seed, block]))
        drawn = np.broadcast_to(rows, (end - block * size, len(rows))).copy()
        generator.permuted(drawn, axis=1, out=drawn)
        out[begin - first_epoch : end - first_epoch] = drawn[begin - block * size :]
    return out
