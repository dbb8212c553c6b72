"""Use a batch of a quarter of the size.

What it does
------------
Divides the batch size by 4, down to 8 rows.

When it helps
-------------
A batch holds a large part of the rows: few steps an epoch, each with little noise.

What it may cost
----------------
More steps an epoch; batch normalisation suffers from very small batches.

Source
------
N. Keskar et al., On large-batch training for deep learning, arXiv 1609.04836, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import BATCH, with_training
from fallline.treatments._recipes import rows_a_batch, section
from fallline.types import FULL_BATCH, Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "batch-size-unsuited",
    "underfit-stopped-early",
    "learning-rate-too-low",
)
AIM = "learning"

FACTOR, FEWEST = 4, 8


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Divide the batch size."""
    size = rows_a_batch(recipe.training.batch_size, known)
    if size <= FEWEST or recipe.optimizer.name in FULL_BATCH:
        return None
    return section(recipe, "training", batch_size=max(FEWEST, size // FACTOR))


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Divide the batch size."""
    size = int(design.training.get("batch_size") or BATCH)
    size = min(size, int(known.get("n_rows") or size))
    return None if size <= FEWEST else with_training(design, batch_size=max(FEWEST, size // FACTOR))
