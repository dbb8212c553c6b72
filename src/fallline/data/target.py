"""The target: which kind of problem it poses, and its encoded values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fallline.data.frames import shown
from fallline.data.infer import PARTLY, check_finite
from fallline.data.values import as_numbers, distinct
from fallline.errors import DataError, nearest
from fallline.types import PROBLEM_KINDS, ProblemKind

__all__ = ["MAX_INTEGER_CLASSES", "Target", "encode_target"]

# Whole numbers are taken for classes when they are at most so many, and at most this share of the rows (at least two).
MAX_INTEGER_CLASSES = 20
MAX_INTEGER_CLASS_SHARE = 0.05
# So many different whole numbers that are taken for a quantity may be classes all the same: it is said.
DOUBTFUL_WHOLE_NUMBERS = 100


@dataclass(frozen=True, eq=False)
class Target:
    """An encoded target.

    Args:
        kind: the kind of problem.
        y: encoded as `fallline.types.Problem` says, for the kept rows only.
        classes: labels in index order, for binary and multiclass.
        kept: positions (m,) of the rows that have a target.
        notes: sentences for the user.
        why: one sentence on how the kind was inferred; "" where it was given.
    """

    kind: ProblemKind
    y: np.ndarray
    classes: tuple[Any, ...]
    kept: np.ndarray
    notes: tuple[str, ...]
    why: str = ""


def encode_target(frame: pd.DataFrame, kind: str | None = None, *, allow_constant: bool = False) -> Target:
    """Infer the kind of problem from its target column(s), leave out rows without a target, and encode the rest.

    One column: two distinct values are binary; text, booleans and categories are multiclass; whole numbers are
    multiclass when they
    take at most 20 values and at most as many as 5 % of the rows; all other numbers are regression. Several columns:
    multilabel when all are 0/1, else multioutput.

    Args:
        frame: the target column(s), shape (n, k).
        kind: the kind, when it is not to be inferred.
        allow_constant: let quantities and 0/1 labels pass that never vary (a single column needs a given kind).

    Raises:
        DataError: no row has a target, one row, a constant target, infinite values, numbers needed but text found,
            a kind that does not fit.

    >>> target = encode_target(pd.DataFrame({"colour": ["red", "blue", "red", None]}))
    >>> target.kind, target.classes, target.y.tolist(), target.kept.tolist()
    ('binary', ('blue', 'red'), [1, 0, 1], [0, 1, 2])
    """
    if kind is not None and kind not in PROBLEM_KINDS:
        raise DataError(
            f"kind is {kind!r}; it must be one of {', '.join(PROBLEM_KINDS)}.{nearest(str(kind), PROBLEM_KINDS)}"
        )
    present = ~_missing(frame)
    kept = np.flatnonzero(present.all(axis=1))
    name = shown(list(frame.columns))
    notes = []
    if len(kept) < len(frame):
        notes.append(f"{len(frame) - len(kept):,} of {len(frame):,} rows have no target and are left out.")
    if not len(kept):
        raise DataError(
            f"The target {name} has no values: all {len(frame):,} rows are missing (NaN). Give a column with values."
        )
    if len(kept) == 1:
        raise DataError(
            "Only one row has a target (n_samples = 1): at least two rows are needed to train on some and test on "
            "others."
        )
    gaps = len(kept) < len(frame)
    if frame.shape[1] > 1:
        return _several(frame.iloc[kept], kind, kept, notes, allow_constant)
    return _single(frame.iloc[kept, 0], kind, kept, notes, gaps, allow_constant and kind == "regression")


def _missing(frame: pd.DataFrame) -> np.ndarray:
    """Return where a target is missing (n, k): NaN, None, or an empty text."""
    missing = np.array(frame.isna(), dtype=bool)
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            missing[:, position] |= column.map(lambda value: isinstance(value, str) and not value.strip()).to_numpy(
                bool
            )
    return missing


def _single(
    series: pd.Series, kind: str | None, kept: np.ndarray, notes: list[str], gaps: bool, constant: bool
) -> Target:
    name = str(series.name)
    if kind in ("multioutput", "multilabel"):
        raise DataError(
            f"kind is {kind!r}, which needs two or more target columns; the target is the single column {name!r}."
        )
    try:
        codes, values = distinct(series.reset_index(drop=True))
    except TypeError as error:
        raise DataError(
            f"Unknown label type: the target {name!r} holds nested values (lists); give one number or label per row."
        ) from error
    if any(isinstance(v, dt.date) for v in values) or series.dtype.kind in "Mm":
        raise DataError(
            f"The target {name!r} holds dates or durations; turn them into numbers first, such as days since a start."
        )
    if any(isinstance(v, (complex, np.complexfloating)) for v in values):
        raise DataError(f"Complex data not supported: the target {name!r} is complex.")
    rows = _numbers_row(kept)
    numbers, wrong = as_numbers(series)
    numeric = not wrong.any() and not any(isinstance(v, (str, bool, np.bool_)) for v in values)
    numeric = numeric and not isinstance(series.dtype, pd.CategoricalDtype)
    if numeric and np.isinf(numbers).any():
        check_finite(numbers, name, rows)
    if len(values) == 1 and not constant:
        raise DataError(
            f"The target {name!r} has only one class or value, {_plain(values[0])!r}, in all {len(series):,} rows: "
            "there is nothing to learn. Give another target, or rows with other values."
        )
    inferred = _infer(numeric, numbers, wrong, len(values), series, rows) if kind is None else (kind, "", False)
    found, why, doubtful = inferred
    if doubtful:
        notes.append(why)
    if found == "regression":
        if wrong.any() or np.isnan(numbers).any():
            _no_quantity(series, wrong | np.isnan(numbers), rows)
        check_finite(numbers, name, rows)
        return Target("regression", numbers, (), kept, tuple(notes), why)
    return replace(_classes(codes, values, found, name, kept, notes, as_integers=numeric and gaps), why=why)


def _infer(
    numeric: bool, numbers: np.ndarray, wrong: np.ndarray, n_distinct: int, series: pd.Series, rows: Any
) -> tuple[str, str, bool]:
    """Return the kind, a sentence on why, and whether another kind may well be meant."""
    n = len(series)
    target = f"The target {str(series.name)!r}"
    if n_distinct == 2:
        return "binary", f"{target} takes two values.", False
    if not numeric:
        # Text that is nearly all numbers, with many values, is a quantity with a mistake in it.
        if (
            n_distinct > MAX_INTEGER_CLASSES
            and 0 < wrong.sum() <= (1 - PARTLY) * n
            and not isinstance(series.dtype, pd.CategoricalDtype)
        ):
            _no_quantity(series, wrong, rows)
        if n_distinct > MAX_INTEGER_CLASSES and not wrong.any() and not isinstance(series.dtype, pd.CategoricalDtype):
            return "regression", f"{target} is text, but all of it numbers: it is taken for a quantity.", True
        if n_distinct == n and n > 2:
            raise DataError(
                f"{target} is another text in every one of the {n:,} rows: no class can be learned from it."
            )
        return "multiclass", f"{target} holds {n_distinct} different labels.", False
    if not bool(np.all(numbers == np.trunc(numbers))):
        return "regression", f"{target} holds numbers that are not all whole.", False
    if n_distinct <= MAX_INTEGER_CLASSES and n_distinct <= max(2, MAX_INTEGER_CLASS_SHARE * n):
        return "multiclass", (
            f"{target} takes {n_distinct} whole numbers: they are taken for classes. "
            "If it is a quantity, say so: kind='regression', or --kind regression on the command line."
        ), True
    many = f"{target} takes {n_distinct:,} different whole numbers"
    if n_distinct > DOUBTFUL_WHOLE_NUMBERS:
        return "regression", f"{many}.", False
    return "regression", (
        f"{many} in {n:,} rows: it is taken for a quantity. "
        "If they are classes, say so: kind='multiclass', or --kind multiclass on the command line."
    ), True


def _no_quantity(series: pd.Series, wrong: np.ndarray, rows: Any) -> None:
    first = int(np.flatnonzero(wrong)[0])
    raise DataError(
        f"The target {str(series.name)!r} must hold numbers for a regression, but row {rows(first)} says "
        f"{str(series.iloc[first])!r}. Correct the cell, empty it to leave the row out, or say kind='multiclass'."
    )


def _numbers_row(kept: np.ndarray) -> Any:
    return lambda position: int(kept[position]) + 1


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _classes(
    codes: np.ndarray, values: list[Any], kind: str, name: str, kept: np.ndarray, notes: list[str], *, as_integers: bool
) -> Target:
    labels = [_plain(value) for value in values]
    # Whole numbers became floats only because some rows had none.
    if as_integers and all(isinstance(label, float) and label.is_integer() for label in labels):
        labels = [int(label) for label in labels]
    try:
        order = sorted(range(len(labels)), key=lambda i: labels[i])
    except TypeError:  # labels of several types have no order among each other
        order = sorted(range(len(labels)), key=lambda i: (type(labels[i]).__name__, str(labels[i])))
    if kind == "binary" and len(labels) != 2:
        raise DataError(
            f"kind is 'binary', but the target {name!r} has {len(labels)} values ({shown(labels, 4)}); say "
            f"kind='multiclass'."
        )
    place = np.empty(len(labels), np.int64)
    place[order] = np.arange(len(labels))
    y = place[codes]
    classes = tuple(labels[i] for i in order)
    rare = [f"{classes[i]!r}" for i, count in enumerate(np.bincount(y)) if count < 2]
    if rare:
        notes.append(
            f"Class(es) with a single row, which can only be trained on, never tested: {', '.join(rare[:8])}"
            + (f" and {len(rare) - 8} more." if len(rare) > 8 else ".")
        )
    return Target("binary" if kind == "binary" else "multiclass", y, classes, kept, tuple(notes))


def _several(frame: pd.DataFrame, kind: str | None, kept: np.ndarray, notes: list[str], constant: bool) -> Target:
    columns = []
    rows = _numbers_row(kept)
    if kind in ("regression", "binary", "multiclass"):
        raise DataError(
            f"kind is {kind!r}, which has one target column; {frame.shape[1]} are given: {shown(list(frame.columns))}."
        )
    for position, name in enumerate(frame.columns):
        numbers, wrong = as_numbers(frame.iloc[:, position])
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"Several targets must all be numbers, but {str(name)!r} says {str(frame.iloc[first, position])!r} "
                f"in row "
                f"{rows(first)}. Train one network per class target, or give 0/1 columns (multi-label)."
            )
        check_finite(numbers, str(name), rows)
        if numbers.min() == numbers.max() and not constant:
            raise DataError(
                f"The target {str(name)!r} has only one class or value, {numbers[0]:g}: there is nothing to learn. "
                f"Leave it out."
            )
        columns.append(numbers)
    y = np.stack(columns, axis=1)
    zero_one = bool(np.isin(y, (0.0, 1.0)).all())
    if kind == "multilabel" and not zero_one:
        raise DataError(
            f"kind is 'multilabel', but the targets {shown(list(frame.columns))} hold other values than 0 and 1; "
            f"say kind='multioutput'."
        )
    why = "" if kind else "The targets are all 0 or 1." if zero_one else "The targets are numbers, not all 0 or 1."
    if kind == "multilabel" or (kind is None and zero_one):
        return Target("multilabel", y.astype(np.int64), (), kept, tuple(notes), why)
    return Target("multioutput", y, (), kept, tuple(notes), why)
