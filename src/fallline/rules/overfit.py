"""Overfit: the validation loss turns up while the training loss does not.

What it does
------------
Finds the epoch at which the smoothed validation loss was lowest and how far it rose from there to the end, as a share
of what the network had learned. When the weights of the best epoch were restored, the rise afterwards does no harm:
then the finding speaks only if at that epoch already more than half of what was learned on the training rows fails on
new ones.

Why it hurts
------------
From that epoch on the network learns the training rows by heart: it becomes worse on new rows while it seems to
improve.

When it is wrong
----------------
A cross-entropy can rise from a few over-confident mistakes while accuracy stays as it is; whoever needs labels alone
may not mind. A very small validation set can rise by chance. Where the validation inputs have another scale than the
training inputs, that is said instead (unrepresentative-validation-set).

Reference
---------
L. Prechelt, "Early stopping - but when?" (1998): generalisation loss relative to the minimum so far.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import drop_scale, end_level, finite, jitter, loss_of_rows, lowest, smooth
from fallline.rules._from_data import SHIFTED
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S3", "overfit", "generalisation", ("during", "after"), min_epochs=5)

# Rise from the minimum: relative to the minimum itself, and to what had been learned by then.
REAL_RISE = 0.10
RISE_OF_LEARNED = 0.05
# ... and beyond this many sds of the epoch-to-epoch noise.
SIGNIFICANT = 3.0
# ... and on few validation rows: k rows that the network becomes sure and wrong about raise the mean by about sqrt(k)
# of its standard errors. 4 rows are two.
ROWS = 4
# A training loss that rises, too, by this share of the validation loss's rise and beyond its own noise, is no overfit.
BOTH_RISE = 0.1
# With the best epoch restored: share of what was learned on training rows that fails on new rows.
LOST_HALF = 0.5
# A validation loss back at this share of where it started has lost all it had learned.
ALL_LOST = 0.9

# Never below 98 % of the loss of a constant prediction on validation rows, yet below 96 % of it on training rows.
# The first was chosen on the clinic's calibration half (benchmarks/results/clinic-thresholds.json says where healthy
# runs lie); runs that learned nothing of the training rows either are left to other rules.
NO_GAIN = 0.98
LEARNED = 0.96

WHAT_TO_TRY = (
    "stop early and restore the weights of the best epoch",
    "add weight decay or dropout",
    "use a smaller network",
    "get more training rows",
)


def _by_heart(epoch: int, low: float, end: float, reference: float) -> Finding:
    return SYMPTOM.finding(
        "serious",
        0.95,
        f"The validation loss never became better than {low:.4g} (epoch {epoch}), where always predicting the same "
        f"gives {reference:.4g}; the training loss fell to {end:.4g}: what was learned was learned by heart.",
        evidence={
            "best_epoch": epoch,
            "val_loss_at_best": low,
            "constant_prediction_loss": reference,
            "final_loss": end,
        },
        cause="The inputs say nothing about the target, the labels are shuffled or wrong, or validation rows are drawn "
        "differently.",
        what_to_try=("check that inputs and labels belong together", *WHAT_TO_TRY[1:]),
        epoch=epoch,
    )


def _turned_up(evidence: dict[str, float], end: int, *, ruined: bool, clear: bool, few: int | None) -> Finding:
    """Return the finding where the last epoch's weights were kept.

    Args:
        evidence: as in the finding.
        end: the last epoch.
        ruined: all that was learned is lost.
        clear: the rise is beyond doubt.
        few: so many validation rows, of which some can make that much; None: it takes more than a few.
    """
    epoch, low, last = evidence["best_epoch"], evidence["val_loss_at_best"], evidence["val_loss_at_end"]
    return SYMPTOM.finding(
        "note" if few else "serious" if ruined else "warning",
        0.5 if few else 0.95 if clear else 0.75,
        f"The validation loss was lowest at epoch {epoch} ({low:.4g}) and rose to {last:.4g} by epoch {end}, while the "
        f"training loss went from {evidence['train_loss_at_best']:.4g} to {evidence['train_loss_at_end']:.4g}: the "
        "network learns the training rows by heart."
        + (f" A few of the {few} validation rows can make that much." if few else ""),
        evidence=evidence,
        cause="The network is larger, or the training longer, than this many rows can support.",
        what_to_try=WHAT_TO_TRY,
        epoch=int(epoch),
    )


def _lost_at_best(evidence: dict[str, float], kept_loss: float, kept_val_loss: float) -> Finding:
    """Return the finding where the best epoch's weights were kept."""
    epoch = int(evidence["best_epoch"])
    return SYMPTOM.finding(
        "warning",
        0.7,
        f"The weights of epoch {epoch} were kept, before the validation loss rose; but even there "
        f"{100 * evidence['lost_share']:.0f} % of what was learned on the training rows fails on new ones (loss "
        f"{kept_loss:.4g} against {kept_val_loss:.4g}).",
        evidence=evidence,
        cause="The network is larger than this many rows can support, or the rows are too few.",
        what_to_try=WHAT_TO_TRY[1:],
        epoch=epoch,
    )


