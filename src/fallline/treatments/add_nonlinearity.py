"""Give linear hidden layers a ReLU.

What it does
------------
Puts ReLU on every hidden layer that has no activation and none behind it.

When it helps
-------------
Two linear layers in a row are one linear layer: the network cannot bend.

What it may cost
----------------
A bottleneck that was meant to be linear becomes bent.

Source
------
C. Bishop, Pattern Recognition and Machine Learning (2006), section 5.1: linear hidden units make a linear network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, with_model
from fallline.treatments._layers import effective_activation, hidden, output, suit_initializers
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "no-nonlinearity",
    "underfit-flat",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Replace a linear activation."""
    if recipe.network.activation != "linear" or not recipe.network.hidden:
        return None
    return section(recipe, "network", activation="relu", initializer="he_normal", initializer_scale=1.0)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put ReLU where a hidden layer and what follows it are linear."""
    model = model_of(design)
    bare = [one for one in hidden(model) if effective_activation(model, one) == "linear"]
    if not bare or output(model) is None:
        return None
    for one in bare:
        one["config"]["activation"] = "relu"
    suit_initializers(model)
    return with_model(design, model).with_(weights={})
