"""Put batch normalisation behind the hidden layers.

What it does
------------
Each hidden layer's outputs are centred and scaled over the batch, then scaled and moved by learned numbers.

When it helps
-------------
Signals or gradients become smaller or larger from layer to layer, or parts of the network learn at different speeds.

What it may cost
----------------
Batches of a few rows give poor statistics; with dropout in front, training and prediction see different scales.

Source
------
S. Ioffe, C. Szegedy, Batch normalization, arXiv 1502.03167, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import entry, insert, layers, model_of, with_model
from fallline.treatments._layers import NORMALISERS, hidden, output
from fallline.treatments._recipes import section
from fallline.types import FULL_BATCH, Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "vanishing-gradients",
    "bad-initial-scale",
    "ill-conditioned",
    "dead-relu",
    "layer-not-learning",
    "exploding-gradients",
    "saturated-units",
    "plateau",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Switch batch normalisation on."""
    fits = recipe.network.kind == "mlp" and recipe.network.hidden != () and recipe.optimizer.name not in FULL_BATCH
    return (
        section(recipe, "network", normalization="batch") if fits and recipe.network.normalization == "none" else None
    )


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put a normalisation behind every hidden layer, where there is none yet."""
    model = model_of(design)
    places = hidden(model)
    if not places or output(model) is None or any(one["class_name"] in NORMALISERS for one in layers(model)):
        return None
    for one in places:
        name = one["config"]["name"]
        insert(model, entry("BatchNormalization", f"{name}_normalised"), after=name)
    return with_model(design, model)
