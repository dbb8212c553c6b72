"""Targets not scaled: the quantities to predict are far from centred and of unit size.

What it does
------------
Looks at the root mean square of each regression target where the output is linear (or ReLU-like) and the loss measures
distances: beyond 30 it is large, below 0.01 tiny.

Why it hurts
------------
Networks start with outputs of about 1. The first errors, and so the gradients, are as large as the targets: plain
gradient descent explodes, and Adam needs as many steps of its rate as the targets are large.

When it is wrong
----------------
With a rate that fits, a training can cope; a run that learned well outweighs the finding.

Reference
---------
C. Bishop, "Neural Networks for Pattern Recognition" (1995), section 8.2: rescaling inputs and targets to order unity.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._rule import Symptom
from fallline.rules._statistics import CROSS_ENTROPIES, canonical_loss
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S35", "targets-not-scaled", "learning", ("before", "after"))

# The first error is as large as the target; prices in thousands (25) or ages (40, sd 15) are at the edge of no harm.
LARGE = 30.0
HUGE = 300.0
TINY = 0.01


def examine(
    target_mean: np.ndarray | float,
    target_sd: np.ndarray | float,
    problem_kind: str,
    loss_name: str | None = None,
    output_activation: str | None = None,
) -> Iterator[Finding]:
    """Yield a finding when a target is large, or all are tiny."""
    if problem_kind not in ("regression", "multioutput") or canonical_loss(str(loss_name or "")) in (
        *CROSS_ENTROPIES, "mape", "msle", "poisson",
    ):  # fmt: skip
        return
    if output_activation in ("sigmoid", "tanh", "softmax"):
        return  # out of the output's range, or inside it and small
    mean, sd = np.atleast_1d(np.asarray(target_mean, np.float64)), np.atleast_1d(np.asarray(target_sd, np.float64))
    mean, sd = mean[: len(sd)], sd[: len(mean)]
    size = np.where(np.isfinite(mean) & np.isfinite(sd), np.hypot(mean, sd), 0.0)
    if not size.size or not (sd > 0).any():
        return
    at = int(np.argmax(size))
    if TINY <= size[at] <= LARGE:
        return
    yield SYMPTOM.finding(
        "serious" if size[at] > HUGE else "warning",
        0.9 if size[at] > HUGE else 0.7,
        f"The targets are not scaled: they have mean {mean[at]:.4g} and sd {sd[at]:.4g}, where about 0 and 1 are best.",
        evidence={"mean": float(mean[at]), "sd": float(sd[at]), "targets": len(size)},
        cause="The targets reach the loss in the units in which they were recorded.",
        what_to_try=("scale the targets to mean 0 and sd 1 on the training rows, and turn predictions back",
                    "lower the learning rate tenfold"),
    )  # fmt: skip
