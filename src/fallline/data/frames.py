"""Whatever holds a table — pandas, Polars, Arrow, arrays, lists, sparse matrices — as one pandas frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fallline.errors import DataError, nearest

__all__ = ["MAX_DENSE_BYTES", "array_names", "as_frame", "is_array_like", "require_column", "shown"]

# A sparse matrix is densified (the network's first layer is dense); beyond this it would fill a common machine.
MAX_DENSE_BYTES = 2 * 2**30


def shown(names: Sequence[Any], limit: int = 8) -> str:
    """Return names for a message: the first few, and how many more.

    >>> shown(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    first = ", ".join(repr(str(name)) for name in list(names)[:limit])
    return first + (f" and {len(names) - limit} more" if len(names) > limit else "")


def array_names(width: int) -> list[str]:
    """Return the names x0, x1 ... that the columns of an array get."""
    return [f"x{index}" for index in range(width)]


def require_column(name: str, columns: Sequence[str], what: str) -> str:
    """Return ``name`` when it is a column, else raise with the nearest name."""
    if name not in columns:
        raise DataError(
            f"{what}: there is no column {name!r}.{nearest(str(name), columns)} The columns are {shown(columns)}."
        )
    return name


def is_array_like(x: Any) -> bool:
    """Tell whether the columns of ``x`` have no names of their own: arrays, lists of rows, sparse matrices."""
    if isinstance(x, pd.DataFrame):
        return isinstance(x.columns, pd.RangeIndex) and list(x.columns) == list(range(x.shape[1]))
    if isinstance(x, (list, tuple)):
        return not (len(x) and isinstance(x[0], Mapping))
    if isinstance(x, np.ndarray):
        return x.dtype.names is None
    return _is_sparse(x) or (not _has_names(x) and hasattr(x, "__array__"))


def as_frame(x: Any, what: str = "x") -> pd.DataFrame:
    """Return a table as a pandas frame with text column names and the row index 0, 1 ...

    Args:
        x: a pandas, Polars or Arrow table (anything with an Arrow stream or ``__dataframe__``), a mapping of columns,
            a list of mappings, a 2-d array or list of rows, or a SciPy sparse matrix (densified).
        what: what to call it in messages.

    Raises:
        DataError: not a table, not two-dimensional, no rows, no columns, ragged lists, complex numbers, names that
            repeat or are empty, a sparse matrix of more than 2 GiB when dense.

    >>> as_frame([[1, 2], [3, 4]]).columns.tolist()
    ['x0', 'x1']
    """
    if is_array_like(x) and not isinstance(x, pd.DataFrame):
        frame = _from_array(_dense(x, what), what)
    else:
        frame = _from_named(x, what)
    if not frame.shape[1]:
        raise DataError(
            f"{what} has 0 feature(s) (shape={frame.shape}) while a minimum of 1 is required: give at least one column."
        )
    if not len(frame):
        raise DataError(f"{what} has columns but no rows (0 sample(s)); a minimum of 1 is required.")
    return frame


def _has_names(x: Any) -> bool:
    return hasattr(x, "__arrow_c_stream__") or hasattr(x, "__dataframe__")


def _is_sparse(x: Any) -> bool:
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


def _from_named(x: Any, what: str) -> pd.DataFrame:
    if isinstance(x, pd.Series):
        frame = x.to_frame(name="x0" if x.name is None else x.name)
    elif isinstance(x, pd.DataFrame):
        frame = x
    elif hasattr(x, "collect_schema") and hasattr(x, "collect"):
        raise DataError(f"{what} is a lazy frame: call .collect() on it first.")
    elif hasattr(x, "__arrow_c_stream__"):
        import pyarrow as pa

        frame = pa.table(x).to_pandas(date_as_object=False)
    elif hasattr(x, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        frame = from_dataframe(x).to_pandas(date_as_object=False)
    elif isinstance(x, Mapping) or (isinstance(x, (list, tuple)) and len(x)):
        try:
            frame = pd.DataFrame(x)
        except ValueError as error:
            raise DataError(f"{what} is no table: {error}. All columns need the same number of values.") from error
    elif isinstance(x, np.ndarray):
        frame = pd.DataFrame(x)  # a structured array: its fields are the columns
    else:
        raise DataError(
            f"{what} is {_a(x)}; give a frame (pandas, Polars, Arrow), a 2-d array, a list of rows or a sparse matrix."
        )
    return _clean_names(frame, what)


def _a(x: Any) -> str:
    return "None" if x is None else f"of type {type(x).__name__}"


def _clean_names(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    attrs = dict(frame.attrs)
    if is_array_like(frame):
        names = array_names(frame.shape[1])
    else:
        names = [
            "_".join(str(part) for part in name if str(part)) if isinstance(name, tuple) else str(name)
            for name in frame.columns
        ]
    check_names(names, what)
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    frame.attrs = attrs
    return frame


def check_names(names: Sequence[str], what: str) -> None:
    """Raise one error that lists all empty and all repeated column names."""
    empty = [str(position) for position, name in enumerate(names, 1) if not name.strip()]
    counts = Counter(names)
    repeated = [name for name, count in counts.items() if count > 1 and name.strip()]
    mistakes = []
    if empty:
        mistakes.append(f"column {', '.join(empty[:8])} of {len(names)} has no name")
    if repeated:
        mistakes.append(f"the name(s) {shown(repeated)} occur more than once")
    if mistakes:
        raise DataError(
            f"{what}: {' and '.join(mistakes)}. Every column needs a name of its own: name it in the header, "
            "or delete the column when it only numbers the rows."
        )


def _dense(x: Any, what: str) -> np.ndarray:
    if _is_sparse(x):
        rows, width = x.shape
        size = int(rows) * int(width) * 8
        if size > MAX_DENSE_BYTES:
            raise DataError(
                f"{what} is a sparse matrix of {rows:,} x {width:,} that would take {size / 2**30:.1f} GiB when dense; "
                f"at most {MAX_DENSE_BYTES / 2**30:.0f} GiB are allowed. Keep fewer columns "
                "(for example with sklearn.feature_selection or TruncatedSVD) or fewer rows."
            )
        return np.asarray(x.toarray())
    if isinstance(x, (list, tuple)):
        return _from_lists(x, what)
    if isinstance(x, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(x.astype(np.float64), np.nan))
    return np.asarray(x)


def _from_lists(x: Sequence[Any], what: str) -> np.ndarray:
    widths = [len(row) if isinstance(row, (list, tuple, np.ndarray)) else -1 for row in x]
    for number, width in enumerate(widths, 1):
        if width != widths[0]:
            raise DataError(
                f"{what}: row {number} has {max(width, 1)} value(s), row 1 has {max(widths[0], 1)}; all rows need "
                f"the same."
            )
    # NumPy would turn the numbers of a mixed list into text; as objects every column keeps its own kind.
    mixed = any(isinstance(value, str) or value is None for row in x if isinstance(row, (list, tuple)) for value in row)
    return np.array(x, dtype=object) if mixed else np.asarray(x)


def _from_array(array: np.ndarray, what: str) -> pd.DataFrame:
    if array.ndim == 1:
        raise DataError(
            f"{what}: Expected 2D array, got 1D array instead (shape={array.shape}). Reshape your data: "
            f"array.reshape(-1, 1) "
            "if it is a single column, array.reshape(1, -1) if it is a single row."
        )
    if array.ndim != 2:
        raise DataError(f"{what}: Found array with dim {array.ndim}, expected 2 (rows x columns). Reshape your data.")
    if array.dtype.kind == "c":
        raise DataError(f"{what}: Complex data not supported: give the real and the imaginary part as two columns.")
    if array.dtype.kind in "SV":
        raise DataError(f"{what}: values of type {array.dtype} are not understood; give numbers or text.")
    frame = pd.DataFrame(array, columns=array_names(array.shape[1]))
    return frame.astype(object) if array.dtype.kind == "U" else frame