def _both_rise(values: np.ndarray, then: float, rise: float) -> bool:
    """Return whether the training loss, ``then`` at the best epoch, rises with the validation loss: steps too large."""
    rose = end_level(values) - then
    return rose > min(0.5 * rise, max(BOTH_RISE * rise, REAL_RISE * then, SIGNIFICANT * jitter(values)))


def examine(
    loss: np.ndarray,
    val_loss: np.ndarray,
    start_loss: float,
    kept_loss: float,
    kept_val_loss: float,
    restored: bool = False,
    n_validation: int | None = None,
    reference_loss: float | None = None,
    loss_name: str | None = None,
    input_shift: float | None = None,
) -> Iterator[Finding]:
    """Yield a finding when the kept weights lie past the best epoch, or the best epoch was overfitted already."""
    at, held = finite(val_loss)
    _, values = finite(loss)
    if len(held) < SYMPTOM.min_epochs or (input_shift or 0.0) > SHIFTED:
        return  # a loss on inputs of another scale says nothing of what was learned by heart
    where, low = lowest(held)
    epoch, last = int(at[where]), end_level(held)
    if reference_loss is not None and low > NO_GAIN * reference_loss and end_level(values) < LEARNED * reference_loss:
        yield _by_heart(epoch, low, end_level(values), reference_loss)
        return
    rise, real = last - low, max(REAL_RISE * abs(low), SIGNIFICANT * jitter(held))
    if rise < max(real, RISE_OF_LEARNED * drop_scale(start_loss, low)):
        return
    calm_train = smooth(values)
    then = float(calm_train[min(where, len(calm_train) - 1)])
    if _both_rise(values, then, rise):
        return
    evidence = {
        "best_epoch": epoch,
        "val_loss_at_best": low,
        "val_loss_at_end": last,
        "train_loss_at_best": then,
        "train_loss_at_end": end_level(values),
        "rise": rise,
    }
    if not restored:
        n = int(n_validation or 0)
        few = n > 0 and rise < loss_of_rows(ROWS, n, loss_name, reference_loss or start_loss)
        ruined, clear = last > ALL_LOST * start_loss, rise > 2 * real
        yield _turned_up(evidence, int(at[-1]), ruined=ruined, clear=clear, few=n if few else None)
        return
    gap = kept_val_loss - kept_loss
    lost = gap / drop_scale(start_loss, kept_loss)
    chance = 2 * abs(kept_val_loss) / np.sqrt(n_validation) if n_validation else 0.0
    if lost >= LOST_HALF and gap >= chance:
        yield _lost_at_best(evidence | {"gap_at_kept": gap, "lost_share": lost}, kept_loss, kept_val_loss)
