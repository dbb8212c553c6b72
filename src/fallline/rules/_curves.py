"""Reading a curve: what the rules about learning curves share. Curves are (epochs,) with NaN where not watched."""

from __future__ import annotations

import math

import numpy as np

from fallline.rules._statistics import CROSS_ENTROPIES, canonical_loss

__all__ = [
    "END_SHARE", "drop_scale", "end_level", "fall_at_end", "finite", "jitter", "loss_of_rows", "lowest", "smooth",
]  # fmt: skip

# The last fifth of the epochs is "the end" of a run: the smallest part in which a run of 15 epochs has three values.
END_SHARE = 0.2
# A row costs some 4 nats where the network is sure to 98 % and wrong, 4 variances where it is wrong by 2 sd.
_COST_OF_A_ROW = 4.0
# A share of the starting loss below which a "fall" is too small to divide by.
_SMALL_FALL = 0.05
# A moving median over a tenth of the epochs follows any bend that matters and ignores single spikes.
_SMOOTH_SHARE = 0.1
# 1.4826 makes a median absolute value estimate a Gaussian sd; second differences of white noise have variance 6.
_SD_FROM_SECOND_DIFFERENCE = 1.4826 / math.sqrt(6.0)


def finite(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs (from 1) and values of the finite points of a curve.

    >>> epochs, values = finite(np.array([3.0, np.nan, 1.0]))
    >>> epochs.tolist(), values.tolist()
    ([1, 3], [3.0, 1.0])
    """
    curve = np.asarray(curve, np.float64).reshape(-1)
    chosen = np.isfinite(curve)
    return np.flatnonzero(chosen) + 1, curve[chosen]


def jitter(values: np.ndarray) -> float:
    """Return the sd of the epoch-to-epoch noise of finite values, a robust figure that a smooth trend does not raise.

    The median absolute second difference, scaled: a straight line gives 0, white noise its own sd.

    >>> jitter(np.arange(10.0))
    0.0
    """
    if len(values) < 4:
        return 0.0
    return float(np.median(np.abs(np.diff(values, 2)))) * _SD_FROM_SECOND_DIFFERENCE


def smooth(values: np.ndarray) -> np.ndarray:
    """Return the moving median over a tenth of the values (an odd number of them, at least 3)."""
    width = max(3, int(len(values) * _SMOOTH_SHARE) | 1)
    if len(values) < width:
        return values
    from scipy.ndimage import median_filter

    # Its time and memory do not grow with the width: 200,000 epochs, written out window by window, would be 30 GB.
    found: np.ndarray = median_filter(values, size=width, mode="mirror")
    return found


def lowest(values: np.ndarray) -> tuple[int, float]:
    """Return where the smoothed curve is lowest, and its level; where it is so twice, the curve itself decides."""
    calm = smooth(values)
    level = float(np.min(calm))
    equal = np.flatnonzero(calm <= level)
    return int(equal[np.argmin(values[equal])]), level


def end_level(values: np.ndarray) -> float:
    """Return the median of the last tenth of the values (at least 3 of them)."""
    return float(np.median(values[-max(3, int(len(values) * _SMOOTH_SHARE)) :]))


def fall_at_end(values: np.ndarray) -> tuple[float, float]:
    """Return how far the least-squares line through the end falls in a fifth of the run, and that figure's sd.

    >>> fall, error = fall_at_end(np.linspace(2.0, 1.0, 11))
    >>> round(fall, 6), round(error, 6)
    (0.2, 0.0)
    """
    points = min(len(values), max(4, math.ceil(END_SHARE * len(values)) + 1))
    if points < 3:
        return 0.0, 0.0
    end = values[-points:]
    time = np.arange(points) - (points - 1) / 2
    slope = float(time @ (end - end.mean()) / (time @ time))
    residual = end - end.mean() - slope * time
    noise = max(jitter(values), float(np.sqrt(residual @ residual / (points - 2))))
    span = END_SHARE * (len(values) - 1)
    return -slope * span, noise * span / math.sqrt(float(time @ time))


def loss_of_rows(rows: int, n: int, loss_name: str | None, variance: float) -> float:
    """Return how far a mean loss over n rows moves when the network becomes sure and wrong about some of them.

    Args:
        rows: how many of them.
        n: rows in all.
        loss_name: of a cross-entropy in nats, else of a loss of quantities.
        variance: of the targets, or what stands for it.

    >>> loss_of_rows(1, 100, "binary_crossentropy", 1.0)
    0.04
    """
    unit = 1.0 if canonical_loss(str(loss_name or "")) in CROSS_ENTROPIES else abs(variance)
    return rows * _COST_OF_A_ROW * unit / n


def drop_scale(start_loss: float, level: float) -> float:
    """Return how far the loss can be said to have dropped from where it started, never less than 5 % of the start."""
    return max(start_loss - level, _SMALL_FALL * abs(start_loss), np.finfo(float).tiny)
