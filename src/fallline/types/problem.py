"""The problem, its columns and its summary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["COLUMN_KINDS", "PROBLEM_KINDS", "Column", "ColumnSummary", "Problem", "ProblemKind", "Summary"]


ProblemKind = Literal["regression", "binary", "multiclass", "multioutput", "multilabel"]
PROBLEM_KINDS: tuple[ProblemKind, ...] = ("regression", "binary", "multiclass", "multioutput", "multilabel")

ColumnKind = Literal["numeric", "boolean", "date", "category", "left_out"]
COLUMN_KINDS: tuple[ColumnKind, ...] = ("numeric", "boolean", "date", "category", "left_out")


@dataclass(frozen=True)
class Column:
    """One input column as fallline understood it.

    Args:
        name: the column's name in the user's table.
        kind: how it is used; ``left_out`` columns do not reach the network.
        reason: for ``left_out``: why, in words for the user.
    """

    name: str
    kind: ColumnKind
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be learned: inputs, targets, and how they were understood.

    Args:
        kind: the kind of problem; it decides the loss and the output unit.
        frame: the inputs, shape (n_rows, n_columns), one pandas column per entry of ``columns``, in that order
            (left-out columns included).
        y: encoded targets. regression (n,) float64; binary (n,) int64 of 0/1; multiclass (n,) int64 class index;
            multioutput (n, k) float64; multilabel (n, k) int64 of 0/1.
        target_names: the target columns' names, length 1 or k.
        classes: the labels in index order (binary and multiclass), as the user wrote them; else empty.
        columns: the input columns.
        notes: sentences for the user: rows left out, columns left out and why, how the kind was inferred.
        sample_weight: (n,) float64, or None.
        groups: (n,) labels of groups that must not be split, or None.
        fingerprint: sha256 (hex) of the inputs and targets as read.
        source: where the data came from, in words or as a path; may be empty.
        why: one sentence on how the kind was inferred, and where another may be meant how to say so; "": it was given.
    """

    kind: ProblemKind
    frame: pd.DataFrame
    y: np.ndarray
    target_names: tuple[str, ...]
    classes: tuple[Any, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    sample_weight: np.ndarray | None = None
    groups: np.ndarray | None = None
    fingerprint: str = ""
    source: str = ""
    why: str = ""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def n_outputs(self) -> int:
        """Width of the network's output: 1 for regression and binary, else classes, targets or labels."""
        if self.kind == "multiclass":
            return len(self.classes)
        return 1 if self.y.ndim == 1 else int(self.y.shape[1])

    @property
    def is_classification(self) -> bool:
        """True when the targets are labels rather than quantities."""
        return self.kind in ("binary", "multiclass", "multilabel")


@dataclass(frozen=True, eq=False)
class ColumnSummary:
    """What the data summary knows of one column (inputs and targets alike).

    Args:
        name: the column's name.
        kind: as understood (``target`` columns carry their own kind too).
        count: number of values that are present.
        missing: number of missing values.
        distinct: number of distinct values.
        statistics: ``mean, sd, min, q25, median, q75, max`` for quantities; empty for categories.
        histogram: (edges (b+1,), counts (b,)) for quantities, else None.
        levels: most frequent values with their counts, most frequent first, for categories.
        association: strength of the column's relation to the target in [0, 1], or NaN where it is not defined.
        remark: one sentence when something deserves attention, else "".
    """

    name: str
    kind: str
    count: int
    missing: int
    distinct: int
    statistics: Mapping[str, float] = field(default_factory=dict)
    histogram: tuple[np.ndarray, np.ndarray] | None = None
    levels: tuple[tuple[str, int], ...] = ()
    association: float = math.nan
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Summary:
    """The data summary (catalogue D4): what a careful person would look at before training.

    Args:
        n_rows: rows with a target.
        columns: one summary per input column.
        targets: one summary per target column.
        class_counts: label (as text) -> rows, for classification; else empty.
        duplicate_rows: number of rows that repeat an earlier row, inputs and target alike.
        correlated: pairs of numeric columns with |r| >= 0.95: (name, name, r).
        leakage: columns suspected of giving the target away: (name, sentence).
        remarks: sentences worth reading first.
    """

    n_rows: int
    columns: tuple[ColumnSummary, ...]
    targets: tuple[ColumnSummary, ...]
    class_counts: Mapping[str, int]
    duplicate_rows: int
    correlated: tuple[tuple[str, str, float], ...] = ()
    leakage: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
