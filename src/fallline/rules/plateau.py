"""Plateau: the loss stands still for a long time, then falls again.

What it does
------------
Looks for a stretch of at least a fifth of the epochs in which the smoothed training loss moves by less than 2 % of the
whole drop, and which is followed by a real fall.

Why it hurts
------------
The network sat near a saddle or in a flat region: most of the time was spent on nothing, and with another seed or a
little less patience it would not have come out of it.

When it is wrong
----------------
A learning rate that is lowered in steps makes the loss rest and fall again on purpose.

Reference
---------
Y. Dauphin et al., "Identifying and attacking the saddle point problem in high-dimensional non-convex optimization"
(2014).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import finite, smooth
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S9", "plateau", "learning", ("after",), min_epochs=20)

# The stretch, as a share of the epochs and in epochs: a network of sigmoids may well stand still for a shorter one.
LENGTH = 0.2
SHORTEST = 8
# Movement on the stretch and fall behind it, as shares of the whole drop.
STILL = 0.02
FALL = 0.3
# A run that stood still for half of its epochs wasted them.
WASTED = 0.5
# A learning rate that fell by this factor was lowered on purpose.
LOWERED = 0.7


def examine(loss: np.ndarray, learning_rate: np.ndarray | float | None = None) -> Iterator[Finding]:
    """Yield a finding for the longest flat stretch that the loss left again."""
    epochs, values = finite(loss)
    calm = smooth(values)
    drop = float(calm.max() - calm.min())
    if drop <= 0 or not np.isfinite(drop):
        return
    if learning_rate is not None:
        rates = finite(np.atleast_1d(learning_rate))[1]
        if len(rates) and rates.min() < LOWERED * rates.max():
            return
    start, length = _longest(calm, STILL * drop)
    end = start + length - 1
    fall = float(calm[end] - calm[end:].min())
    if length < max(SHORTEST, LENGTH * len(calm)) or fall < FALL * drop:
        return
    yield SYMPTOM.finding(
        "warning" if length >= WASTED * len(calm) else "note",
        0.7,
        f"The training loss stood still at {calm[end]:.4g} from epoch {epochs[start]} to {epochs[end]} and then fell "
        f"to {values[-1]:.4g}.",
        evidence={"level": float(calm[end]), "first_epoch": int(epochs[start]), "last_epoch": int(epochs[end]),
                  "fall_after": fall, "share_of_epochs": length / len(calm)},
        cause="The weights started near a saddle or in a flat region, where the gradient is small.",
        what_to_try=(
            "use another initialisation (he for ReLU, glorot for tanh) and scaled inputs",
            "use momentum or Adam",
            "use ReLU or tanh instead of sigmoid in the hidden layers",
        ),
        epoch=int(epochs[end]),
    )  # fmt: skip


def _longest(values: np.ndarray, band: float) -> tuple[int, int]:
    """Return where the longest stretch begins that stays within a band, and its length."""
    best, best_start, start = 1, 0, 0
    low = high = float(values[0])
    for end in range(1, len(values)):
        low, high = min(low, float(values[end])), max(high, float(values[end]))
        while high - low > band:
            start += 1
            window = values[start : end + 1]
            low, high = float(window.min()), float(window.max())
        if end - start + 1 > best:
            best, best_start = end - start + 1, start
    return best_start, best
