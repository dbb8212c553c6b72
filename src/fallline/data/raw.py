"""The raw matrix: one column of float32 per used column of a table, the input of the saved model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fallline.data.infer import check_finite
from fallline.data.values import as_booleans, as_dates, as_labels, as_numbers
from fallline.errors import DataError

__all__ = ["BOOLEAN_LEVELS", "MISSING_LEVEL", "OTHER_LEVEL", "RawColumn", "raw_matrix"]

BOOLEAN_LEVELS = ("False", "True")
OTHER_LEVEL, MISSING_LEVEL = "(other)", "(missing)"
_DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")


@dataclass(frozen=True)
class RawColumn:
    """One column of the raw matrix.

    Args:
        name: the column's name in the table.
        kind: ``numeric``, ``boolean``, ``date`` or ``category``.
        levels: labels with codes 1, 2 ... (booleans and categories), without the two special levels.
        other: a last-but-one level ``(other)`` holds the rare labels among the training rows, listed in ``rare``.
        rare: the labels that share ``(other)``.
        missing: a last level ``(missing)`` exists, because values were missing among the training rows.
        reference: day 0 of a date column, ISO text; else "".
        date_format: the format in which dates came as text; "" when they came as dates.
    """

    name: str
    kind: str
    levels: tuple[str, ...] = ()
    other: bool = False
    rare: tuple[str, ...] = ()
    missing: bool = False
    reference: str = ""
    date_format: str = ""

    @property
    def level_names(self) -> tuple[str, ...]:
        """Names of all levels, codes 1 .. L in order, the special ones included."""
        return self.levels + (OTHER_LEVEL,) * self.other + (MISSING_LEVEL,) * self.missing

    @property
    def is_category(self) -> bool:
        """True when the raw matrix holds codes for this column."""
        return self.kind in ("boolean", "category")


def raw_matrix(columns: Sequence[RawColumn], table: pd.DataFrame) -> np.ndarray:
    """Return the raw matrix (n, n_raw) float32 of a table that has all the columns."""
    out = np.empty((len(table), len(columns)), np.float32)
    for index, column in enumerate(columns):
        series = table[column.name]
        if isinstance(series, pd.DataFrame):
            raise DataError(f"The column {column.name!r} occurs more than once in the table.")
        try:
            out[:, index] = _raw_values(column, series)
        except TypeError as error:
            raise DataError(
                f"Column {column.name!r} holds nested or unsupported values ({error}); give one {column.kind} value "
                f"per row."
            ) from error
    return out


def _raw_values(column: RawColumn, series: pd.Series) -> np.ndarray:
    values: np.ndarray
    if column.kind == "numeric":
        values, wrong = as_numbers(series)
        _refuse(column, series, wrong, "numbers", "Correct the cell, or leave it empty if the value is missing.")
        check_finite(values, column.name, lambda row: row + 1)
        return values
    if column.kind == "date":
        dates, wrong = as_dates(series, column.date_format)
        form = f" of the form {column.date_format}" if column.date_format else ""
        _refuse(column, series, wrong, "dates" + form, "Correct the cell, or leave it empty if the date is missing.")
        days: np.ndarray = (dates - np.datetime64(column.reference, "us")).astype(np.float64) / _DAY
        days[np.isnat(dates)] = np.nan
        return days
    if column.kind == "boolean":
        values, wrong = as_booleans(series)
        absent = float(len(BOOLEAN_LEVELS) + 1 if column.missing else 0)
        return np.where(wrong, 0.0, np.where(np.isnan(values), absent, values + 1.0))
    codes, labels = as_labels(series)
    known = {label: code for code, label in enumerate(column.levels, 1)}
    known |= dict.fromkeys(column.rare, len(column.levels) + 1)
    table = np.array(
        [known.get(label, 0) for label in labels] + [len(column.level_names) if column.missing else 0], np.float64
    )
    values = table[codes]
    return values


def _refuse(column: RawColumn, series: pd.Series, wrong: np.ndarray, what: str, advice: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"Column {column.name!r} must hold {what}, but row {row + 1} says {str(series.iloc[row])!r}. {advice}"
        )
