"""Good fit: both losses fell, came to rest, and lie close together.

What it does
------------
Looks at the weights that were kept: training and validation loss both far below the loss of knowing nothing, a small
gap between them, and a validation loss that was not still falling when the training ended.

Why it hurts
------------
It does not: this is the remark that the curves look as they should.

When it is wrong
----------------
A validation set that resembles the training set more than future rows will gives the same picture.

Reference
---------
J. Brownlee, "Better Deep Learning" (2018), chapter on learning curves: good fit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import drop_scale, fall_at_end, finite
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S4", "good-fit", "generalisation", ("after",), min_epochs=5)

# At least a fifth of the uncertainty explained on validation rows, at most a quarter of that lost between the two.
EXPLAINED = 0.2
SMALL_GAP = 0.25
# Still falling by this share of the whole drop in the last fifth: not at rest.
AT_REST = 0.06


def examine(
    val_loss: np.ndarray,
    start_loss: float,
    kept_loss: float,
    kept_val_loss: float,
    stopped_early: bool = False,
    restored: bool = False,
) -> Iterator[Finding]:
    """Yield a note when the kept weights fit and generalise."""
    _, held = finite(val_loss)
    if len(held) < SYMPTOM.min_epochs or start_loss <= 0:
        return
    explained = (start_loss - kept_val_loss) / start_loss
    gap = (kept_val_loss - kept_loss) / drop_scale(start_loss, kept_loss)
    fall, _ = fall_at_end(held)
    resting = stopped_early or restored or abs(fall) < AT_REST * drop_scale(start_loss, kept_val_loss)
    if explained < EXPLAINED or abs(gap) > SMALL_GAP or not resting:
        return
    where = "at the weights that were kept" if restored else "at the end"
    yield SYMPTOM.finding(
        "note",
        0.8,
        f"Training and validation loss fell together, and lie close to each other {where} ({kept_loss:.4g} and "
        f"{kept_val_loss:.4g}, from {start_loss:.4g}).",
        evidence={"loss": kept_loss, "val_loss": kept_val_loss, "start_loss": start_loss, "gap_share": gap},
    )
