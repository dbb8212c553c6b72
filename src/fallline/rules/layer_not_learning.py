"""A layer that does not learn: its weights hardly change while others do.

What it does
------------
Takes the size of one step as a share of each layer's weights and looks for trainable layers where it is as good as 0
in the second half of the looks. Before the training it looks for a network of which every layer is frozen.

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
from fallline.rules._structure import LayerFacts
from fallline.types import Finding

__all__ = ["ONE_OF", "SYMPTOM", "examine"]

SYMPTOM = Symptom("S19", "layer-not-learning", "learning", ("before", "during", "after"))
ONE_OF = ("layers", "layer_update_ratio")

STILL = 1e-8


def examine(
    layer_update_ratio: np.ndarray | None = None,
    layer_names: Sequence[str] | None = None,
    layer_gradient_norm: np.ndarray | None = None,
    layers: Sequence[LayerFacts] | None = None,
) -> Iterator[Finding]:
    """Yield one finding that says that all is frozen, else one that names the first layer that rests."""
    frozen = [layer.name for layer in layers or () if layer.fan_in is not None and not layer.trainable]
    if frozen and not any(layer.weights for layer in layers or ()):
        yield _all_frozen(frozen)
    elif layer_update_ratio is not None:
        yield from _still(layer_update_ratio, layer_names, layer_gradient_norm)


def _all_frozen(names: Sequence[str]) -> Finding:
    return SYMPTOM.finding(
        "serious", 1.0,
        f"No weight of the network can be trained: {len(names)} layer{'s' if len(names) > 1 else ''} with weights "
        f"{'are' if len(names) > 1 else 'is'} frozen (trainable=False), and no other has any.",
        evidence={"layer": names[0], "layers_frozen": len(names)},
        cause="The layers were frozen, and the layer that should learn was frozen with them or is missing.",
        what_to_try=("set trainable=True on the layers that should learn", "add a new layer behind the frozen ones"),
        layer=names[0],
    )  # fmt: skip


def _still(
    layer_update_ratio: np.ndarray, layer_names: Sequence[str] | None, layer_gradient_norm: np.ndarray | None
) -> Iterator[Finding]:
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
