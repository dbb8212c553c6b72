"""From a table and its target to a `Problem`: inputs understood, target encoded, everything said that was decided."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fallline.data.frames import array_names, as_frame, require_column, shown
from fallline.data.infer import Understood, understand
from fallline.data.target import Target, encode_target
from fallline.data.values import as_dates, as_labels
from fallline.errors import DataError
from fallline.types import Column, Problem

__all__ = ["fingerprint", "likely_target", "make_problem"]

_TARGET_NAMES = ("target", "y", "label", "class")


def make_problem(
    x: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    kind: str | None = None,
    sample_weight: Any = None,
    group: Any = None,
    leave_out: Sequence[str] = (),
    source: str = "",
    allow_constant_target: bool = False,
) -> Problem:
    """Understand a table: its columns' kinds, its target, and the kind of problem.

    Args:
        x: the inputs (n, p): any frame, 2-d array, list of rows or sparse matrix; with ``target`` it holds the target,
            too.
        y: the target: array or Series (n,), frame or array (n, k), or the name(s) of columns of ``x``.
        target: name(s) of the target column(s) in ``x``, instead of ``y``.
        kind: ``regression``, ``binary``, ``multiclass``, ``multioutput`` or ``multilabel``; None: inferred from the
            target.
        sample_weight: weights of the rows (n,), >= 0, or the name of their column in ``x``.
        group: labels (n,) of rows that belong together, or the name of their column in ``x`` (then no input).
        leave_out: names of columns that shall not be used.
        source: where the data came from, in words.
        allow_constant_target: let quantities and 0/1 labels pass that never vary, as they may in one fold of a
            cross-validation, instead of asking the user what is meant.

    Raises:
        DataError: with what was given, what is allowed and what to do.

    >>> problem = make_problem({"size": [1.0, 2.0, 3.0, 4.0], "price": [1.1, 2.3, 2.9, 4.2]}, target="price")
    >>> problem.kind, problem.columns
    ('regression', (Column(name='size', kind='numeric', reason=''),))
    """
    frame = as_frame(x)
    names = list(frame.columns)
    targets, frame = _take_target(frame, y, target)
    n = len(frame)
    dropped = dict.fromkeys(_listed(leave_out), "left out on request")
    for name in dropped:
        require_column(name, names, "leave_out")
    dropped = {name: reason for name, reason in dropped.items() if name in frame.columns}
    weight, frame = _take_weight(frame, sample_weight, n)
    groups = _take_groups(frame, group, n)
    if isinstance(group, str):
        dropped[group] = "it says which rows belong together"
    encoded = encode_target(targets, kind, allow_constant=allow_constant_target)
    kept = encoded.kept
    understood = _understand_all(frame.iloc[kept] if len(kept) < n else frame, dropped, kept)
    columns = tuple(item.column for item in understood)
    data = pd.DataFrame({item.column.name: item.values.reset_index(drop=True) for item in understood})
    data.attrs["date_formats"] = {item.column.name: item.date_format for item in understood if item.date_format}
    if weight is not None:
        weight = _check_weight(weight[kept])
    return Problem(
        kind=encoded.kind,
        frame=data,
        y=encoded.y,
        target_names=tuple(str(name) for name in targets.columns),
        classes=encoded.classes,
        columns=columns,
        notes=(*frame.attrs.get("notes", ()), *encoded.notes, *_column_notes(understood, dropped)),
        sample_weight=weight,
        groups=None if groups is None else groups[kept],
        fingerprint=fingerprint(data, columns, encoded),
        source=source,
        why=encoded.why,
    )


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else [str(name) for name in names]


def _take_target(frame: pd.DataFrame, y: Any, target: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the target columns (n, k) and the other columns."""
    if y is not None and target is not None:
        raise DataError("Both y and target are given; give y (the values) or target (names of columns of x), not both.")
    if target is None and _names_columns(y, frame):
        target, y = y, None
    if target is not None:
        chosen = list(dict.fromkeys(_listed(target)))
        for name in chosen:
            require_column(name, list(frame.columns), "target")
        rest = frame.drop(columns=chosen)
        if not rest.shape[1]:
            raise DataError(
                f"The table has no other column than the target {shown(chosen)}: at least one input is needed."
            )
        return frame[chosen], rest
    if y is None:
        raise DataError(
            f"No target is given: say which column is to be predicted, for example "
            f"target={likely_target(frame.columns)!r}. The columns are {shown(list(frame.columns))}."
        )
    targets = _as_targets(y)
    if len(targets) != len(frame):
        raise DataError(
            f"x and y have inconsistent numbers of samples: x has {len(frame):,} rows, y has {len(targets):,}; give "
            f"one target per row."
        )
    return targets, frame


