"""Normalise each row by itself, not the batch.

What it does
------------
Replaces batch normalisation by layer normalisation, which needs no other rows.

When it helps
-------------
Batches are too small for batch normalisation, or dropout in front of it shifts its statistics.

What it may cost
----------------
It normalises over the units of a row, which removes their common level; on images batch normalisation is often
better.

Source
------
J. Ba, J. Kiros, G. Hinton, Layer normalization, arXiv 1607.06450, eq. 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import entry, layers, model_of, with_model
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "batch-norm-with-dropout",
    "batch-size-unsuited",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Replace batch normalisation."""
    return section(recipe, "network", normalization="layer") if recipe.network.normalization == "batch" else None


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Replace batch normalisation."""
    model = model_of(design)
    found = [one for one in layers(model) if one["class_name"] == "BatchNormalization"]
    for one in found:
        fresh = entry("LayerNormalization", one["config"]["name"])
        one.update({key: fresh[key] for key in ("module", "class_name", "config", "registered_name")})
    return with_model(design, model) if found else None
