"""Use a batch of four times the size.

What it does
------------
Multiplies the batch size by 4, up to a quarter of the rows.

When it helps
-------------
A batch has so few rows that its mean and variance say little: noisy steps, and batch normalisation by noise.

What it may cost
----------------
Fewer steps an epoch; it may take more epochs or a higher learning rate.

Source
------
L. Bottou, F. Curtis, J. Nocedal, Optimization methods for large-scale machine learning, arXiv 1606.04838, section 5:
the variance of a step falls with the size of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import BATCH, with_training
from fallline.treatments._recipes import rows_a_batch, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "batch-size-unsuited",
    "oscillation",
    "high-variance-over-seeds",
    "batch-norm-with-dropout",
)
AIM = "learning"

FACTOR, MOST_OF_ROWS = 4, 4


def _larger(size: int, known: Mapping[str, Any]) -> int:
    rows = known.get("n_rows")
    return FACTOR * size if rows is None else min(FACTOR * size, int(rows) // MOST_OF_ROWS)


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Multiply the batch size."""
    size = rows_a_batch(recipe.training.batch_size, known)
    larger = _larger(size, known)
    return None if larger <= size else section(recipe, "training", batch_size=larger)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Multiply the batch size."""
    size = int(design.training.get("batch_size") or BATCH)
    larger = _larger(size, known)
    return None if larger <= size else with_training(design, batch_size=larger)