def likely_target(columns: Sequence[str]) -> str:
    """Return the column to name as an example in a message when no target was given.

    >>> likely_target(["size", "Label", "town"])
    'Label'
    """
    return next((name for name in columns if name.lower() in _TARGET_NAMES), columns[-1])


def _names_columns(y: Any, frame: pd.DataFrame) -> bool:
    if isinstance(y, str):
        return True
    return isinstance(y, (list, tuple)) and len(y) != len(frame) and bool(y) and all(isinstance(n, str) for n in y)


def _as_targets(y: Any) -> pd.DataFrame:
    if isinstance(y, (pd.Index, pd.api.extensions.ExtensionArray)):
        y = pd.Series(y)
    if isinstance(y, pd.Series):
        return y.to_frame(name="target" if y.name is None else str(y.name)).reset_index(drop=True)
    if hasattr(y, "to_frame") and hasattr(y, "to_arrow"):  # a Polars series
        frame = as_frame(y.to_frame(), "y")
        return frame.set_axis([name or "target" for name in frame.columns], axis=1)
    if (
        not isinstance(y, pd.DataFrame)
        and (hasattr(y, "__arrow_c_stream__") or hasattr(y, "__dataframe__"))
        and not hasattr(y, "columns")
        and not hasattr(y, "column_names")
    ):
        return pd.DataFrame({"target": pd.Series(y.to_pandas())})  # an Arrow array
    if hasattr(y, "tocsr"):
        raise DataError("y is a sparse matrix (sparse multilabel targets are not supported); give y.toarray().")
    if isinstance(y, (list, tuple)):
        mixed = any(isinstance(value, (str, bool)) or value is None for value in y)
        y = np.array(y, dtype=object) if mixed else np.asarray(y)
    if isinstance(y, np.ndarray) or (hasattr(y, "__array__") and not hasattr(y, "columns")):
        array = np.ma.filled(y.astype(np.float64), np.nan) if isinstance(y, np.ma.MaskedArray) else np.asarray(y)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 1:
            return pd.DataFrame({"target": array.astype(object) if array.dtype.kind in "SU" else array})
        if array.ndim == 2 and array.shape[1]:
            return pd.DataFrame(array, columns=[f"target{i}" for i in range(array.shape[1])])
        raise DataError(f"y has the shape {array.shape}; it must be (rows,) or (rows, targets).")
    frame = as_frame(y, "y")
    arrayish = list(frame.columns) == array_names(frame.shape[1])
    return (
        frame.set_axis([f"target{i}" for i in range(frame.shape[1])], axis=1)
        if arrayish and frame.shape[1] > 1
        else frame
    )


def _vector(values: Any, n: int, what: str) -> np.ndarray:
    if isinstance(values, pd.DataFrame):
        values = values.iloc[:, 0] if values.shape[1] == 1 else values.to_numpy()
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    array = (
        np.array(values, dtype=object)
        if isinstance(values, (list, tuple)) and any(isinstance(v, str) for v in values)
        else np.asarray(values)
    )
    if array.ndim != 1 or len(array) != n:
        raise DataError(f"{what} has the shape {array.shape}; it must be ({n},), one value per row.")
    return array


