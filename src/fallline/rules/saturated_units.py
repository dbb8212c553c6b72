"""Saturated units: sigmoid or tanh units sit at the ends of their range.

What it does
------------
Takes the share of a hidden layer's outputs that lie within 1 % of the ends of the activation's range, in the second
half of the looks.

Why it hurts
------------
There the slope is almost 0: such a unit answers nearly the same to all rows, and no error passes through it.

When it is wrong
----------------
The output layer of a sure classifier saturates, rightly, and is left out. Units that act as switches in a network that
learned well do no harm.

Reference
---------
Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), section 4.4. The share of a half is that of
SageMaker Debugger and DeepDiagnosis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._inside import hidden, lasting, name_of
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S15", "saturated-units", "learning", ("during", "after"))

SHARE = 0.5
NEARLY_ALL = 0.9
# Units of a network that has learned more than half of what there is may well be at their ends: they are sure.
POOR = 0.5


def examine(
    layer_saturated_share: np.ndarray,
    layer_names: Sequence[str] | None = None,
    layer_activations: Sequence[str] | None = None,
    output_layer: int | None = None,
    explained: float | None = None,
) -> Iterator[Finding]:
    """Yield one finding for the first layer that is saturated to a half or more."""
    values = np.asarray(layer_saturated_share, np.float64)
    inner = [
        i
        for i in hidden(values, output_layer).tolist()
        if layer_activations is None or i >= len(layer_activations) or layer_activations[i] != "softmax"
    ]
    late = lasting(values)
    bad = [i for i in inner if late[i] > SHARE]
    if not bad:
        return
    first = bad[0]
    coped = explained is not None and explained > POOR
    yield SYMPTOM.finding(
        "serious" if late[first] > NEARLY_ALL else "note" if coped else "warning",
        0.6 + 0.35 * float(late[first]),
        f"{100 * late[first]:.0f} % of the outputs of layer {name_of(layer_names, first)!r} sit at the ends of the "
        "activation's range, where its slope is almost 0.",
        evidence={
            "layer": name_of(layer_names, first),
            "saturated_share": float(late[first]),
            "saturated_layers": len(bad),
        },
        cause="What reaches the units is too large: inputs that are not scaled, weights drawn too large, or steps too "
        "long.",
        what_to_try=(
            "scale the inputs to mean 0 and sd 1",
            "use glorot initialisation",
            "use relu in the hidden layers",
            "put batch normalisation in front of the activation",
        ),
        layer=name_of(layer_names, first),
    )
