"""The rows that a Keras model is trained and validated on, and their weights, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fallline.errors import InputError
from fallline.train.arrays import as_arrays, as_inputs, class_weights, rows_of, split_tail, stack
from fallline.types import Recipe

__all__ = ["KerasData", "keras_data", "row_weights"]

Tree = Any


@dataclass(frozen=True, eq=False)
class KerasData:
    """What a Keras model is trained and validated on.

    Args:
        x: (n, ...) inputs, or a tree of them.
        y: (n, ...) targets, or a tree of them.
        weight: (n,) of the rows.
        validation: (x, y, weight) of the validation rows; None: there are none.
        weighted: whether somebody asked for weights.
    """

    x: Tree
    y: Tree
    weight: np.ndarray
    validation: Tree | None
    weighted: bool

    @property
    def rows(self) -> int:
        """How many rows train."""
        return len(self.weight)

    @property
    def whole(self) -> Tree:
        """(x, y, weight) with the validation rows behind the others."""
        own = (self.x, self.y, self.weight)
        return own if self.validation is None else stack(own, self.validation)

    @property
    def sample(self) -> tuple[Tree, Tree]:
        """One small batch (x, y)."""
        few: tuple[Tree, Tree] = keras.tree.map_structure(lambda a: a[: min(2, self.rows)], (self.x, self.y))
        return few


def keras_data(
    model: keras.Model,
    x: Any,
    y: Any,
    recipes: Sequence[Recipe | None],
    *,
    validation_data: Any,
    validation_split: float,
    sample_weight: Any,
    class_weight: Any,
    apart: bool = False,
) -> KerasData:
    """Check what was given and divide it.

    Args:
        model: that is trained.
        x: inputs.
        y: targets.
        recipes: that the model is trained by.
        validation_data: as in `fallline.train`.
        validation_split: likewise.
        sample_weight: likewise.
        class_weight: likewise.
        apart: the trainings have rows of their own.

    Raises:
        InputError: shapes or numbers of rows that do not agree; weights that are none, or are given twice.
    """
    x, y = as_inputs(model, x, "x"), as_arrays(y, "y")
    n = rows_of((x, y), "x and y")
    weight = row_weights(sample_weight, n, "sample_weight")
    (x, y, weight), validation, weighted = _validation_of(
        model, (x, y, weight), validation_data, validation_split
    )
    class_weight = _class_weight_of(class_weight, recipes, apart=apart)
    if class_weight is not None:  # as under Keras' fit, the validation rows keep their own weights
        weight = weight * class_weights(y, class_weight)
    weighted = weighted or sample_weight is not None or class_weight is not None
    return KerasData(x, y, weight, validation, weighted)


def row_weights(given: Any, n: int, name: str) -> np.ndarray:
    """Return (n,) weights, ones where none are given; InputError for a wrong number of them, or negative ones."""
    if given is None:
        return np.ones(n, np.float32)
    weight = as_arrays(given, name)
    if np.shape(weight) != (n,) or (weight < 0).any() or not weight.any():
        raise InputError(
            f"{name} of shape {np.shape(weight)} is not allowed: it takes {n} numbers >= 0, one per row, not all 0."
        )
    return np.asarray(weight, np.float32)


def _class_weight_of(given: Any, chosen: Sequence[Recipe | None], *, apart: bool = False) -> Any:
    """Return the class weights of trainings, the keyword's or the recipes' "balanced".

    Args:
        given: the keyword.
        chosen: the recipes.
        apart: the trainings have rows of their own.

    Raises:
        InputError: both are given, the recipes differ, or "balanced" would mean something else for each fold.
    """
    asked = {recipe.training.class_weight for recipe in chosen if recipe is not None} or {"none"}
    if given is not None and asked != {"none"}:
        raise InputError('Both class_weight and training.class_weight = "balanced" are given. Use one of them.')
    if len(asked) > 1:
        raise InputError("The recipes differ in training.class_weight: train them one after another.")
    found = given if asked == {"none"} else "balanced"
    if apart and isinstance(found, str):
        raise InputError(
            f'class_weight = "{found}" goes by the training rows, which differ from fold to fold. '
            "Give weights, e.g. {0: 1.0, 1: 5.0}."
        )
    return found


def _validation_of(
    model: keras.Model, data: Tree, given: Any, share: float
) -> tuple[Tree, Tree | None, bool]:
    """Return (training data, validation data or None, whether the latter has weights of its own)."""
    if given is not None:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise InputError("validation_data takes (x, y) or (x, y, sample_weight).")
        vx, vy = as_inputs(model, given[0], "validation x"), as_arrays(given[1], "validation y")
        m = rows_of((vx, vy), "validation_data")
        weight = row_weights(given[2] if len(given) == 3 else None, m, "validation sample_weight")
        x, y, _ = data
        for name, mine, theirs in (("x", x, vx), ("y", y, vy)):
            shapes = [keras.tree.map_structure(lambda a: ("rows", *np.shape(a)[1:]), tree) for tree in (mine, theirs)]
            if shapes[0] != shapes[1]:
                raise InputError(
                    f"{name} has the shape {shapes[0]} in training but {shapes[1]} in validation_data; they must agree."
                )
        return data, (vx, vy, weight), len(given) == 3 and given[2] is not None
    if share:
        return *split_tail(data, share), False
    return data, None, False
