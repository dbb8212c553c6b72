"""Learning-rate schedules as factors on the learning rate, computed on the host for each step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fallline.errors import InputError, nearest

__all__ = ["SCHEDULES", "rate_factors"]


def _constant(t: np.ndarray) -> np.ndarray:
    """Factor 1 throughout."""
    return np.ones_like(t)


def _cosine(t: np.ndarray) -> np.ndarray:
    """Half a cosine from 1 to 0: (1 + cos(pi t)) / 2 (Loshchilov & Hutter, arXiv 1608.03983, eq. 5, one cycle)."""
    return 0.5 * (1.0 + np.cos(np.pi * t))


def _flat_cosine(t: np.ndarray) -> np.ndarray:
    """Flat at 1 for the first half, then half a cosine to 0."""
    return np.where(t < 0.5, 1.0, 0.5 * (1.0 + np.cos(np.pi * (2.0 * t - 1.0))))


def _one_cycle(t: np.ndarray) -> np.ndarray:
    """Cosine up from 1/25 to 1 in the first 30 %, cosine down to 0.

    Source: Smith & Topin, arXiv 1708.07120; the usual 25 and 30 %.
    """
    up = 0.04 + 0.96 * 0.5 * (1.0 - np.cos(np.pi * t / 0.3))
    return np.where(t < 0.3, up, 0.5 * (1.0 + np.cos(np.pi * (t - 0.3) / 0.7)))


def _coslog4(t: np.ndarray) -> np.ndarray:
    """Four cosine cycles, equally long in log2(1 + 15 t): (1 - cos(2 pi log2(1 + 15 t))) / 2.

    Source: RealMLP, arXiv 2407.04491.
    """
    return 0.5 * (1.0 - np.cos(2.0 * np.pi * np.log2(1.0 + 15.0 * t)))


SCHEDULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": _constant,
    "cosine": _cosine,
    "flat_cosine": _flat_cosine,
    "one_cycle": _one_cycle,
    "coslog4": _coslog4,
}


def rate_factors(name: str, steps: np.ndarray, total: int, *, warmup: float = 0.0) -> np.ndarray:
    """Return the factor on the learning rate at each step, float32, in [0, 1].

    Args:
        name: a key of `SCHEDULES`.
        steps: step numbers from 0, any shape.
        total: number of steps of the whole training.
        warmup: share of the training over which the factor rises linearly from 0.

    Raises:
        InputError: for an unknown name.

    >>> rate_factors("cosine", np.array([0, 50, 100]), 100).tolist()
    [1.0, 0.5, 0.0]
    """
    if name not in SCHEDULES:
        raise InputError(f"Unknown schedule {name!r}.{nearest(name, SCHEDULES)} Allowed: {', '.join(SCHEDULES)}.")
    t = np.clip(np.asarray(steps, np.float64) / max(total, 1), 0.0, 1.0)
    factor = SCHEDULES[name](t)
    if warmup > 0.0:
        # The first step has already a rate above 0: a step that does nothing is a wasted one.
        factor = factor * np.minimum(1.0, (t + 1.0 / max(total, 1)) / warmup)
    return factor.astype(np.float32)
