"""De-correlate the inputs.

What it does
------------
Rotates and scales the inputs so that their covariance becomes the identity (PCA); for a Keras model as a fixed linear
layer in front.

When it helps
-------------
Inputs say the same as others: the loss is a long valley along their difference.

What it may cost
----------------
Directions of tiny variance, mostly noise, get the same size as the others; columns lose their names.

Source
------
Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, Efficient BackProp (1998), section 4.3, figure 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.treatments._graph import entry, insert, layers, model_of, with_model
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "inputs-correlated",
    "ill-conditioned",
)
AIM = "learning"

# Beyond so many inputs the covariance costs more than it gives, and a table of rows is too short for it.
MOST_INPUTS = 200


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Switch whitening on."""
    if recipe.prepare.whiten != "none" or recipe.network.kind == "lenet5":
        return None
    numeric = "standard" if recipe.prepare.numeric == "none" else recipe.prepare.numeric
    return section(recipe, "prepare", whiten="pca", numeric=numeric)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put a fixed linear layer in front."""
    found, model = known.get("input_whitening"), model_of(design)
    first = next((one["config"].get("name") for one in layers(model) if one["class_name"] != "InputLayer"), None)
    if found is None or len(found[1]) > MOST_INPUTS or first == NAME:
        return None
    kernel, bias = ({"module": "keras.initializers", "class_name": "Constant", "config": {"value": np.asarray(
        value, float).tolist()}, "registered_name": None} for value in found)  # fmt: skip
    fixed = entry("Dense", NAME, units=len(found[1]), kernel_initializer=kernel, bias_initializer=bias, trainable=False)
    insert(model, fixed)
    return with_model(design, model)


NAME = "whiten_inputs"
