"""A layer that does not learn: its weights hardly change while others do.

What it does
------------
Takes the size of one step as a share of each layer's weights and looks for trainable layers where it is as good as 0
in the second half of the looks.

Why it hurts
------------
The layer is a fixed random function; its weights cost memory and time for nothing.

When it is wrong
----------------
A layer that is frozen on purpose is not trainable and left out. In a network that has learned all there is, all layers
rest.

Reference
---------
The limit 1e-8 is that of SageMaker Debugger's UpdateTooSmall rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._inside import lasting, name_of
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S19", "layer-not-learning", "learning", ("during", "after"))

STILL = 1e-8


def examine(
    layer_update_ratio: np.ndarray,
    layer_names: Sequence[str] | None = None,
    layer_gradient_norm: np.ndarray | None = None,
) -> Iterator[Finding]:
    """Yield one finding that names the first layer that rests."""
    values = np.asarray(layer_update_ratio, np.float64)
    late = lasting(values)
    if layer_gradient_norm is not None and np.shape(layer_gradient_norm) == values.shape:
        gradient = lasting(np.asarray(layer_gradient_norm, np.float64))
        late = np.where(np.isfinite(late) & (gradient == 0.0), 0.0, late)  # momentum alone moves it, for a while
    known = np.flatnonzero(np.isfinite(late))
    still = known[late[known] < STILL]
    if not len(still):
        return
    name = name_of(layer_names, int(still[0]))
    everything = len(still) == len(known)
    yield SYMPTOM.finding(
        "serious" if everything or 2 * len(still) >= len(known) else "warning",
        0.9,
        (
            "No layer of the network changes any more: one step moves each by less than 1e-8 of its weights."
            if everything
            else f"{len(still)} of {len(known)} layers do not change, the first is {name!r}: one step moves it by "
            f"{late[still[0]]:.1e} of its weights."
        ),
        evidence={"layer": name, "step_of_weights": float(late[still[0]]), "layers_still": len(still),
                  "layers": len(known)},
        cause="No gradient reaches it: units behind it are dead or saturated, or the signal fades on its way.",
        what_to_try=(
            "look for dead or saturated units in the layers behind it",
            "use relu with he initialisation, or put batch normalisation between the layers",
            "lower the learning rate tenfold",
        ),
        layer=name,
    )  # fmt: skip
