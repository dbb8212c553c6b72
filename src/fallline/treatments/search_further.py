"""Go beyond the border of the search.

What it does
------------
Moves the setting that was searched three times further, in the direction of its best value.

When it helps
-------------
The best value of a search lies at the end of its range.

What it may cost
----------------
Some settings have a natural end.

Source
------
Y. Bengio, Practical recommendations for gradient-based training of deep architectures (2012), section 3.3: a best
value near the border asks for a wider interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import with_rate, with_training
from fallline.treatments._recipes import section
from fallline.types import Design, Recipe

__all__ = ["AIM", "SYMPTOMS", "for_keras", "for_recipe"]

SYMPTOMS = ("best-value-on-border",)
AIM = "prediction"

FACTOR = 3.0


def _beyond(evidence: Mapping[str, Any]) -> float:
    best = float(evidence["best_value"])
    return best / FACTOR if evidence.get("edge") == "smallest" else best * FACTOR


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Move the recipe's entry of that name."""
    evidence = known.get("evidence") or {}
    part, _, key = str(evidence.get("setting", "")).rpartition(".")
    values = vars(getattr(recipe, part)) if part and hasattr(recipe, part) else {}
    if key not in values or "best_value" not in evidence:
        return None
    beyond = _beyond(evidence)
    return section(recipe, part, **{key: max(1, round(beyond)) if isinstance(values[key], int) else beyond})


def for_keras(design: Design, known: Mapping[str, Any]) -> Design | None:
    """Move the learning rate, the batch size or the epochs."""
    evidence = known.get("evidence") or {}
    key = str(evidence.get("setting", "")).rpartition(".")[2]
    if "best_value" not in evidence:
        return None
    beyond = _beyond(evidence)
    if key == "learning_rate":
        return with_rate(design, beyond)
    return with_training(design, **{key: max(1, round(beyond))}) if key in ("batch_size", "epochs") else None
