"""Paired scores of treated arms and a control: does the treatment help, hurt, or can it not be told?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import stats

from fallline.resampled import corrected_mean, holm
from fallline.types import Comparison, Decision

__all__ = ["ALPHA", "compare", "seeds_needed"]

# The share of treatments that do nothing of which it may be said that they help or hurt.
ALPHA = 0.05
# Of the bootstrap over folds, which must agree with the t-test.
_RESAMPLES, _SEED = 2000, 0
_MOST_SEEDS = 1000


def seeds_needed(gains: np.ndarray, share: float) -> int | None:
    """Return how many seeds in all would decide, if mean and spreads stay; None: none up to a thousand would.

    More seeds average the chance of single trainings out, not what the folds differ in.

    Args:
        gains: (seeds, folds) paired differences.
        share: n_test / n_train.
    """
    seeds, folds = gains.shape
    chance = float(np.mean(np.var(gains, axis=0, ddof=1))) if seeds > 1 else 0.0
    between = max(0.0, float(np.var(gains.mean(axis=0), ddof=1)) - chance / seeds)
    reach = float(stats.t.ppf(1 - ALPHA / 2, folds - 1)) * math.sqrt(1 / folds + share)
    # |mean| > reach sqrt(between + chance / m), solved for m
    left: float = (float(gains.mean()) / reach) ** 2 - between
    if left <= 0 or chance >= left * _MOST_SEEDS:
        return None
    return max(int(seeds) + 1, math.floor(chance / left) + 1)


def _bootstrap_agrees(means: np.ndarray) -> bool:
    """Return whether the means of the folds, drawn anew, lie on one side of 0 in 95 % of the draws."""
    draws = np.random.default_rng(_SEED).integers(0, len(means), (_RESAMPLES, len(means)))
    low, high = np.quantile(means[draws].mean(axis=1), [ALPHA / 2, 1 - ALPHA / 2])
    return bool(low > 0 or high < 0)


def compare(
    control: np.ndarray, treated: Mapping[str, np.ndarray], *, share: float, higher_is_better: bool = False
) -> tuple[Comparison, ...]:
    """Compare arms with a control, pair by pair, by the corrected resampled t-test over folds.

    Args:
        control: (seeds, folds) scores.
        treated: arm -> (seeds, folds) scores on the same seeds and folds.
        share: n_test / n_train of a fold; at least two folds.
        higher_is_better: direction of the score.

    >>> rng = np.random.default_rng(0)
    >>> control = rng.normal(1.0, 0.01, (3, 5))
    >>> arms = {"better": control - 0.1 + rng.normal(0, 0.01, (3, 5)), "same": control + rng.normal(0, 0.01, (3, 5))}
    >>> [one.decision for one in compare(control, arms, share=0.25)]
    ['helps', 'cannot tell']
    """
    sign = 1.0 if higher_is_better else -1.0
    gains = {name: sign * (scores - control) for name, scores in treated.items()}
    # The seeds of a fold share its rows: they are averaged, so that the folds are what is counted.
    tests = {name: corrected_mean(gain.mean(axis=0), share, level=1 - ALPHA) for name, gain in gains.items()}
    adjusted = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
    found = []
    for name, test in tests.items():
        gain, p = gains[name], float(adjusted[name])
        decision: Decision = "cannot tell"
        if p < ALPHA and _bootstrap_agrees(gain.mean(axis=0)):
            decision = "helps" if test.value > 0 else "hurts"
        needed = seeds_needed(gain, share) if decision == "cannot tell" and test.value != 0 else None
        more = None if needed is None else needed - gain.shape[0]
        each = tuple(float(one) for one in gain.ravel())
        found.append(Comparison(name, each, test.value, test.low, test.high, test.p, p, decision, more))
    return tuple(found)
