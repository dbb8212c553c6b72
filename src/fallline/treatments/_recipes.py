"""Reading and changing the entries of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fallline.errors import InputError
from fallline.types import Recipe

__all__ = ["hidden_units", "learning_rate", "number", "rows_a_batch", "section"]


def section(recipe: Recipe, name: str, **changes: Any) -> Recipe:
    """Return the recipe with some entries of one section changed.

    >>> section(Recipe(), "optimizer", clip_norm=1.0).optimizer.clip_norm
    1.0
    """
    return replace(recipe, **{name: replace(getattr(recipe, name), **changes)})


def number(value: Any, name: str) -> float:
    """Return an entry that must be a number; InputError where it says "auto" or "find"."""
    if isinstance(value, str):
        raise InputError(
            f'{name} = "{value}" is decided by the data, so that it cannot be changed by itself. Treat a run, give the '
            f"data as well (fl.treat(recipe, name, x, y)), or write a number there."
        )
    return float(value)


def learning_rate(recipe: Recipe) -> float:
    """Return the learning rate."""
    return number(recipe.optimizer.learning_rate, "optimizer.learning_rate")


def hidden_units(recipe: Recipe) -> tuple[int, ...]:
    """Return the units of the hidden layers."""
    hidden = recipe.network.hidden
    if isinstance(hidden, str):
        number(hidden, "network.hidden")
    return tuple(int(units) for units in hidden)


def rows_a_batch(size: Any, known: Mapping[str, Any]) -> int:
    """Return the batch size in rows; "all" are those that are known."""
    if size == "all":
        return int(known.get("n_rows") or 0)
    return int(number(size, "training.batch_size"))
