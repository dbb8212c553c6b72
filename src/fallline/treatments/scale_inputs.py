"""Centre the inputs and scale them to unit size.

What it does
------------
For a table: (x - mean) / sd. For a Keras model: a Normalization layer in front, with mean and variance of the
training rows, so that the model still takes raw inputs.

When it helps
-------------
Inputs far from 0 or of very different sizes make the loss a narrow valley, and saturate the first layer.

What it may cost
----------------
Hardly anything; sparse inputs lose their zeros.

Source
------
Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, Efficient BackProp (1998), section 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.treatments._graph import insert, model_of, with_model
from fallline.treatments._layers import normalisable, scaling, starts_with_scaling
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "inputs-not-scaled",
    "saturated-units",
    "ill-conditioned",
    "plateau",
    "underfit-flat",
    "divergence",
    "dead-relu",
    "no-skill",
    "exploding-gradients",
)
AIM = "learning"

# A mean so far from 0, or an sd so far from 1, is worth a layer.
MEAN, LOW_SD, HIGH_SD = 0.5, 0.5, 2.0


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Scale numbers, where they are not scaled."""
    scaled = recipe.prepare.numeric not in ("none", "center")
    return None if scaled else section(recipe, "prepare", numeric="standard", clip=0.0)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put a Normalization layer in front, where the inputs need one and there is none."""
    mean, variance = known.get("input_mean"), known.get("input_variance")
    model = model_of(design)
    if mean is None or variance is None or starts_with_scaling(model) or not normalisable(model):
        return None
    sd = np.sqrt(variance)
    if np.abs(mean).max() < MEAN and sd.min() > LOW_SD and sd.max() < HIGH_SD:
        return None
    insert(model, scaling(mean, variance))
    return with_model(design, model)
