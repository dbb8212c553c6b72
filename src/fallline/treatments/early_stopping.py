"""Stop when the validation loss no longer improves, and keep the best weights.

What it does
------------
Watches the validation loss and ends the training after a time without improvement, with the weights of its minimum.

When it helps
-------------
The validation loss turns up while the training loss still falls.

What it may cost
----------------
Some rows validate and do not train.

Source
------
L. Prechelt, Early stopping - but when? (1998).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import with_training
from fallline.treatments._recipes import number, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "overfit",
    "no-skill",
    "unrepresentative-training-set",
)
AIM = "generalisation"

PATIENCE_SHARE, PATIENCE = 0.25, 20


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Switch patience on, where no criterion keeps the best weights."""
    if recipe.stopping.criterion != "none" and recipe.stopping.restore_best:
        return None
    epochs = int(number(recipe.training.epochs, "training.epochs"))
    patience = max(PATIENCE, int(PATIENCE_SHARE * epochs))
    return section(recipe, "stopping", criterion="patience", patience=patience, restore_best=True)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Switch patience on, where it is off."""
    if design.training.get("early_stopping") not in (None, False):
        return None
    return with_training(design, early_stopping=PATIENCE)
