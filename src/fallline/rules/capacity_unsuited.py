"""Capacity unsuited: the network is far too small for the problem, or far larger than the data.

What it does
------------
Looks for a hidden layer so narrow that the classes or the inputs cannot pass through it, and compares the number of
weights with the number of target values.

Why it hurts
------------
Everything that a narrow layer loses is lost for all layers behind it; a network with thousands of weights a row can
learn the rows by heart.

When it is wrong
----------------
An autoencoder is narrow on purpose. Large networks with early stopping or penalties generalise well in spite of their
number of weights, which is why that alone is a note.

Reference
---------
C. Zhang et al., "Understanding deep learning requires rethinking generalization" (2017): networks with more weights
than rows learn random labels by heart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fallline.rules._rule import Symptom
from fallline.rules._structure import LayerFacts, weight_layers
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S30", "capacity-unsuited", "learning", ("before", "after"))

# Weights per target value. Networks of a few hundred units on a few hundred rows have 100 to 1,000 and train well.
FAR_LARGER = 1000.0
LARGER = 100.0
# ... with a gap this wide between training and validation loss, as a share of what was learned.
GAP = 0.5
# Beyond this share explained, the training made up for a narrow layer, which is then a remark.
POOR = 0.7
# Targets in a row that one number cannot give, but for a lucky relation between them.
MANY = 3


def examine(
    layers: Sequence[LayerFacts],
    n_train: int,
    n_features: int | None = None,
    problem_kind: str | None = None,
    class_counts: Mapping[Any, int] | None = None,
    target_width: int | None = None,
    explained: float | None = None,
    kept_loss: float | None = None,
    kept_val_loss: float | None = None,
    reference_loss: float | None = None,
    layer_names: Sequence[str] | None = None,
) -> Iterator[Finding]:
    """Yield one finding: too narrow, else too large."""
    weighted = weight_layers(layers)
    if layer_names is None and any(layer.parents is None for layer in weighted):
        weighted = []  # nobody saw in which order they are used: one of them makes the output
    dense = [layer for layer in weighted[:-1] if layer.kind == "Dense" and layer.units]
    narrow = min(dense, key=lambda layer: layer.units or 0) if dense else None
    classes = len(class_counts) if class_counts and problem_kind == "multiclass" else 0
    if narrow is not None and (problem_kind in ("regression", "binary", "multiclass") or (target_width or 1) >= MANY):
        units = int(narrow.units or 0)
        inputs = min(narrow.fan_in or 0, n_features or 0)
        if (units == 1 and inputs >= 2) or (classes > 2 and units < math.log2(classes)):
            coped = explained is not None and explained > POOR
            yield SYMPTOM.finding(
                "note" if coped else "warning",
                0.5 if coped else 0.75,
                f"Everything has to pass through the {units} unit{'s' if units > 1 else ''} of layer {narrow.name!r}"
                + (f", too few to tell {classes} classes apart." if classes > 2 else "."),
                evidence={"layer": narrow.name, "units": units, "inputs": inputs, "classes": classes},
                cause="A hidden layer is too narrow.",
                what_to_try=("give the layer more units", "leave the layer out"),
                layer=narrow.name,
                treatments=("wider-layers",),
            )
            return
    weights = sum(layer.weights for layer in layers)
    values = n_train * max(int(target_width or 1) if problem_kind in ("multioutput", "multilabel") else 1, 1)
    share = weights / values if values else 0.0
    gap = None
    if kept_loss is not None and kept_val_loss is not None and reference_loss:
        gap = (kept_val_loss - kept_loss) / reference_loss
    by_heart = gap is not None and gap > GAP
    if share < (LARGER if by_heart else FAR_LARGER):
        return
    yield SYMPTOM.finding(
        "note",
        0.6,
        f"The network has {weights:,} weights for {values:,} target values: {share:,.0f} for each.",
        evidence={"weights": weights, "target_values": values, "weights_per_value": share},
        cause="The network is far larger than the data.",
        what_to_try=(
            "use a smaller network",
            "stop early and restore the weights of the best epoch",
            "add weight decay",
        ),
        treatments=("smaller-network", "add-weight-penalty", "add-dropout"),
    )
