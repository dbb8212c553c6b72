"""What each input column is: numeric, boolean, date or category, or left out with the reason."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fallline.data.values import (
    as_booleans,
    as_dates,
    as_labels,
    as_numbers,
    date_formats,
    decimal_comma_share,
    distinct,
    has_leading_zeros,
    is_missing_word,
    parse_number,
)
from fallline.errors import DataError
from fallline.types import Column

__all__ = ["LARGEST_NUMBER", "Understood", "check_finite", "understand"]

# From this share of numbers (or dates) on, the other cells are taken for mistakes, not for a category's levels.
MOSTLY = 0.95
# From this share on, a column that would be useless as a category is taken for numbers with mistakes.
PARTLY = 0.5
# A column of few whole numbers and of words with a digit in them ("3", "4", "5more", "8+") is a category.
FEW_LEVELS = 20
# Text that differs in (nearly) every row says nothing about the next row.
UNIQUE_ROWS, NEARLY_UNIQUE, NEARLY_UNIQUE_ROWS = 20, 0.95, 50
# Free text: long, or several words and mostly different.
LONG_TEXT, MANY_WORDS, MOSTLY_DIFFERENT = 60.0, 4.0, 0.3
LARGEST_NUMBER = float(np.finfo(np.float32).max)

_ID_NAME = re.compile(
    r"(?:.*[_\-. ])?(?:id|key|uuid|guid)|index|row|number|no|nr|#|unnamed: ?0|rownames?|"
    r"row[_\-. ]?(?:id|nr|no|number|names?)",
    re.IGNORECASE,
)
_CAMEL_ID = re.compile(r".*[a-z]I[Dd]")


@dataclass(frozen=True, eq=False)
class Understood:
    """One column as understood.

    Args:
        column: name, kind and reason.
        values: the column in its canonical form: numbers, nullable booleans, dates without zone, categories of text;
            left-out columns as they came.
        note: a sentence for the user, or "".
        date_format: for dates that came as text: their format.
    """

    column: Column
    values: pd.Series
    note: str = ""
    date_format: str = ""


def check_finite(values: np.ndarray, name: str, row_number: Callable[[int], int]) -> None:
    """Raise when a number is infinite or too large for single precision, naming column and row."""
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(np.abs(values) > LARGEST_NUMBER)
    if len(wrong):
        value = values[wrong[0]]
        what = "infinite (inf)" if np.isinf(value) else f"too large for single precision (at most {LARGEST_NUMBER:.1e})"
        raise DataError(
            f"Column {name!r}, row {row_number(int(wrong[0]))}: {value:g} is {what}. Correct the value, or make it "
            f"missing (NaN)."
        )


def understand(name: str, series: pd.Series, row_number: Callable[[int], int] = lambda row: row + 1) -> Understood:
    """Find out what one input column is, and return it in its canonical form.

    Args:
        name: the column's name.
        series: its values (n,).
        row_number: position -> the row number that the user would count.

    Raises:
        DataError: infinite values; text among numbers, or a wrong date among dates, naming row and value; complex
            numbers.
    """
    if pd.api.types.is_complex_dtype(series.dtype):
        raise DataError(
            f"Complex data not supported: column {name!r} is complex; give real and imaginary part as two columns."
        )
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iufm":
        return _numeric(name, series, row_number)
    try:
        codes, values = distinct(series)
    except TypeError:
        kind = type(
            next((value for value in series if isinstance(value, (list, dict, set, np.ndarray))), None)
        ).__name__
        return _left_out(name, series, f"its values are nested ({kind})")
    absent = [value is None or (isinstance(value, str) and is_missing_word(value)) for value in values]
    present = [value for value, gone in zip(values, absent, strict=True) if not gone]
    if not present:
        return _left_out(name, series, "it has no values")
    n_missing = int((codes < 0).sum() + np.isin(codes, np.flatnonzero(absent)).sum())
    if len(present) == 1 and not n_missing and len(series) > 1:
        return _left_out(name, series, "the same value in every row")
    return _by_type(name, series, present, len(series) - n_missing, row_number)


def _left_out(name: str, series: pd.Series, reason: str) -> Understood:
    return Understood(Column(name, "left_out", reason), series)


def _by_type(
    name: str, series: pd.Series, present: list[Any], n_present: int, row_number: Callable[[int], int]
) -> Understood:
    if isinstance(series.dtype, pd.CategoricalDtype) and not all(isinstance(value, str) for value in present):
        return _category(name, series)  # declared a category by the user
    if pd.api.types.is_bool_dtype(series.dtype) or all(isinstance(value, (bool, np.bool_)) for value in present):
        return _boolean(name, series)
    if pd.api.types.is_datetime64_any_dtype(series.dtype) or isinstance(series.dtype, pd.PeriodDtype):
        return _date(name, series, "")
    if pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_timedelta64_dtype(series.dtype):
        return _numeric(name, series, row_number)
    kinds = {type(value) for value in present}
    if all(issubclass(kind, dt.date) for kind in kinds):
        return _date(name, series, "")
    if not any(issubclass(kind, str) for kind in kinds):
        values, wrong = as_numbers(series)
        if wrong.any():
            odd = next(kind.__name__ for kind in kinds)
            return _left_out(name, series, f"its values are of a type that is not understood ({odd})")
        return _numeric(name, pd.Series(values), row_number)
    return _text(name, series, [str(value).strip() for value in present], n_present, row_number)


def _text(
    name: str, series: pd.Series, words: list[str], n_present: int, row_number: Callable[[int], int]
) -> Understood:
    """Decide about text: booleans, numbers, dates, categories, or nothing that a network could use."""
    if {word.lower() for word in words} <= {"true", "false"}:
        return _boolean(name, series)
    declared = isinstance(series.dtype, pd.CategoricalDtype)
    if declared and len(words) <= max(FEW_LEVELS, n_present * PARTLY):
        return _category(name, series)
    useless = _useless_text(words, n_present)
    zeros = has_leading_zeros(words)
    if not zeros:
        values, wrong = as_numbers(series)
        share = 1.0 - wrong.sum() / max(n_present, 1)
        if not wrong.any():
            return _numeric(name, pd.Series(values), row_number)
        if decimal_comma_share(words) >= MOSTLY:
            raise DataError(
                f"Column {name!r} holds numbers with a decimal comma, such as {words[0]!r}: read the file with "
                f"decimal=',', "
                "or replace the comma by a point."
            )
        if (share >= MOSTLY and not _counts_with_more(words)) or (share >= PARTLY and useless):
            _text_among_numbers(name, series, wrong, row_number)
    if formats := date_formats(words, MOSTLY):
        return _text_date(name, series, formats, row_number)
    if useless:
        return _left_out(name, series, useless)
    return _category(name, series)


def _useless_text(words: list[str], n_present: int) -> str:
    """Return why a column of text cannot help, or ""."""
    share = len(words) / max(n_present, 1)
    if (share == 1.0 and n_present >= UNIQUE_ROWS) or (share > NEARLY_UNIQUE and n_present >= NEARLY_UNIQUE_ROWS):
        return (
            "nearly every value is different, like a name or an id"
            if share < 1
            else "every value is different, like a name or an id"
        )
    length, spaces = np.mean([len(word) for word in words]), np.mean([len(word.split()) for word in words])
    if n_present >= UNIQUE_ROWS and share > MOSTLY_DIFFERENT and (length > LONG_TEXT or spaces >= MANY_WORDS):
        return "free text, which this network cannot read"
    return ""


def _counts_with_more(words: list[str]) -> bool:
    """Tell whether words are few whole numbers and words with a digit, like 1, 2, 3, "4+"."""
    numbers = [number for number in map(parse_number, words) if number is not None]
    others = [word for word in words if parse_number(word) is None and not is_missing_word(word, numeric=True)]
    return (
        len(words) <= FEW_LEVELS
        and all(number.is_integer() for number in numbers)
        and all(any(char.isdigit() for char in word) for word in others)
    )


def _text_among_numbers(name: str, series: pd.Series, wrong: np.ndarray, row_number: Callable[[int], int]) -> None:
    first = int(np.flatnonzero(wrong)[0])
    more = f" ({int(wrong.sum()) - 1} more such cells)" if wrong.sum() > 1 else ""
    raise DataError(
        f"Column {name!r} holds numbers, but row {row_number(first)} says {str(series.iloc[first])!r}{more}. "
        "Correct the cell; or empty it, or write NA, if the value is missing; or leave the column out; "
        "or, if the numbers are only names of categories, write them with a letter."
    )


def _numeric(name: str, series: pd.Series, row_number: Callable[[int], int]) -> Understood:
    values, _ = as_numbers(series)
    present = values[~np.isnan(values)]
    if not len(present):
        return _left_out(name, series, "it has no values")
    check_finite(values, name, row_number)
    if len(present) == len(values) and len(values) > 1:
        if present.min() == present.max():
            return _left_out(name, series, "the same value in every row")
        if _looks_like_id(name, values):
            return _left_out(name, series, "whole numbers that differ in every row, under a name like an id")
    stay = isinstance(series.dtype, np.dtype) and series.dtype.kind in "iuf"
    return Understood(Column(name, "numeric"), series if stay else pd.Series(values))


def _looks_like_id(name: str, values: np.ndarray) -> bool:
    """Tell an id by its name; a name that may also be a quantity ("number") needs consecutive values as well."""
    if len(values) < UNIQUE_ROWS or not (_ID_NAME.fullmatch(name.strip()) or _CAMEL_ID.fullmatch(name.strip())):
        return False
    if np.any(values != np.trunc(values)) or len(np.unique(values)) < len(values):
        return False
    consecutive = values.max() - values.min() + 1 == len(values)
    certain = re.fullmatch(r"(?:.*[_\-. ])?(?:id|uuid|guid|key)", name.strip(), re.IGNORECASE) or _CAMEL_ID.fullmatch(
        name.strip()
    )
    return bool(consecutive or certain)


def _boolean(name: str, series: pd.Series) -> Understood:
    values, _ = as_booleans(series)
    known = pd.array(values == 1.0, dtype="boolean")
    known[np.isnan(values)] = pd.NA
    return Understood(Column(name, "boolean"), pd.Series(known))


def _date(name: str, series: pd.Series, form: str) -> Understood:
    values, _ = as_dates(series, form)
    return Understood(Column(name, "date"), pd.Series(values), date_format=form)


def _text_date(name: str, series: pd.Series, formats: list[str], row_number: Callable[[int], int]) -> Understood:
    form = formats[0]
    values, wrong = as_dates(series, form)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"Column {name!r} holds dates, but row {row_number(first)} says {str(series.iloc[first])!r}, which is "
            f"no date of "
            "the same form. Correct the cell, empty it if the value is missing, or leave the column out."
        )
    both = {"%m/%d/%Y", "%d/%m/%Y"} <= set(formats)
    note = f"Dates in {name!r} are read as month/day/year; day/month/year would fit, too." if both else ""
    return Understood(Column(name, "date"), pd.Series(values), note, form)


def _category(name: str, series: pd.Series) -> Understood:
    codes, labels = as_labels(series)
    return Understood(Column(name, "category"), pd.Series(pd.Categorical.from_codes(codes, categories=labels)))
