"""Folds as arrays of row numbers: hold-out, k-fold and repeated; by class, group and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.data.problem import make_problem
from fallline.data.splits import fold_rows
from fallline.errors import DataError, count_mistakes
from fallline.types import Problem, SplitRecipe

__all__ = ["folds"]

_MOST_SEEDS = 2**32  # what scikit-learn's splitters take
_TIME = "time given as an array"


def folds(
    problem: Any,
    *,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
    stratify: bool = True,
    group: Any = None,
    time: Any = None,
    share: float = 0.2,
    rows: Any = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs (training rows, held-out rows): every row is held out once in every repeat.

    Args:
        problem: a `Problem`; or targets (n,) or (n, k), for arrays of your own.
        folds: parts, k. 1: one hold-out of so many rows as ``share`` says.
        repeats: partitions, each another one: repeated k-fold gives k * repeats pairs.
        seed: the same seed gives the same folds.
        stratify: keep the classes' shares equal in all parts, for multi-label problems those of the combinations of
            labels; within groups as far as the groups allow.
        group: rows of equal value stay in one part: a column's name, or labels (n,).
        time: train on the past, hold out what follows (growing pasts): a column's name, or numbers or dates (n,).
        share: of the rows to hold out when ``folds`` is 1.
        rows: positions (m,) to divide, e.g. those left after a test set was taken; default: all.

    Returns:
        sorted int64 positions; the two of a pair share none and neither is empty. By time the first part never is
        held out, because nothing comes before it.

    Raises:
        DataError: every argument that is wrong, at once; more folds than rows, groups or times.

    Source: https://scikit-learn.org/stable/modules/cross_validation.html (KFold, StratifiedKFold, GroupKFold,
    StratifiedGroupKFold, TimeSeriesSplit, ShuffleSplit).

    >>> pairs = folds(np.array(["a", "b"] * 10), folds=5, repeats=2)
    >>> len(pairs), [len(held) for _, held in pairs][:2]
    (10, [4, 4])
    """
    mistakes = list(_mistakes(folds, repeats, seed, group, time, share))
    if mistakes:
        raise DataError(" ".join(mistakes))
    if not isinstance(problem, Problem):
        targets = np.asarray(problem)
        problem = make_problem({"x": np.linspace(0.0, 1.0, len(targets))}, targets)
        if problem.n_rows != len(targets):
            missing = len(targets) - problem.n_rows
            raise DataError(f"{missing} of the {len(targets)} targets are missing. Leave them out.")
    split = SplitRecipe(validation=share, stratify=bool(stratify))
    n = problem.n_rows
    if isinstance(group, str):
        split = replace(split, group=group)
    elif group is not None:
        problem = replace(problem, groups=_column(group, n, "group"))
    if isinstance(time, str):
        split = replace(split, time=time)
    elif time is not None:
        problem = replace(problem, frame=problem.frame.assign(**{_TIME: _column(time, n, "time")}))
        split = replace(split, time=_TIME)
    where = np.arange(n) if rows is None else _positions(rows, n)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for repeat in range(repeats):
        pairs += fold_rows(problem, where, split, folds, (seed + repeat) % _MOST_SEEDS)
    return pairs


def _mistakes(folds: Any, repeats: Any, seed: Any, group: Any, time: Any, share: Any) -> Iterator[str]:
    yield from count_mistakes(folds=(folds, 1), repeats=(repeats, 1), seed=(seed, 0))
    if not isinstance(share, (int, float)) or not 0 < share < 1:
        yield f"share = {share!r} is not allowed: it takes a number between 0 and 1."
    if group is not None and time is not None:
        yield "group and time are both given: rows can be parted by one of them."
    if time is not None and repeats != 1:
        yield f"repeats = {repeats!r} contradicts time: there is one order in time, so that all repeats would be equal."


def _column(values: Any, n: int, name: str) -> np.ndarray:
    found = np.asarray(values)
    if found.shape != (n,):
        raise DataError(f"{name} has the shape {found.shape}; it takes {n} values, one per row, or a column's name.")
    return found


def _positions(rows: Any, n: int) -> np.ndarray:
    found = np.asarray(rows)
    if found.ndim != 1 or found.dtype.kind not in "iu" or len(np.unique(found)) != len(found):
        raise DataError("rows must be different row positions, a vector of whole numbers.")
    if len(found) and not (found.min() >= 0 and found.max() < n):
        raise DataError(f"rows must lie in 0 .. {n - 1}; given {found.min()} .. {found.max()}.")
    return found.astype(np.int64)
