"""Files and frames to `Problem`; preparation fitted on training rows; splits; the data summary."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fallline.data.derived import as_pixels, flat_images, reconstruction_problem, restricted
    from fallline.data.folds import folds
    from fallline.data.preparation import CategoryBlock, Preparation
    from fallline.data.problem import make_problem
    from fallline.data.read import read_table
    from fallline.data.splits import fold_rows, require_classes, split_rows
    from fallline.data.summary import summarise

__all__ = [
    "CategoryBlock",
    "Preparation",
    "as_pixels",
    "flat_images",
    "fold_rows",
    "folds",
    "make_problem",
    "read_table",
    "reconstruction_problem",
    "require_classes",
    "restricted",
    "split_rows",
    "summarise",
]

# Resolved on first use: pandas and scikit-learn take most of a second, and `fallline --help` needs neither.
_HOMES = {
    "CategoryBlock": "preparation",
    "Preparation": "preparation",
    "as_pixels": "derived",
    "flat_images": "derived",
    "fold_rows": "splits",
    "folds": "folds",
    "make_problem": "problem",
    "read_table": "read",
    "reconstruction_problem": "derived",
    "require_classes": "splits",
    "restricted": "derived",
    "split_rows": "splits",
    "summarise": "summary",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        # A submodule would shadow the function of the same name on the package: bind the function, once.
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
