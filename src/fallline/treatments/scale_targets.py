"""Scale the targets of a regression to mean 0 and sd 1.

What it does
------------
Trains on (t - mean) / sd of the training rows; predictions are turned back inside the saved model.

When it helps
-------------
Targets far from 0 make the first errors, and so the first steps, huge.

What it may cost
----------------
Nothing, for squared errors.

Source
------
C. Bishop, Neural Networks for Pattern Recognition (1995), section 8.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of
from fallline.treatments._layers import effective_activation, output
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "targets-not-scaled",
    "targets-out-of-range",
    "divergence",
    "exploding-gradients",
    "no-skill",
    "underfit-flat",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Scale the targets, where they are not scaled."""
    labels = known.get("kind") in ("binary", "multiclass", "multilabel")
    return None if labels or recipe.prepare.target == "standard" else section(recipe, "prepare", target="standard")


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Scale the targets of a linear output."""
    model = model_of(design)
    last = output(model)
    mean, sd = known.get("target_mean"), known.get("target_sd")
    if known.get("kind") != "regression" or design.target_scale is not None or mean is None or not sd:
        return None
    if last is None or effective_activation(model, last) != "linear":
        return None
    return design.with_(target_scale=(float(mean), float(sd)))
