"""Suspect labels: they contradict each other, leak, or look as if they were shuffled.

What it does
------------
Looks for rows with equal inputs and different labels, for validation rows that also stand among the training rows, for
one input that alone gives the target away, for a target that does not vary, and for targets of which neither any input
nor the nearest neighbours know anything.

Why it hurts
------------
What the labels do not say no network can learn; what they give away by mistake makes the score a promise that new rows
will break.

When it is wrong
----------------
Inputs of few distinct values (switches, counts) repeat by nature and may have any label: only real-valued rows count as
the same row twice. A relation like parity is invisible to single inputs and to neighbours.

Reference
---------
S. Kapoor, A. Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science" (2023), kinds L1.1
to L1.4 and L2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["ONE_OF", "SYMPTOM", "examine"]

SYMPTOM = Symptom("S26", "suspect-labels", "generalisation", ("before", "after"))
ONE_OF = ("class_counts", "target_sd", "contradicting_rows", "shared_rows", "leak_strength", "neighbour_gain")

# Rows that contradict another row, and validation rows seen in training.
CONTRADICTING = 0.05
SHARED = 0.05
# One input is a copy of the target but for little noise, the next one is not, and there are others at all.
LEAK_LABEL, LEAK_QUANTITY, OTHERS = 0.98, 0.9995, 0.9
FEWEST_INPUTS = 3
# Neither neighbours nor the strongest input exceed chance by this many standard errors, on so many rows.
UNRELATED = 2.0
ROWS = 300
# A network that explains this much has found a relation.
EXPLAINED = 0.1


def examine(
    class_counts: Mapping[Any, int] | None = None,
    target_sd: np.ndarray | float | None = None,
    contradicting_rows: float | None = None,
    inputs_are_real: bool = False,
    shared_rows: float | None = None,
    leak_strength: float | None = None,
    leak_next: float | None = None,
    leak_input: str | None = None,
    neighbour_gain: float | None = None,
    relation_strength: float | None = None,
    n_train: int | None = None,
    n_features: int | None = None,
    kept_val_loss: float | None = None,
    reference_loss: float | None = None,
) -> Iterator[Finding]:
    """Yield one finding with the gravest suspicion."""
    if _constant(class_counts, target_sd):
        yield _finding(
            "serious", 1.0, "All targets are the same: there is nothing to learn.", {"distinct_targets": 1},
            "The target column was overwritten, filtered, or read from the wrong place.",
            ("look at the target column and how it was made",),
        )  # fmt: skip
    elif contradicting_rows is not None and contradicting_rows > CONTRADICTING and inputs_are_real:
        yield _finding(
            "warning", 0.85,
            f"{100 * contradicting_rows:.0f} % of the rows have the same inputs as a row with another label.",
            {"contradicting_rows": contradicting_rows}, "Rows were labelled twice, or labels were mixed up.",
            ("look at the repeated rows and decide which label is right", "keep one row of each"),
        )  # fmt: skip
    elif shared_rows is not None and shared_rows > SHARED:
        yield _finding(
            "warning", 0.9,
            f"{100 * shared_rows:.0f} % of the validation rows also stand among the training rows: the validation "
            "score promises too much.",
            {"shared_rows": shared_rows}, "The rows were repeated, or split after they were multiplied.",
            ("remove repeated rows before the split", "split by group"),
        )  # fmt: skip
    elif _leaks(leak_strength, leak_next, n_features, LEAK_LABEL if class_counts else LEAK_QUANTITY):
        yield _finding(
            "warning", 0.7,
            f"The input {leak_input} gives the target away: it is a copy of it to "
            f"{100 * float(leak_strength or 0):.1f} %, the next input to {100 * float(leak_next or 0):.0f} %.",
            {"input": str(leak_input), "explained": float(leak_strength or 0), "next": float(leak_next or 0)},
            "The column was made from the target, or after it was known.",
            ("leave the column out, unless it is known when predictions are made",),
        )  # fmt: skip
    elif _unrelated(neighbour_gain, relation_strength, n_train) and not _generalises(kept_val_loss, reference_loss):
        yield _finding(
            "warning", 0.55,
            "The labels look shuffled: neither any single input nor the nearest neighbours of a row tell more about "
            "its target than chance.",
            {"neighbour_gain_in_errors": float(neighbour_gain or 0), "strongest_input_in_errors":
             float(relation_strength or 0)},
            "Labels and inputs were put together in different orders, or the inputs say nothing about the target.",
            ("check that inputs and labels belong together, row by row",),
        )  # fmt: skip


def _constant(counts: Mapping[Any, int] | None, sd: np.ndarray | float | None) -> bool:
    if counts:
        return sum(1 for count in counts.values() if count > 0) == 1
    if sd is None or not np.size(sd):
        return False
    return bool((np.asarray(sd, np.float64) == 0).all())


def _leaks(strength: float | None, following: float | None, features: int | None, limit: float) -> bool:
    if strength is None or following is None or not features or features < FEWEST_INPUTS:
        return False
    return strength > limit and following < OTHERS


def _unrelated(neighbours: float | None, strongest: float | None, rows: int | None) -> bool:
    if neighbours is None or strongest is None or not rows or rows < ROWS:
        return False
    # Neighbours that disagree more often than by chance are related, too: parity turns with every single input.
    return abs(neighbours) < UNRELATED and strongest < UNRELATED


def _generalises(held: float | None, reference: float | None) -> bool:
    return held is not None and reference is not None and held < (1 - EXPLAINED) * reference


def _finding(
    severity: str,
    confidence: float,
    message: str,
    evidence: dict[str, float | int | str],
    cause: str,
    what_to_try: tuple[str, ...],
) -> Finding:
    return SYMPTOM.finding(
        "serious" if severity == "serious" else "warning",
        confidence, message, evidence=evidence, cause=cause, what_to_try=what_to_try,
    )  # fmt: skip
