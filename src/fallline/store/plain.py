"""Values as JSON text that reads back exactly.

Floats are written with as many digits as bring back the same float64. What JSON has no word for is an object with one
key that begins with "$":

- ``{"$float": "nan"}``, ``"inf"``, ``"-inf"``;
- ``{"$array": [dtype, shape, flat values]}`` for NumPy arrays of numbers, booleans or text;
- ``{"$time": ["datetime" | "date", ISO 8601]}``;
- ``{"$map": [[key, value], ...]}`` for mappings whose keys are not text, or begin with "$".

Tuples come back as lists, NumPy scalars as Python's numbers.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.errors import RunFolderError

__all__ = ["dumps", "loads"]

_ARRAY_KINDS = "biufU"


def dumps(value: Any, *, indent: int | None = None) -> bytes:
    """Return a value as JSON text in ASCII.

    >>> dumps({"loss": float("nan"), "n": np.int64(3)})
    b'{"loss": {"$float": "nan"}, "n": 3}'

    Raises:
        RunFolderError: a part of it is not plain; the message says where it stands.
    """
    return json.dumps(_to_json(value, "the value"), indent=indent, allow_nan=False).encode("ascii")


def loads(data: bytes) -> Any:
    """Return the value that `dumps` wrote.

    Raises:
        ValueError: the text is not such JSON.
    """
    try:
        return _from_json(json.loads(data.decode("ascii"), parse_constant=_refuse, object_pairs_hook=_unique))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _to_json(value: Any, where: str) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _ARRAY_KINDS:
            raise RunFolderError(
                f"{where} is an array of {value.dtype}; only numbers, booleans and text can be stored."
            )
        return {"$array": [value.dtype.str, list(value.shape), [_to_json(v, where) for v in value.ravel().tolist()]]}
    if isinstance(value, np.datetime64):
        return _to_json(value.astype("datetime64[us]").item(), where)
    if isinstance(value, dt.datetime):  # pandas' Timestamp is one, too, and so is its NaT, which equals nothing
        if value != value:
            return None
        return {"$time": ["datetime", value.isoformat()]}
    if isinstance(value, dt.date):
        return {"$time": ["date", value.isoformat()]}
    if isinstance(value, np.generic):
        return _to_json(value.item(), where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else {"$float": str(number)}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str(key): _to_json(item, f"{where}, {key!r}") for key, item in value.items()}
        return {"$map": [[_to_json(k, where), _to_json(v, f"{where}, {k!r}")] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, f"{where}, item {i}") for i, item in enumerate(value)]
    raise RunFolderError(
        f"{where} is a {type(value).__name__}, which cannot be stored: "
        "allowed are numbers, text, times, lists, mappings and arrays."
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value), "")
    if not tag.startswith("$"):
        return {key: _from_json(item) for key, item in value.items()}
    content = value[tag]
    if len(value) != 1:
        raise ValueError(f"{tag} stands beside other keys")
    if tag == "$float" and content in ("nan", "inf", "-inf"):
        return float(content)
    if tag == "$array":
        return _array(*content)
    if tag == "$time":
        kind, text = content
        return {"datetime": dt.datetime, "date": dt.date}[kind].fromisoformat(text)
    if tag == "$map":
        return {_from_json(key): _from_json(item) for key, item in content}
    raise ValueError(f"{tag!r} is not known")


def _array(dtype: str, shape: list[int], flat: list[Any]) -> np.ndarray:
    kind = np.dtype(dtype)
    # Text grows to the declared width in memory: a few bytes must not be able to ask for gigabytes.
    if kind.kind not in _ARRAY_KINDS or kind.itemsize > 4096 or len(flat) != math.prod(shape):
        raise ValueError(f"an array of {dtype} with shape {shape} is not allowed")
    return np.array([_from_json(item) for item in flat], kind).reshape(shape)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key stands twice")
    return out
