"""Batch size unsuited: too small for batch normalisation, or as large as the training set.

What it does
------------
Compares the batch with the rows and the layers: batch normalisation over fewer than 8 rows, all rows in one step while
few steps are made, or single rows under momentum or an adaptive optimizer.

Why it hurts
------------
Statistics of a handful of rows are noise, and differ from those used for predictions; one step an epoch makes a short
training of many epochs; single rows make the steps follow chance.

When it is wrong
----------------
Full batches are right for small tables with many epochs, and single rows for plain gradient descent with a small rate;
a run that learned well outweighs the finding.

Reference
---------
Y. Wu, K. He, "Group normalization" (2018), figure 1: batch normalisation degrades below 16 rows, badly below 8;
D. Masters, C. Luschi, "Revisiting small batch training for deep neural networks" (2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fallline.rules._rates import PLAIN, SIGN_LIKE
from fallline.rules._rule import Symptom
from fallline.rules._structure import LayerFacts
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S28", "batch-size-unsuited", "learning", ("before", "after"))

NORMALISED = 8
# Steps in all below which a batch of all rows leaves too few.
FEW_STEPS = 100
# Rows below which one batch is the natural choice.
SMALL_TABLE = 200
# Momentum that averages over 2 steps and more.
MOMENTUM = 0.5
# Rows below which single rows do not cost much.
MANY_ROWS = 100


def examine(
    batch_size: int,
    n_train: int,
    layers: Sequence[LayerFacts] | None = None,
    total_steps: int | None = None,
    optimizer_name: str | None = None,
    momentum: float = 0.0,
) -> Iterator[Finding]:
    """Yield at most one finding."""
    rows = min(int(batch_size), int(n_train)) if n_train else int(batch_size)
    evidence: dict[str, float | int | str] = {"batch_size": int(batch_size), "training_rows": int(n_train)}
    normalised = next((layer.name for layer in layers or () if layer.kind == "BatchNormalization"), None)
    if normalised is not None and 0 < rows < NORMALISED:
        yield _finding(
            0.85, f"Batch normalisation ({normalised!r}) takes its statistics from {rows} rows: they are noise.",
            evidence | {"layer": normalised}, ("use batches of 16 rows or more", "use layer normalisation instead"),
        )  # fmt: skip
    elif n_train >= SMALL_TABLE and batch_size >= n_train and total_steps is not None and total_steps < FEW_STEPS:
        yield _finding(
            0.75, f"One batch holds all {n_train:,} rows, so that the whole training makes only {total_steps} steps.",
            evidence | {"steps": int(total_steps)}, ("use batches of 32 rows", "train for more epochs"),
        )  # fmt: skip
    elif (
        batch_size == 1
        and n_train >= MANY_ROWS
        and (optimizer_name in SIGN_LIKE or (optimizer_name in PLAIN and momentum >= MOMENTUM))
    ):
        yield _finding(
            0.6, f"Each step follows a single row of {n_train:,}, and {optimizer_name}"
            f"{' with momentum' if momentum else ''} takes it at full size: the steps follow chance.",
            evidence, ("use batches of 32 rows", "lower the learning rate tenfold"),
        )  # fmt: skip


def _finding(
    confidence: float, message: str, evidence: dict[str, float | int | str], what_to_try: tuple[str, ...]
) -> Finding:
    return SYMPTOM.finding(
        "warning", confidence, message, evidence=evidence,
        cause="The batch size does not suit the rows or the layers.", what_to_try=what_to_try,
    )  # fmt: skip
