"""Learning-rate schedules as factors on the learning rate, computed on the host for each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from fallline.errors import InputError, nearest
from fallline.types import REDUCING, SCHEDULE_NUMBERS, OptimizerRecipe

__all__ = ["SCHEDULES", "rate_factors", "schedule_numbers"]


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


def _tau_over_t(t: np.ndarray, schedule_tau: float) -> np.ndarray:
    """Constant up to tau, then tau / t: tau / max(t, tau) (Bengio, Practical recommendations, 2012, eq. 2)."""
    factor: np.ndarray = schedule_tau / np.maximum(t, schedule_tau)
    return factor


def _bottou(t: np.ndarray, schedule_lambda: float) -> np.ndarray:
    """1 / (1 + gamma lambda t) with t in steps; `rate_factors` gives gamma lambda times the steps of the training.

    Source: Bottou, Stochastic gradient descent tricks, 2012, section 5.2, with gamma the learning rate.
    """
    return 1.0 / (1.0 + schedule_lambda * t)


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
    "tau_over_t": _tau_over_t,
    "bottou": _bottou,
    # The host knows nothing of what a member's training does: the engine lowers the rate (`fallline.engine.stopping`).
    "plateau": _constant,
    "oscillation": _constant,
}


def rate_factors(
    name: str,
    steps: np.ndarray,
    total: int,
    *,
    warmup: float = 0.0,
    learning_rate: float = 1.0,
    numbers: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Return the factor on the learning rate at each step, float32, in [0, 1].

    Args:
        name: a key of `SCHEDULES`.
        steps: step numbers from 0, any shape.
        total: number of steps of the whole training.
        warmup: share of the training over which the factor rises linearly from 0.
        learning_rate: what the factor is for (bottou: a larger rate falls earlier).
        numbers: of the schedule, as `fallline.types.SCHEDULE_NUMBERS` names them; default: the recipe's.

    Raises:
        InputError: for an unknown name.

    >>> rate_factors("cosine", np.array([0, 50, 100]), 100).tolist()
    [1.0, 0.5, 0.0]
    >>> staircase = {"schedule_end": 0.5, "schedule_drops": 1}
    >>> rate_factors("step", np.array([0, 49, 50, 100]), 100, numbers=staircase).tolist()
    [1.0, 1.0, 0.5, 0.5]
    """
    if name not in SCHEDULES:
        raise InputError(f"Unknown schedule {name!r}.{nearest(name, SCHEDULES)} Allowed: {', '.join(SCHEDULES)}.")
    t = np.clip(np.asarray(steps, np.float64) / max(total, 1), 0.0, 1.0)
    usual = OptimizerRecipe()
    given = {
        key: (numbers or {}).get(key, getattr(usual, key)) for key in SCHEDULE_NUMBERS[name] if name not in REDUCING
    }
    if name == "bottou":
        given["schedule_lambda"] *= learning_rate * max(total, 1)
    factor = SCHEDULES[name](t, **given)
    if warmup > 0.0:
        # The first step has already a rate above 0: a step that does nothing is a wasted one.
        step = 1.0 / max(total, 1)
        factor = factor * np.minimum(1.0, (t + step) / max(warmup, step))
    return factor.astype(np.float32)


def schedule_numbers(optimizer: OptimizerRecipe) -> dict[str, float]:
    """Return the numbers that the recipe's schedule reads on the host.

    >>> schedule_numbers(OptimizerRecipe(schedule="step", schedule_drops=3))
    {'schedule_end': 0.01, 'schedule_drops': 3}
    """
    read = SCHEDULE_NUMBERS.get(optimizer.schedule, ())
    return {key: getattr(optimizer, key) for key in read if optimizer.schedule not in REDUCING}
