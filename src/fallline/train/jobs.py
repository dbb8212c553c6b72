"""What many trainings differ in, as the user said it: combinations of recipe entries, and folds of rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fallline import recipe as recipes
from fallline.errors import InputError, is_count
from fallline.types import Recipe

__all__ = ["Fold", "distinct_seeds", "fold_pairs", "keras_keywords", "seeds_of", "varied"]

Fold = tuple[np.ndarray, np.ndarray]  # (training rows, held-out rows)

_SEED = 0  # of the shuffle when folds are given by their number


def varied(given: Sequence[Recipe], vary: Mapping[str, Iterable[Any]] | None) -> list[Recipe]:
    """Return every recipe with every combination of the varied entries, the last entry changing fastest.

    Args:
        given: recipes.
        vary: entry name -> values.

    Raises:
        RecipeError: an entry or a value that is not allowed.

    >>> from fallline.recipe import default
    >>> rates = varied([default("simple")], {"optimizer.learning_rate": [0.1, 0.01], "seed": [1, 2]})
    >>> [(r.optimizer.learning_rate, r.seed) for r in rates]
    [(0.1, 1), (0.1, 2), (0.01, 1), (0.01, 2)]
    """
    if not vary:
        return list(given)
    names, values = list(vary), [list(one) for one in vary.values()]
    empty = [name for name, one in zip(names, values, strict=True) if not one]
    if empty:
        raise InputError(f"vary names no value for {', '.join(empty)}. Give at least one each.")
    return [
        recipes.override(recipe, [f"{name}={_text(value)}" for name, value in zip(names, chosen, strict=True)])
        for recipe in given
        for chosen in itertools.product(*values)
    ]


def _text(value: Any) -> str:
    """A value as it is written in a recipe."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(_text(one) for one in value) + "]"
    return value if isinstance(value, str) else repr(value)


def keras_keywords(*, beside_recipe: bool, **given: Any) -> dict[str, Any]:
    """Return the keywords of a Keras model's training that were given, those that are not None.

    Raises:
        InputError: there are some beside a recipe.

    >>> keras_keywords(beside_recipe=False, epochs=3, shuffle=None)
    {'epochs': 3}
    """
    found = {name: value for name, value in given.items() if value is not None}
    if found and beside_recipe:
        raise InputError(f"{', '.join(found)} belongs to Keras models; a recipe says it in its [training] section.")
    return found


def seeds_of(seeds: Any) -> list[int]:
    """Return the seeds of the trainings: those given, or so many as given.

    Args:
        seeds: whole numbers, or how many.

    Raises:
        InputError: something that is no seed, none at all.

    >>> seeds_of(3), seeds_of([7, 5])
    ([0, 1, 2], [7, 5])
    """
    found = list(range(int(seeds))) if is_count(seeds) else list(seeds) if isinstance(seeds, Iterable) else []
    if not found or not all(is_count(seed, least=0) and int(seed) < 2**32 for seed in found):
        raise InputError(
            f"seeds = {seeds!r} is not allowed: it takes different whole numbers from 0 to {2**32 - 1}, e.g. [0, 1, "
            "2], or how many seeds."
        )
    return [int(seed) for seed in found]


def distinct_seeds(seeds: Any) -> list[int]:
    """Return what `seeds_of` does, of which no two may be equal: a training counted twice is no further evidence.

    Raises:
        InputError: see there; the same seed twice.
    """
    found = seeds_of(seeds)
    if len(set(found)) != len(found):
        raise InputError(f"seeds = {seeds!r} is not allowed: the same seed is the same training; name each once.")
    return found


def fold_pairs(folds: Any, y: Any, *, validated: bool = False) -> list[Any]:
    """Return pairs of row numbers.

    Args:
        folds: pairs (training rows, held-out rows) as row numbers or booleans; a splitter with ``split(x, y)``; or how
            many folds.
        y: (n,) or (n, k) targets; classes are stratified when the folds are given by their number.
        validated: triples are allowed, too: (training rows, validation rows, held-out rows), the second may be empty.

    Raises:
        InputError: an empty part, rows beyond the last, rows on both sides.

    >>> [held.tolist() for _, held in fold_pairs([([0, 1], [2]), ([1, 2], [0])], np.zeros(3))]
    [[2], [0]]
    """
    y = np.asarray(y)
    n = len(y)
    if is_count(folds):
        folds = _splitter(int(folds), y)
    wrong = isinstance(folds, (str, Mapping, bool))
    if hasattr(folds, "split") and not wrong:
        folds = folds.split(np.zeros((n, 1)), y)
    elif wrong or not isinstance(folds, Iterable):
        raise InputError(
            f"folds = {folds!r} is not allowed: it takes a number of folds, a scikit-learn splitter, or pairs of "
            "(training rows, held-out rows)."
        )
    found = []
    for place, pair in enumerate(folds):
        if not isinstance(pair, (tuple, list)) or len(pair) not in ((2, 3) if validated else (2,)):
            raise InputError(f"folds[{place}] is no pair of (training rows, held-out rows).")
        sides = []
        for side, part in enumerate(pair):
            unused = len(pair) == 3 and side == 1 and not np.size(part)
            sides.append(np.zeros(0, np.int64) if unused else _rows(part, n, f"folds[{place}][{side}]"))
        numbers, times = np.unique(np.concatenate([np.unique(side) for side in sides]), return_counts=True)
        both = numbers[times > 1]
        if len(both):
            raise InputError(
                f"folds[{place}] has {len(both)} row(s) on both sides, e.g. row {both[0]}: what a network has seen "
                "cannot tell how it does on new rows. Take them out of one side."
            )
        found.append(tuple(sides))
    if not found:
        raise InputError("folds is empty: give at least one pair of (training rows, held-out rows).")
    return found


def _splitter(folds: int, y: np.ndarray) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold

    if not 2 <= folds <= len(y):
        raise InputError(f"folds = {folds} is not allowed: it takes 2 to {len(y)} folds (there are {len(y)} rows).")
    labels = y.ndim == 1 and y.dtype.kind in "iubOUS"
    if labels and np.unique(y, return_counts=True)[1].min() >= folds:
        return StratifiedKFold(folds, shuffle=True, random_state=_SEED)
    return KFold(folds, shuffle=True, random_state=_SEED)


def _rows(part: Any, n: int, name: str) -> np.ndarray:
    rows = np.asarray(part)
    if rows.dtype == bool:
        if rows.shape != (n,):
            raise InputError(f"{name} has the shape {rows.shape}: booleans take one per row, ({n},).")
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu":
        raise InputError(f"{name} takes row numbers, at least one; given: shape {rows.shape}, type {rows.dtype}.")
    if rows.min() < 0 or rows.max() >= n:
        wrong = rows.max() if rows.max() >= n else rows.min()
        raise InputError(f"{name} names row {wrong}; rows go from 0 to {n - 1}.")
    return rows.astype(np.int64)
