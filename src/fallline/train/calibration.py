"""From the members' raw outputs to probabilities, and the one temperature that makes them mean what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fallline.network.activations import UNIT_TARGETS
from fallline.train.orders import Member

__all__ = ["fit_temperature", "out_of_fold", "probabilities", "tempered"]

# Temperatures tried: e^-1 .. e^1.5; beyond, a network is not miscalibrated but broken.
_TEMPERATURES = np.exp(np.linspace(-1.0, 1.5, 126))


def probabilities(kind: str, out: np.ndarray, output: str = "plain", target_values: str = "inside") -> np.ndarray:
    """Raw outputs (p, n, k) -> probabilities (p, n, k); binary: of class 1.

    A bounded output unit says by its place between its two targets how likely the label is; the saved model computes
    the same (`fallline.network.activations.apply_output_unit`).
    """
    out = out.astype(np.float64)
    if output != "plain":
        low, high = UNIT_TARGETS[output, target_values]
        with np.errstate(over="ignore"):
            reached = 1.7159 * np.tanh(out * (2.0 / 3.0)) if output == "lecun_tanh" else 1.0 / (1.0 + np.exp(-out))
        p: np.ndarray = np.clip((reached - low) / (high - low), 1e-7, 1.0 - 1e-7)
        return p / p.sum(axis=-1, keepdims=True) if kind == "multiclass" else p
    if kind == "multiclass":
        e = np.exp(out - out.max(axis=-1, keepdims=True))
        found: np.ndarray = e / e.sum(axis=-1, keepdims=True)
        return found
    with np.errstate(over="ignore"):  # e^710 is infinite, and 1 / (1 + infinity) is the right 0
        ones: np.ndarray = 1.0 / (1.0 + np.exp(-out))
    return ones


def out_of_fold(values: np.ndarray, members: Sequence[Member], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Average, for each row, the members that did not train on it; return (rows, (len(rows), k))."""
    total, count = np.zeros((n, values.shape[-1])), np.zeros(n)
    for i, m in enumerate(members):
        total[m.val_rows] += values[i, m.val_rows]
        count[m.val_rows] += 1
    rows = np.flatnonzero(count)
    return rows, total[rows] / count[rows, None]


def tempered(p: np.ndarray, temperature: float, multiclass: bool) -> np.ndarray:
    """p^(1/T), normalised over classes, or against 1 - p."""
    p = np.clip(p, 1e-12, 1.0)
    a = p ** (1.0 / temperature)
    total = a.sum(axis=-1, keepdims=True) if multiclass else a + np.clip(1.0 - p, 1e-12, 1.0) ** (1.0 / temperature)
    found: np.ndarray = a / total
    return found


def fit_temperature(p: np.ndarray, y: np.ndarray, weight: np.ndarray, multiclass: bool) -> float:
    """The temperature of least log-loss on rows that the predicting members were not trained on.

    Source: Guo et al., arXiv 1706.04599.
    """

    def loss(t: float) -> float:
        q = np.clip(tempered(p, t, multiclass), 1e-12, 1.0 - 1e-12)
        if multiclass:
            rows = -np.log(q[np.arange(len(y)), y])
        else:
            target = y.reshape(q.shape)
            rows = -(target * np.log(q) + (1 - target) * np.log1p(-q)).mean(axis=-1)
        return float(np.average(rows, weights=weight))

    return float(_TEMPERATURES[np.argmin([loss(t) for t in _TEMPERATURES])])
