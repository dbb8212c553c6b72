"""Move a tenth of the target probability to the other classes.

What it does
------------
Label smoothing of 0.1: the targets of a class are 0.9 and a share of 0.1, no longer 1 and 0.

When it helps
-------------
Some labels are wrong: a network that must be certain of them bends its whole surface for them.

What it may cost
----------------
Probabilities become less certain than the classes are.

Source
------
C. Szegedy et al., Rethinking the Inception architecture, arXiv 1512.00567, section 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import loss_name, loss_of, with_loss
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "suspect-labels",
    "overfit",
)
AIM = "generalisation"

SHARE = 0.1
SMOOTHABLE = {"binary_crossentropy": "BinaryCrossentropy", "categorical_crossentropy": "CategoricalCrossentropy"}


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Switch smoothing on."""
    quantities = known.get("kind") in ("regression", "multioutput")
    if quantities or recipe.training.label_smoothing > 0 or recipe.training.loss not in ("auto", "cross_entropy"):
        return None
    return section(recipe, "training", label_smoothing=SHARE)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Give the cross-entropy its smoothing."""
    kind = SMOOTHABLE.get(loss_name(design))
    given = loss_of(design)
    config = dict(given["config"]) if isinstance(given, Mapping) and isinstance(given.get("config"), Mapping) else {}
    if kind is None or config.get("label_smoothing"):
        return None
    return with_loss(design, kind, **{**config, "label_smoothing": SHARE})
