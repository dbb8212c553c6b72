"""Where a piecewise linear embedding bends: at quantiles of what the training rows hold, and where classes part."""

from __future__ import annotations

import numpy as np

__all__ = ["bin_starts", "knots_of"]

# Bins narrower than this are joined: in scaled numbers a thousandth of the spread of the middle half of the rows. Much
# narrower ones would be lost in single precision.
_NARROWEST = 1e-3
# Rows that are looked at: a quantile is then known to half a percent, and a table of millions costs no more. Of many
# columns fewer rows: a tree takes some milliseconds, and there is one for each column of each member.
_MOST_ROWS, _FEWEST_ROWS, _MOST_VALUES = 10_000, 1_000, 1_000_000
# A part between two splits holds at least so many rows, and this share of all: fewer say nothing of the classes.
_LEAF_ROWS, _LEAF_SHARE = 3, 0.002
# Rows that a member's trees see: members of an ensemble then part in different places.
_SEEN = 0.8


def knots_of(
    values: np.ndarray, bins: int, rng: np.random.Generator, labels: np.ndarray | None = None
) -> np.ndarray:
    """Return at most ``bins + 1`` rising knots, the smallest and the largest value among them.

    Every other knot is a quantile of the rows, the others are quantiles of the different values: where most rows
    hold one value, the rows' quantiles alone would all fall on it and leave the others without a knot. The levels are
    moved by a random share of a step, so that members of an ensemble bend in different places. Where there are no more
    different values than knots, each is one.

    With labels, only half of the bins are made so. The other half is where a decision tree on this column alone parts
    the classes: what happens at one value (a form that is due from some income on) is seldom at a quantile.

    Args:
        values: (n,) scaled numbers, n >= 1.
        bins: how many bins at most.
        rng: draws the shift, and the rows that a tree sees.
        labels: (n,) the rows' classes; None: quantiles alone.

    Source: Gorishniy, Rubachev & Babenko, arXiv 2203.05556, sections 3.2.1 (quantiles) and 3.2.2 (splits of trees).

    >>> knots_of(np.array([0.0, 0.0, 1.0, 3.0, 1.0]), 4, np.random.default_rng(0)).tolist()
    [0.0, 1.0, 3.0]
    """
    different = np.unique(values)
    if len(different) > bins + 1:
        count = bins if labels is None else bins // 2
        levels = (np.arange(1, count) + rng.uniform(-0.5, 0.5)) / count
        inner = [np.quantile(values, levels[::2]), np.quantile(different, levels[1::2])]
        if labels is not None:
            inner.append(_splits(values, labels, bins - count, rng))
        different = np.unique(np.concatenate([different[[0, -1]], *inner]))
    kept = [different[0]]
    for knot in different[1:]:
        if knot - kept[-1] >= _NARROWEST:
            kept.append(knot)
    return np.asarray(kept)


def _splits(values: np.ndarray, labels: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return at most so many values, rising, at which a decision tree parts the classes."""
    from sklearn.tree import DecisionTreeClassifier

    rows = rng.permutation(len(values))[: max(2, int(_SEEN * len(values)))]
    leaf = max(_LEAF_ROWS, int(_LEAF_SHARE * len(rows)))
    tree = DecisionTreeClassifier(max_leaf_nodes=most + 1, min_samples_leaf=leaf, random_state=0)
    tree.fit(values[rows, None], labels[rows])
    found: np.ndarray = np.sort(tree.tree_.threshold[tree.tree_.feature >= 0])
    return found


def bin_starts(
    x: np.ndarray, bins: int, rng: np.random.Generator, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bins of each column as (start, 1 / width), (m, bins) float32 each; 1 / width is 0 where none is.

    Args:
        x: (n, m) scaled numbers of the training rows.
        bins: how many bins a column has at most.
        rng: see `knots_of`.
        labels: (n,), see `knots_of`.
    """
    most = min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_VALUES // max(1, x.shape[1])))
    if len(x) > most:
        rows = rng.choice(len(x), most, replace=False)
        x, labels = x[rows], None if labels is None else labels[rows]
    start, inverse = np.zeros((2, x.shape[1], bins), np.float32)
    for column in range(x.shape[1]):
        knots = knots_of(x[:, column].astype(np.float64), bins, rng, labels)
        start[column, : len(knots) - 1] = knots[:-1]
        inverse[column, : len(knots) - 1] = 1.0 / np.diff(knots)
    return start, inverse
