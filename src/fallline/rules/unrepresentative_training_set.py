"""Unrepresentative training set: both losses improve, but a wide gap stays between them.

What it does
------------
Measures the gap between validation and training loss at the kept weights, as a share of what was learned on the
training rows, when the validation loss improved and did not turn up again.

Why it hurts
------------
What holds in the training rows does not hold in the others: the rows are too few, or were drawn differently.

When it is wrong
----------------
Dropout and strong penalties change the training loss when it is measured in training mode; a training loss without
dropout is lower. A tiny validation set can lie apart by chance, which is why its size sets how wide a gap must be.

Reference
---------
J. Brownlee, "Better Deep Learning" (2018), chapter on learning curves: unrepresentative training data set.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import drop_scale, end_level, finite, jitter, smooth
from fallline.rules._from_data import SHIFTED
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S5", "unrepresentative-training-set", "generalisation", ("after",), min_epochs=5)

# More than half of what was learned on the training rows fails on new ones; chosen on the clinic's calibration half
# (benchmarks/results/clinic-thresholds.json says where healthy runs lie).
WIDE_GAP = 0.5
# When the loss of a constant prediction is not known, "learned" is counted from the first epoch, which may already
# have learned much: then nearly all of it has to fail.
WIDE_GAP_BLIND = 0.9
# A network that explains nearly all training rows has no noise left to blame: half of that gap is wide.
MEMORISED = 0.98
WIDE_GAP_MEMORISED = 0.25
# The training loss must have dropped by this share of its start for a gap to mean anything.
LEARNED = 0.2
# A rise of the validation loss beyond these is another symptom (overfit); see that rule for their source.
REAL_RISE = 0.10
RISE_OF_LEARNED = 0.05
SIGNIFICANT = 3.0
# Sampling error of a mean loss over n rows, as a multiple of loss / sqrt(n): per-row losses scatter about as widely
# as their mean, and two standard errors are asked for.
CHANCE = 2.0


def examine(
    val_loss: np.ndarray,
    start_loss: float,
    kept_loss: float,
    kept_val_loss: float,
    n_validation: int | None = None,
    n_train: int | None = None,
    reference_loss: float | None = None,
    input_shift: float | None = None,
) -> Iterator[Finding]:
    """Yield a finding when a wide gap stays without the validation loss turning up."""
    _, held = finite(val_loss)
    if len(held) < SYMPTOM.min_epochs or (input_shift or 0.0) > SHIFTED:
        return  # the validation rows' scale is the story
    low = float(np.min(smooth(held)))
    rise = end_level(held) - low
    if rise >= max(REAL_RISE * abs(low), RISE_OF_LEARNED * drop_scale(start_loss, low), SIGNIFICANT * jitter(held)):
        return
    limit = WIDE_GAP if reference_loss is not None else WIDE_GAP_BLIND
    dropped = start_loss - kept_loss
    if reference_loss is not None and kept_loss < (1 - MEMORISED) * reference_loss:
        limit = WIDE_GAP_MEMORISED
    gap = kept_val_loss - kept_loss
    chance = CHANCE * abs(kept_val_loss) / np.sqrt(n_validation) if n_validation else 0.0
    if dropped <= 0 or dropped < LEARNED * abs(start_loss) or gap < limit * dropped or gap < chance:
        return
    lost = gap / dropped
    evidence: dict[str, float | int] = {"loss": kept_loss, "val_loss": kept_val_loss, "gap": gap, "lost_share": lost}
    if n_train:
        evidence["training_rows"] = int(n_train)
    yield SYMPTOM.finding(
        "warning",
        0.8 if n_validation else 0.65,
        f"A wide gap stays between training loss ({kept_loss:.4g}) and validation loss ({kept_val_loss:.4g}): "
        f"{100 * lost:.0f} % of what was learned on the training rows does not hold for new ones.",
        evidence=evidence,
        cause="The training rows are too few, or were drawn differently from the validation rows.",
        what_to_try=(
            "get more training rows",
            "shuffle the rows before they are split, or split them by class",
            "add weight decay or dropout",
        ),
    )
