"""A recipe as a caller gave it: itself, or the name of a preset."""

from __future__ import annotations

from typing import Any

from fallline.errors import InputError
from fallline.recipe.checks import check
from fallline.recipe.defaults import default
from fallline.types import Recipe

__all__ = ["as_recipe"]


def as_recipe(what: Any, refusal: str) -> Recipe:
    """Return the recipe, checked.

    Args:
        what: a `Recipe` or the name of a preset.
        refusal: what is said of anything else; ``{}`` stands for its type.

    Raises:
        InputError: it is something else.
        RecipeError: its mistakes; no such preset.

    >>> as_recipe("simple", "").preset
    'simple'
    >>> as_recipe(3, "expected a Recipe, received {}.")
    Traceback (most recent call last):
        ...
    fallline.errors.InputError: expected a Recipe, received int.
    """
    if isinstance(what, str):
        return default(what)
    if not isinstance(what, Recipe):
        raise InputError(refusal.format(type(what).__name__))
    return check(what)
