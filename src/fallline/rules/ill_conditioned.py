"""Ill-conditioned: parts of the network learn at very different speeds.

What it does
------------
Compares the size of one step, as a share of the weights, between the layers in the second half of the looks, and, for
plain gradient descent, the smallest with the largest spread of the inputs in any direction.

Why it hurts
------------
One learning rate serves all weights: what is stable for the fastest is far too slow for the slowest.

When it is wrong
----------------
Adam evens out speeds along single weights, though not along their combinations. A run that learned well outweighs the
finding.

Reference
---------
Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), sections 4.7 and 5: equalise the learning
speeds; the time to converge grows with the ratio of the largest to the smallest curvature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._inside import lasting, name_of
from fallline.rules._rates import PLAIN
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["ONE_OF", "SYMPTOM", "examine"]

SYMPTOM = Symptom("S20", "ill-conditioned", "learning", ("before", "after"))
ONE_OF = ("layer_update_ratio", "input_condition", "input_sd")

# Ratio of the fastest to the slowest layer: a layer that needs ten thousand times as many steps is out of reach.
LAYERS = 1e4
# Below this a layer does not learn at all, and another rule says so.
STILL = 1e-8
# Ratio of the largest to the smallest variance along any direction of the inputs.
INPUTS = 1e5
# Ratio of the largest to the smallest sd of single inputs.
SPREADS = 1e3
# More is not told apart.
MOST = 1e6

WHAT_TO_TRY = (
    "scale the inputs to mean 0 and sd 1, and leave out inputs that repeat others",
    "use Adam instead of plain gradient descent",
    "put batch normalisation between the layers",
)


def examine(
    optimizer_name: str | None = None,
    layer_update_ratio: np.ndarray | None = None,
    layer_names: Sequence[str] | None = None,
    input_condition: float | None = None,
    input_sd: np.ndarray | None = None,
    input_names: Sequence[str] | None = None,
) -> Iterator[Finding]:
    """Yield one finding, about the layers or about the inputs."""
    if layer_update_ratio is not None:
        late = lasting(np.asarray(layer_update_ratio, np.float64))
        known = np.flatnonzero(np.isfinite(late) & (late > STILL))
        if len(known) > 1:
            slow, fast = int(known[np.argmin(late[known])]), int(known[np.argmax(late[known])])
            ratio = float(late[fast] / late[slow])
            if ratio > LAYERS:
                yield SYMPTOM.finding(
                    "warning",
                    0.7,
                    f"Layer {name_of(layer_names, fast)!r} learns {ratio:,.0f} times as fast as layer "
                    f"{name_of(layer_names, slow)!r}.",
                    evidence={
                        "fastest_layer": name_of(layer_names, fast),
                        "slowest_layer": name_of(layer_names, slow),
                        "ratio": ratio,
                    },
                    cause="The sizes of weights and gradients differ strongly between the layers.",
                    what_to_try=WHAT_TO_TRY,
                    layer=name_of(layer_names, slow),
                )
                return
    if optimizer_name not in PLAIN:
        return
    sd = np.asarray([] if input_sd is None else input_sd, np.float64)
    sd = sd[np.isfinite(sd) & (sd > 0)]
    spread = min(float(sd.max() / sd.min()), MOST) if len(sd) > 1 else 1.0
    condition = float(input_condition or 1.0)
    if condition < INPUTS and spread < SPREADS:
        return
    yield SYMPTOM.finding(
        "warning",
        0.6,
        f"The inputs vary {max(spread**2, condition):.1e} times as much in one direction as in another; plain gradient "
        "descent is as many times slower along the second.",
        evidence={"input_condition": condition, "largest_to_smallest_sd": spread},
        cause="The inputs repeat each other or are measured in units of very different size.",
        what_to_try=WHAT_TO_TRY,
    )
