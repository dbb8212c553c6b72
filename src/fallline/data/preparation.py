"""How columns become numbers: statistics of the training rows, and the two steps table -> raw -> features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fallline.data.fit import fit_fields, scaled_numbers
from fallline.data.frames import as_frame, is_array_like, shown
from fallline.data.raw import RawColumn, raw_matrix
from fallline.errors import DataError, nearest
from fallline.types import PrepareRecipe, Problem

__all__ = ["CategoryBlock", "Preparation"]


@dataclass(frozen=True)
class CategoryBlock:
    """The features of one category.

    Args:
        raw_index: its column in the raw matrix.
        n_levels: L; codes run from 1 to L, 0 is unknown.
        binary: one column, -1 for code 1, +1 for code 2, 0 for unknown; else L columns, 1 where the code is theirs.
    """

    raw_index: int
    n_levels: int
    binary: bool

    @property
    def width(self) -> int:
        """Number of feature columns."""
        return 1 if self.binary else self.n_levels


@dataclass(frozen=True, eq=False)
class Preparation:
    """Everything that turns a table into the network's input, fitted on training rows only.

    ``raw(frame)`` is the saved model's input: (n, n_raw) float32 with numbers as they are (NaN: missing), dates as
    days since
    their column's reference, categories and booleans as codes (0: unknown). ``features(raw)`` is what the network
    sees::

        x = raw[:, numeric_index];  x = where(isnan(x), numeric_fill, x);  x = (x - numeric_center) * numeric_scale
        x = x / sqrt(1 + (x / clip)^2)                  when clip > 0
        x = (x - whiten_center) @ whiten_matrix         when whitened
        features = [x, isnan(raw[:, indicator_index]), category blocks in order]

    Args:
        columns: the columns of the raw matrix, in order.
        input_names: all columns of the training table, left-out ones included, in order.
        left_out: those of them that are not used.
        arrays: the training table was an array: arrays of the same width are accepted.
        numeric_index: (m,) int64, columns of the raw matrix that are numbers (dates included).
        numeric_fill: (m,) float64, what replaces a missing number.
        numeric_center: (m,) float64.
        numeric_scale: (m,) float64, 0 for a column that is constant among the training rows.
        clip: bound of the smooth clipping; 0: off.
        indicator_index: (q,) int64, columns of the raw matrix with an indicator of missing values.
        target_center: (k,) float64, in the target's units.
        target_scale: (k,) float64, > 0.
        whiten_center: (m,) float64; empty when not whitened.
        whiten_matrix: (m, m) float64; empty when not whitened.
        whitened: ``none``, ``pca`` or ``zca``.

    Source: robust scaling and smooth clipping: Holzmüller et al., RealMLP, arXiv 2407.04491, section 3.
    """

    columns: tuple[RawColumn, ...]
    input_names: tuple[str, ...]
    left_out: tuple[str, ...]
    arrays: bool
    numeric_index: np.ndarray
    numeric_fill: np.ndarray
    numeric_center: np.ndarray
    numeric_scale: np.ndarray
    clip: float
    indicator_index: np.ndarray
    target_center: np.ndarray
    target_scale: np.ndarray
    whiten_center: np.ndarray = field(default_factory=lambda: np.zeros(0))
    whiten_matrix: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    whitened: str = "none"

    @classmethod
    def fit(
        cls, problem: Problem, rows: np.ndarray, prepare: PrepareRecipe | None = None, channels: int = 0
    ) -> Preparation:
        """Fit on some rows of a problem; the other rows have no influence whatever.

        Args:
            problem: the problem.
            rows: positions (m,) of the training rows, at least one.
            prepare: how to scale; default: the default recipe's.
            channels: of the images whose pixels the columns are, each scaled as a whole; 0: no images.

        >>> from fallline.data import make_problem
        >>> table = {"a": [1.0, 2.0, 3.0, None], "c": ["u", "v", "w", "u"], "y": [0.5, 1.0, 2.0, 4.0]}
        >>> problem = make_problem(table, target="y")
        >>> preparation = Preparation.fit(problem, np.arange(4))
        >>> preparation.feature_names
        ('a', 'a (missing)', 'c=u', 'c=v', 'c=w')
        >>> preparation.raw({"a": [2.0, None], "c": ["w", "new"]}).tolist()
        [[2.0, 3.0], [nan, 0.0]]
        """
        return cls(**fit_fields(problem, np.asarray(rows), prepare or PrepareRecipe(), channels))

    # ------------------------------------------------------------------------------------------------ sizes

    @property
    def n_raw(self) -> int:
        """Width of the raw matrix."""
        return len(self.columns)

    @property
    def n_numeric(self) -> int:
        """Number of scaled numbers; they are the first features."""
        return len(self.numeric_index)

    @property
    def n_features(self) -> int:
        """Width of the network's input."""
        return self.n_numeric + len(self.indicator_index) + sum(block.width for block in self.category_blocks)

    @cached_property
    def category_blocks(self) -> tuple[CategoryBlock, ...]:
        """The categories' features, in the order of the raw matrix."""
        return tuple(
            CategoryBlock(index, len(column.level_names), len(column.level_names) == 2)
            for index, column in enumerate(self.columns)
            if column.is_category
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per feature."""
        names = [self.columns[i].name for i in self.numeric_index]
        if self.whitened == "pca":
            names = [f"component {i + 1}" for i in range(len(names))]
        names += [f"{self.columns[i].name} (missing)" for i in self.indicator_index]
        for block in self.category_blocks:
            column = self.columns[block.raw_index]
            names += [
                f"{column.name}={level}" for level in (column.level_names[1:] if block.binary else column.level_names)
            ]
        return tuple(names)

    # ------------------------------------------------------------------------------------------------ steps

    def raw(self, frame: Any) -> np.ndarray:
        """Return the raw matrix (n, n_raw) float32 of a table.

        Args:
            frame: any table with the training columns, in any order; more columns are ignored. An array is accepted
                when the training input was an array of the same width.

        Raises:
            DataError: a column is missing (with the nearest name), text in a column of numbers or no date in a column
                of
                dates (with row and value), an infinite value, an array of another width.
        """
        if isinstance(frame, np.ndarray) and frame.ndim > 2 and self.arrays:  # images: a row of pixels each
            frame = frame.reshape(len(frame), -1)
        given = frame
        table = as_frame(frame)
        if is_array_like(given):
            table = self._name_array(table)
        missing = [column.name for column in self.columns if column.name not in table.columns]
        if missing:
            raise DataError(
                f"The table lacks the column(s) {shown(missing)} that the network was trained with."
                f"{nearest(missing[0], [str(name) for name in table.columns])} It has {shown(list(table.columns))}."
            )
        return raw_matrix(self.columns, table)

    def _name_array(self, table: pd.DataFrame) -> pd.DataFrame:
        if not self.arrays:
            raise DataError(
                f"An array has no column names, and the network was trained on a table with names: give a frame "
                f"with the "
                f"columns {shown([column.name for column in self.columns])}."
            )
        if table.shape[1] != len(self.input_names):
            raise DataError(
                f"X has {table.shape[1]} features, but the network was trained with and is expecting "
                f"{len(self.input_names)} features as input."
            )
        return table.set_axis(list(self.input_names), axis=1)

    def features(self, raw: np.ndarray) -> np.ndarray:
        """Return the network's input (n, n_features) float32 for a raw matrix (n, n_raw).

        Raises:
            DataError: another width than ``n_raw``.
        """
        raw = np.asarray(raw)
        if raw.ndim != 2 or raw.shape[1] != self.n_raw:
            raise DataError(
                f"The raw matrix has the shape {raw.shape}; it must be (rows, {self.n_raw}), as `raw` makes it."
            )
        out = np.empty((len(raw), self.n_features), np.float32)
        numbers = raw[:, self.numeric_index].astype(np.float64)
        numbers = scaled_numbers(numbers, self.numeric_fill, self.numeric_center, self.numeric_scale, self.clip)
        if len(self.whiten_matrix):
            numbers = (numbers - self.whiten_center) @ self.whiten_matrix
        out[:, : self.n_numeric] = numbers
        at = self.n_numeric + len(self.indicator_index)
        out[:, self.n_numeric : at] = np.isnan(raw[:, self.indicator_index])
        for block in self.category_blocks:
            codes = raw[:, block.raw_index]
            if block.binary:
                out[:, at] = np.where(codes == 2, 1.0, np.where(codes == 1, -1.0, 0.0))
            else:
                out[:, at : at + block.width] = codes[:, None] == np.arange(1, block.n_levels + 1)
            at += block.width
        return out

    # ------------------------------------------------------------------------------------------------- JSON

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers, ready for JSON; floats come back exactly."""
        from fallline.data.preparation_json import to_plain

        return to_plain(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Preparation:
        """Return the preparation that `to_dict` wrote, after checking every type and size.

        Raises:
            DataError: something is missing, of a wrong type or size, or not finite.
        """
        from fallline.data.preparation_json import from_plain

        return from_plain(stored)
