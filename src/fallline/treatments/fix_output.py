"""Make output unit and loss fit the targets.

What it does
------------
One sigmoid unit with binary cross-entropy for two classes, one softmax unit per class with cross-entropy for several,
one sigmoid per label for several labels, linear with squared error for quantities.

When it helps
-------------
The output cannot take the values that are asked for, or the loss compares something else.

What it may cost
----------------
The output layer is drawn anew where its width changes.

Source
------
C. Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.6: the canonical links.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import canonical_output, from_logits, loss_name, with_loss
from fallline.treatments._graph import model_of, remove, with_model
from fallline.treatments._layers import activation_behind, effective_activation, output
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = (
    "output-loss-mismatch",
    "targets-out-of-range",
    "no-skill",
    "underfit-flat",
    "saturated-units",
)
AIM = "learning"


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Choose output and loss by the kind of problem."""
    kind = known.get("kind")
    usual = {"auto", *({"mse"} if kind in ("regression", "multioutput") else {"cross_entropy"})}
    if recipe.network.output == "plain" and (kind is None or recipe.training.loss in usual):
        return None
    plain = section(recipe, "training", loss="auto", target_values="inside")
    return section(plain, "network", output="plain")


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Set width and activation of the output, and the loss."""
    wanted = canonical_output(known)
    model = model_of(design)
    last = output(model)
    if wanted is None or last is None or "units" not in last["config"]:
        return None
    units, activation, kind, name = wanted
    same = (last["config"]["units"], effective_activation(model, last)) == (units, activation)
    if same and loss_name(design) == name and not from_logits(design):
        return None
    behind = activation_behind(model, last)
    if behind is not None:
        remove(model, behind["config"]["name"])
    last["config"] |= {"units": units, "activation": activation}
    return with_loss(with_model(design, model), kind)
