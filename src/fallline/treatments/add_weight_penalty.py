"""Penalise large weights.

What it does
------------
Under AdamW: ten times the decay. Else an L2 penalty of 0.001 on the kernels, or ten times the one there is.

When it helps
-------------
The network learns the training rows by heart, or correlated inputs share large weights of opposite sign.

What it may cost
----------------
Too strong a penalty keeps the network from fitting at all.

Source
------
A. Krogh, J. Hertz, A simple weight decay can improve generalization (NIPS 1991).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._graph import model_of, with_model
from fallline.treatments._layers import weighted
from fallline.treatments._recipes import number, section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "overfit",
    "unrepresentative-training-set",
    "capacity-unsuited",
    "inputs-correlated",
    "validation-overfitted",
)
AIM = "generalisation"

L2, FACTOR = 1e-3, 10.0


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Raise the decay or the penalty."""
    optimizer = recipe.optimizer
    if optimizer.name in ("adamw", "lion"):
        decay = float(number(optimizer.weight_decay, "optimizer.weight_decay"))
        return section(recipe, "optimizer", weight_decay=FACTOR * decay if decay else L2)
    return section(recipe, "optimizer", l2=FACTOR * optimizer.l2 if optimizer.l2 else L2)


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Give every kernel without a penalty one; those that have one are left."""
    model = model_of(design)
    bare = [
        one
        for one in weighted(model)
        if not one["config"].get("kernel_regularizer") and one["config"].get("trainable", True)
    ]
    for one in bare:
        one["config"]["kernel_regularizer"] = {
            "module": "keras.regularizers", "class_name": "L2", "config": {"l2": L2}, "registered_name": None,
        }  # fmt: skip
    return with_model(design, model) if bare else None
