"""Cells of text understood as numbers, dates, booleans or labels: the one place that decides what a cell says.

Reading, column inference and prediction all use these functions, so that a cell means the same in all three.
"""

from __future__ import annotations

import datetime as dt
import math
import numbers as abstract
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "MISSING_WORDS",
    "NUMERIC_MISSING_WORDS",
    "as_booleans",
    "as_dates",
    "as_labels",
    "as_numbers",
    "date_formats",
    "decimal_comma_share",
    "distinct",
    "has_leading_zeros",
    "is_missing_word",
    "label_text",
    "parse_number",
]

# Words that mean "no value" in any column (compared in lower case, after trimming).
MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "-nan", "null", "?", "<na>", "#n/a", "#na", "nat"})
# In a column of numbers a few more words cannot mean anything else; in a category "none" may be a level of its own.
NUMERIC_MISSING_WORDS = MISSING_WORDS | {"none", "-", "--", ".", "n.a."}

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]*),[0-9]+")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")
_UNITS = "$€£¥%"
_TRUE, _FALSE = frozenset({"true"}), frozenset({"false"})

# Formats that people write dates in, tried in this order; "ISO8601" covers every ISO form, with or without a time.
_DATE_FORMATS = (
    "ISO8601",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d-%b-%y",
    "%m/%d/%y",
    "%d.%m.%y",
)
_LOOKS_LIKE_DATE = re.compile(r"\d{1,4}[-/. ](?:\d{1,2}|[A-Za-z]{3,9})[-/., ]\s?\d{1,4}|[A-Za-z]{3,9} \d{1,2}, \d{4}")
_DAY_UNIT = "datetime64[us]"


def is_missing_word(text: str, *, numeric: bool = False) -> bool:
    """Tell whether a cell's text means "no value" (``numeric``: in a column of numbers)."""
    return text.strip().lower() in (NUMERIC_MISSING_WORDS if numeric else MISSING_WORDS)


def parse_number(text: str) -> float | None:
    """Return the number that a cell says, or None when it says no number.

    Thousands separators, a currency sign and a percent sign are read over; infinite values are returned as such.

    >>> parse_number(" 1,234.5 "), parse_number("$20"), parse_number("1e400"), parse_number("8+")
    (1234.5, 20.0, inf, None)
    """
    word = text.strip().strip(_UNITS).strip()
    if _NUMBER.fullmatch(word):
        return float(word)
    if _THOUSANDS.fullmatch(word):
        return float(word.replace(",", ""))
    return float(word) if _INFINITE.fullmatch(word) else None


