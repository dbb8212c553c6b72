"""Show the examples in a new order in each epoch.

What it does
------------
Switches shuffling on.

When it helps
-------------
The rows are sorted, by class or by time: the network learns one part and forgets another.

What it may cost
----------------
Nothing, for rows that do not depend on each other.

Source
------
Y. Bengio, Practical recommendations for gradient-based training of deep architectures (2012), section 3.3; Y. LeCun
et al., Efficient BackProp (1998), section 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import with_training
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "not-shuffled",
    "oscillation",
    "unrepresentative-validation-set",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Switch shuffling on."""
    return None if recipe.training.shuffle else section(recipe, "training", shuffle=True)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Switch shuffling on."""
    return None if design.training.get("shuffle", True) else with_training(design, shuffle=True)
