"""Begin with a small learning rate and let it rise.

What it does
------------
The rate rises linearly from 0 during the first tenth of the training. For a Keras model it then falls along a cosine.

When it helps
-------------
The loss explodes in the first epochs, while the weights are still far from where the gradients are tame.

What it may cost
----------------
A tenth of the training runs at less than the full rate.

Source
------
P. Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, arXiv 1706.02677, section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import cosine, optimizer_of, planned_steps, rate_of, with_optimizer
from fallline.treatments._recipes import section
from fallline.types import FULL_BATCH, GRADIENT_FREE, Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "exploding-gradients",
    "divergence",
    "learning-rate-too-high",
    "dead-relu",
)
AIM = "learning"

SHARE = 0.1
# These rise from a small rate by themselves.
RISING = ("one_cycle", "coslog4")


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Add a warm-up where there is none."""
    without_steps = recipe.optimizer.name in (*FULL_BATCH, *GRADIENT_FREE)
    if recipe.optimizer.warmup > 0 or recipe.optimizer.schedule in RISING or without_steps:
        return None
    return section(recipe, "optimizer", warmup=SHARE)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Put a rising and falling rate in the place of a constant one."""
    optimizer, steps = optimizer_of(design), planned_steps(design, known)
    if steps is None or steps < 1 / SHARE or isinstance(optimizer["config"]["learning_rate"], Mapping):
        return None
    optimizer["config"]["learning_rate"] = cosine(rate_of(design), steps, warmup=int(SHARE * steps))
    return with_optimizer(design, optimizer)
