"""Add a hidden layer.

What it does
------------
Repeats the last hidden layer once more, behind itself.

When it helps
-------------
The network cannot fit the training rows, and wider layers do not suffice.

What it may cost
----------------
Deeper networks are harder to train; time.

Source
------
I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 6.4.1.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import entry, insert, model_of, with_model
from fallline.treatments._layers import activation_behind, effective_activation, hidden, output
from fallline.treatments._recipes import hidden_units, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "capacity-unsuited",
    "underfit-flat",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Repeat the last hidden layer; a linear model gets its first."""
    if recipe.network.kind != "mlp":
        return None
    units = hidden_units(recipe)
    return section(recipe, "network", hidden=(*units, units[-1] if units else 64))


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Repeat the last hidden dense layer."""
    model = model_of(design)
    places = [one for one in hidden(model) if one["class_name"] == "Dense"]
    if not places or output(model) is None:
        return None
    last = places[-1]
    behind = activation_behind(model, last)
    name = last["config"]["name"]
    activation = effective_activation(model, last)
    config = {key: value for key, value in copy.deepcopy(last["config"]).items() if key not in ("name", "activation")}
    insert(
        model,
        entry("Dense", f"{name}_again", **config, activation=activation),
        after=(behind or last)["config"]["name"],
    )
    return with_model(design, model)
