"""Not shuffled: the rows come in an order that the training or the split takes over.

What it does
------------
Measures how alike the targets of successive rows are. Sorted rows matter when the training does not shuffle, and when
the last rows are cut off for validation; then classes that only validation rows have, or a target that is distributed
quite differently there, give it away.

Why it hurts
------------
Batches of one class pull the weights to and fro, and each forgets the one before; a validation set of other classes
judges what was never taught.

When it is wrong
----------------
A split by time differs on purpose. Where the training shuffles and the split was drawn at random, the order of the rows
does not matter, and nothing is said.

Reference
---------
Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), section 4.2: successive examples from different
classes.
"""

from __future__ import annotations

from collections.abc import Iterator

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["ONE_OF", "SYMPTOM", "examine"]

SYMPTOM = Symptom("S27", "not-shuffled", "learning", ("before", "after"))
ONE_OF = ("order_correlation", "target_shift")

# Random order gives 0 within about 2 / sqrt(n); sorted rows nearly 1.
SORTED = 0.5
FEWEST_ROWS = 20
# Validation rows of classes that training rows do not have.
UNSEEN = 0.05
# Difference of the targets' distributions (total variation, Kolmogorov-Smirnov), beyond what chance gives.
SHIFT = 0.35


def examine(
    order_correlation: float | None = None,
    shuffle: bool | None = None,
    unseen_class_rows: float | None = None,
    target_shift: float | None = None,
    n_train: int | None = None,
    n_validation: int | None = None,
    batch_size: int | None = None,
) -> Iterator[Finding]:
    """Yield one finding about the split, else one about the order."""
    if unseen_class_rows is not None and unseen_class_rows > UNSEEN:
        yield _finding(
            f"{100 * unseen_class_rows:.0f} % of the validation rows belong to classes that no training row has: the "
            "rows were sorted when they were split.",
            {"unseen_class_rows": unseen_class_rows}, 0.95,
        )  # fmt: skip
        return
    rows = min(n_train or 0, n_validation or 0)
    if target_shift is not None and rows >= FEWEST_ROWS and target_shift > SHIFT + 1.4 / rows**0.5:
        yield _finding(
            f"The targets of the validation rows are distributed quite differently from those of the training rows "
            f"(distance {target_shift:.2f} of 1): the rows were in order when they were split.",
            {"target_shift": target_shift}, 0.85,
        )  # fmt: skip
        return
    if shuffle is not False or order_correlation is None or not n_train or n_train < FEWEST_ROWS:
        return
    if batch_size is not None and batch_size >= n_train:
        return  # one batch holds all rows: there is no order
    if order_correlation > SORTED:
        yield _finding(
            f"The rows are sorted by their targets (successive rows agree by {order_correlation:.2f} of 1), and the "
            "training does not shuffle them.",
            {"order_correlation": order_correlation}, 0.9,
        )  # fmt: skip


def _finding(message: str, evidence: dict[str, float | int | str], confidence: float) -> Finding:
    return SYMPTOM.finding(
        "warning", confidence, message, evidence=evidence,
        cause="The table was sorted, or its rows were recorded one class after the other.",
        what_to_try=("shuffle the rows before they are split, or split them by class",
                    "shuffle in every epoch (shuffle=True)"),
    )  # fmt: skip
