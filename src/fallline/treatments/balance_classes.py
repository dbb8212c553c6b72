"""Weigh the classes inversely to their frequency.

What it does
------------
Rows of rare classes count more in the loss, so that every class has the same weight in all.

When it helps
-------------
Some classes have far fewer rows than others, and the network ignores them.

What it may cost
----------------
Probabilities no longer mean frequencies: log-loss and accuracy may become worse while the recall of rare classes
improves.

Source
------
N. Japkowicz, S. Stephen, The class imbalance problem: a systematic study, Intelligent Data Analysis 6 (2002), section
4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import with_training
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "class-imbalance",
    "no-skill",
)
AIM = "generalisation"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Switch the weights on."""
    if recipe.training.class_weight != "none" or known.get("kind") not in (None, "binary", "multiclass"):
        return None
    return section(recipe, "training", class_weight="balanced")


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Give the classes weights; counts of whole-numbered classes must be known."""
    counts = known.get("class_counts")
    if not counts or len(counts) < 2 or design.training.get("class_weight"):
        return None
    if not all(float(label).is_integer() for label in counts):
        return None
    rows = sum(counts.values())
    weights = {int(label): rows / (len(counts) * count) for label, count in counts.items() if count}
    return with_training(design, class_weight=weights)
