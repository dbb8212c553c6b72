"""The data summary (catalogue D4): what a careful person would look at before training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from fallline.data.association import correlation_ratio, cramers_v, linear_or_rank
from fallline.data.leakage import leakage_suspects
from fallline.data.remarks import column_remark, overall_remarks
from fallline.data.values import as_dates, as_labels
from fallline.types import ColumnSummary, Problem, Summary

__all__ = ["column_values", "summarise"]

# Associations, correlations and leakage are estimated on at most so many rows: their error is then below 0.01.
SAMPLED_ROWS = 20_000
SAMPLE_SEED = 0
MOST_BINS = 20
MOST_LEVELS = 10
CORRELATED = 0.95
# The matrix of correlations grows with the square of the columns; more than these are not compared.
MOST_CORRELATED_COLUMNS, MOST_PAIRS = 1000, 50


def summarise(problem: Problem) -> Summary:
    """Summarise a problem: statistics of each column, relation to the target, duplicates, leakage suspects, remarks.

    Associations and leakage are estimated on at most 20,000 rows, drawn with a fixed seed; all counts are exact.

    Args:
        problem: the problem.

    >>> from fallline.data import make_problem
    >>> summary = summarise(make_problem({"a": [1.0, 2.0, 3.0, 4.0], "y": [2.0, 4.1, 5.9, 8.0]}, target="y"))
    >>> summary.columns[0].statistics["median"], round(summary.columns[0].association, 2)
    (2.5, 1.0)
    """
    values = {c.name: column_values(problem.frame[c.name], c.kind) for c in problem.columns if c.kind != "left_out"}
    sample = np.arange(problem.n_rows)
    if problem.n_rows > SAMPLED_ROWS:
        sample = np.sort(np.random.default_rng(SAMPLE_SEED).choice(problem.n_rows, SAMPLED_ROWS, replace=False))
    kinds = {column.name: column.kind for column in problem.columns}
    y = problem.y[sample].reshape(len(sample), -1)
    association = {
        name: _association(
            _as_codes(vector[sample]) if kinds[name] in ("boolean", "category") else vector[sample],
            kinds[name] in ("boolean", "category"),
            y,
            problem.is_classification,
        )
        for name, vector in values.items()
    }
    columns = tuple(
        _column(
            column.name,
            column.kind,
            problem.frame[column.name],
            values.get(column.name),
            association.get(column.name, math.nan),
            column.reason,
        )
        for column in problem.columns
    )
    correlated = _correlated({name: vector[sample] for name, vector in values.items() if kinds[name] == "numeric"})
    leakage = leakage_suspects(
        {name: (vector[sample], kinds[name] in ("boolean", "category")) for name, vector in values.items()},
        association,
        problem,
        sample,
    )
    targets = tuple(_target(problem, index) for index in range(len(problem.target_names)))
    counts = _class_counts(problem)
    duplicates = _duplicates(values, problem.y)
    remarks = overall_remarks(problem, columns, targets, counts, duplicates, correlated, leakage)
    return Summary(problem.n_rows, columns, targets, counts, duplicates, correlated, leakage, remarks)


def column_values(series: pd.Series, kind: str) -> np.ndarray:
    """Return a column as float64 (n,): numbers, days of dates, or codes of categories; NaN where missing."""
    if kind in ("numeric", "boolean"):
        numbers: np.ndarray = series.to_numpy(np.float64, na_value=np.nan)
        return numbers
    if kind == "date":
        dates = as_dates(series)[0]
        days: np.ndarray = dates.astype("datetime64[us]").astype(np.float64) / 86_400e6
        days[np.isnat(dates)] = np.nan
        return days
    codes = as_labels(series)[0].astype(np.float64)
    codes[codes < 0] = np.nan
    return codes


def _as_codes(vector: np.ndarray) -> np.ndarray:
    """Return integer codes in which missing is a level of its own: that a value is absent may tell something."""
    if not np.isnan(vector).any():
        return vector.astype(np.int64)
    return np.where(np.isnan(vector), 0, np.nan_to_num(vector) + 1).astype(np.int64)


def _association(vector: np.ndarray, is_category: bool, y: np.ndarray, classification: bool) -> float:
    """Return the strongest relation of a column with any of the target's columns y (n, k)."""
    strengths = []
    for target in y.T:
        if classification:
            codes = target.astype(np.int64)
            strengths.append(cramers_v(vector, codes) if is_category else correlation_ratio(codes, vector))
        else:
            strengths.append(correlation_ratio(vector, target) if is_category else linear_or_rank(vector, target))
    known = [strength for strength in strengths if not math.isnan(strength)]
    return max(known) if known else math.nan


def _column(
    name: str, kind: str, series: pd.Series, vector: np.ndarray | None, association: float, reason: str
) -> ColumnSummary:
    if vector is None:
        return _left_out(name, series, reason)
    missing = int(np.isnan(vector).sum())
    present = vector[~np.isnan(vector)] if missing else vector
    if kind in ("boolean", "category"):
        codes, counts = np.unique(present, return_counts=True)
        labels = ["False", "True"] if kind == "boolean" else as_labels(series)[1]
        levels = _most_frequent([labels[int(code)] for code in codes], counts)
        remark = column_remark(kind, present, missing, len(vector), levels=levels, distinct=len(codes))
        return ColumnSummary(
            name, kind, len(present), missing, len(codes), levels=levels, association=association, remark=remark
        )
    statistics, histogram, distinct = _quantity(present)
    remark = column_remark(kind, present, missing, len(vector), statistics=statistics, distinct=distinct)
    return ColumnSummary(
        name, kind, len(present), missing, distinct, statistics, histogram, association=association, remark=remark
    )


