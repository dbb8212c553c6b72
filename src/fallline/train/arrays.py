"""What a user gives to train a Keras model, checked and brought into (x, y, weight) with one leading axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from fallline.errors import DataError, InputError
from fallline.keras_config import fills_gaps

__all__ = ["as_arrays", "as_inputs", "class_weights", "rows_of", "split_tail", "stack"]

Tree = Any


def _array(value: Any, what: str) -> np.ndarray:
    if hasattr(value, "toarray"):  # scipy.sparse
        value = value.toarray()
    try:
        a = np.asarray(value)
    except ValueError as error:
        raise DataError(
            f"{what} is no array: its rows have different lengths. Pad them to one length, "
            "or give a list of whole arrays."
        ) from error
    if a.dtype == object or a.dtype.kind in "USM":
        raise DataError(
            f"{what} holds {a.dtype} values; a Keras model takes numbers. Encode text and categories first, "
            "or train a recipe on the table: fl.train('default', frame, target='name')."
        )
    if a.dtype == np.float64:
        a = a.astype(np.float32)
    elif a.dtype == np.int64:
        a = a.astype(np.int32)
    return a


def _numbers(value: Any, what: str, broken: list[tuple[str, np.ndarray]]) -> Tree:
    """Return the arrays of a tree; add those that are not all finite, under their names, to ``broken``."""
    if isinstance(value, Mapping):
        return {key: _numbers(item, f"{what}[{key!r}]", broken) for key, item in value.items()}
    if (
        isinstance(value, (list, tuple))
        and value
        and all(hasattr(item, "shape") and np.ndim(item) > 0 for item in value)
    ):
        return [_numbers(item, f"{what}[{i}]", broken) for i, item in enumerate(value)]
    a = _array(value.to_numpy() if hasattr(value, "to_numpy") else value, what)
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        broken.append((what, a))
    return a


def _refuse(broken: list[tuple[str, np.ndarray]], *, gaps: bool) -> None:
    """Raise at the first number that is not finite; ``gaps``: NaN is let through."""
    for what, a in broken:
        wrong = np.isinf(a) if gaps else ~np.isfinite(a)
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise DataError(
                f"{what} holds {a[where]} at index {where}; a Keras model takes finite numbers. "
                "Fill or leave out such rows, put a layer in front that fills them, or train a recipe on the table, "
                "which handles missing values."
            )


def as_arrays(value: Any, what: str, *, gaps: bool = False) -> Tree:
    """Return a pytree of NumPy arrays (float32, int32 ...) with the structure that was given.

    Args:
        value: what was given.
        what: its name in messages.
        gaps: NaN is let through.

    Raises:
        DataError: text, or numbers that are not finite (with the index).
    """
    broken: list[tuple[str, np.ndarray]] = []
    given = _numbers(value, what, broken)
    _refuse(broken, gaps=gaps)
    return given


def as_inputs(model: keras.Model, value: Any, what: str) -> Tree:
    """Return the inputs of a model as `as_arrays` does; gaps (NaN) pass where the model fills them itself.

    Raises:
        DataError: text, infinite numbers, or gaps that the model does not fill (with the index).
    """
    broken: list[tuple[str, np.ndarray]] = []
    given = _numbers(value, what, broken)
    _refuse(broken, gaps=True)
    # Finite inputs, as nearly all are, have been read once and are not looked through for gaps again.
    if broken and not fills_gaps(model, given):
        _refuse(broken, gaps=False)
    return given


def rows_of(tree: Tree, what: str) -> int:
    """Return the common length of all arrays.

    Raises:
        DataError: lengths differ, or there is nothing.
    """
    lengths = {len(a) if np.ndim(a) else 0 for a in keras.tree.flatten(tree)}
    if len(lengths) != 1 or 0 in lengths:
        raise DataError(f"The arrays of {what} have {sorted(lengths)} rows; all must have the same number, at least 1.")
    return int(lengths.pop())


def class_weights(y: Tree, weights: Mapping[Any, float] | str) -> np.ndarray:
    """Turn Keras' ``class_weight`` into one weight per row; classes that are not named weigh 1.

    "balanced": n / (classes x rows of the class), scikit-learn's formula.

    Raises:
        InputError: targets are no class indices or one-hot rows.
    """
    if not isinstance(weights, Mapping) and weights != "balanced":
        raise InputError(
            f"class_weight = {weights!r} is not allowed: it takes class index -> weight, e.g. {{0: 1.0, 1: 5.0}}, or "
            '"balanced".'
        )
    y = np.asarray(y) if not isinstance(y, (dict, list)) else None
    if y is None or y.ndim > 2:
        raise InputError(
            "class_weight needs one array of targets: class indices (n,) or one-hot rows (n, classes). "
            "Use sample_weight instead."
        )
    index = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(int)
    out = np.ones(len(index), np.float32)
    if not isinstance(weights, Mapping):
        classes, counts = np.unique(index, return_counts=True)
        weights = dict(zip(classes.tolist(), (len(index) / (len(classes) * counts)).tolist(), strict=True))
    for key, weight in weights.items():
        try:
            out[index == int(key)] = float(weight)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"class_weight has the entry {key!r}: {weight!r}; it takes class index -> weight, "
                "e.g. {0: 1.0, 1: 5.0}."
            ) from error
    return out


def split_tail(tree: Tree, share: float) -> tuple[Tree, Tree]:
    """Cut off the last ``share`` of the rows, as Keras' ``validation_split`` does.

    Raises:
        InputError: a share outside (0, 1), or one that leaves a side empty.
    """
    n = rows_of(tree, "x")
    if not 0.0 < share < 1.0:
        raise InputError(f"validation_split = {share} is not allowed: it takes a share between 0 and 1.")
    cut = int(n * (1.0 - share))
    if cut in (0, n):
        raise InputError(
            f"validation_split = {share} of {n} rows leaves one side empty. Give more rows or another share."
        )
    return keras.tree.map_structure(lambda a: a[:cut], tree), keras.tree.map_structure(lambda a: a[cut:], tree)


def stack(first: Tree, second: Tree) -> Tree:
    """Concatenate two trees of the same structure along the rows."""
    return keras.tree.map_structure(lambda a, b: np.concatenate([a, b]), first, second)
