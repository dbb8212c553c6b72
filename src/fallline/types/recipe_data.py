"""The sections of a recipe about the data: splits and preparation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fallline.types.recipe_entry import entry as _entry

__all__ = ["PrepareRecipe", "SplitRecipe"]


@dataclass(frozen=True)
class SplitRecipe:
    """Which rows train, which validate, which are kept for the final score."""

    test: float = _entry(0.2, "share of the rows kept untouched for the final score; 0 keeps none", low=0.0, high=0.9)
    folds: int | Literal["auto"] = _entry(
        "auto",
        "every member of the ensemble is validated on another of so many folds; 1: one validation set for all",
        low=1,
        high=100,
        auto=True,
    )
    validation: float = _entry(0.2, "share of the training rows that validate, when folds = 1", above=0.0, high=0.9)
    stratify: bool = _entry(True, "keep the classes' shares equal in all parts (classification)")
    group: str = _entry("", "column whose equal values must stay together in one part; empty: none")
    time: str = _entry("", "column that orders the rows in time: train on the past, test on the latest; empty: none")


@dataclass(frozen=True)
class PrepareRecipe:
    """How columns become numbers; statistics come from training rows only."""

    numeric: str = _entry(
        "robust",
        "scaling of numbers: robust = (x - median) / IQR, standard = (x - mean) / sd, minmax = to [-1, 1], "
        "unit = to [0, 1], center = x - mean",
        choices=("robust", "standard", "minmax", "unit", "center", "none"),
    )
    clip: float = _entry(3.0, "squash scaled numbers smoothly, x / sqrt(1 + (x / clip)^2); 0: off", low=0.0)
    whiten: str = _entry(
        "none",
        "de-correlate the scaled numbers: their covariance becomes the identity; pca: along the principal axes, zca: "
        "as "
        "near to the columns as can be",
        choices=("none", "pca", "zca"),
    )
    max_levels: int = _entry(100, "most frequent categories kept per column; the others share one level", low=2)
    target: str = _entry(
        "standard",
        "scaling of regression targets during training; undone inside the saved model",
        choices=("standard", "none"),
    )
    clip_target: bool = _entry(True, "keep predicted quantities within the range seen in training")
