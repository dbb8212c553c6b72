"""Take dropout away from in front of batch normalisation.

What it does
------------
Switches off the dropout in front of the last batch normalisation and puts one behind it. A recipe has one place for
dropout, so it is left out there.

When it helps
-------------
Dropout changes the variance that batch normalisation sees in training but not in prediction.

What it may cost
----------------
Less regularisation in the first layers.

Source
------
X. Li, S. Chen, X. Hu, J. Yang, Understanding the disharmony between dropout and batch normalization by variance
shift, arXiv 1801.05134, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import entry, insert, layers, model_of, with_model
from fallline.treatments._recipes import number, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = ("batch-norm-with-dropout",)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Leave dropout out beside batch normalisation."""
    clash = recipe.network.normalization == "batch" and number(recipe.network.dropout, "network.dropout") > 0
    return section(recipe, "network", dropout=0.0) if clash else None


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Move dropout behind the last batch normalisation."""
    model = model_of(design)
    order = list(layers(model))
    last = max((i for i, one in enumerate(order) if one["class_name"] == "BatchNormalization"), default=-1)
    early = [one for one in order[: last + 1] if one["class_name"] == "Dropout" and one["config"]["rate"] > 0]
    if not early:
        return None
    rate = early[-1]["config"]["rate"]
    for one in early:
        one["config"]["rate"] = 0.0
    if not any(one["class_name"] == "Dropout" for one in order[last + 1 :]):
        name = order[last]["config"]["name"]
        insert(model, entry("Dropout", f"{name}_dropout", rate=rate), after=name)
    return with_model(design, model)
