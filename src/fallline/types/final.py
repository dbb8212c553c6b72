"""The final model, examined once it was saved: loaded again, and which columns it relies on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

__all__ = ["FinalModel"]


@dataclass(frozen=True, eq=False)
class FinalModel:
    """What a saved model does once it is loaded again from its file.

    Args:
        file: the file's name.
        sha256: of its content, hex.
        size: of the file, bytes.
        rows: on which rows: ``test`` (untouched) or ``training`` (where none were kept apart).
        n: how many rows were predicted by both, the network before it was saved and the one loaded again.
        largest: largest absolute difference between the two; 0 means equal to the last bit.
        row: (k,) numbers of some of these rows in the table, from 0.
        y: their encoded targets, as in `HeldOut`.
        before: what was predicted before the model was saved, as in `HeldOut`.
        again: what the loaded model predicts.
        metric: in whose units importance is measured; "" where it was not.
        columns: (c,) columns that were shuffled, most important first.
        importance: (c, repeats) how much worse the score becomes when one column's values change places.
        shuffled_rows: on how many rows.
        left_out: columns that were not shuffled.
        reason: why importance was not measured, or the model not compared; "" where nothing is missing.
    """

    file: str
    sha256: str
    size: int
    rows: str
    n: int
    largest: float
    row: np.ndarray
    y: np.ndarray
    before: np.ndarray
    again: np.ndarray
    metric: str = ""
    columns: tuple[str, ...] = ()
    importance: np.ndarray | None = None
    shuffled_rows: int = 0
    left_out: int = 0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, arrays as they are."""
        return asdict(self)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> FinalModel:
        """Return the object whose `to_dict` this is.

        Raises:
            KeyError, TypeError, ValueError: it is not.
        """
        known = {f.name: given[f.name] for f in fields(FinalModel)}
        whole, words = ("size", "n", "shuffled_rows", "left_out"), ("file", "sha256", "rows", "metric", "reason")
        known |= {name: int(known[name]) for name in whole} | {name: str(known[name]) for name in words}
        known |= {"largest": float(known["largest"]), "columns": tuple(str(name) for name in known["columns"])}
        arrays = {name: np.asarray(known[name]) for name in ("row", "y", "before", "again")}
        importance = known["importance"]
        if importance is not None:
            known["importance"] = np.asarray(importance, np.float64)
            if known["importance"].ndim != 2 or len(known["importance"]) != len(known["columns"]):
                raise ValueError("importance and columns disagree")
        if len({len(values) for values in arrays.values()}) != 1 or arrays["before"].shape != arrays["again"].shape:
            raise ValueError("the rows disagree")
        return FinalModel(**known | arrays)
