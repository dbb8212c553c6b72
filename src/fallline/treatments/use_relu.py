"""Use ReLU in the hidden layers, with He's initial weights.

What it does
------------
Replaces sigmoid, tanh and the like in the hidden layers by ReLU, and the exponential, and draws their weights by
he_normal.

When it helps
-------------
The error shrinks from layer to layer on its way back, because bounded units are flat at their ends; or exponentials of
exponentials are beyond all bounds.

What it may cost
----------------
A ReLU whose input is always negative learns nothing (dead ReLU).

Source
------
X. Glorot, A. Bordes, Y. Bengio, Deep sparse rectifier neural networks (AISTATS 2011); K. He et al., arXiv 1502.01852,
eq. 10, for the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, with_model
from fallline.treatments._layers import rewrite_activations, suit_initializers
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "vanishing-gradients",
    "saturated-units",
    "exploding-gradients",
    "divergence",
    "layer-not-learning",
    "plateau",
    "underfit-flat",
    "no-skill",
)
AIM = "learning"

BOUNDED = ("sigmoid", "hard_sigmoid", "tanh", "softsign", "softmax", "lecun_tanh", "hard_tanh")
BOUNDLESS = ("exponential",)


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Replace a bounded activation."""
    if recipe.network.activation not in BOUNDED or recipe.network.kind == "rbf":
        return None
    return section(recipe, "network", activation="relu", initializer="he_normal", initializer_scale=1.0)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Replace bounded and boundless activations and the initialisers in front of them."""
    model = model_of(design)
    if not rewrite_activations(model, lambda name: "relu" if name in (*BOUNDED, *BOUNDLESS) else None):
        return None
    suit_initializers(model)
    return with_model(design, model).with_(weights={})
