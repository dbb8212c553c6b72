"""Statistics from arrays alone: gaps, sentinels, twins among inputs, the order of rows, labels that look wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "SHIFTED",
    "input_shift",
    "label_statistics",
    "order_correlation",
    "relation_statistics",
    "sentinels_of",
    "table_statistics",
    "validation_statistics",
]

# Rows looked at: enough for a correlation to 1 %, few enough for a tenth of a second.
SAMPLE = 10_000
NEIGHBOURS = 1_000
# Inputs between which every pair is compared; a picture has more, and its pixels are correlated by nature.
MOST_INPUTS = 400
# Numbers of training rows up to which validation rows are looked up among all of them.
MOST_COMPARED = 50_000_000
# Two inputs this strongly correlated say the same.
SAME = 0.9999
# Values that people and programs write where a number is missing.
SENTINELS = (-999.0, -9999.0, -99999.0, -999.25, -99.0, 9999.0, 99999.0, 999999.0, -1e20, 1e20, -32768.0)
# A sentinel stands apart: at least this many sds of the other values away from them, in at least 0.5 % of the rows.
APART = 5.0
LEAST_SHARE = 0.005
# Validation inputs this many times as far from the training rows' mean as those are themselves, or varying so many
# times less, were scaled differently: a series that grows, cut by time, stays below. Inputs-not-scaled has this limit.
SHIFTED = 10.0
# Rows below which a spread says little.
FEWEST_SPREAD = 20
# An input is real-valued, so that two equal rows are the same row, when this share of its values is distinct.
REAL_VALUED = 0.3
# ... or when the nearest other row differs in so many inputs; one category more or less changes two of them.
APART_IN = 3
# Fewer distinct rows, in number or as a share, are patterns that repeat.
DISTINCT_ROWS, DISTINCT_SHARE = 30, 0.1


def _name(names: Sequence[str] | None, index: int) -> str:
    return str(names[index]) if names is not None and index < len(names) else f"input {index}"


def _sample(n: int, most: int) -> np.ndarray:
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).astype(int)


def sentinels_of(x: np.ndarray) -> dict[int, tuple[float, float]]:
    """Return column -> (the value that stands for "missing" in it, its share of the rows).

    Args:
        x: (n, p) numbers; with a gap, a column has no sentinel.

    >>> sentinels_of(np.array([[1.0, -999.0], [2.0, 0.1], [3.0, 0.2], [5.0, 0.0]]))
    {1: (-999.0, 0.25)}
    """
    found: dict[int, tuple[float, float]] = {}
    candidates = np.flatnonzero(np.isin(x.min(axis=0), SENTINELS) | np.isin(x.max(axis=0), SENTINELS))
    for j in candidates.tolist():
        for value in (float(x[:, j].min()), float(x[:, j].max())):
            marked = x[:, j] == value
            rest = x[~marked, j]
            if value not in SENTINELS or marked.mean() < LEAST_SHARE or len(rest) < 2:
                continue
            if np.abs(rest - value).min() > APART * max(float(rest.std()), 1e-12):
                found[j] = (value, float(marked.mean()))
    return found


def table_statistics(x: np.ndarray, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return gaps, sentinels and twins of the inputs x, (n, ...) numbers as they are given to the model.

    >>> found = table_statistics(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [5.0, np.nan]]))
    >>> found["missing_inputs"], found["rows_with_missing"]
    (1, 1)
    """
    flat = x.reshape(len(x), -1)[_sample(len(x), SAMPLE)].astype(np.float64)
    gaps = ~np.isfinite(flat)
    found: dict[str, Any] = {
        "missing_inputs": int(gaps.sum()),
        "rows_with_missing": int(gaps.any(axis=1).sum()),
        "input_axes": x.ndim,
    }
    if gaps.any():
        found["inputs_with_missing"] = [_name(names, j) for j in np.flatnonzero(gaps.any(axis=0)).tolist()]
        flat = flat[~gaps.any(axis=1)]
    if len(flat) < 4:
        return found
    if x.ndim == 2:
        found["sentinels"] = {_name(names, j): marked for j, marked in sentinels_of(flat).items()}
    if 2 <= flat.shape[1] <= MOST_INPUTS and x.ndim == 2:
        found |= _twins(flat, names)
    return found


