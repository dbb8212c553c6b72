"""Clip the gradient's norm to 1.

What it does
------------
A gradient longer than 1, over all weights together, is scaled down to that length.

When it helps
-------------
Single steps are so long that they throw the weights far away.

What it may cost
----------------
Where gradients are long throughout, it acts as a lower learning rate.

Source
------
R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks, arXiv 1211.5063, algorithm
1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import optimizer_of, with_optimizer
from fallline.treatments._recipes import section
from fallline.types import FULL_BATCH, GRADIENT_FREE, Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "exploding-gradients",
    "divergence",
    "learning-rate-too-high",
    "oscillation",
)
AIM = "learning"

NORM = 1.0


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Clip, where nothing is clipped."""
    if recipe.optimizer.clip_norm > 0 or recipe.optimizer.name in (*FULL_BATCH, *GRADIENT_FREE):
        return None
    return section(recipe, "optimizer", clip_norm=NORM)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Clip, where nothing is clipped."""
    optimizer = optimizer_of(design)
    if any(optimizer["config"].get(key) for key in ("clipnorm", "global_clipnorm", "clipvalue")):
        return None
    optimizer["config"]["global_clipnorm"] = NORM
    return with_optimizer(design, optimizer)
