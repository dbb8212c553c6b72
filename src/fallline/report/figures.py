"""The numbers behind the pictures: computed here, drawn elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fallline.types import Trace

__all__ = [
    "Calibration",
    "Curves",
    "bins_for",
    "calibration",
    "confusion",
    "curves",
    "decimate",
    "density",
    "log_floor",
    "log_wanted",
    "performance_names",
    "worst_confusions",
]

LOG_DECADES = 1000.0
LOG_RATIO = 30.0  # a curve that spans more than this is drawn on a logarithmic axis
MOST_POINTS = 320  # of one line; more cannot be told apart on a screen
MOST_MEMBER_POINTS = 90
MOST_MEMBERS = 24  # faint lines
CALIBRATION_BINS = 10
_NOT_PERFORMANCE = frozenset({"loss", "val_loss", "running_loss", "learning_rate"})


def decimate(x: np.ndarray, y: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Thin a line to about ``most`` points, keeping both ends and each stretch's smallest and largest value.

    Args:
        x: (n,) positions, ascending.
        y: (n,) values; NaN allowed.
        most: number of points wanted, at least 4.

    >>> decimate(np.arange(1000), np.r_[np.zeros(500), 9, np.zeros(499)], 20)[1].max()
    np.float64(9.0)
    """
    n = len(y)
    if n <= most:
        return x, y
    kept = {0, n - 1}
    for stretch in np.array_split(np.arange(1, n - 1), max(1, (most - 2) // 2)):
        values = y[stretch]
        if np.isnan(values).all():
            kept.add(int(stretch[0]))
            continue
        kept.add(int(stretch[np.nanargmin(values)]))
        kept.add(int(stretch[np.nanargmax(values)]))
        if np.isnan(values).any():
            kept.add(int(stretch[np.isnan(values)][0]))
    rows = np.fromiter(sorted(kept), np.int64)
    return x[rows], y[rows]


# ------------------------------------------------------------------------------------------------ learning curves


@dataclass(frozen=True, eq=False)
class Curves:
    """One quantity over the epochs; arrays have one entry per epoch, from epoch 1, and may be empty.

    Args:
        name: the quantity on the training rows, e.g. ``loss``.
        train: mean over members.
        val: the same on validation rows.
        running: mean over the epoch's steps, in training mode (loss only).
        members: each member's own validation (else training) curve; empty for one member.
        lost: first epoch at which a value is not a number, or None.
    """

    name: str
    train: np.ndarray
    val: np.ndarray
    running: np.ndarray
    members: tuple[np.ndarray, ...] = ()
    lost: int | None = None

    @property
    def n_epochs(self) -> int:
        """Number of epochs that are shown."""
        return max(len(self.train), len(self.val), len(self.running))

    def values(self) -> np.ndarray:
        """Return all finite values of the mean curves."""
        everything = np.concatenate([self.train, self.val, self.running])
        finite: np.ndarray = everything[np.isfinite(everything)]
        return finite


def curves(trace: Trace, name: str) -> Curves:
    """Gather one quantity, its validation twin and each member's course."""

    def one(quantity: str, member: int | None = None) -> np.ndarray:
        return trace.curve(quantity, member=member)

    train, val = one(name), one(f"val_{name}")
    running = one("running_loss") if name == "loss" else np.empty(0)
    own = f"val_{name}" if len(val) else name
    members = trace.members
    chosen = (
        members
        if len(members) <= MOST_MEMBERS
        else [members[int(i)] for i in np.linspace(0, len(members) - 1, MOST_MEMBERS)]
    )
    courses = tuple(one(own, m) for m in chosen) if len(members) > 1 else ()
    return Curves(name, train, val, running, courses, _first_lost(trace, name))


def _first_lost(trace: Trace, name: str) -> int | None:
    """First epoch with a recorded value that is not finite."""
    shown = np.isin(trace.quantity.astype(str), [name, f"val_{name}", *(["running_loss"] if name == "loss" else [])])
    lost = shown & (trace.layer == "") & ~np.isfinite(trace.value) & (trace.epoch >= 1)
    return int(trace.epoch[lost].min()) if lost.any() else None


def log_floor(found: Curves) -> float:
    """Return the smallest value that a logarithmic axis shows: 3 decades below the lowest validation loss.

    A training loss of 1e-9 is as good as one of 1e-6, and must not press the rest of the picture together.
    """
    val = found.val[np.isfinite(found.val) & (found.val > 0)]
    return float(val.min()) / LOG_DECADES if len(val) else 0.0


def performance_names(trace: Trace) -> list[str]:
    """Return the metrics that were watched for the whole network, training names, in a steady order."""
    whole = set(trace.quantity[(trace.layer == "") & (trace.epoch >= 1)].astype(str).tolist())
    names = {q.removeprefix("val_") for q in whole} - _NOT_PERFORMANCE
    order = {"accuracy": 0, "auc": 1, "rmse": 2, "mae": 3}
    return sorted(names, key=lambda q: (order.get(q, 9), q))


def log_wanted(values: np.ndarray) -> bool:
    """True when positive values span so much that a linear axis would hide the small ones.

    >>> log_wanted(np.array([100.0, 1.0])), log_wanted(np.array([10.0, 1.0])), log_wanted(np.array([100.0, 0.0]))
    (True, False, False)
    """
    v = values[np.isfinite(values)]
    return bool(len(v) and v.min() > 0 and v.max() / v.min() > LOG_RATIO)


# ------------------------------------------------------------------------------------------------ classification


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often what was predicted with some probability came true, per bin of equal width.

    Args:
        edges: (b + 1,) borders of the bins.
        predicted: (b,) mean predicted probability, NaN for empty bins.
        observed: (b,) share that came true, NaN for empty bins.
        low: (b,) lower end of Wilson's 95 % interval of ``observed``.
        high: (b,) upper end.
        counts: (b,) rows per bin.
        error: expected calibration error: mean |observed - predicted|, weighted by counts.
    """

    edges: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    error: float


def bins_for(n: int) -> int:
    """Return a number of bins that leaves some 20 rows to each where it can: 4 to 10.

    >>> bins_for(30), bins_for(120), bins_for(5000)
    (4, 6, 10)
    """
    return max(4, min(CALIBRATION_BINS, n // 20))


def calibration(probability: np.ndarray, outcome: np.ndarray, bins: int = CALIBRATION_BINS) -> Calibration:
    """Compare predicted probabilities with what came true (Guo et al. 2017, eq. 3 for the expected calibration error).

    Args:
        probability: (n,) in [0, 1]: of class 1, or of the predicted class.
        outcome: (n,) of 0 and 1: whether it came true.
        bins: number of bins of equal width.
    """
    p, t = np.asarray(probability, np.float64).ravel(), np.asarray(outcome, np.float64).ravel()
    which = np.clip((p * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(which, minlength=bins)
    filled = counts > 0
    safe = np.maximum(counts, 1)
    predicted = np.where(filled, np.bincount(which, p, bins) / safe, np.nan)
    observed = np.where(filled, np.bincount(which, t, bins) / safe, np.nan)
    z2 = 1.96**2
    centre = (observed + z2 / (2 * safe)) / (1 + z2 / safe)
    half = 1.96 / (1 + z2 / safe) * np.sqrt(observed * (1 - observed) / safe + z2 / (4 * safe**2))
    gaps = np.abs(observed - predicted)
    error = float(np.sum(counts[filled] * gaps[filled]) / max(counts.sum(), 1))
    return Calibration(np.linspace(0, 1, bins + 1), predicted, observed, centre - half, centre + half, counts, error)


def confusion(y: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    """Count true class (rows) against predicted class (columns), shape (classes, classes).

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    return np.bincount(y * classes + label, minlength=classes * classes).reshape(classes, classes)


def worst_confusions(table: np.ndarray, most: int = 8) -> list[tuple[int, int, int]]:
    """Return the most frequent mistakes as (true, predicted, rows), most frequent first."""
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(int(i) // len(table), int(i) % len(table)) for i in order]
    return [(t, p, int(wrong[t, p])) for t, p in pairs if wrong[t, p]]


# ---------------------------------------------------------------------------------------------------- regression


def density(
    x: np.ndarray, y: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray, levels: int = 6
) -> list[list[tuple[int, int]]]:
    """Count points in cells and sort the filled cells into levels of equal ratios, sparse to dense.

    Returns:
        Per level, the (column, row) of its cells.
    """
    counts, _, _ = np.histogram2d(x, y, bins=(x_edges, y_edges))
    most = counts.max() if counts.size else 0
    if most <= 0:
        return []
    rank = np.zeros(counts.shape, np.int64)
    filled = counts > 0
    scale = math.log(most) if most > 1 else 1.0
    rank[filled] = 1 + np.minimum((np.log(counts[filled]) / scale * levels).astype(np.int64), levels - 1)
    return [[(int(i), int(j)) for i, j in np.argwhere(rank == level)] for level in range(1, levels + 1)]


def finite_range(parts: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the smallest and largest finite value of several arrays; (0, 1) when there is none."""
    v = np.concatenate([np.asarray(p, np.float64).ravel() for p in parts])
    v = v[np.isfinite(v)]
    return (float(v.min()), float(v.max())) if len(v) else (0.0, 1.0)
