"""Symmetric units: the units of a layer start with equal weights, and so stay equal.

What it does
------------
Compares the incoming weights of the units of each hidden layer with each other, before training and, where the inside
was watched, during it.

Why it hurts
------------
Equal units get equal gradients: a layer of a hundred works like a layer of one.

When it is wrong
----------------
Equal incoming weights with different outgoing ones drift apart by themselves, though slowly; dropout, too, tells units
apart. A single layer without hidden units may start at zero.

Reference
---------
I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 8.4: the initial parameters need to break
symmetry between units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._inside import hidden, lasting, name_of
from fallline.rules._rule import Symptom
from fallline.rules._structure import LayerFacts, weight_layers
from fallline.types import Finding

__all__ = ["ONE_OF", "SYMPTOM", "examine"]

SYMPTOM = Symptom("S18", "symmetric-units", "learning", ("before", "after"))
ONE_OF = ("layers", "layer_twin_share")

SHARE = 0.5
# Weights of this size are zero: the units have no weights to tell them apart.
ZERO = 1e-12


def examine(
    layers: Sequence[LayerFacts] | None = None,
    layer_twin_share: np.ndarray | None = None,
    layer_names: Sequence[str] | None = None,
    output_layer: int | None = None,
) -> Iterator[Finding]:
    """Yield one finding for the first hidden layer whose units are equal."""
    weighted = weight_layers(layers or ())
    equal = [layer for layer in weighted[:-1] if math.isfinite(layer.twin_share) and layer.twin_share > SHARE]
    if equal:
        first = equal[0]
        following = weighted[weighted.index(first) + 1]
        closed = math.isfinite(following.kernel_sd) and (following.kernel_sd < ZERO or following.twin_share > SHARE)
        stuck = _stays(layer_twin_share, output_layer)
        yield _finding(
            first.name,
            float(first.twin_share),
            0.95 if closed or stuck else 0.7,
            closed or stuck,
            first.kernel_sd < ZERO,
        )
        return
    if layer_twin_share is not None and not any(math.isfinite(layer.twin_share) for layer in weighted):
        values = np.asarray(layer_twin_share, np.float64)
        late = lasting(values)
        bad = [i for i in hidden(values, output_layer).tolist() if late[i] > SHARE]
        if bad:
            yield _finding(name_of(layer_names, bad[0]), float(late[bad[0]]), 0.95, True, False)


def _stays(twins: np.ndarray | None, output: int | None) -> bool:
    if twins is None:
        return False
    values = np.asarray(twins, np.float64)
    late = lasting(values)
    return any(late[i] > SHARE for i in hidden(values, output).tolist())


def _finding(layer: str, share: float, confidence: float, sure: bool, zero: bool) -> Finding:
    what = "start at zero" if zero else "start with equal weights"
    return SYMPTOM.finding(
        "serious" if sure else "warning", confidence,
        f"{100 * share:.0f} % of the units of layer {layer!r} {what}: they get equal gradients and stay alike.",
        evidence={"layer": layer, "twin_share": share},
        cause="The initialiser is a constant (zeros, ones), so nothing tells the units apart.",
        what_to_try=("use a random initialiser: glorot_uniform, or he_normal before ReLU",),
        layer=layer,
    )  # fmt: skip
