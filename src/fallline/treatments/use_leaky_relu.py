"""Use leaky ReLU in the hidden layers.

What it does
------------
Replaces ReLU by leaky ReLU, which lets a part of negative inputs through.

When it helps
-------------
Many ReLU units answer 0 to every row: they get no gradient and never come back.

What it may cost
----------------
Outputs are no longer sparse.

Source
------
A. Maas, A. Hannun, A. Ng, Rectifier nonlinearities improve neural network acoustic models (2013), eq. 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, with_model
from fallline.treatments._layers import rewrite_activations
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "dead-relu",
    "layer-not-learning",
    "vanishing-gradients",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Replace ReLU."""
    return section(recipe, "network", activation="leaky_relu") if recipe.network.activation == "relu" else None


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Replace ReLU; the weights are kept."""
    model = model_of(design)
    changed = rewrite_activations(model, lambda name: "leaky_relu" if name in ("relu", "relu6") else None)
    return with_model(design, model) if changed else None
