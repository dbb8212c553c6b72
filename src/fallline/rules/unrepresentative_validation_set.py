"""Unrepresentative validation set: other rows than the training rows, or too few to judge by.

What it does
------------
Looks whether the inputs of the validation rows have quite another scale than those of the training rows. Compares the
epoch-to-epoch noise of the validation loss with that of the training loss, and looks whether the validation loss stays
far below the training loss although both were measured in evaluation mode.

Why it hurts
------------
Decisions such as early stopping and the choice of settings then follow chance, and the score promises too much.

When it is wrong
----------------
A training loss that was averaged while training, with dropout or noise, is higher than the validation loss by nature:
when only that one is known, "easier" is not judged. Jumps that a single row can make are a remark.

Reference
---------
J. Brownlee, "Better Deep Learning" (2018), chapter on learning curves: unrepresentative validation data set.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import drop_scale, finite, jitter, loss_of_rows
from fallline.rules._from_data import SHIFTED
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["ONE_OF", "SYMPTOM", "examine"]

SYMPTOM = Symptom("S6", "unrepresentative-validation-set", "generalisation", ("before", "after"), min_epochs=10)
ONE_OF = ("val_loss", "input_shift")

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
    loss: np.ndarray | None = None,
    val_loss: np.ndarray | None = None,
    start_loss: float | None = None,
    loss_is_running: bool = False,
    n_validation: int | None = None,
    members: int = 1,
    input_shift: float | None = None,
    input_shrink: float | None = None,
    loss_name: str | None = None,
    reference_loss: float | None = None,
) -> Iterator[Finding]:
    """Yield a finding for inputs of another scale, a noisy or too easy validation loss, or too few rows to tell."""
    if (input_shift or 0.0) > SHIFTED:
        yield _of_another_scale(input_shift or 0.0, input_shrink or 1.0)
    elif loss is not None and val_loss is not None and start_loss is not None:
        one = loss_of_rows(1, n_validation, loss_name, reference_loss or start_loss) if n_validation else 0.0
        yield from _by_curves(loss, val_loss, start_loss, loss_is_running, n_validation, members, one)


def _of_another_scale(shift: float, shrink: float) -> Finding:
    words = (
        f"vary {shrink:.3g} times less than those of the training rows"
        if shrink >= shift
        else f"lie {shift:.3g} times as far from the training rows' mean as those do themselves"
    )
    return SYMPTOM.finding(
        "serious", 0.9,
        f"The inputs of the validation rows {words}: they were not scaled as the training rows were.",
        evidence={"times_another_scale": shift, "times_less_spread": shrink},
        cause="The training rows were scaled and the validation rows were not, or by another mean and sd.",
        what_to_try=(
            "scale the validation rows by the mean and sd of the training rows",
            "put a Normalization layer in front of the model and adapt it on the training rows",
        ),
    )  # fmt: skip


def _rows(n_validation: int | None) -> dict[str, int]:
    return {"validation_rows": int(n_validation)} if n_validation else {}


def _jumps(
    values: np.ndarray, held: np.ndarray, start: float, n_validation: int | None, one_row: float
) -> Finding | None:
    """Return a finding where the validation loss jumps and the training loss does not."""
    noise, noise_train = jitter(held), jitter(values)
    if not (noise > NOISY * start and noise > NOISIER * noise_train):
        return None
    little = noise < one_row
    return SYMPTOM.finding(
        "note" if little else "warning",
        0.5 if little else 0.75,
        f"The validation loss jumps by {noise:.3g} from epoch to epoch, {100 * noise / start:.0f} % of "
        f"where it started, while the training loss moves by {noise_train:.3g}."
        + (f" One of the {n_validation} validation rows can make that much." if little else ""),
        evidence={
            "val_noise": noise, "train_noise": noise_train, "noise_share": noise / start, **_rows(n_validation)
        },
        cause="The validation set has too few rows to judge by.",
        what_to_try=WHAT_TO_TRY,
    )  # fmt: skip


def _uncertain(held: np.ndarray, start_loss: float, n_validation: int) -> Finding | None:
    """Return a finding where the mean over so few rows is too uncertain to choose by."""
    level = float(np.median(held[len(held) // 2 :]))
    uncertain = CHANCE * abs(level) / np.sqrt(n_validation)
    if not (uncertain > TOO_UNCERTAIN * abs(start_loss) and abs(level) < 2 * abs(start_loss)):
        return None
    return SYMPTOM.finding(
        "warning",
        0.6,
        f"Only {n_validation} rows validate: their mean loss of {level:.3g} is uncertain by about "
        f"{uncertain:.2g}, too much to choose by.",
        evidence={"val_loss": level, "uncertainty": uncertain, **_rows(n_validation)},
        cause="The validation set has too few rows to judge by.",
        what_to_try=WHAT_TO_TRY,
    )


def _by_curves(
    loss: np.ndarray,
    val_loss: np.ndarray,
    start_loss: float,
    loss_is_running: bool,
    n_validation: int | None,
    members: int,
    one_row: float,
) -> Iterator[Finding]:
    """Yield at most one finding; a jump of less than what one row can make, ``one_row``, is a remark."""
    _, values = finite(loss)
    _, held = finite(val_loss)
    if len(held) < SYMPTOM.min_epochs:
        return
    learned = drop_scale(start_loss, float(np.min(held)))
    start = max(abs(start_loss), np.finfo(float).tiny)
    found = _jumps(values, held, start, n_validation, one_row)
    if found is None and n_validation and members == 1:  # the members of an ensemble validate on different rows
        found = _uncertain(held, start_loss, n_validation)
    if found is not None:
        yield found
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
            evidence={"loss": level, "val_loss": float(np.median(held)), "gap": gap, **_rows(n_validation)},
            cause="The validation rows are few, were drawn differently, or also stand in the training set.",
            what_to_try=WHAT_TO_TRY,
        )
