"""An entry of a recipe: its default, its documentation and its bounds in one place."""

from __future__ import annotations

from dataclasses import field
from typing import Any

__all__ = ["entry"]


def entry(default: Any, doc: str, **constraint: Any) -> Any:
    """A recipe entry: its default, its one-line documentation and its constraint.

    Constraints: ``choices=(...)``, ``low=``, ``high=`` (inclusive), ``above=`` (exclusive), ``auto=True`` when the
    word "auto" is allowed as well, ``each=True`` when the entry is a list and the bounds hold for each element.
    """
    return field(default=default, metadata={"doc": doc, **constraint})
