"""Learning-rate schedules as factors on the learning rate, computed on the host for each step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fallline.errors import InputError, nearest
from fallline.types import SCHEDULE_NUMBERS, OptimizerRecipe

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


def _linear(t: np.ndarray) -> np.ndarray:
    """A straight line from 1 to 0: 1 - t (Goodfellow, Bengio & Courville, Deep Learning, 2016, eq. 8.14)."""
    return 1.0 - t


def _step(t: np.ndarray, schedule_end: float, schedule_drops: int) -> np.ndarray:
    """A staircase of d drops by equal ratios, equally far apart: end^(k / d), k = min(floor((d + 1) t), d).

    The defaults, 0.01 in two drops, divide by ten after one and after two thirds of the training. He et al., arXiv
    1512.03385, section 4.2, divide by ten twice as well, after 1/2 and 3/4.
    """
    # Safe against rounding: at a step that is a third of the training, 3 t must not be a little less than 1.
    drops = np.minimum(np.floor((schedule_drops + 1) * t + 1e-9), schedule_drops)
    factor: np.ndarray = np.power(schedule_end, drops / schedule_drops)
    return factor


def _exponential(t: np.ndarray, schedule_end: float) -> np.ndarray:
    """Equal ratios from step to step, from 1 to the end: end^t (Senior et al., ICASSP 2013)."""
    factor: np.ndarray = np.power(schedule_end, t)
    return factor


def _inverse_time(t: np.ndarray, schedule_end: float) -> np.ndarray:
    """1 / (1 + t / tau), with tau = end / (1 - end) of the training, so that it ends where it is told to.

    Source: Bottou, Stochastic gradient descent tricks, 2012: rates of the form gamma_0 / (1 + gamma_0 lambda t).
    """
    return 1.0 / (1.0 + t * (1.0 / schedule_end - 1.0))


# Which numbers each reads is said in one place, `fallline.types.SCHEDULE_NUMBERS`.
SCHEDULES: dict[str, Callable[..., np.ndarray]] = {
    "constant": _constant,
    "cosine": _cosine,
    "flat_cosine": _flat_cosine,
    "one_cycle": _one_cycle,
    "coslog4": _coslog4,
    "linear": _linear,
    "step": _step,
    "exponential": _exponential,
    "inverse_time": _inverse_time,
}


def rate_factors(
    name: str,
    steps: np.ndarray,
    total: int,
    *,
    warmup: float = 0.0,
    schedule_end: float = OptimizerRecipe.schedule_end,
    schedule_drops: int = OptimizerRecipe.schedule_drops,
) -> np.ndarray:
    """Return the factor on the learning rate at each step, float32, in [0, 1].

    Args:
        name: a key of `SCHEDULES`.
        steps: step numbers from 0, any shape.
        total: number of steps of the whole training.
        warmup: share of the training over which the factor rises linearly from 0.
        schedule_end: factor left at the end (step, exponential, inverse_time), in (0, 1].
        schedule_drops: number of drops (step).

    Raises:
        InputError: for an unknown name.

    >>> rate_factors("cosine", np.array([0, 50, 100]), 100).tolist()
    [1.0, 0.5, 0.0]
    >>> rate_factors("step", np.array([0, 49, 50, 100]), 100, schedule_end=0.5, schedule_drops=1).tolist()
    [1.0, 1.0, 0.5, 0.5]
    """
    if name not in SCHEDULES:
        raise InputError(f"Unknown schedule {name!r}.{nearest(name, SCHEDULES)} Allowed: {', '.join(SCHEDULES)}.")
    t = np.clip(np.asarray(steps, np.float64) / max(total, 1), 0.0, 1.0)
    numbers = {"schedule_end": schedule_end, "schedule_drops": schedule_drops}
    factor = SCHEDULES[name](t, **{key: numbers[key] for key in SCHEDULE_NUMBERS[name]})
    if warmup > 0.0:
        # The first step has already a rate above 0: a step that does nothing is a wasted one.
        factor = factor * np.minimum(1.0, (t + 1.0 / max(total, 1)) / warmup)
    return factor.astype(np.float32)
