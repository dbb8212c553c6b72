"""Fill missing values with the mean, and keep far values in bounds.

What it does
------------
A Keras model gets a Normalization layer and behind it one that turns NaN into 0, the mean; where -999 and the like
stand for gaps, mean and variance leave them out, and what is far from the others is cut off. A recipe, which always
fills gaps, scales robustly and squashes values far from the others.

When it helps
-------------
NaN or sentinels reach the network: one of them makes every weight NaN, or outweighs all other values.

What it may cost
----------------
That a value was missing may itself be a sign, and is lost.

Source
------
R. Little, D. Rubin, Statistical Analysis with Missing Data (2002), section 4.2.1: mean imputation and its limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import insert, layers, model_of, with_model
from fallline.treatments._layers import input_shape, normalisable, scaling
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "missing-values",
    "divergence",
)
AIM = "learning"

NAME = "fill_missing"
FARTHEST = 5.0  # sds; a sentinel is farther from all other values


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Scale by median and quartiles, and squash what is far away."""
    if recipe.prepare.numeric == "robust" and recipe.prepare.clip > 0:
        return None
    return section(recipe, "prepare", numeric="robust", clip=3.0)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put a small model in front that scales and fills."""
    mean, variance, model = known.get("input_mean"), known.get("input_variance"), model_of(design)
    marked = known.get("input_without_sentinels")
    gaps = known.get("missing_inputs") or marked is not None
    if mean is None or variance is None or not gaps or not normalisable(model):
        return None
    if any(one["config"]["name"] == NAME for one in layers(model, containers=True)):
        return None
    import keras

    mean, variance = marked or (mean, variance)
    given = keras.Input(batch_shape=input_shape(model))
    scaled = keras.saving.deserialize_keras_object(scaling(mean, variance, name=f"{NAME}_scaling"))(given)
    out = keras.ops.nan_to_num(scaled)
    filled = keras.Model(given, out if marked is None else keras.ops.clip(out, -FARTHEST, FARTHEST), name=NAME)
    insert(model, keras.saving.serialize_keras_object(filled))
    return with_model(design, model)
