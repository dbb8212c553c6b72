"""Lower the learning rate tenfold.

What it does
------------
Divides the learning rate by 10; a schedule keeps its shape.

When it helps
-------------
The loss jumps, grows or becomes NaN: the steps are longer than the curvature of the loss allows.

What it may cost
----------------
Training takes longer; too low a rate ends before the minimum is reached.

Source
------
Y. Bengio, Practical recommendations for gradient-based training of deep architectures (2012), section 3.1.1: the
learning rate is the first number to tune, in powers of ten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import rate_of, with_rate
from fallline.treatments._recipes import learning_rate, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "divergence",
    "learning-rate-too-high",
    "oscillation",
    "exploding-gradients",
    "dead-relu",
    "targets-not-scaled",
    "high-variance-over-seeds",
    "no-skill",
    "layer-not-learning",
)
AIM = "learning"

FACTOR = 0.1


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Multiply the learning rate by `FACTOR`."""
    return section(recipe, "optimizer", learning_rate=FACTOR * learning_rate(recipe))


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Multiply the learning rate by `FACTOR`."""
    return with_rate(design, FACTOR * rate_of(design))
