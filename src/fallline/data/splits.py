"""Which rows train, which validate, which are kept for the final score.

Source: stratification, groups and time as in scikit-learn's splitters
(https://scikit-learn.org/stable/modules/cross_validation.html).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.data.frames import require_column
from fallline.data.values import as_dates, as_labels, as_numbers
from fallline.errors import DataError, InputError
from fallline.types import Problem, SplitRecipe

__all__ = ["fold_rows", "require_classes", "split_rows"]

# Combinations of labels with fewer rows are stratified together: with the usual five to ten folds they could not be
# spread anyway.
_COMMON = 5


def split_rows(problem: Problem, split: SplitRecipe, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train (and validate) on, and those kept untouched for the final score.

    Args:
        problem: the problem.
        split: share of test rows, stratification, group or time column.
        seed: the same seed gives the same split.

    Returns:
        (train, test), sorted int64 positions that share no row and together are all rows; ``test`` is empty when
        ``split.test`` is 0. A class with a single row stays in training.

    Raises:
        DataError: no such column, fewer groups or time stamps than parts, missing groups or times.
    """
    rows = np.arange(problem.n_rows, dtype=np.int64)
    if split.test == 0.0:
        return rows, rows[:0]
    return _two_parts(problem, rows, split, split.test, seed)


def fold_rows(
    problem: Problem, rows: np.ndarray, split: SplitRecipe, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs (training rows, validation rows) out of some rows.

    Args:
        problem: the problem.
        rows: positions (m,) to divide, usually the training part of `split_rows`.
        split: validation share (for one fold), stratification, group or time column.
        folds: 1: one pair; more: so many pairs, every row validates once (by time: growing pasts, each validated
            on the time that follows).
        seed: the same seed gives the same folds.

    Returns:
        pairs of sorted int64 positions, neither ever empty. Classes with a single row only ever train.

    Raises:
        DataError: more folds than rows, groups or time stamps; no such column.
    """
    rows = np.sort(np.asarray(rows, np.int64))
    if folds < 1:
        raise DataError(f"folds is {folds}; it must be at least 1.")
    if folds == 1:
        return [_two_parts(problem, rows, split, split.validation, seed)]
    if folds > len(rows):
        raise DataError(
            f"{folds} folds were asked for, but there are only {len(rows)} rows to divide. Ask for at most "
            f"{len(rows)} folds."
        )
    groups, times = _groups(problem, split), _times(problem, split)
    if times is not None:
        return _time_folds(rows, times[rows], folds, split.time)
    if groups is not None:
        return _group_folds(rows, groups[rows], _strata(problem, rows, split), folds, seed)
    return _plain_folds(rows, _strata(problem, rows, split), folds, seed)


# --------------------------------------------------------------------------------------------------- two parts


def _two_parts(
    problem: Problem, rows: np.ndarray, split: SplitRecipe, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    if len(rows) < 2:
        raise DataError(f"{len(rows)} row cannot be divided into two parts: at least 2 rows are needed.")
    groups, times = _groups(problem, split), _times(problem, split)
    if times is not None:
        return _time_parts(rows, times[rows], share, split.time)
    count = min(max(math.ceil(share * len(rows)), 1), len(rows) - 1)
    if groups is not None:
        from sklearn.model_selection import GroupShuffleSplit

        n_groups = len(np.unique(groups[rows]))
        if n_groups < 2:
            raise DataError(
                f"All {len(rows):,} rows belong to one group: they cannot be divided. Give a column with at least "
                f"two groups."
            )
        held = min(max(round(share * n_groups), 1), n_groups - 1)
        return _pairs(rows, GroupShuffleSplit(1, test_size=held, random_state=seed).split(rows, groups=groups[rows]))[0]
    return _shuffled_parts(rows, _strata(problem, rows, split), count, seed)


def _shuffled_parts(
    rows: np.ndarray, strata: np.ndarray | None, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hold ``count`` rows back: stratified when every class fits in both parts, else so that every class trains."""
    from sklearn.model_selection import StratifiedShuffleSplit

    free = np.ones(len(rows), bool)
    if strata is not None:
        sizes = np.bincount(strata)
        free = sizes[strata] > 1
        n_classes = len(np.unique(strata[free]))
        count = min(count, max(int(free.sum()) - 1, 1))
        if n_classes and count >= n_classes and free.sum() - count >= n_classes:
            shuffle = StratifiedShuffleSplit(1, test_size=count, random_state=seed)
            kept, held = next(shuffle.split(rows[free], strata[free]))
            if len(np.unique(strata[free][kept])) == n_classes:
                return _with_rest(rows, free, kept, held)
        order = np.random.default_rng(seed).permutation(len(rows))
        _, first = np.unique(strata[order], return_index=True)
        free = np.ones(len(rows), bool)
        free[order[first]] = False  # one row of each class trains for certain
        if not free.any():
            free[:] = True
    order = np.random.default_rng(seed).permutation(int(free.sum()))
    return _with_rest(rows, free, order[count:], order[:count])


def _with_rest(rows: np.ndarray, free: np.ndarray, kept: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.sort(np.concatenate([rows[~free], rows[free][kept]])), np.sort(rows[free][held])


def _time_parts(rows: np.ndarray, times: np.ndarray, share: float, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Hold back the latest rows; rows of the same time stay together."""
    stamps = np.sort(times)
    cut = stamps[len(rows) - min(max(math.ceil(share * len(rows)), 1), len(rows) - 1)]
    if cut == stamps[0]:
        later = stamps[stamps > cut]
        if not len(later):
            raise DataError(
                f"The time column {name!r} has the same value in all {len(rows):,} rows: there is no later part."
            )
        cut = later[0]
    return rows[times < cut], rows[times >= cut]


# ------------------------------------------------------------------------------------------------------- folds


def _pairs(rows: np.ndarray, parts: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.sort(rows[train]), np.sort(rows[held])) for train, held in parts]


def _plain_folds(
    rows: np.ndarray, strata: np.ndarray | None, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    if strata is None:
        return _pairs(rows, KFold(folds, shuffle=True, random_state=seed).split(rows))
    sizes = np.bincount(strata)
    free = sizes[strata] > 1
    if free.sum() < folds:  # nearly all classes have one row: keeping them back would leave folds empty
        return _pairs(rows, KFold(folds, shuffle=True, random_state=seed).split(rows))
    if sizes.max() < folds:
        parts: Any = KFold(folds, shuffle=True, random_state=seed).split(rows[free])
    else:
        with warnings.catch_warnings():
            # "The least populated class has fewer members than n_splits": known, and harmless for training.
            warnings.simplefilter("ignore", UserWarning)
            parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows[free], strata[free]))
    return [_with_rest(rows, free, train, held) for train, held in parts]


def _group_folds(
    rows: np.ndarray, groups: np.ndarray, strata: np.ndarray | None, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    n_groups = len(np.unique(groups))
    if n_groups < folds:
        raise DataError(
            f"{folds} folds were asked for, but the rows belong to only {n_groups} groups. Ask for at most "
            f"{n_groups} folds."
        )
    if strata is not None and np.bincount(strata).max() >= folds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # as above: a class with fewer rows than folds
            stratified = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(rows, strata, groups)
            pairs = _pairs(rows, stratified)
        if all(len(train) and len(held) for train, held in pairs):  # it may leave a part without any group
            return pairs
    return _pairs(rows, GroupKFold(folds, shuffle=True, random_state=seed).split(rows, groups=groups))


def _time_folds(rows: np.ndarray, times: np.ndarray, folds: int, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import TimeSeriesSplit

    stamps = np.unique(times)
    if len(stamps) <= folds:
        raise DataError(
            f"{folds} folds in time need at least {folds + 1} different times, but {name!r} has only {len(stamps)} "
            f"in these "
            f"{len(rows):,} rows. Ask for fewer folds."
        )
    found = []
    for past, future in TimeSeriesSplit(folds).split(stamps):
        inside = (times >= stamps[future[0]]) & (times <= stamps[future[-1]])
        found.append((rows[times <= stamps[past[-1]]], rows[inside]))
    return found


# ---------------------------------------------------------------------------------------- columns of the recipe


def _strata(problem: Problem, rows: np.ndarray, split: SplitRecipe) -> np.ndarray | None:
    """Return class indices (m,) of the rows, or None when they are not to be stratified."""
    if not split.stratify or not problem.is_classification:
        return None
    if problem.kind == "multilabel":
        return _combinations(problem.y[rows])
    strata: np.ndarray = np.unique(problem.y[rows], return_inverse=True)[1]
    return strata


def _combinations(labels: np.ndarray) -> np.ndarray:
    """Return which combination of labels (n, k) each row has; rare ones count as one, so that none is kept back."""
    found = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(found)
    common = counts >= _COMMON
    if counts[~common].sum() == 1:  # a single row joins the largest, or it would be a class that only ever trains
        common[:] = True
        found = np.where(counts[found] == 1, int(counts.argmax()), found)
    merged = np.where(common[found], found, len(counts))
    return np.unique(merged, return_inverse=True)[1].reshape(-1)


def _groups(problem: Problem, split: SplitRecipe) -> np.ndarray | None:
    """Return group codes (n,) of all rows, or None."""
    if split.group and split.time:
        raise DataError(f"The split says both group = {split.group!r} and time = {split.time!r}; give one of them.")
    if split.group:
        require_column(split.group, list(problem.frame.columns), "split.group")
        codes, _ = as_labels(problem.frame[split.group])
        if (codes < 0).any():
            raise DataError(
                f"The group column {split.group!r} is missing in {int((codes < 0).sum()):,} rows; every row needs a "
                f"group."
            )
        return codes
    if problem.groups is None or split.time:
        return None
    return np.unique(np.asarray([str(label) for label in problem.groups.tolist()]), return_inverse=True)[1]


def _times(problem: Problem, split: SplitRecipe) -> np.ndarray | None:
    """Return something that orders all rows in time (n,), or None."""
    if not split.time:
        return None
    require_column(split.time, list(problem.frame.columns), "split.time")
    series = problem.frame[split.time]
    numbers, wrong = as_numbers(series)
    if wrong.any():
        dates, bad = as_dates(series)
        if bad.any():
            raise DataError(
                f"The time column {split.time!r} holds neither dates nor numbers (row "
                f"{int(np.flatnonzero(bad)[0]) + 1})."
            )
        numbers = np.where(np.isnat(dates), np.nan, dates.astype("datetime64[us]").astype(np.float64))
    if np.isnan(numbers).any():
        raise DataError(
            f"The time column {split.time!r} is missing in {int(np.isnan(numbers).sum()):,} rows; every row needs a "
            f"time."
        )
    return numbers


def require_classes(about: Any, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Refuse folds of whose training rows a class is absent.

    Args:
        about: a `Problem`, of any kind; or the classes (n,) of the rows.
        pairs: (training rows, held-out rows) of each fold.

    Raises:
        InputError: the first fold and class.

    >>> require_classes(np.array(["a", "b", "b"]), [(np.array([1, 2]), np.array([0]))])
    Traceback (most recent call last):
        ...
    fallline.errors.InputError: The training rows of fold 1 hold no row of the class 'a': ...
    """
    if isinstance(about, Problem):
        if about.kind not in ("binary", "multiclass"):
            return
        labels, names = about.y.astype(np.int64), [str(name) for name in about.classes]
    else:
        known, labels = np.unique(about, return_inverse=True)
        names = known.tolist()
    for place, (rows, _) in enumerate(pairs):
        present = np.bincount(labels[rows], minlength=len(names)) > 0
        if not present.all():
            raise InputError(
                f"The training rows of fold {place + 1} hold no row of the class {names[int(np.argmin(present))]!r}: "
                "what is trained there cannot know it. Use fewer or other folds, join rare classes, or leave their "
                "rows out."
            )
