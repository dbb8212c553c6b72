"""What scikit-learn lets a caller give as X, y and sample_weight, checked by its conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d, validate_data

from fallline.data.frames import as_frame, is_array_like
from fallline.errors import DataError

__all__ = ["check_labels", "check_quantities", "check_weight", "check_x"]

_SPARSE = ("csr", "csc", "coo")


def check_x(estimator: Any, x: Any, y: Any = "no_validation", *, reset: bool) -> pd.DataFrame:
    """Return the inputs as a frame, and set or compare ``n_features_in_`` and ``feature_names_in_``.

    Args:
        estimator: whose attributes these are.
        x: any frame, 2-d array, list of rows or sparse matrix, shape (n, p); NaN is a missing value.
        y: given at ``fit``, only to notice that it is missing.
        reset: True at ``fit``, False afterwards.

    Raises:
        ValueError: not a table, infinite numbers, another width or other names than at ``fit``.
    """
    if isinstance(x, (list, tuple)) and len(x) and isinstance(x[0], (list, tuple)):
        # NumPy would turn the numbers of a mixed list into text. A range as column names says: there are no names.
        frame = as_frame(x, "X")
        x = frame.set_axis(range(frame.shape[1]), axis=1)
    elif not hasattr(x, "columns") and not is_array_like(x) and not isinstance(x, pd.Series):
        x = as_frame(x, "X")
    named = hasattr(x, "columns")
    options: dict[str, Any] = {"accept_sparse": _SPARSE, "dtype": None, "ensure_all_finite": "allow-nan"}
    if named:
        options = {"skip_check_array": True}
    frame = as_frame(x, "X") if named else None  # its own mistakes first: they say more
    if y is None:
        validate_data(estimator, x, y, reset=reset)  # raises
    x = validate_data(estimator, x, reset=reset, **options)
    return as_frame(x, "X") if frame is None else frame


def check_labels(y: Any, x: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Return labels (n,), or 0/1 (n, k), and the kind of problem.

    Raises:
        ValueError: missing labels, quantities instead of labels, one class, several columns of classes.
    """
    y = _target(y, x)
    if y.dtype == object:
        # Objects that are all booleans or all whole numbers, as a frame of mixed columns holds them.
        y = pd.Series(y).infer_objects().to_numpy() if y.ndim == 1 else pd.DataFrame(y).infer_objects().to_numpy()
    check_classification_targets(y)
    if y.ndim == 2:
        if type_of_target(y) != "multilabel-indicator" or not np.isin(y, (0, 1)).all():
            raise DataError(
                f"y has {y.shape[1]} columns with other values than 0 and 1. Several columns are taken as labels that "
                "are on or off, 0 or 1; for columns of classes fit one Classifier each, for example by "
                "sklearn.multioutput.MultiOutputClassifier."
            )
        return y.astype(np.int64), "multilabel"
    if y.dtype == object and any(isinstance(label, str) and not label.strip() for label in y):
        raise DataError("y holds empty texts, which cannot be told from missing labels: give that class a name.")
    classes = len(np.unique(y))
    if classes < 2:
        only = y.tolist()[0]
        raise DataError(f"y holds only one class, {only!r}, in all {len(y):,} rows: give rows of two or more classes.")
    return y, "binary" if classes == 2 else "multiclass"


def check_quantities(y: Any, x: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Return quantities float64 (n,) or (n, k) and the kind of problem.

    Raises:
        ValueError: missing or infinite values, text that says no number.
    """
    y = _target(y, x)
    try:
        numbers = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"y must hold numbers for a Regressor ({error}); for labels use Classifier.") from error
    return numbers, "regression" if y.ndim == 1 else "multioutput"


def _target(y: Any, x: pd.DataFrame) -> np.ndarray:
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()
    y = np.asarray(check_array(y, ensure_2d=False, dtype=None, input_name="y"))
    if y.dtype == object and pd.isna(y).any():
        raise DataError("Input y contains NaN: every row needs a target. Leave out the rows without.")
    check_consistent_length(x, y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y.ndim not in (1, 2):
        raise DataError(f"y has the shape {y.shape}; it must be (rows,) or (rows, targets).")
    # scikit-learn warns and goes on where text is given as NumPy's own text type; objects keep labels as they are.
    found: np.ndarray = y.astype(object) if y.dtype.kind in "US" else y
    return found


def check_weight(weight: Any, n: int) -> np.ndarray | None:
    """Return the rows' weights (n,) float64, or None.

    Raises:
        ValueError: not one finite number >= 0 per row, or zero for all rows.
    """
    if weight is None:
        return None
    try:
        found = np.asarray(weight, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"sample_weight must hold numbers >= 0: {error}.") from error
    if found.shape != (n,):
        raise DataError(f"sample_weight has the shape {found.shape}; it must be ({n},), one number per row of X.")
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        first = int(wrong[0])
        raise DataError(f"sample_weight is {found[first]:g} at index {first}; weights must be finite and >= 0.")
    if not found.any():
        raise DataError("sample_weight is zero for every row: at least one row needs a positive weight.")
    return found
