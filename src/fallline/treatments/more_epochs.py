"""Train four times as long, with early stopping.

What it does
------------
Multiplies the most epochs by 4; the training ends when the validation loss no longer improves, with the best weights.

When it helps
-------------
The loss was still falling when the training ended.

What it may cost
----------------
Time; without rows to validate on, a longer training may overfit.

Source
------
L. Prechelt, Early stopping - but when? (1998): train long, keep the weights of the lowest validation loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import EPOCHS, with_training
from fallline.treatments._recipes import number, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "underfit-stopped-early",
    "learning-rate-too-low",
    "underfit-flat",
    "plateau",
)
AIM = "learning"

FACTOR = 4
PATIENCE_SHARE, PATIENCE = 0.25, 20


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Raise the most epochs; a training without a criterion gets patience."""
    epochs = FACTOR * int(number(recipe.training.epochs, "training.epochs"))
    longer = section(recipe, "training", epochs=epochs)
    patience = max(PATIENCE, int(PATIENCE_SHARE * epochs))
    if recipe.stopping.criterion == "none":
        return section(longer, "stopping", criterion="patience", patience=patience, restore_best=True)
    if recipe.stopping.criterion == "patience":
        return section(longer, "stopping", patience=patience)
    return longer


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Raise the epochs and stop by patience."""
    epochs = FACTOR * int(design.training.get("epochs") or EPOCHS)
    patience = max(PATIENCE, int(PATIENCE_SHARE * epochs))
    return with_training(design, epochs=epochs, early_stopping=patience)
