"""Divergence: the loss becomes NaN or infinite, or grows without bound.

What it does
------------
Looks for the first epoch from which the training loss is not a number any more, and for a loss that ends far above
both its best value and the value it started from.

Why it hurts
------------
The weights have left every useful region; nothing after that epoch can be used.

When it is wrong
----------------
A gap in the record (an epoch that was not watched) is not a divergence, and a spike from which the loss comes back is
not either; both are passed over.

Reference
---------
The factor 4 above the best loss is the stopping rule of the learning-rate range test (L. Smith, 2017) as implemented
in fastai.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import finite
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S8", "divergence", "learning", ("during", "after"))

GROWTH = 4.0
# ... and this much above the start: all that was learned is lost, and more.
ABOVE_START = 1.5
# Grown beyond this multiple of the start there is no doubt, even after two epochs.
EXPLODED = 1e3

CAUSE = "The learning rate is too high, inputs or targets are not scaled, or the data holds NaN or infinite values."
WHAT_TO_TRY = (
    "lower the learning rate tenfold",
    "scale the inputs and targets to mean 0 and sd 1",
    "clip the gradients' norm to 1",
    "look for NaN and infinite values in the data",
)


def examine(
    loss: np.ndarray,
    lost_at: int | None = None,
    lost_members: int = 0,
    members: int = 1,
    reference_loss: float | None = None,
) -> Iterator[Finding]:
    """Yield a finding when the loss was lost to NaN or infinity, or exploded."""
    epochs, values = finite(loss)
    if lost_at is not None:
        alone = members <= 1
        who = "The loss" if alone else f"The loss of {lost_members} of {members} networks"
        before = values[epochs < lost_at]
        tail = f", after {before[-1]:.4g} the epoch before" if alone and len(before) else ""
        yield SYMPTOM.finding(
            "serious" if 2 * lost_members >= members else "warning",
            1.0,
            f"{who} stopped being a finite number at epoch {lost_at}{tail}.",
            evidence={"epoch": lost_at, "networks_lost": lost_members, "networks": members},
            cause=CAUSE,
            what_to_try=WHAT_TO_TRY,
            epoch=lost_at,
        )
        return
    if len(values) < 3:
        return
    low, first = float(np.min(values)), float(values[0])
    level = float(np.min(values[-max(2, len(values) // 10) :]))  # the lowest of the end: a spike is not divergence
    start = max(abs(first), abs(reference_loss or 0.0))
    if level < GROWTH * abs(low) or level < ABOVE_START * start:
        return
    above = np.flatnonzero(values < max(GROWTH * abs(low), ABOVE_START * start))
    epoch = int(epochs[min(above[-1] + 1, len(epochs) - 1)]) if len(above) else int(epochs[0])
    yield SYMPTOM.finding(
        "serious",
        0.98 if level > EXPLODED * start else 0.85,
        f"The training loss grew from {low:.4g} at best to {level:.4g} at the end; from epoch {epoch} on it stays "
        f"above {max(GROWTH * abs(low), ABOVE_START * start):.4g}.",
        evidence={
            "lowest_loss": low,
            "final_loss": level,
            "growth": level / max(abs(low), np.finfo(float).tiny),
            "epoch": epoch,
        },
        cause=CAUSE,
        what_to_try=WHAT_TO_TRY,
        epoch=epoch,
    )
