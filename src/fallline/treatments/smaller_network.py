"""Give the hidden layers a quarter of the units.

What it does
------------
Divides the units of each hidden dense layer by 4, to 4 at least.

When it helps
-------------
The network has far more weights than the rows can support.

What it may cost
----------------
Too small a network no longer fits.

Source
------
E. Baum, D. Haussler, What size net gives valid generalization?, Neural Computation 1 (1989).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, with_model
from fallline.treatments._layers import hidden, output
from fallline.treatments._recipes import hidden_units, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "capacity-unsuited",
    "overfit",
    "unrepresentative-training-set",
)
AIM = "generalisation"

FACTOR, FEWEST = 4, 4


def _smaller(units: int) -> int:
    return min(units, max(FEWEST, units // FACTOR))


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Make every hidden layer smaller."""
    if recipe.network.kind == "lenet5" or not hidden_units(recipe):
        return None
    smaller = tuple(map(_smaller, hidden_units(recipe)))
    return None if smaller == recipe.network.hidden else section(recipe, "network", hidden=smaller)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Make every hidden dense layer smaller."""
    model, changed = model_of(design), False
    if output(model) is None:
        return None
    for one in hidden(model):
        if one["class_name"] == "Dense" and one["config"].get("trainable", True):
            before = one["config"]["units"]
            one["config"]["units"] = _smaller(before)
            changed |= one["config"]["units"] != before
    return with_model(design, model) if changed else None
