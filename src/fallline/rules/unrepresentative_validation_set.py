"""Unrepresentative validation set: the validation loss is far noisier, or far easier, than the training loss.

What it does
------------
Compares the epoch-to-epoch noise of the validation loss with that of the training loss, and looks whether the
validation loss stays far below the training loss although both were measured in evaluation mode.

Why it hurts
------------
Decisions such as early stopping and the choice of settings then follow chance, and the score promises too much.

When it is wrong
----------------
A training loss that was averaged while training, with dropout or noise, is higher than the validation loss by nature:
when only that one is known, "easier" is not judged.

Reference
---------
J. Brownlee, "Better Deep Learning" (2018), chapter on learning curves: unrepresentative validation data set.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import drop_scale, finite, jitter
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S6", "unrepresentative-validation-set", "generalisation", ("after",), min_epochs=10)

# Noise of the validation loss: as a share of the starting loss, and as a multiple of the training loss's noise.
# Both were chosen together on the clinic's calibration half (benchmarks/results/clinic-thresholds.json says where
# healthy runs lie): a large multiple of next to nothing is no harm.
NOISY = 0.02
NOISIER = 5.0
# Easier: below half the training loss, by a tenth of what was learned, in four of five epochs of the second half.
EASIER = 0.5
EASIER_OF_LEARNED = 0.1
PERSISTENT = 0.8
# Two standard errors of the validation loss above this share of the starting loss: fewer than about 16 rows, and a
# network that leaves much unexplained. (Where nearly all is explained, 12 rows are enough to see that.)
TOO_UNCERTAIN = 0.4
CHANCE = 2.0  # standard errors; a mean loss over n rows scatters by about loss / sqrt(n)

WHAT_TO_TRY = (
    "use k-fold cross-validation",
    "keep more rows for validation",
    "shuffle the rows before they are split, or split them by class",
)


def examine(
    loss: np.ndarray,
    val_loss: np.ndarray,
    start_loss: float,
    loss_is_running: bool = False,
    n_validation: int | None = None,
    members: int = 1,
) -> Iterator[Finding]:
    """Yield a finding for a noisy validation loss, for one that is too easy, or for too few rows to tell."""
    _, values = finite(loss)
    _, held = finite(val_loss)
    if len(held) < SYMPTOM.min_epochs:
        return
    rows = {"validation_rows": int(n_validation)} if n_validation else {}
    learned = drop_scale(start_loss, float(np.min(held)))
    start = max(abs(start_loss), np.finfo(float).tiny)
    noise, noise_train = jitter(held), jitter(values)
    if noise > NOISY * start and noise > NOISIER * noise_train:
        yield SYMPTOM.finding(
            "warning",
            0.75,
            f"The validation loss jumps by {noise:.3g} from epoch to epoch, {100 * noise / start:.0f} % of "
            f"where it started, while the training loss moves by {noise_train:.3g}.",
            evidence={"val_noise": noise, "train_noise": noise_train, "noise_share": noise / start, **rows},
            cause="The validation set has too few rows to judge by.",
            what_to_try=WHAT_TO_TRY,
        )
        return
    if n_validation and members == 1:  # the members of an ensemble validate on different rows
        level = float(np.median(held[len(held) // 2 :]))
        uncertain = CHANCE * abs(level) / np.sqrt(n_validation)
        if uncertain > TOO_UNCERTAIN * abs(start_loss) and abs(level) < 2 * abs(start_loss):
            yield SYMPTOM.finding(
                "warning",
                0.6,
                f"Only {n_validation} rows validate: their mean loss of {level:.3g} is uncertain by about "
                f"{uncertain:.2g}, too much to choose by.",
                evidence={"val_loss": level, "uncertainty": uncertain, **rows},
                cause="The validation set has too few rows to judge by.",
                what_to_try=WHAT_TO_TRY,
            )
            return
    if loss_is_running:
        return
    both = np.isfinite(loss[: len(val_loss)]) & np.isfinite(val_loss[: len(loss)])
    train, held = loss[: len(both)][both], val_loss[: len(both)][both]
    train, held = train[len(train) // 2 :], held[len(held) // 2 :]
    low = (held < EASIER * train) & (train - held > EASIER_OF_LEARNED * learned)
    gap, level = float(np.median(train - held)), float(np.median(train))
    chance = CHANCE * abs(level) / np.sqrt(n_validation) if n_validation else 0.0
    if len(low) and low.mean() >= PERSISTENT and gap > chance:
        yield SYMPTOM.finding(
            "warning",
            0.8 if n_validation else 0.65,
            f"The validation loss ({float(np.median(held)):.4g}) stays far below the training loss ({level:.4g}): the "
            "validation rows are easier than the training rows.",
            evidence={"loss": level, "val_loss": float(np.median(held)), "gap": gap, **rows},
            cause="The validation rows are few, were drawn differently, or also stand in the training set.",
            what_to_try=WHAT_TO_TRY,
        )
