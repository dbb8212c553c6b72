"""Draw the initial weights as the activations need them.

What it does
------------
he_normal before ReLU and its family, lecun_normal before SELU, glorot_uniform else; biases start at 0. The weights
are drawn anew.

When it helps
-------------
The initial weights are equal, far too small or far too large: signals vanish, explode, or all units learn the same.

What it may cost
----------------
What was trained is lost.

Source
------
K. He et al., arXiv 1502.01852, eq. 10; X. Glorot, Y. Bengio, Understanding the difficulty of training deep
feedforward neural networks (AISTATS 2010), eq. 16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, with_model
from fallline.treatments._layers import suit_initializers
from fallline.treatments._recipes import section
from fallline.types import INITIALIZERS_OF, Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "bad-initial-scale",
    "symmetric-units",
    "dead-relu",
    "vanishing-gradients",
    "exploding-gradients",
    "plateau",
    "saturated-units",
    "divergence",
    "no-skill",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Choose the initialiser by the activation."""
    suited = INITIALIZERS_OF.get(recipe.network.activation, "glorot_uniform")
    if recipe.network.initializer in (suited, "auto", "lsuv"):
        return None
    return section(recipe, "network", initializer=suited, initializer_scale=1.0)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Choose the initialisers by the activations."""
    model = model_of(design)
    return with_model(design, model).with_(weights={}) if suit_initializers(model) else None
