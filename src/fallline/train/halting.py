"""What a recipe says about stopping and about a rate that reacts, as the engine's `Stopping`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fallline import recipe as recipes
from fallline.engine import Stopping
from fallline.types import REDUCING, StoppingRecipe

__all__ = ["make_stopping", "stopping_section", "with_schedule"]


def make_stopping(section: StoppingRecipe, *, validated: bool, schedule: str) -> Stopping:
    """Return when a member stops; without validation rows it never does, and no epoch is the best.

    Args:
        section: of a recipe; no entry is "auto".
        validated: whether there are validation rows.
        schedule: of the learning rate.
    """
    if not validated:
        return with_schedule(Stopping(keep_best=False), schedule)
    assert section.patience != "auto"
    assert section.alpha != "auto"
    made = Stopping(
        patience=section.patience if section.criterion == "patience" else 0,
        min_delta=section.min_delta,
        keep_best=section.restore_best,
        criterion=section.criterion if section.criterion != "none" else "patience",
    )
    # What a criterion does not read stays neutral, so that it does not compile another program.
    if made.criterion in ("gl", "pq"):
        made = replace(made, alpha=section.alpha)
    if made.criterion in ("pq", "up"):
        made = replace(made, strip=section.strip)
    if made.criterion == "up":
        made = replace(made, successive=section.successive)
    return with_schedule(made, schedule)


def with_schedule(stopping: Stopping, schedule: str) -> Stopping:
    """Return it with what lowers the rate under this schedule."""
    return replace(stopping, reduces=schedule if schedule in REDUCING else "")


def stopping_section(given: Any) -> StoppingRecipe | None:
    """Return the section that ``early_stopping`` means: a criterion's name, entries as a mapping, or a section.

    Args:
        given: what the caller wrote.

    Returns:
        the section; None: something else was given.

    Raises:
        RecipeError: everything that is wrong in it.

    >>> stopping_section({"criterion": "gl", "alpha": 3.0}).alpha
    3.0
    """
    if isinstance(given, StoppingRecipe):
        return given
    if isinstance(given, str):
        given = {"criterion": given}
    return recipes.from_mapping({"stopping": given}).stopping if isinstance(given, Mapping) else None
