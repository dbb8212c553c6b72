"""Sentences for the data summary: what deserves a person's attention, column by column and overall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fallline.data.frames import shown
from fallline.types import ColumnSummary, Problem

__all__ = ["column_remark", "overall_remarks"]

MANY_MISSING = 0.3
# Codes for "no value" that programs write into numbers.
SENTINELS = (-999.0, -9999.0, -99.0, -9.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0, -1.0)
# A sentinel stands alone: this far from the nearest other value, in quartile ranges of the others; and it repeats.
SENTINEL_DISTANCE, SENTINEL_REPEATS = 3.0, 2
SKEWED, FAR_OUT = 3.0, 50.0
NEARLY_CONSTANT = 0.995
CAPPED_SHARE, CAPPED_DISTINCT = 0.02, 50
IMBALANCED, RARE_ROWS = 0.1, 10
MANY_DUPLICATES = 0.01
SMALL_TABLE = 200
FLOAT32_DIGITS = 1e-6


def column_remark(
    kind: str,
    present: np.ndarray,
    missing: int,
    n: int,
    *,
    statistics: Mapping[str, float] | None = None,
    levels: Sequence[tuple[str, int]] = (),
    distinct: int = 0,
) -> str:
    """Return one sentence about a column, the most important first, or "".

    Args:
        kind: ``numeric``, ``date``, ``boolean``, ``category``, or ``target`` for a target of numbers.
        present: its present values (m,), or codes.
        missing: number of missing values.
        n: number of rows.
        statistics: of quantities.
        levels: most frequent levels and their counts.
        distinct: number of distinct values.
    """
    quantity = statistics is not None and kind in ("numeric", "target") and len(present)
    if quantity and statistics is not None:
        if sentinel := _sentinel(present, statistics, distinct):
            return sentinel
        if fine := _too_fine(statistics):
            return fine
        if kind == "target" and (capped := _capped(present, statistics, distinct)):
            return capped
    if missing > MANY_MISSING * n:
        return f"{missing / n:.0%} of the values are missing."
    if levels and levels[0][1] > NEARLY_CONSTANT * n:
        return f"{levels[0][1] / n:.1%} of the rows say {levels[0][0]!r}: it can hardly tell rows apart."
    if kind == "category" and distinct > 100 and distinct > 0.2 * n:
        return f"{distinct:,} different values in {n:,} rows: most of them are too rare to learn from."
    return _shape(kind, present, statistics) if quantity and statistics is not None and distinct > 2 else ""


def _sentinel(present: np.ndarray, statistics: Mapping[str, float], distinct: int) -> str:
    """Remark on an isolated extreme value such as -999 that repeats."""
    if distinct < 3:
        return ""
    for code in SENTINELS:
        if code not in (statistics["min"], statistics["max"]):
            continue
        count = int((present == code).sum())
        others = present[present != code]
        if count < SENTINEL_REPEATS or len(others) < 3:
            continue
        spread = float(np.subtract(*np.quantile(others, (0.75, 0.25)))) or float(np.ptp(others)) or 1.0
        lonely = np.abs(others - code).min() > SENTINEL_DISTANCE * spread
        # -1 may be an ordinary value; it is a code only where everything else is far on the positive side.
        if lonely and (abs(code) > 9 or others.min() >= 0):
            return (
                f"{code:g} occurs {count:,} times, far from all other values: it may stand for a missing value. "
                f"If so, empty these cells."
            )
    return ""


def _too_fine(statistics: Mapping[str, float]) -> str:
    largest, spread = max(abs(statistics["min"]), abs(statistics["max"])), statistics["q75"] - statistics["q25"]
    if 0 < spread < FLOAT32_DIGITS * largest:
        return (
            f"Its values differ only after the sixth digit (around {statistics['median']:g}); subtract a "
            f"constant, or single precision will lose it."
        )
    return ""


def _capped(present: np.ndarray, statistics: Mapping[str, float], distinct: int) -> str:
    at_top = int((present == statistics["max"]).sum())
    if distinct > CAPPED_DISTINCT and at_top > CAPPED_SHARE * len(present):
        return (
            f"{at_top:,} rows ({at_top / len(present):.1%}) have the largest value, {statistics['max']:g}: it "
            f"seems to be capped there."
        )
    return ""


def _shape(kind: str, present: np.ndarray, statistics: Mapping[str, float]) -> str:
    sd = statistics["sd"]
    if not sd > 0 or not np.isfinite(sd):
        return ""
    skew = float(np.mean(((present - statistics["mean"]) / sd) ** 3))
    side = "right" if skew > 0 else "left"
    iqr = statistics["q75"] - statistics["q25"]
    if kind == "target" and skew > SKEWED and statistics["min"] > 0:
        return f"It has a long tail to the right (skewness {skew:.1f}): its logarithm may be easier to predict."
    if iqr > 0:
        far = max(statistics["max"] - statistics["q75"], statistics["q25"] - statistics["min"]) / iqr
        if far > FAR_OUT:
            return f"Its most extreme value lies {far:,.0f} quartile ranges out: an outlier, or a mistake?"
    return f"It has a long tail to the {side} (skewness {skew:.1f})." if abs(skew) > SKEWED else ""


def overall_remarks(
    problem: Problem,
    columns: Sequence[ColumnSummary],
    targets: Sequence[ColumnSummary],
    counts: Mapping[str, int],
    duplicates: int,
    correlated: Sequence[tuple[str, str, float]],
    leakage: Sequence[tuple[str, str]],
) -> tuple[str, ...]:
    """Return the sentences worth reading first, most important first."""
    n = problem.n_rows
    remarks = [sentence for _, sentence in leakage]
    remarks += _balance(problem, counts)
    remarks += [f"Target {target.name!r}: {target.remark}" for target in targets if target.remark]
    if n < SMALL_TABLE:
        remarks.append(f"Only {n:,} rows: scores will be uncertain, and simple models hard to beat.")
    used = [column for column in columns if column.kind != "left_out"]
    if len(used) > n:
        remarks.append(f"More columns ({len(used):,}) than rows ({n:,}): a network can fit such rows by heart.")
    gaps = [column for column in used if column.missing > MANY_MISSING * n]
    if gaps:
        remarks.append(
            f"Many values are missing (over {MANY_MISSING:.0%}) in {shown([column.name for column in gaps])}."
        )
    coded = [column for column in used if "may stand for a missing value" in column.remark]
    if coded:
        remarks.append(f"Codes that may stand for missing values: {shown([column.name for column in coded])}.")
    if duplicates > MANY_DUPLICATES * n:
        remarks.append(
            f"{duplicates:,} rows ({duplicates / n:.0%}) repeat an earlier row, target included: copies in the test "
            f"rows flatter the score."
        )
    if correlated:
        a, b, r = correlated[0]
        remarks.append(
            f"{len(correlated)} pair(s) of columns say nearly the same, first {a!r} and {b!r} (r = {r:.3f})."
        )
    left = [column for column in columns if column.kind == "left_out"]
    if left:
        remarks.append(f"{len(left)} column(s) are left out: {shown([column.name for column in left])}.")
    return tuple(remarks)


def _balance(problem: Problem, counts: Mapping[str, int]) -> list[str]:
    if problem.kind not in ("binary", "multiclass"):
        return []
    n = problem.n_rows
    rare = [label for label, count in counts.items() if count < RARE_ROWS]
    remarks = []
    label, fewest = min(counts.items(), key=lambda item: item[1])
    top, most = max(counts.items(), key=lambda item: item[1])
    if fewest < IMBALANCED * n / max(len(counts) / 2, 1):
        remarks.append(
            f"The classes are imbalanced: {label!r} has {fewest:,} of {n:,} rows ({fewest / n:.1%}), {top!r} {most:,}. "
            "Accuracy alone will look better than it is."
        )
    if rare:
        remarks.append(f"Fewer than {RARE_ROWS} rows in the class(es) {shown(rare)}: too few to learn or to score.")
    return remarks