def distinct(series: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Return codes (n,) (-1: missing) and the distinct present values, in order of appearance.

    Raises:
        TypeError: the column holds unhashable values (lists, dicts, arrays).
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        # The declared order of categories must not matter: only what occurs, when it first occurs.
        codes, used = pd.factorize(series.cat.codes.where(series.notna()))
        return np.asarray(codes, np.int64), list(series.cat.categories[used.astype(np.int64)])
    codes, uniques = pd.factorize(series)
    return np.asarray(codes, np.int64), list(uniques)


def _plain_number(value: Any) -> float | None:
    """Return a cell's number, NaN for a missing word, None when it is no number."""
    if isinstance(value, str):
        found = parse_number(value)
        return math.nan if found is None and is_missing_word(value, numeric=True) else found
    if isinstance(value, (dt.date, dt.timedelta, np.datetime64, np.timedelta64)):
        return None
    if isinstance(value, (bool, np.bool_, abstract.Real, np.number)) or type(value).__name__ == "Decimal":
        return None if isinstance(value, (complex, np.complexfloating)) else float(value)
    return None


def as_numbers(series: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 values (n,), NaN where missing, and a mask (n,) of cells that are present but no numbers."""
    dtype = series.dtype
    nothing_bad = np.zeros(len(series), bool)
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return series.to_numpy(np.float64), nothing_bad
    if isinstance(dtype, np.dtype) and dtype.kind == "m":
        return series.dt.total_seconds().to_numpy(np.float64), nothing_bad
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return np.full(len(series), np.nan), series.notna().to_numpy()
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return series.to_numpy(np.float64, na_value=np.nan), nothing_bad
    codes, values = distinct(series)
    found = [_plain_number(value) for value in values]
    table = np.array([math.nan if number is None else number for number in found] + [math.nan])
    wrong = np.array([number is None for number in found] + [False])
    return table[codes], wrong[codes]


def has_leading_zeros(texts: Sequence[str]) -> bool:
    """Tell whether some of the texts are digits behind a zero, like postal codes: names, not numbers."""
    return any(_LEADING_ZERO.fullmatch(text.strip()) for text in texts)


def decimal_comma_share(texts: Sequence[str]) -> float:
    """Return the share of texts that look like numbers with a decimal comma."""
    return sum(bool(_DECIMAL_COMMA.fullmatch(text.strip())) for text in texts) / max(len(texts), 1)


def label_text(value: Any) -> str | None:
    """Return a category's label as text, None when missing; one number has one text, however it is stored.

    >>> label_text(2.0), label_text("2"), label_text("2.0"), label_text("007"), label_text(" red "), label_text("?")
    ('2', '2', '2', '007', 'red', None)
    """
    if isinstance(value, str):
        word = value.strip()
        if is_missing_word(word):
            return None
        if not _NUMBER.fullmatch(word) or _LEADING_ZERO.match(word):
            return word
        value = float(word)
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (abstract.Integral, np.integer)):
        return str(int(value))
    if isinstance(value, (abstract.Real, np.floating)):
        number = float(value)
        if math.isnan(number):
            return None
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
    return str(value)


def as_labels(series: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return codes (n,) (-1: missing) and the distinct labels, in order of appearance."""
    codes, values = distinct(series)
    index: dict[str, int] = {}
    table = np.full(len(values) + 1, -1, np.int64)
    for position, value in enumerate(values):
        text = label_text(value)
        if text is not None:
            table[position] = index.setdefault(text, len(index))
    return table[codes], list(index)


def as_booleans(series: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return 1.0 / 0.0 / NaN (n,) and a mask (n,) of present cells that are neither true nor false."""
    codes, values = distinct(series)
    table, wrong = np.full(len(values) + 1, math.nan), np.zeros(len(values) + 1, bool)
    for position, value in enumerate(values):
        text = label_text(value)
        word = "" if text is None else text.lower()
        if word in _TRUE or word == "1":
            table[position] = 1.0
        elif word in _FALSE or word == "0":
            table[position] = 0.0
        else:
            wrong[position] = text is not None
    return table[codes], wrong[codes]


def _parse_dates(texts: Sequence[str], form: str) -> np.ndarray:
    """Return the dates (m,) that texts say in one format, without zone, NaT where they do not."""
    parsed = pd.to_datetime(pd.Series(list(texts), dtype=object), format=form, errors="coerce", utc=True)
    dates: np.ndarray = parsed.dt.tz_localize(None).to_numpy(_DAY_UNIT)
    return dates


def date_formats(texts: Sequence[str], share: float = 1.0) -> list[str]:
    """Return the formats in which at least ``share`` of the texts are dates, best first; [] when they are no dates."""
    sample = [text.strip() for text in texts[:200]]
    if not sample or sum(bool(_LOOKS_LIKE_DATE.match(text)) for text in sample) < share * len(sample):
        return []
    candidates = [form for form in _DATE_FORMATS if np.mean(~np.isnat(_parse_dates(sample, form))) >= share]
    if len(texts) > len(sample):
        candidates = [form for form in candidates if np.mean(~np.isnat(_parse_dates(texts, form))) >= share]
    hits = {form: np.mean(~np.isnat(_parse_dates(texts, form))) for form in candidates}
    return sorted(candidates, key=lambda form: -hits[form])


def as_dates(series: pd.Series, form: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Return datetime64 values (n,), NaT where missing, and a mask (n,) of present cells that are no dates.

    Args:
        series: dates, or texts of dates; zones are turned into UTC.
        form: the format of texts; empty: found out.
    """
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        stamps = pd.to_datetime(series, utc=True).dt.tz_localize(None)
        return stamps.to_numpy(_DAY_UNIT), np.zeros(len(series), bool)
    if isinstance(series.dtype, pd.PeriodDtype):
        return series.dt.to_timestamp().to_numpy(_DAY_UNIT), np.zeros(len(series), bool)
    codes, values = distinct(series)
    table = np.full(len(values) + 1, np.datetime64("NaT"), _DAY_UNIT)
    texts = [
        (position, value.strip())
        for position, value in enumerate(values)
        if isinstance(value, str) and not is_missing_word(value)
    ]
    if texts:
        words = [word for _, word in texts]
        forms = [form] if form else date_formats(words, 0.5)[:1]
        if forms:
            table[[position for position, _ in texts]] = _parse_dates(words, forms[0])
    for position, value in enumerate(values):
        if isinstance(value, (dt.date, np.datetime64)):
            stamp = pd.Timestamp(value)
            table[position] = (stamp.tz_convert("UTC").tz_localize(None) if stamp.tz else stamp).to_datetime64()
    present = [not isinstance(value, str) or not is_missing_word(value) for value in values]
    wrong = np.isnat(table) & np.array([*present, False])
    return table[codes], wrong[codes]
