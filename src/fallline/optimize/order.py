"""The order in which examples are seen, drawn on the host.

A device sort of 500 numbers costs more than ten training steps of a small network on a CPU. NumPy draws the same
permutation in a few microseconds, and it depends on the seed and the epoch alone, so that a resumed training sees the
same order. Epochs are drawn in blocks: to set up a generator costs more than to shuffle 500 rows with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["OrderStream", "alternating_orders", "epoch_orders"]

# Rows drawn at once, and epochs at most: a block must be small enough that drawing a part of it in vain is cheap. Both
# belong to the definition of the order: with other numbers the same seed gives another order.
_BLOCK_ROWS, _BLOCK_EPOCHS = 65_536, 64


@dataclass
class OrderStream:
    """Where the drawing of one member's orders has got to, so that it goes on from there within a block.

    Args:
        epoch: the next one to be drawn; -1: none was drawn yet.
        generator: as it is before that epoch.
    """

    epoch: int = -1
    generator: np.random.Generator | None = None


def epoch_orders(
    rows: np.ndarray, *, seed: int, first_epoch: int, epochs: int, shuffle: bool, stream: OrderStream | None = None
) -> np.ndarray:
    """Return the order of the rows in each epoch, shape (epochs, len(rows)) int32.

    Args:
        rows: (n,) row numbers of one member's training set.
        seed: the member's seed.
        first_epoch: number of the first epoch, from 0.
        epochs: how many epochs.
        shuffle: a new permutation in each epoch; else the order as given.
        stream: remembers where the last call with the same rows and seed ended; it spares time and changes nothing.

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
        if stream is not None and stream.generator is not None and stream.epoch == begin > block * size:
            generator, start = stream.generator, begin
        else:
            # Philox is counter-based: (seed, block) names a stream of its own.
            generator, start = np.random.Generator(np.random.Philox(key=[seed, block])), block * size
        drawn = np.broadcast_to(rows, (end - start, len(rows))).copy()
        generator.permuted(drawn, axis=1, out=drawn)
        out[begin - first_epoch : end - first_epoch] = drawn[begin - start :]
        if stream is not None:
            stream.epoch, stream.generator = end, generator
    return out


def alternating_orders(
    rows: np.ndarray, classes: np.ndarray, *, seed: int, first_epoch: int, epochs: int
) -> np.ndarray:
    """Return orders in which successive examples come from different classes, shape (epochs, len(rows)) int32.

    Which class comes when is the same in all epochs, each class spread evenly over them; which of its examples, is
    drawn anew. Two of a class follow each other only where it has more examples than all others together.

    Source: LeCun, Bottou, Orr & Mueller, Efficient BackProp, 1998, section 4.2: successive training examples should
    (almost) never belong to the same class.

    Args:
        rows: (n,) row numbers of one member's training set.
        classes: (n,) their classes.
        seed: the member's seed.
        first_epoch: number of the first epoch, from 0.
        epochs: how many epochs.

    >>> alternating_orders(np.arange(4), np.array([0, 0, 1, 1]), seed=0, first_epoch=0, epochs=1)[0] // 2 % 2
    array([0, 1, 0, 1], dtype=int32)
    """
    rows = np.asarray(rows, np.int32)
    labels = np.unique(classes, return_inverse=True)[1].ravel()
    turns = _turns(np.bincount(labels))
    places, members = np.argsort(turns, kind="stable"), np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    out = np.empty((epochs, len(rows)), np.int32)
    for i in range(epochs):
        generator = np.random.Generator(np.random.Philox(key=[seed, first_epoch + i]))
        for start, count in zip(starts, counts, strict=True):
            part = slice(start, start + count)
            out[i, places[part]] = rows[generator.permutation(members[part])]
    return out


def _turns(counts: np.ndarray) -> np.ndarray:
    """Return the class of each place: never the same twice in succession where that is possible, each spread evenly."""
    left, total = counts.tolist(), int(counts.sum())
    most, others = int(counts.argmax()), total - int(counts.max())
    if left[most] > others + 1:  # it must follow itself: as often between any two of the others
        between = np.diff(np.linspace(0, left[most], others + 2).round().astype(np.int64))
        rest = _turns(np.where(np.arange(len(counts)) == most, 0, counts)) if others else np.zeros(0, np.int64)
        parts = [part for turn, n in zip(rest, between, strict=False) for part in ([most] * n, [turn])]
        return np.concatenate([*parts, [most] * between[-1]]).astype(np.int64)
    turns, last = np.empty(total, np.int64), -1
    for place in range(total):
        remaining = total - place
        # A class with half of what is left must take every other place from here on.
        forced = [c for c, n in enumerate(left) if 2 * n > remaining and c != last]
        able = forced or [c for c, n in enumerate(left) if n and c != last] or [last]
        last = max(able, key=lambda c: left[c] / max(counts[c], 1))
        turns[place] = last
        left[last] -= 1
    return turns
