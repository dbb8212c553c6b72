"""Folds for choosing and for judging, with everything that can be wrong with them said before any work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.data import folds as make_folds
from fallline.data import require_classes
from fallline.errors import InputError, is_count
from fallline.search.measure import Folds
from fallline.train.jobs import distinct_seeds, fold_pairs
from fallline.types import Problem, Recipe

__all__ = ["checked_seeds", "partition", "with_split"]


def partition(
    problem: Problem,
    folds: Any,
    *,
    repeats: int = 1,
    seed: int = 0,
    stratify: bool = True,
    group: Any = None,
    time: Any = None,
    share: float = 0.2,
    metric: str = "",
    rows: Any = None,
) -> Folds:
    """Return pairs (training rows, held-out rows).

    Args:
        problem: the problem.
        folds: how many (1: a hold-out); or pairs; or a scikit-learn splitter.
        repeats: as in `fallline.folds`.
        seed: as there.
        stratify: as there.
        group: as there.
        time: as there.
        share: as there.
        metric: that the held-out rows are scored by.
        rows: positions to divide, as there.

    Raises:
        InputError: fewer rows than folds, a class that is absent from a fold, contradictions.
    """
    if is_count(folds):
        if (
            problem.kind in ("binary", "multiclass")
            and int(folds) > 1
            and group is None
            and time is None
            and problem.groups is None
        ):
            _rare_classes(problem, int(folds), rows)
        pairs: Folds = make_folds(
            problem, folds=int(folds), repeats=repeats, seed=seed, stratify=stratify, group=group, time=time,
            share=share, rows=rows,
        )  # fmt: skip
    else:
        if repeats != 1 or group is not None or time is not None:
            raise InputError(
                "repeats, group and time shape folds that are given by their number; these are given as rows. "
                "Put it into them, or give folds as a number."
            )
        pairs = fold_pairs(folds, problem.y)
    require_classes(problem, pairs)
    if metric == "auc" and problem.kind in ("binary", "multiclass"):
        _require_both_classes(problem, pairs)
    return pairs


def _rare_classes(problem: Problem, folds: int, rows: Any) -> None:
    labels = problem.y if rows is None else problem.y[np.asarray(rows)]
    counts = np.bincount(labels.astype(np.int64), minlength=len(problem.classes))
    rare = [(str(problem.classes[k]), int(counts[k])) for k in np.flatnonzero(counts < folds)]
    if rare:
        named = ", ".join(f"{name!r} ({count})" for name, count in rare[:5]) + (" ..." if len(rare) > 5 else "")
        fewest = min(count for _, count in rare)
        advice = f"Ask for at most {fewest} folds, join" if fewest >= 2 else "Join"
        raise InputError(
            f"{folds} folds were asked for, but there are classes with fewer rows "
            f"than that: {named}. Some folds would be scored without them. {advice} rare classes, leave their "
            "rows out, or give the folds as pairs of rows."
        )


def _require_both_classes(problem: Problem, pairs: Folds) -> None:
    """Refuse folds whose held-out rows are all of one class, under the AUC."""
    for place, (_, held) in enumerate(pairs):
        if len(np.unique(problem.y[held])) < 2:
            name = str(problem.classes[int(problem.y[held][0])])
            raise InputError(
                f"The held-out rows of fold {place + 1} all have the class {name!r}: the AUC "
                "is not defined there. Use fewer folds or another metric."
            )


def with_split(recipe: Recipe, group: Any, time: str | None) -> Recipe:
    """Return the recipe whose own validation rows are parted by the same group or time as the folds.

    Raises:
        InputError: the column of the recipe contradicts the one that is given.
    """
    split = recipe.split
    for key, value in (("group", group), ("time", time)):
        own = getattr(split, key)
        if isinstance(value, str) and own not in ("", value):
            raise InputError(f"{key} = {value!r}, but the recipe says split.{key} = {own!r}. Leave one of them out.")
    split = replace(split, group=group if isinstance(group, str) else split.group, time=time or split.time)
    return replace(recipe, split=split)


def checked_seeds(seeds: Any) -> list[int] | None:
    """Return the seeds of the trainings as `distinct_seeds` does, or None: each recipe's own.

    Raises:
        InputError: see there.
    """
    return None if seeds is None else distinct_seeds(seeds)
