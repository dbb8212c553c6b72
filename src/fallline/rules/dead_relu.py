"""Dead ReLU: units that answer 0 to every row.

What it does
------------
Takes the share of a layer's ReLU units whose output is 0 for every row of the watched batch, in the second half of the
looks, in the hidden layers and in a ReLU output. A unit of a leaky ReLU, ELU, GELU ... counts where its output is below
0 and the same for every row: on its way down it still learns.

Why it hurts
------------
Where the output is 0 the slope is 0, too: the unit gets no gradient, and so it stays dead. A layer that is dead as a
whole cuts the network in two.

When it is wrong
----------------
Wide networks afford some dead units; in a run that learned well they are worth a note.

Reference
---------
L. Lu, Y. Shin, Y. Su, G. Karniadakis, "Dying ReLU and initialization" (2020). The share of a half is SageMaker
Debugger's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._inside import lasting, name_of
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S16", "dead-relu", "learning", ("during", "after"))

SHARE = 0.5
# Where the slope below 0 is 0; the others of the family have one, at least near 0.
FLAT_BELOW_ZERO = ("relu", "relu6", "")
WHOLE = 0.99


def examine(
    layer_dead_share: np.ndarray,
    layer_names: Sequence[str] | None = None,
    watched_epochs: np.ndarray | None = None,
    layer_activations: Sequence[str] | None = None,
    layer_constant_share: np.ndarray | None = None,
) -> Iterator[Finding]:
    """Yield one finding for the layer with the largest share of dead units."""
    values = np.asarray(layer_dead_share, np.float64)
    flat = np.asarray(values if layer_constant_share is None else layer_constant_share, np.float64)
    if layer_activations is not None and values.shape == flat.shape and len(layer_activations) == values.shape[1]:
        sloping = np.array([name not in FLAT_BELOW_ZERO for name in layer_activations], bool)
        values = np.where(sloping & (flat < values), flat, values)
    late = lasting(values)
    known = np.flatnonzero(np.isfinite(late))
    if not len(known):
        return
    worst = int(known[np.argmax(late[known])])
    share = float(late[worst])
    if share < SHARE:
        return
    name = name_of(layer_names, worst)
    since = np.flatnonzero(values[:, worst] >= SHARE)
    at = int(since[0]) if len(since) else 0
    epoch = int(watched_epochs[at]) if watched_epochs is not None and at < len(watched_epochs) else at
    whole = share >= WHOLE
    yield SYMPTOM.finding(
        "serious" if whole else "warning",
        0.95 if whole else 0.75,
        (
            f"All units of layer {name!r} answer 0 to every row since epoch {epoch}: nothing passes through it."
            if whole
            else f"{100 * share:.0f} % of the units of layer {name!r} answer 0 to every row since epoch {epoch}."
        ),
        evidence={"layer": name, "dead_share": share, "epoch": epoch, "layers_half_dead": int((late >= SHARE).sum())},
        cause="A step that was too large, or the initial weights, pushed the units below 0 for every row.",
        what_to_try=(
            "lower the learning rate tenfold",
            "use leaky_relu or elu instead of relu",
            "use he initialisation and scaled inputs",
            "use a linear output for quantities",
        ),
        layer=name,
        epoch=epoch,
    )
