"""Give the hidden layers four times as many units.

What it does
------------
Multiplies the units (or channels) of each hidden layer by 4, to 16 at least.

When it helps
-------------
The network is too small to fit even the training rows.

What it may cost
----------------
Time and memory, and the danger of learning by heart.

Source
------
I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 11.4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, with_model
from fallline.treatments._layers import hidden, output
from fallline.treatments._recipes import hidden_units, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "capacity-unsuited",
    "underfit-flat",
    "no-skill",
)
AIM = "learning"

FACTOR, FEWEST, MOST = 4, 16, 2048


def _wider(units: int) -> int:
    return max(units, min(MOST, max(FEWEST, FACTOR * units)))


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Widen every hidden layer; a linear model gets one."""
    if recipe.network.kind != "mlp":
        return None
    wider = tuple(map(_wider, hidden_units(recipe))) or (4 * FEWEST,)
    return None if wider == recipe.network.hidden else section(recipe, "network", hidden=wider)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Widen every hidden dense layer and convolution."""
    model, changed = model_of(design), False
    if output(model) is None:
        return None
    for one in hidden(model):
        for key in ("units", "filters"):
            if key in one["config"] and one["config"].get("trainable", True):
                before = one["config"][key]
                one["config"][key] = _wider(before)
                changed |= one["config"][key] != before
    return with_model(design, model) if changed else None
