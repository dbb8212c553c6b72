"""Validate on five folds in turn.

What it does
------------
Five networks, each validated on another fifth of the rows, in the place of one validation set.

When it helps
-------------
The validation set is small, easier than the training set, or a search has tried too much on it.

What it may cost
----------------
Five times the time.

Source
------
R. Kohavi, A study of cross-validation and bootstrap for accuracy estimation and model selection (IJCAI 1995).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._recipes import number, section
from fallline.types import Recipe

__all__ = ["AIM", "SYMPTOMS", "for_recipe"]

SYMPTOMS = (
    "unrepresentative-validation-set",
    "validation-overfitted",
)
AIM = "prediction"

FOLDS = 5


def for_recipe(recipe: Recipe, known: Mapping[str, Any]) -> Recipe | None:
    """Give every member its own fold."""
    folds, members = number(recipe.split.folds, "split.folds"), int(number(recipe.ensemble.members, "ensemble.members"))
    if folds > 1 or recipe.split.time:
        return None
    parted = section(recipe, "split", folds=FOLDS)
    return section(parted, "ensemble", members=max(FOLDS, members), keep="all")
