"""Vanishing gradients: almost nothing of the error reaches the first layers.

What it does
------------
Takes each layer's gradient as a share of its weights and compares the weakest hidden layer with the output layer, in
the second half of the looks. Without a look inside, and before training, it counts stacked sigmoid layers.

Why it hurts
------------
The layers next to the data stay as they were drawn; the network learns as if it consisted of its last layer alone.

When it is wrong
----------------
A network that has learned all there is has small gradients everywhere: that is why layers are compared with each
other, not with a fixed number. A run that learned well outweighs the finding.

Reference
---------
X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010), section 4.2.
The ratio 1e-3 is AUTOTRAINER's (2021), taken here relative to the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from fallline.rules._inside import hidden, lasting, name_of, relative
from fallline.rules._rule import Symptom
from fallline.rules._structure import LayerFacts, weight_layers
from fallline.types import Finding

__all__ = ["ONE_OF", "SYMPTOM", "examine"]

SYMPTOM = Symptom("S13", "vanishing-gradients", "learning", ("before", "during", "after"))
ONE_OF = ("layers", "layer_gradient_norm")

RATIO = 1e-3
# Each sigmoid layer passes on at most a quarter of the error, in practice a tenth: five leave 1e-5.
SIGMOIDS = 5
# A hidden layer whose every gradient is exactly 0 is dead or frozen: other rules say so.
POOR = 0.5


def examine(
    layers: Sequence[LayerFacts] | None = None,
    layer_gradient_norm: np.ndarray | None = None,
    layer_weight_norm: np.ndarray | None = None,
    layer_names: Sequence[str] | None = None,
    layer_activations: Sequence[str] | None = None,
    output_layer: int | None = None,
    explained: float | None = None,
) -> Iterator[Finding]:
    """Yield a finding from the gradients where they were watched, else from the layers."""
    stacked = _stacked_sigmoids(layers or ())
    poor = explained is not None and explained < POOR
    watched = layer_gradient_norm is not None and layer_weight_norm is not None
    if layer_gradient_norm is not None and layer_weight_norm is not None:
        seen = list(
            _from_gradients(relative(layer_gradient_norm, layer_weight_norm), layer_names, output_layer, explained)
        )
        if seen:
            yield from seen
            return
    if len(stacked) >= (SIGMOIDS if not poor or watched else SIGMOIDS - 2):
        confidence = 0.8 if poor and not watched else 0.6
        finding = _finding(
            confidence,
            f"{len(stacked)} sigmoid layers stand behind each other, from {stacked[0]!r} on: each passes on at most a "
            "quarter of the error.",
            {"sigmoid_layers": len(stacked), "first_layer": stacked[0]},
            stacked[0],
        )
        # The gradients were looked at, and reach the first layers in this training.
        yield replace(finding, severity="note") if watched else finding


def _from_gradients(
    share: np.ndarray, names: Sequence[str] | None, output: int | None, explained: float | None
) -> Iterator[Finding]:
    late = lasting(share)
    known = np.flatnonzero(np.isfinite(late))
    if len(known) < 2:
        return
    last = int(output) if output is not None and np.isfinite(late[output]) else int(known[-1])
    inner = hidden(share, last)
    inner = inner[np.isfinite(late[inner])]
    alive = inner[late[inner] > 0]
    if not len(alive) or not late[last] > 0:
        return
    weakest = int(alive[np.argmin(late[alive])])
    ratio = float(late[weakest] / late[last])
    if ratio > RATIO:
        return
    yield _finding(
        0.9 if explained is None or explained < POOR else 0.6,
        f"The gradient of layer {name_of(names, weakest)!r} is {late[weakest]:.1e} of its weights, {1 / ratio:,.0f} "
        f"times less than in the output layer: the first layers hardly learn.",
        {
            "layer": name_of(names, weakest),
            "gradient_of_weights": float(late[weakest]),
            "output_gradient_of_weights": float(late[last]),
            "ratio": ratio,
        },
        name_of(names, weakest),
    )


def _stacked_sigmoids(layers: Sequence[LayerFacts]) -> list[str]:
    """Return the longest row of hidden sigmoid layers without normalisation between them."""
    best: list[str] = []
    row: list[str] = []
    ends = [layer.name for layer in weight_layers(layers)][-1:]
    for layer in layers:
        if "Normalization" in layer.kind:
            row = []
        elif layer.activation in ("sigmoid", "hard_sigmoid") and layer.name not in ends:
            row = [*row, layer.name]
        elif layer.is_weighted and layer.activation not in (None, "linear"):
            row = []
        best = max(best, row, key=len)
    return best


def _finding(confidence: float, message: str, evidence: dict[str, float | int | str], layer: str) -> Finding:
    return SYMPTOM.finding(
        "serious" if confidence >= 0.8 else "warning", confidence, message, evidence=evidence, layer=layer,
        cause="Every layer multiplies the error by its activation's slope and its weights; both are small here.",
        what_to_try=(
            "use relu (with he initialisation) or tanh (with glorot) in the hidden layers",
            "put batch normalisation between the layers", "use fewer layers, or connections that skip some",
        ),
    )  # fmt: skip