def _take_weight(frame: pd.DataFrame, weight: Any, n: int) -> tuple[np.ndarray | None, pd.DataFrame]:
    if weight is None:
        return None, frame
    if isinstance(weight, str):
        require_column(weight, list(frame.columns), "sample_weight")
        values, rest = frame[weight], frame.drop(columns=weight)
        if not rest.shape[1]:
            raise DataError(
                f"The table has no other column than the target and the weights {weight!r}: at least one input is "
                f"needed."
            )
    else:
        values, rest = weight, frame
    try:
        return _vector(values, n, "sample_weight").astype(np.float64), rest
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"sample_weight must hold numbers >= 0: {error}.") from error


def _check_weight(weight: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise DataError(
            f"sample_weight is {weight[wrong[0]]:g} at position {int(wrong[0]) + 1}; weights must be finite and >= 0."
        )
    if not weight.any():
        raise DataError("sample_weight is 0 for all rows; at least one row needs a positive weight.")
    return weight


def _take_groups(frame: pd.DataFrame, group: Any, n: int) -> np.ndarray | None:
    if group is None:
        return None
    if isinstance(group, str):
        require_column(group, list(frame.columns), "group")
        group = frame[group]
    groups = _vector(group, n, "group")
    missing = np.asarray(pd.isna(groups))
    if missing.any():
        raise DataError(
            f"group is missing in {int(missing.sum()):,} rows, the first of them row "
            f"{int(np.flatnonzero(missing)[0]) + 1}; every row needs one."
        )
    return groups


def _understand_all(frame: pd.DataFrame, dropped: dict[str, str], kept: np.ndarray) -> list[Understood]:
    found = []
    for name in frame.columns:
        if name in dropped:
            found.append(Understood(Column(name, "left_out", dropped[name]), frame[name]))
        else:
            found.append(understand(name, frame[name], lambda position: int(kept[position]) + 1))
    if all(item.column.kind == "left_out" for item in found):
        why = "; ".join(f"{item.column.name!r}: {item.column.reason}" for item in found[:8])
        raise DataError(f"No input column is left to learn from ({why}). Give at least one column with information.")
    return found


def _column_notes(understood: list[Understood], dropped: dict[str, str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for item in understood:
        if item.column.kind == "left_out" and item.column.name not in dropped:
            by_reason.setdefault(item.column.reason, []).append(item.column.name)
    notes = [
        f"Column {shown(names)} is left out: {reason}."
        if len(names) == 1
        else f"{len(names)} columns are left out ({shown(names)}): {reason}."
        for reason, names in by_reason.items()
    ]
    return notes + [item.note for item in understood if item.note]


def fingerprint(frame: pd.DataFrame, columns: Sequence[Column], target: Target) -> str:
    """Return the sha256 (hex) of inputs and targets: names, kinds and values, however they were stored."""
    digest = hashlib.sha256()

    def put(*parts: bytes) -> None:
        for part in parts:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)

    for column in columns:
        series = frame[column.name]
        put(column.name.encode(), column.kind.encode())
        if column.kind in ("numeric", "boolean"):
            put(_number_bytes(series.to_numpy(np.float64, na_value=np.nan)))
        elif column.kind == "date":
            put(as_dates(series)[0].astype("<i8").tobytes())
        else:
            try:
                codes, labels = as_labels(series)
            except TypeError:
                codes, labels = as_labels(series.map(repr))
            put(codes.astype("<i8").tobytes(), *(label.encode("utf-8", "surrogatepass") for label in labels))
    put(target.kind.encode(), *(str(label).encode("utf-8", "surrogatepass") for label in target.classes))
    put(_number_bytes(target.y.astype(np.float64)))
    return digest.hexdigest()


def _number_bytes(values: np.ndarray) -> bytes:
    values = values.astype("<f8") + 0.0  # -0.0 is 0.0
    values[np.isnan(values)] = np.nan  # one NaN of the many
    return values.tobytes()
