"""A `Preparation` as plain JSON values, and back with every type, size and number checked.

A run folder may come from a stranger: nothing in it is trusted before it was checked here.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from fallline.data.preparation import Preparation
from fallline.data.raw import BOOLEAN_LEVELS, RawColumn
from fallline.errors import DataError

__all__ = ["FORMAT", "from_plain", "to_plain"]

FORMAT = 1
_VECTORS = ("numeric_fill", "numeric_center", "numeric_scale", "target_center", "target_scale")
_INDICES = ("numeric_index", "indicator_index")
_COLUMN_TYPES: dict[str, type] = {
    "name": str,
    "kind": str,
    "levels": list,
    "other": bool,
    "rare": list,
    "missing": bool,
    "reference": str,
    "date_format": str,
}


def to_plain(preparation: Preparation) -> dict[str, Any]:
    """Return a preparation as lists, dicts, strings and numbers."""
    columns = [
        {name: list(value) if isinstance(value := getattr(column, name), tuple) else value for name in _COLUMN_TYPES}
        for column in preparation.columns
    ]
    plain: dict[str, Any] = {
        "format": FORMAT,
        "columns": columns,
        "input_names": list(preparation.input_names),
        "left_out": list(preparation.left_out),
        "arrays": preparation.arrays,
        "clip": preparation.clip,
    }
    if len(preparation.whiten_matrix):
        plain["whitening"] = {
            "how": preparation.whitened,
            "center": preparation.whiten_center.tolist(),
            "matrix": preparation.whiten_matrix.tolist(),
        }
    return plain | {name: getattr(preparation, name).tolist() for name in (*_INDICES, *_VECTORS)}


def from_plain(stored: Mapping[str, Any]) -> Preparation:
    """Return the preparation that `to_plain` wrote; raise `DataError` when anything is not as it wrote it."""
    if not isinstance(stored, Mapping):
        raise _bad(f"it is {type(stored).__name__}, not an object with named entries")
    expected = {"format", *(field.name for field in fields(Preparation) if not field.name.startswith("whiten"))}
    if set(stored) - {"whitening"} != expected:
        raise _bad(
            f"entries missing: {sorted(expected - set(stored))}, unknown: "
            f"{sorted(map(str, set(stored) - expected - {'whitening'}))}"
        )
    if stored["format"] != FORMAT or isinstance(stored["format"], bool):
        raise _bad(f"its format is {stored['format']!r}; this version reads {FORMAT}")
    columns = tuple(_column(item) for item in _list(stored["columns"], "columns", dict))
    input_names = _names(stored["input_names"], "input_names")
    left_out = _names(stored["left_out"], "left_out")
    names = [column.name for column in columns]
    if (
        not columns
        or names != [name for name in input_names if name not in set(left_out)]
        or not set(left_out) <= set(input_names)
    ):
        raise _bad("its columns, input_names and left_out contradict each other")
    if not isinstance(stored["arrays"], bool):
        raise _bad("arrays must be true or false")
    numeric = np.array([i for i, column in enumerate(columns) if not column.is_category], np.int64)
    index: dict[str, Any] = {name: _index(stored[name], name, len(columns)) for name in _INDICES}
    if not np.array_equal(index["numeric_index"], numeric) or not set(index["indicator_index"].tolist()) <= set(
        numeric.tolist()
    ):
        raise _bad("numeric_index and indicator_index must name the columns that hold numbers")
    vectors: dict[str, Any] = {name: _vector(stored[name], name) for name in _VECTORS}
    for name in ("numeric_fill", "numeric_center", "numeric_scale"):
        if len(vectors[name]) != len(numeric):
            raise _bad(f"{name} has {len(vectors[name])} numbers for {len(numeric)} numeric columns")
    if len(vectors["target_center"]) != len(vectors["target_scale"]) or not len(vectors["target_scale"]):
        raise _bad("target_center and target_scale must have one number per output")
    if (vectors["target_scale"] <= 0).any() or (vectors["numeric_scale"] < 0).any():
        raise _bad("scales must be positive")
    clip = _number(stored["clip"], "clip")
    if clip < 0:
        raise _bad("clip must be >= 0")
    return Preparation(
        columns=columns,
        input_names=input_names,
        left_out=left_out,
        arrays=stored["arrays"],
        clip=clip,
        **index,
        **vectors,
        **(_whitening(stored["whitening"], len(numeric)) if "whitening" in stored else {}),
    )


def _whitening(stored: Any, m: int) -> dict[str, Any]:
    if not isinstance(stored, Mapping) or set(stored) != {"how", "center", "matrix"}:
        raise _bad("whitening must have the entries how, center and matrix")
    if stored["how"] not in ("pca", "zca"):
        raise _bad(f"whitening.how is {stored['how']!r}; it must be pca or zca")
    if not isinstance(stored["matrix"], list):
        raise _bad("whitening.matrix must be a list of rows")
    rows = [_vector(row, "whitening.matrix") for row in stored["matrix"]]
    center = _vector(stored["center"], "whitening.center")
    if not m or len(center) != m or len(rows) != m or any(len(row) != m for row in rows):
        raise _bad(f"whitening must have {m} x {m} numbers, one row and one column per column of numbers")
    return {"whiten_center": center, "whiten_matrix": np.stack(rows), "whitened": stored["how"]}


def _bad(why: str) -> DataError:
    return DataError(f"The stored preparation cannot be used: {why}. It is damaged or was not written by fallline.")


def _list(value: Any, name: str, kind: type) -> list[Any]:
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise _bad(f"{name} must be a list of {kind.__name__}")
    return value


def _names(value: Any, name: str) -> tuple[str, ...]:
    names = tuple(_list(value, name, str))
    if len(set(names)) != len(names):
        raise _bad(f"{name} repeats a name")
    return names


def _column(item: Mapping[str, Any]) -> RawColumn:
    if set(item) != set(_COLUMN_TYPES):
        raise _bad(f"a column has the entries {sorted(map(str, item))}; it must have {sorted(_COLUMN_TYPES)}")
    for name, kind in _COLUMN_TYPES.items():
        if type(item[name]) is not kind:
            raise _bad(f"{name} of a column must be {kind.__name__}")
    column = RawColumn(**{**item, "levels": _names(item["levels"], "levels"), "rare": _names(item["rare"], "rare")})
    if column.kind not in ("numeric", "boolean", "date", "category"):
        raise _bad(f"column {column.name!r} has the kind {column.kind!r}")
    special = bool(column.levels or column.rare or column.other or column.missing)
    if (
        (special and not column.is_category)
        or column.other != bool(column.rare)
        or set(column.levels) & set(column.rare)
    ):
        raise _bad(f"the levels of column {column.name!r} contradict each other")
    if column.kind == "boolean" and (column.levels != BOOLEAN_LEVELS or column.other):
        raise _bad(f"the boolean column {column.name!r} must have the levels {BOOLEAN_LEVELS}")
    if (column.kind == "date") != bool(column.reference) or (column.date_format and column.kind != "date"):
        raise _bad(f"only date columns have a reference day; column {column.name!r}")
    if column.reference:
        try:
            dt.date.fromisoformat(column.reference)
        except ValueError as error:
            raise _bad(f"{column.reference!r} is no day") from error
    return column


def _index(value: Any, name: str, n: int) -> np.ndarray:
    numbers = _list(value, name, int)
    if any(not 0 <= number < n for number in numbers) or numbers != sorted(set(numbers)):
        raise _bad(f"{name} must hold increasing positions below {n}")
    return np.array(numbers, np.int64)


def _number(value: Any, name: str) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise _bad(f"{name} must hold finite numbers")


def _vector(value: Any, name: str) -> np.ndarray:
    if not isinstance(value, list):
        raise _bad(f"{name} must be a list of numbers")
    return np.array([_number(item, name) for item in value], np.float64)
