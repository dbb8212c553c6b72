"""Silence a share of the hidden units at random.

What it does
------------
Dropout of 0.3 behind the hidden layers, in training only; a recipe that has some gets more, up to 0.5.

When it helps
-------------
The network learns the training rows by heart.

What it may cost
----------------
Slower learning; a small network may no longer fit the training rows.

Source
------
N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 15 (2014), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import entry, insert, layers, model_of, with_model
from fallline.treatments._layers import activation_behind, hidden, output
from fallline.treatments._recipes import number, section
from fallline.types import FULL_BATCH, Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "overfit",
    "unrepresentative-training-set",
    "capacity-unsuited",
    "validation-overfitted",
)
AIM = "generalisation"

RATE, MORE, MOST = 0.3, 0.2, 0.5


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Raise the rate."""
    rate = float(number(recipe.network.dropout, "network.dropout"))
    if (
        rate >= MOST
        or recipe.network.hidden == ()
        or recipe.network.kind == "rbf"
        or recipe.optimizer.name in FULL_BATCH
    ):
        return None
    return section(recipe, "network", dropout=RATE if rate < RATE / 2 else min(MOST, rate + MORE))


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put dropout behind every hidden dense layer and what activates it, where there is none."""
    model = model_of(design)
    places = [one for one in hidden(model) if one["class_name"] == "Dense"]
    if not places or output(model) is None or any("Dropout" in one["class_name"] for one in layers(model)):
        return None
    for one in places:
        name = one["config"]["name"]
        behind = activation_behind(model, one) or one
        insert(model, entry("Dropout", f"{name}_dropout", rate=RATE), after=behind["config"]["name"])
    return with_model(design, model)
