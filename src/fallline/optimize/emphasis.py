"""Examples with a large error are seen more often, unless that does not help them."""

from __future__ import annotations

import numpy as np

__all__ = ["emphasised", "emphasised_orders", "next_streaks"]

_MOST = np.iinfo(np.uint8).max


def next_streaks(streaks: np.ndarray, losses: np.ndarray, share: float) -> np.ndarray:
    """Return how many looks in succession each example has been among those of the largest losses, (n,) uint8.

    Args:
        streaks: (n,) the same at the look before.
        losses: (n,) the examples' losses now; what is not finite counts as largest.
        share: of the examples that are among them, at least one.

    >>> next_streaks(np.array([1, 1, 0, 0], np.uint8), np.array([5.0, 0.1, 0.2, 0.3]), 0.5).tolist()
    [2, 0, 0, 1]
    """
    most = max(1, round(share * len(losses)))
    known = np.where(np.isfinite(losses), losses, np.inf)
    top = np.zeros(len(losses), bool)
    top[np.argsort(-known, kind="stable")[:most]] = True
    longer = np.minimum(streaks.astype(np.int64) + 1, _MOST)
    return np.where(top, longer, 0).astype(np.uint8)


def emphasised(streaks: np.ndarray, patience: int) -> np.ndarray:
    """Return which examples are seen more often, (n,) bool: an error that stays large all the same is an outlier's.

    LeCun et al. (1998, section 4.2) warn that emphasis is a disaster for outliers: an example whose loss has stayed
    among the largest for more than ``patience`` looks loses it until its loss has left them.

    Args:
        streaks: (n,) from `next_streaks`.
        patience: looks.

    >>> emphasised(np.array([0, 1, 3, 4], np.uint8), 3).tolist()
    [False, True, True, False]
    """
    found: np.ndarray = (streaks > 0) & (streaks <= patience)
    return found


def emphasised_orders(
    rows: np.ndarray, chosen: np.ndarray, times: float, *, seed: int, first_epoch: int, epochs: int
) -> np.ndarray:
    """Return orders in which some examples come more often than the others, shape (epochs, len(rows)) int32.

    An epoch stays as long as it was: n places, of which an example of weight w takes n w / (sum of weights), rounded
    down or up at random so that it is right on average (systematic sampling), in random order. The weight is ``times``
    for the chosen ones and 1 for the others, so that some of these are left out of an epoch. Where none is chosen, each
    comes once.

    Source: LeCun, Bottou, Orr & Mueller, Efficient BackProp, 1998, section 4.2, rule 2.

    Args:
        rows: (n,) row numbers of one member's training set.
        chosen: (n,) bool.
        times: how many times as often the chosen ones come.
        seed: the member's seed.
        first_epoch: number of the first epoch, from 0.
        epochs: how many epochs.

    >>> one = emphasised_orders(np.arange(4), np.arange(4) == 2, 9.0, seed=0, first_epoch=0, epochs=1)
    >>> int((one == 2).sum()), one.shape
    (3, (1, 4))
    """
    rows = np.asarray(rows, np.int32)
    n = len(rows)
    out = np.empty((epochs, n), np.int32)
    for i in range(epochs):
        generator = np.random.Generator(np.random.Philox(key=[seed, first_epoch + i]))
        order = generator.permutation(n)  # which of them are rounded up must not go by their place in the table
        if chosen.any():
            upto = np.cumsum(np.where(chosen[order], times, 1.0))
            places = (generator.random() + np.arange(n)) * (upto[-1] / n)
            order = order[np.minimum(np.searchsorted(upto, places, side="right"), n - 1)]
            order = generator.permutation(order)
        out[i] = rows[order]
    return out