def _twins(x: np.ndarray, names: Sequence[str] | None) -> dict[str, Any]:
    sd = x.std(axis=0)
    size = np.abs(x).max(axis=0)
    varies = sd > 1e-9 * np.maximum(size, 1e-300)
    found: dict[str, Any] = {"constant_inputs": [_name(names, j) for j in np.flatnonzero(~varies).tolist()]}
    kept = np.flatnonzero(varies)
    if len(kept) < 2 or len(x) < 10:
        return found | {"twin_inputs": [], "input_correlation": 0.0}
    z = (x[:, kept] - x[:, kept].mean(axis=0)) / sd[kept]
    correlation = z.T @ z / len(z)
    values = np.maximum(np.linalg.eigvalsh(correlation), 0.0)
    np.fill_diagonal(correlation, 0.0)
    strength = np.abs(correlation)
    first, second = np.unravel_index(int(np.argmax(strength)), strength.shape)
    twins = np.flatnonzero((np.triu(strength, 1) > SAME).any(axis=0))
    return found | {
        "twin_inputs": [_name(names, int(kept[j])) for j in twins.tolist()],
        "input_correlation": float(strength[first, second]),
        "correlated_pair": f"{_name(names, int(kept[first]))} and {_name(names, int(kept[second]))}",
        "input_condition": float(min(values[-1] / max(values[0], 1e-12), 1e12)),
    }


def order_correlation(y: np.ndarray, *, labels: bool) -> float:
    """Return how alike the targets of successive rows are: 0 in random order, near 1 when the rows are sorted.

    >>> order_correlation(np.repeat([0, 1], 50), labels=True) > 0.9
    True
    """
    y = y.reshape(-1)
    if len(y) < 4:
        return 0.0
    if labels:
        _, counts = np.unique(y, return_counts=True)
        expected = 1.0 - float(np.sum((counts / len(y)) ** 2))
        return 1.0 - float(np.mean(y[1:] != y[:-1])) / expected if expected > 0 else 0.0
    y = y.astype(np.float64)
    spread = float(np.var(y))
    return 1.0 - float(np.mean(np.diff(y) ** 2)) / (2.0 * spread) if spread > 0 else 0.0


def _keys(x: np.ndarray) -> np.ndarray:
    rows = np.ascontiguousarray(x.reshape(len(x), -1).astype(np.float32) + 0.0)
    return rows.view(np.dtype((np.void, rows.shape[1] * 4))).reshape(-1)


def _same_row(x: np.ndarray) -> bool:
    """Return whether two equal rows of x (n, ...) are the same row, and not equal by chance.

    They are where an input is real-valued. They also are where rows that are not equal differ in many inputs, as
    pictures do: chance would make near misses more often than hits.
    """
    flat = x.reshape(len(x), -1)
    some = flat[:, _sample(flat.shape[1], 50)]
    most = max(len(np.unique(some[:, j])) for j in range(some.shape[1]))
    _, first = np.unique(_keys(x), return_index=True)
    if most >= max(10.0, REAL_VALUED * len(first)):
        return True
    if len(first) < max(DISTINCT_ROWS, DISTINCT_SHARE * len(x)):
        return False  # a few patterns that return again and again
    known = flat[np.sort(first)][:, _sample(flat.shape[1], 200)]
    known = known[_sample(len(known), NEIGHBOURS)]
    nearest = []
    for i in _sample(len(known), 100).tolist():
        differing = (known != known[i]).sum(axis=1)
        differing[i] = flat.shape[1]
        nearest.append(int(differing.min()))
    return float(np.median(nearest)) >= APART_IN


