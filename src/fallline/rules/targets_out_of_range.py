"""Targets out of range: the output unit cannot take the values that it is asked for.

What it does
------------
Compares the smallest and largest target with the range of the output's activation: 0 to 1 for sigmoid and softmax, -1
to 1 for tanh, 0 and up for ReLU and softplus. For a cross-entropy it compares them with 0 to 1, whatever the output.

Why it hurts
------------
The loss can never reach its least value: the unit is driven to the end of its range, where its slope is 0.

When it is wrong
----------------
A few outliers beyond the range may be meant to be cut off.

Reference
---------
Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), section 4.5: target values within the range of
the output unit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._outputs import RANGES, ROUNDING
from fallline.rules._rule import Symptom
from fallline.rules._statistics import CROSS_ENTROPIES, canonical_loss
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S31", "targets-out-of-range", "learning", ("before", "after"))

# Losses of margins, whose targets are -1 and 1.
HINGES = ("hinge", "squared_hinge")


def examine(
    target_min: float,
    target_max: float,
    output_activation: str,
    loss_name: str | None = None,
    target_width: int | None = None,
    target_is_whole: bool | None = None,
) -> Iterator[Finding]:
    """Yield one finding when targets lie outside what output or loss allow."""
    activation, loss = str(output_activation).lower(), canonical_loss(str(loss_name or ""))
    low, high = RANGES.get(activation, (-np.inf, np.inf))
    where = f"a {activation} output can only take values from {low:.4g} to {high:.4g}"
    if loss == "sparse_categorical_crossentropy":
        return  # class numbers: compared with the number of units by another rule
    if loss in CROSS_ENTROPIES:
        if loss == "categorical_crossentropy" and target_width == 1 and target_is_whole:
            return  # class numbers under the wrong loss: another rule's
        low, high = max(low, 0.0), min(high, 1.0)
        where = f"{loss} expects targets from 0 to 1"
    elif loss in HINGES:
        return  # Keras turns 0 and 1 into -1 and 1
    margin = ROUNDING * max(abs(target_min), abs(target_max), 1.0)
    if not np.isfinite([target_min, target_max]).all() or (target_min >= low - margin and target_max <= high + margin):
        return
    yield SYMPTOM.finding(
        "serious",
        0.95,
        f"The targets run from {target_min:.4g} to {target_max:.4g}, but {where}.",
        evidence={"target_min": float(target_min), "target_max": float(target_max),
                  "lowest_allowed": float(low), "highest_allowed": float(high), "output_activation": activation},
        cause="Output activation, loss and targets were not chosen together.",
        what_to_try=("use a linear output with mse for quantities", "scale the targets into the output's range"),
    )  # fmt: skip
