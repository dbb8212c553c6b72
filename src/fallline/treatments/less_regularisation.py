"""Weaken penalties, noise and dropout.

What it does
------------
Divides penalties and weight decay by 10 and switches dropout and noise off.

When it helps
-------------
The training loss stays high because the network is held back.

What it may cost
----------------
The network may begin to learn by heart.

Source
------
I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 11.4.1, table 11.1: how each of them changes the
capacity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import optimizer_of, with_optimizer
from fallline.treatments._graph import layers, model_of, with_model
from fallline.treatments._recipes import number, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "over-regularised",
    "underfit-flat",
    "no-skill",
)
AIM = "learning"

FACTOR = 0.1
NOISY = ("Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout1D", "SpatialDropout2D")
PENALTIES = ("kernel_regularizer", "bias_regularizer", "activity_regularizer")


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Weaken whatever holds the network back."""
    o = recipe.optimizer
    decay = float(number(o.weight_decay, "optimizer.weight_decay")) if o.name in ("adamw", "lion") else 0.0
    weaker = section(
        recipe, "optimizer", l1=FACTOR * o.l1, l2=FACTOR * o.l2, activity_l1=FACTOR * o.activity_l1,
        activity_l2=FACTOR * o.activity_l2,
    )  # fmt: skip
    if decay:
        weaker = section(weaker, "optimizer", weight_decay=FACTOR * decay)
    weaker = section(weaker, "network", dropout=0.0, input_noise=0.0, hidden_noise=0.0, input_dropout=0.0)
    return None if weaker == recipe else weaker


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Weaken the penalties, switch dropout and noise off."""
    model, changed = model_of(design), False
    for one in layers(model):
        config = one["config"]
        for key in PENALTIES:
            for size in ("l1", "l2"):
                inner = (config.get(key) or {}).get("config") if isinstance(config.get(key), dict) else None
                if inner and inner.get(size):
                    inner[size], changed = FACTOR * float(inner[size]), True
        key = "stddev" if one["class_name"] == "GaussianNoise" else "rate"
        if one["class_name"] in NOISY and config.get(key):
            config[key], changed = 0.0, True
    optimizer = optimizer_of(design)
    if optimizer["config"].get("weight_decay"):
        optimizer["config"]["weight_decay"] *= FACTOR
        design, changed = with_optimizer(design, optimizer), True
    return with_model(design, model) if changed else None
