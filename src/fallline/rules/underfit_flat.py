"""Underfit: the training loss stays flat.

What it does
------------
Looks whether the training loss ever became clearly lower than the loss of a constant prediction (the entropy of the
classes, the variance of the targets). Where that reference is not known, looks whether the loss moved at all between
the first and the last epoch, or stands still to the last digit.

Why it hurts
------------
A network whose training loss does not fall learns nothing from its inputs: more epochs will not change that.

When it is wrong
----------------
When the inputs carry no information about the target, no network can do better: then the data is the cause. Without
the reference, a training that had converged within its first epoch looks flat too; such a finding has low confidence.

Reference
---------
J. Brownlee, "Better Deep Learning" (2018), chapter on learning curves: underfit, flat training loss.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import END_SHARE, end_level, fall_at_end, finite, jitter
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S1", "underfit-flat", "learning", ("during", "after"), min_epochs=5)

# A loss that explains less than 3 % of the uncertainty of a constant prediction has not left it; chosen on the clinic's
# calibration half (benchmarks/results/clinic-thresholds.json says where healthy runs lie).
NOTHING_LEARNED = 0.03
# A movement from first to last epoch below this share of the loss is "flat" when there is no reference.
NO_MOVEMENT = 0.02
# Accuracy above which a flat curve without a reference is taken as "converged early".
ACCURATE = 0.8
# A fall at the end beyond this many of its own standard errors is a curve that still moves (then S2 speaks).
SIGNIFICANT = 3.0

# A loss that is the same to the last digit for so many epochs belongs to a network that does not change any more ...
DEAD = 10
# ... and has learned nothing, when it lies above this share of where it started.
NEAR_START = 0.5

WHAT_TO_TRY = (
    "raise the learning rate tenfold",
    "give the network more units or one more layer",
    "scale the inputs to mean 0 and sd 1",
    "check that inputs and labels belong together",
)


def _still_moves(values: np.ndarray, level: float) -> bool:
    """True when the curve reaches new lows at its end, significantly and by 0.3 % of the level in a fifth."""
    fall, error = fall_at_end(values)
    lower = level < float(np.min(values)) + fall
    return lower and fall > SIGNIFICANT * error and fall > NOTHING_LEARNED * END_SHARE / 2 * abs(level)


def examine(
    loss: np.ndarray,
    reference_loss: float | None = None,
    accuracy: np.ndarray | None = None,
    restored: bool = False,
    kept_loss: float | None = None,
) -> Iterator[Finding]:
    """Yield a finding when the training loss never left the level of knowing nothing, or came back to it for good."""
    _, values = finite(loss)
    first, last, best = float(values[0]), end_level(values), float(np.min(values))
    if restored and kept_loss is not None:
        last = min(last, kept_loss)
    if last <= 0 or _still_moves(values, last):
        return
    if reference_loss is not None:
        explained = 1.0 - last / reference_loss
        lost_again = 1.0 - best / reference_loss > 2 * NOTHING_LEARNED
        if explained > (0.0 if lost_again else NOTHING_LEARNED):
            return
        verdict = "The network lost again what it had learned." if lost_again else "The network has learned nothing."
        yield SYMPTOM.finding(
            "serious",
            0.95,
            f"The training loss ends at {last:.4g} after {len(values)} epochs; always predicting the same would give "
            f"{reference_loss:.4g}. {verdict}",
            evidence={"final_loss": last, "constant_prediction_loss": reference_loss, "explained": explained},
            cause="The learning rate is far too low or too high, the units are dead or saturated, the network is too "
            "small for the relation, or the inputs carry no information.",
            what_to_try=WHAT_TO_TRY,
        )
        return
    accurate = finite(accuracy)[1] if accuracy is not None else np.empty(0)
    good = len(accurate) > 0 and end_level(accurate) > ACCURATE
    if len(values) >= DEAD and float(np.ptp(values[-DEAD:])) == 0.0 and last > NEAR_START * first and not good:
        yield SYMPTOM.finding(
            "serious",
            0.9,
            f"The training loss has been {last:.6g} to the last digit for {DEAD} epochs: nothing changes any more.",
            evidence={"final_loss": last, "first_loss": first, "epochs": len(values)},
            cause="The units are dead or saturated, or the output is constant, so that no gradient is left.",
            what_to_try=WHAT_TO_TRY,
        )
        return
    moved = max(abs(first - last), first - best)
    if moved > max(NO_MOVEMENT * abs(first), 2 * jitter(values)) or good:
        return
    yield SYMPTOM.finding(
        "warning",
        0.5 if len(accurate) else 0.3,
        f"The training loss has not moved: {first:.4g} in the first epoch, {last:.4g} after {len(values)} epochs.",
        evidence={"first_loss": first, "final_loss": last, "moved": moved, "epochs": len(values)},
        cause="The network does not learn, or it had learned all it can within the first epoch.",
        what_to_try=WHAT_TO_TRY,
    )
