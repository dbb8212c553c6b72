"""Add Gaussian noise to the inputs in training.

What it does
------------
Noise with a standard deviation of 0.1 on the (scaled) inputs, in training only.

When it helps
-------------
The network learns the training rows by heart; noise makes each row a small cloud.

What it may cost
----------------
Fine differences of the inputs are lost; raw inputs of other sizes need another noise.

Source
------
C. Bishop, Training with noise is equivalent to Tikhonov regularization, Neural Computation 7 (1995), eq. 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.treatments._graph import entry, insert, layers, model_of, with_model
from fallline.treatments._layers import normalisable, starts_with_scaling
from fallline.treatments._recipes import section
from fallline.types import FULL_BATCH, Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "overfit",
    "unrepresentative-training-set",
    "suspect-labels",
)
AIM = "generalisation"

SD = 0.1


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Add noise, where there is none."""
    if recipe.network.input_noise > 0 or recipe.optimizer.name in FULL_BATCH or recipe.network.kind != "mlp":
        return None
    return section(recipe, "network", input_noise=SD)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put noise behind the input, or behind the layer that scales it, in proportion to the inputs' size."""
    model = model_of(design)
    if any(one["class_name"] == "GaussianNoise" for one in layers(model)) or not normalisable(model):
        return None
    first = starts_with_scaling(model)
    variance = known.get("input_variance")
    size = 1.0 if first or variance is None else float(np.sqrt(np.mean(variance)))
    insert(model, entry("GaussianNoise", "input_noise", stddev=min(1.0, SD * size)), after=first)
    return with_model(design, model)
