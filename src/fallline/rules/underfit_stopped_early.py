"""Underfit: the loss was still falling when the training ended.

What it does
------------
Fits a line through the last fifth of the training loss. The finding speaks when that line still falls by a real share
of all that has been gained, beyond its noise, when the validation loss (where there is one) is not past its best, and
when it was the planned number of epochs that ended the training.

Why it hurts
------------
A better network was a few more epochs away.

When it is wrong
----------------
A network that explains nearly everything already gains little in absolute terms; such runs are passed over, and one
that explains most of it and whose curve levels off is worth a note. With a
learning-rate schedule the loss falls fastest at the end by design: a decayed rate would not go on falling.

Reference
---------
J. Brownlee, "Better Deep Learning" (2018), chapter on learning curves: underfit, training halted too early.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import drop_scale, end_level, fall_at_end, finite, lowest
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S2", "underfit-stopped-early", "learning", ("after",), min_epochs=5)

# Fall in the last fifth as a share of the whole drop. An exponential approach exp(-t / tau) still has 6 % there when
# the run lasted 2.2 tau (11 % of the way left), 20 % when it is a straight line.
REAL_FALL = 0.06
# ... and as a share of the present loss: below it the gain could not be noticed.
REAL_GAIN = 0.05
# A straight line falls by 20 % of its whole fall in its last fifth, an approach that lasted 0.6 tau by 15 %.
STRAIGHT = 0.15
# A network that explains this much of the start is good enough whatever the slope.
GOOD_ENOUGH = 0.95
# ... and with this much explained a curve that levels off lacks at most a small part of the way: a note.
MOST = 0.5
# A network that explains less than this has nothing to lose: any lasting fall is worth more epochs (see S1).
NOTHING_LEARNED = 0.03
SIGNIFICANT = 3.0
# The best validation epoch must lie in the last tenth for "still improving".
STILL_BEST = 0.1
# A learning rate that ended below this share of its peak was decayed on purpose.
DECAYED = 0.1


def examine(
    loss: np.ndarray,
    start_loss: float,
    val_loss: np.ndarray | None = None,
    stopped_early: bool = False,
    learning_rate: np.ndarray | float | None = None,
    explained: float | None = None,
) -> Iterator[Finding]:
    """Yield a finding when training ended on a slope."""
    epochs, values = finite(loss)
    if stopped_early:
        return
    last = end_level(values)
    drop = drop_scale(start_loss, last)
    fall, error = fall_at_end(values)
    learned = (start_loss - last) / abs(start_loss) if start_loss else 1.0
    fallen = values[0] - last
    falling = fall > SIGNIFICANT * error and fall > REAL_FALL * min(drop, fallen) > 0
    straight = fall > STRAIGHT * fallen  # then the present loss is no yardstick: it has hardly begun to fall
    nothing = explained is not None and explained < NOTHING_LEARNED
    if not falling or learned > GOOD_ENOUGH or (fall < REAL_GAIN * abs(last) and not straight and not nothing):
        return
    if learning_rate is not None:
        rates = finite(np.atleast_1d(learning_rate))[1]
        if len(rates) and rates[-1] < DECAYED * rates.max():
            return
    evidence = {"fall_in_last_fifth": fall, "total_fall": values[0] - last, "final_loss": last, "epochs": len(values)}
    confidence = 0.75
    if val_loss is not None:
        at, held = finite(val_loss)
        if len(held) >= SYMPTOM.min_epochs:
            best = int(at[lowest(held)[0]])
            if best < epochs[-1] * (1 - STILL_BEST) - 1:
                return
            evidence["best_validation_epoch"] = best
            confidence = 0.9
    levels_off = explained is not None and explained > MOST and not straight
    yield SYMPTOM.finding(
        "note" if levels_off else "warning",
        confidence,
        f"The training loss was still falling when the training ended: by {fall:.3g} in the last fifth of "
        f"{len(values)} epochs, down to {last:.4g}.",
        evidence=evidence,
        cause="Too few epochs, or a learning rate too low for them.",
        what_to_try=("train for more epochs, with early stopping", "raise the learning rate"),
        epoch=int(epochs[-1]),
    )
