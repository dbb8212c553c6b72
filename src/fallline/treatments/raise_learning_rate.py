"""Raise the learning rate tenfold.

What it does
------------
Multiplies the learning rate by 10; a schedule keeps its shape.

When it helps
-------------
The loss falls in a straight line and is far from its end when the training is over.

What it may cost
----------------
Where the rate was right already, the training diverges.

Source
------
Y. Bengio, Practical recommendations for gradient-based training of deep architectures (2012), section 3.1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import rate_of, with_rate
from fallline.treatments._recipes import learning_rate, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "learning-rate-too-low",
    "underfit-stopped-early",
    "plateau",
    "underfit-flat",
    "layer-not-learning",
    "no-skill",
)
AIM = "learning"

FACTOR = 10.0


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Multiply the learning rate by `FACTOR`."""
    return section(recipe, "optimizer", learning_rate=FACTOR * learning_rate(recipe))


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Multiply the learning rate by `FACTOR`."""
    return with_rate(design, FACTOR * rate_of(design))
