"""Let the learning rate fall along a cosine.

What it does
------------
Replaces a constant learning rate by one that falls to 0 along half a cosine over the planned epochs.

When it helps
-------------
The loss is noisy near its end, or the result depends on the seed: small last steps average the noise of the batches
out.

What it may cost
----------------
The number of epochs must be planned; a training that stops early never sees the small rates.

Source
------
I. Loshchilov, F. Hutter, SGDR: stochastic gradient descent with warm restarts, arXiv 1608.03983, eq. 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import cosine, optimizer_of, planned_steps, rate_of, with_optimizer
from fallline.treatments._recipes import section
from fallline.types import FULL_BATCH, GRADIENT_FREE, Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "oscillation",
    "high-variance-over-seeds",
    "learning-rate-too-high",
    "unrepresentative-validation-set",
)
AIM = "prediction"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Put a cosine in the place of a constant rate."""
    if recipe.optimizer.schedule != "constant" or recipe.optimizer.name in (*FULL_BATCH, *GRADIENT_FREE):
        return None
    return section(recipe, "optimizer", schedule="cosine")


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put a cosine in the place of a constant rate."""
    optimizer, steps = optimizer_of(design), planned_steps(design, known)
    if steps is None or isinstance(optimizer["config"]["learning_rate"], Mapping):
        return None
    optimizer["config"]["learning_rate"] = cosine(rate_of(design), steps)
    return with_optimizer(design, optimizer)
