"""Train with Adam at its usual rate.

What it does
------------
Replaces the optimizer by Adam with a learning rate of 0.001.

When it helps
-------------
Layers or inputs learn at very different speeds: Adam divides each weight's step by the size of its gradients.

What it may cost
----------------
Well-tuned SGD with momentum can generalise better; the state takes twice the memory of the weights.

Source
------
D. Kingma, J. Ba, Adam: a method for stochastic optimization, arXiv 1412.6980, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fallline.treatments._compiled import optimizer_of, with_optimizer
from fallline.types import Design, OptimizerRecipe, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "ill-conditioned",
    "learning-rate-too-low",
    "layer-not-learning",
    "underfit-flat",
    "plateau",
    "underfit-stopped-early",
    "targets-not-scaled",
)
AIM = "learning"

RATE = 1e-3
ADAPTIVE = ("adam", "adamw", "nadam")


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Replace the optimizer, unless it is of Adam's family."""
    if recipe.optimizer.name in (*ADAPTIVE, "auto"):
        return None
    old = recipe.optimizer
    plain = OptimizerRecipe(
        name="adam",
        learning_rate=RATE,
        beta_2=0.999,
        momentum=0.9,
        weight_decay=0.0,
        clip_norm=old.clip_norm,
    )
    kept = replace(plain, schedule=old.schedule, warmup=old.warmup, l2=old.l2)
    return replace(recipe, optimizer=kept)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Replace the optimizer, unless it is of Adam's family; clipping and a schedule go with the old one."""
    optimizer = optimizer_of(design)
    if optimizer["class_name"].lower() in ADAPTIVE:
        return None
    return with_optimizer(
        design,
        {
            "module": "keras.optimizers",
            "class_name": "Adam",
            "config": {"learning_rate": RATE},
            "registered_name": None,
        },
    )
