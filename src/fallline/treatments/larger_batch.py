"""Use a batch of four times the size, and take as many steps.

What it does
------------
Multiplies the batch size by 4, up to a quarter of the rows, and the epochs so that there are no fewer steps. Where an
early stopping decides, a recipe's epochs stay as they are, and a patience that counts epochs grows with them.

When it helps
-------------
A batch has so few rows that its mean and variance say little: noisy steps, and batch normalisation by noise.

What it may cost
----------------
Time: each step passes over more rows.

Source
------
L. Bottou, F. Curtis, J. Nocedal, Optimization methods for large-scale machine learning, arXiv 1606.04838, section 5:
the variance of a step falls with the size of the batch. E. Hoffer, I. Hubara, D. Soudry, Train longer, generalize
better, arXiv 1705.08741, section 5: what larger batches lose in as many epochs is lost with the steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import BATCH, EPOCHS, with_training
from fallline.treatments._recipes import number, rows_a_batch, section
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
    """Multiply the batch size; a training of a fixed length gets as many steps."""
    size = rows_a_batch(recipe.training.batch_size, known)
    larger = _larger(size, known)
    if larger <= size:
        return None
    found = section(recipe, "training", batch_size=larger)
    if recipe.stopping.criterion != "none":
        return found
    epochs = int(number(recipe.training.epochs, "training.epochs"))
    return section(found, "training", epochs=_as_many_steps(epochs, size, larger, known))


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Multiply the batch size, and the epochs with it."""
    size = int(design.training.get("batch_size") or BATCH)
    larger = _larger(size, known)
    if larger <= size:
        return None
    counted = {"epochs": int(design.training.get("epochs") or EPOCHS)}
    patience = design.training.get("early_stopping")
    if isinstance(patience, int) and not isinstance(patience, bool):
        counted["early_stopping"] = patience
    longer = {name: _as_many_steps(count, size, larger, known) for name, count in counted.items()}
    return with_training(design, batch_size=larger, **longer)


def _as_many_steps(epochs: int, size: int, larger: int, known: Mapping[str, Any]) -> int:
    """Return the epochs of larger batches that take no fewer steps than these epochs did."""
    rows = int(known.get("n_rows") or size * larger)  # without rows, as if batches came out even
    return math.ceil(epochs * math.ceil(rows / size) / math.ceil(rows / larger))
