"""Use half as many hidden layers.

What it does
------------
Takes every second hidden dense layer out, the first one stays.

When it helps
-------------
The error does not reach the first of many layers, or a layer in between does not learn.

What it may cost
----------------
Less capacity.

Source
------
Y. Bengio, P. Simard, P. Frasconi, Learning long-term dependencies with gradient descent is difficult, IEEE Trans.
Neural Networks 5 (1994): the gradient shrinks with every layer it passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, remove, with_model
from fallline.treatments._layers import activation_behind, hidden, output
from fallline.treatments._recipes import hidden_units, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "layer-not-learning",
    "plateau",
    "vanishing-gradients",
    "exploding-gradients",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Keep every second hidden layer."""
    units = hidden_units(recipe)
    return section(recipe, "network", hidden=units[::2]) if len(units) > 1 and recipe.network.kind == "mlp" else None


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Keep every second hidden dense layer, with the activation that follows it."""
    model = model_of(design)
    dense = [one for one in hidden(model) if one["class_name"] == "Dense" and one["config"].get("trainable", True)]
    if len(dense) < 2 or output(model) is None:
        return None
    for one in dense[1::2]:
        behind = activation_behind(model, one)
        if behind is not None:
            remove(model, behind["config"]["name"])
        remove(model, one["config"]["name"])
    return with_model(design, model)