def _left_out(name: str, series: pd.Series, reason: str) -> ColumnSummary:
    missing = int(series.isna().sum())
    try:
        codes, labels = as_labels(series)
    except TypeError:  # nested values
        return ColumnSummary(name, "left_out", len(series) - missing, missing, 0, remark=f"Left out: {reason}.")
    counts = np.bincount(codes[codes >= 0], minlength=len(labels))
    missing = int((codes < 0).sum())
    return ColumnSummary(
        name,
        "left_out",
        len(series) - missing,
        missing,
        len(labels),
        levels=_most_frequent(labels, counts),
        remark=f"Left out: {reason}.",
    )


def _most_frequent(labels: list[str], counts: np.ndarray) -> tuple[tuple[str, int], ...]:
    order = sorted(range(len(labels)), key=lambda i: (-int(counts[i]), labels[i]))[:MOST_LEVELS]
    return tuple((labels[i], int(counts[i])) for i in order)


def _quantity(present: np.ndarray) -> tuple[dict[str, float], tuple[np.ndarray, np.ndarray] | None, int]:
    """Return statistics, histogram and number of distinct values of a quantity without missing values."""
    if not len(present):
        return {}, None, 0
    ordered = np.sort(present)
    distinct = 1 + int(np.count_nonzero(np.diff(ordered)))
    low, q25, median, q75, high = (float(q) for q in np.quantile(ordered, (0.0, 0.25, 0.5, 0.75, 1.0)))
    statistics = {
        "mean": float(ordered.mean()),
        "sd": float(ordered.std()),
        "min": low,
        "q25": q25,
        "median": median,
        "q75": q75,
        "max": high,
    }
    return statistics, _histogram(ordered, distinct), distinct


def _histogram(ordered: np.ndarray, distinct: int) -> tuple[np.ndarray, np.ndarray]:
    """Return edges (b+1,) and counts (b,); whole numbers in a narrow range get a bin each."""
    low, high = float(ordered[0]), float(ordered[-1])
    if low == high:
        half = max(abs(low) * 1e-6, 0.5)
        return np.array([low - half, low + half]), np.array([len(ordered)])
    whole = high - low < MOST_BINS and bool(np.all(ordered == np.trunc(ordered)))
    bins: Any = np.arange(low - 0.5, high + 1.0) if whole else MOST_BINS
    try:
        counts, edges = np.histogram(ordered, bins)
    except ValueError:  # the range has fewer floating-point numbers than bins
        counts, edges = np.histogram(ordered, np.array([low, high]))
    return edges, counts


def _target(problem: Problem, index: int) -> ColumnSummary:
    name, n = problem.target_names[index], problem.n_rows
    if problem.kind in ("binary", "multiclass"):
        counts = np.bincount(problem.y, minlength=len(problem.classes))
        levels = _most_frequent([str(label) for label in problem.classes], counts)
        return ColumnSummary(name, "category", n, 0, len(problem.classes), levels=levels)
    y = problem.y.reshape(n, -1)[:, index].astype(np.float64)
    if problem.kind == "multilabel":
        ones = int(y.sum())
        return ColumnSummary(name, "boolean", n, 0, 2, levels=_most_frequent(["0", "1"], np.array([n - ones, ones])))
    statistics, histogram, distinct = _quantity(y)
    remark = column_remark("target", y, 0, n, statistics=statistics, distinct=distinct)
    return ColumnSummary(name, "numeric", n, 0, distinct, statistics, histogram, remark=remark)


def _class_counts(problem: Problem) -> dict[str, int]:
    if problem.kind == "multilabel":
        return {name: int(count) for name, count in zip(problem.target_names, problem.y.sum(axis=0), strict=True)}
    if not problem.is_classification:
        return {}
    counts = np.bincount(problem.y, minlength=len(problem.classes))
    return {str(label): int(count) for label, count in zip(problem.classes, counts, strict=True)}


def _duplicates(values: dict[str, np.ndarray], y: np.ndarray) -> int:
    """Return how many rows repeat an earlier row, inputs and target alike."""
    total = np.zeros(len(y), np.uint64)
    factor = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        for column in (*values.values(), *y.reshape(len(y), -1).T):
            bits = (column.astype(np.float64) + 0.0).view(np.uint64)
            # splitmix64's mixing, so that nearby numbers do not cancel in the sum.
            total = (total ^ bits) * factor
            total ^= total >> np.uint64(29)
            total *= np.uint64(0xBF58476D1CE4E5B9)
            total ^= total >> np.uint64(32)
    return len(total) - len(np.unique(total))


def _correlated(values: dict[str, np.ndarray]) -> tuple[tuple[str, str, float], ...]:
    """Return pairs of numeric columns with |r| >= 0.95, strongest first; missing values count as the mean."""
    names = list(values)[:MOST_CORRELATED_COLUMNS]
    if len(names) < 2:
        return ()
    matrix = np.stack([values[name] for name in names]).astype(np.float64)
    absent = np.isnan(matrix)
    present = np.maximum((~absent).sum(axis=1, keepdims=True), 1)
    scale = np.maximum(np.nanmax(np.where(absent, 0.0, np.abs(matrix)), axis=1, keepdims=True), 1e-300)
    matrix /= scale
    matrix -= np.where(absent, 0.0, matrix).sum(axis=1, keepdims=True) / present
    matrix[absent] = 0.0
    length = np.sqrt((matrix**2).sum(axis=1, keepdims=True))
    matrix /= np.where(length > 1e-9, length, np.inf)
    r = matrix @ matrix.T
    first, second = np.nonzero(np.triu(np.abs(r) >= CORRELATED, 1))
    order = np.argsort(-np.abs(r[first, second]), kind="stable")[:MOST_PAIRS]
    return tuple((names[first[i]], names[second[i]], float(np.clip(r[first[i], second[i]], -1, 1))) for i in order)