def label_statistics(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the share of rows that contradict each other, for labels y (n,) and inputs x (n, ...)."""
    chosen = _sample(len(x), SAMPLE)
    keys, y = _keys(x[chosen]), y.reshape(-1)[chosen]
    _, index = np.unique(keys, return_inverse=True)
    index = index.reshape(-1)
    _, y = np.unique(y, return_inverse=True)
    counts = np.zeros((int(index.max()) + 1, int(y.max()) + 1), np.int64)
    np.add.at(counts, (index, y.reshape(-1)), 1)
    contradicting = counts[(counts > 0).sum(axis=1) > 1]
    return {
        "contradicting_rows": float(contradicting.sum() / len(y)),
        "inputs_are_real": _same_row(x[chosen]),
    }


def _ranks(column: np.ndarray) -> np.ndarray:
    _, index, counts = np.unique(column, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2.0)[index.reshape(-1)]
    return ranks


def _strength(column: np.ndarray, y: np.ndarray, labels: bool) -> float:
    """Share of one input's variance that the classes explain (correlation ratio), or r squared with a quantity.

    An input that merely decides the class by a threshold stays far below 1; a copy of the target, or the target with a
    little noise, does not.
    """
    total = float(np.var(column))
    if total == 0:
        return 0.0
    if not labels:
        return float(np.corrcoef(column, y.astype(np.float64))[0, 1] ** 2)
    _, index = np.unique(y, return_inverse=True)
    index = index.reshape(-1)
    counts = np.bincount(index)
    means = np.bincount(index, column) / counts
    return float(np.sum(counts * (means - column.mean()) ** 2)) / (total * len(column))


def relation_statistics(
    x: np.ndarray, y: np.ndarray, *, labels: bool, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return how much single inputs, and near neighbours, tell about the targets y, (n,).

    Args:
        x: (n, ...) finite numbers.
        y: class numbers or quantities.
        labels: which of the two.
        names: of the inputs.

    Returns:
        ``leak_strength`` and ``leak_next`` (how far the best and the second input alone are copies of the target, 0 to
        1), ``leak_input``, and ``neighbour_gain`` (how much more alike the targets of nearest neighbours
        are than chance, in its standard errors) with ``relation_strength`` (the strongest correlation, likewise).
    """
    chosen = _sample(len(x), NEIGHBOURS)
    table, y = x.reshape(len(x), -1)[chosen].astype(np.float64), y.reshape(-1)[chosen]
    sd = table.std(axis=0)
    table = table[:, sd > 0]
    n, d = table.shape
    if n < 50 or not d or d > 4 * MOST_INPUTS or len(np.unique(y)) < 2:
        return {}
    kept = np.flatnonzero(sd > 0)
    strengths = np.array([_strength(table[:, j], y, labels) for j in range(min(d, MOST_INPUTS))])
    order = np.argsort(-strengths)
    found: dict[str, Any] = {
        "leak_input": _name(names, int(kept[order[0]])),
        "leak_strength": float(strengths[order[0]]),
        "leak_next": float(strengths[order[1]]) if d > 1 else float("nan"),
    }
    z = (table - table.mean(axis=0)) / table.std(axis=0)
    squared = np.sum(z**2, axis=1)
    distance = squared[:, None] + squared[None, :] - 2.0 * z @ z.T
    np.fill_diagonal(distance, np.inf)
    nearest = np.argmin(distance, axis=1)
    if labels:
        _, counts = np.unique(y, return_counts=True)
        chance = float(np.sum((counts / n) ** 2))
        gain = (float(np.mean(y[nearest] == y)) - chance) / math.sqrt(max(chance * (1 - chance), 1e-12) / n)
        codes = [(y == label).astype(np.float64) for label in np.unique(y)[:20]]
    else:
        ranks = _ranks(y.astype(np.float64))
        gain = float(np.corrcoef(ranks, ranks[nearest])[0, 1]) * math.sqrt(n)
        codes = [ranks]
    strongest = max(
        float(np.abs((z * ((code - code.mean()) / max(float(code.std()), 1e-12))[:, None]).mean(axis=0)).max())
        for code in codes
    )
    tests = d * len(codes)
    # The largest of so many correlations of noise is about sqrt(2 ln tests) standard errors.
    found["neighbour_gain"] = gain
    found["relation_strength"] = strongest * math.sqrt(n) - math.sqrt(2 * math.log(max(tests, 2)))
    return found


def input_shift(x: np.ndarray, other_x: np.ndarray) -> dict[str, float]:
    """Return how differently the inputs of validation rows are scaled, (m, ...), from those of training rows, (n, ...).

    Returns:
        ``input_shift``, the greater of two factors that are about 1 where the rows are drawn alike: the root mean
        square distance of a validation row from the training mean in training sds, the median over the inputs; and
        ``input_shrink``, how many times less they vary, over all inputs. {} where it cannot be told.

    >>> x = np.arange(8.0).reshape(4, 2)
    >>> {name: round(value, 2) for name, value in input_shift(x, x + 100 * x.std(axis=0)).items()}
    {'input_shift': 100.0, 'input_shrink': 1.0}
    """
    if x.shape[1:] != other_x.shape[1:] or not len(other_x):
        return {}
    table, other = (
        rows[_sample(len(rows), SAMPLE)].reshape(-1, rows.shape[-1]).astype(np.float64) for rows in (x, other_x)
    )
    if not np.isfinite(table).all() or not np.isfinite(other).all():
        return {}
    mean, sd = table.mean(axis=0), table.std(axis=0)
    varies = sd > 1e-9 * np.maximum(np.abs(table).max(axis=0), 1e-300)
    if not varies.any():
        return {}
    z = (other[:, varies] - mean[varies]) / sd[varies]
    shift, shrink = float(np.median(np.sqrt(np.mean(z**2, axis=0)))), 1.0
    if len(other_x) >= FEWEST_SPREAD:
        shrink = 1.0 / max(float(np.sqrt(np.mean(z.std(axis=0) ** 2))), 1e-12)
    return {"input_shift": max(shift, shrink), "input_shrink": shrink}


def validation_statistics(
    x: np.ndarray, y: np.ndarray, other_x: np.ndarray, other_y: np.ndarray, *, labels: bool
) -> dict[str, Any]:
    """Return how the validation rows differ from the training rows, and how many of them stand among those.

    Args:
        x: training inputs, (n, ...).
        y: training targets, (n,).
        other_x: validation inputs, (m, ...).
        other_y: validation targets, (m,).
        labels: whether the targets are class numbers.
    """
    found: dict[str, Any] = {"n_validation": len(other_x)}
    small = x.size <= MOST_COMPARED
    if small and x.shape[1:] == other_x.shape[1:] and _same_row(x[_sample(len(x), SAMPLE)]):
        others = other_x[_sample(len(other_x), SAMPLE)]
        found["shared_rows"] = float(np.isin(_keys(others), _keys(x)).mean())
    y, other_y = y.reshape(-1), other_y.reshape(-1)
    if labels:
        found["unseen_class_rows"] = float((~np.isin(other_y, y)).mean())
        every = np.union1d(y, other_y)
        p = np.array([np.mean(y == label) for label in every])
        q = np.array([np.mean(other_y == label) for label in every])
        found["target_shift"] = float(0.5 * np.abs(p - q).sum())
    elif np.var(y.astype(np.float64)) > 0:
        a, b = np.sort(y.astype(np.float64)), other_y.astype(np.float64)
        grid = np.concatenate([a, b])
        below = np.searchsorted(a, grid, side="right") / len(a)
        found["target_shift"] = float(
            np.abs(below - np.searchsorted(np.sort(b), grid, side="right") / len(b)).max()
        )  # Kolmogorov-Smirnov distance
    return found
