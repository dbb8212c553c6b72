"""Bad initial scale: the initial weights are far too small or too large for the layers' sizes.

What it does
------------
Compares the size of each layer's initial weights with what keeps the signal's size (1 / sqrt(inputs), times sqrt(2)
before a ReLU), and multiplies the deviations of those layers that are off on their way through the network.

Why it hurts
------------
Too small, and the signal and its gradient fade from layer to layer; too large, and units saturate or the first loss is
astronomical.

When it is wrong
----------------
One layer that is somewhat off does no harm, and normalisation layers put the scale right. Weights that were trained
before need not look like initial ones.

Reference
---------
K. He et al., "Delving deep into rectifiers" (2015), section 2.2: the product over the layers must neither vanish nor
explode; X. Glorot, Y. Bengio (2010).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fallline.rules._rule import Symptom
from fallline.rules._structure import NORMALISERS, RELU_LIKE, LayerFacts
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S17", "bad-initial-scale", "learning", ("before", "after"))

# A layer within these factors of the ideal is one of the standard initialisations or near one.
NEAR_LOW, NEAR_HIGH = 0.25, 4.0
# Product of the deviations of the layers that are off.
FADED, BLOWN = 1e-3, 10.0


def examine(layers: Sequence[LayerFacts]) -> Iterator[Finding]:
    """Yield a finding when the layers that are off fade or blow up the signal together."""
    product, off, worst, worst_at = 1.0, 0, 1.0, None
    extreme, culprit, count = 1.0, None, 0
    for layer in layers:
        if layer.kind in NORMALISERS:
            product, off = 1.0, 0
        if not layer.is_weighted or layer.fan_in is None or not math.isfinite(layer.kernel_sd) or layer.kernel_sd <= 0:
            continue
        ideal = math.sqrt((2.0 if _before_relu(layers, layer) else 1.0) / layer.fan_in)
        share = layer.kernel_sd / ideal
        if NEAR_LOW <= share <= NEAR_HIGH:
            continue
        product, off = product * share, off + 1
        if abs(math.log(share)) > abs(math.log(worst)) or worst_at is None:
            worst, worst_at = share, layer
        if abs(math.log(product)) > abs(math.log(extreme)):
            extreme, culprit, count = product, worst_at, off
    if culprit is None or FADED < extreme < BLOWN:
        return
    small = extreme < 1
    yield SYMPTOM.finding(
        "serious" if extreme < FADED**2 or extreme > BLOWN**2 else "warning",
        0.85,
        f"The initial weights of {count} layer{'s' if count > 1 else ''} are far too {'small' if small else 'large'}: "
        f"in {culprit.name!r} they have an sd of {culprit.kernel_sd:.2g} with {culprit.fan_in} inputs, {worst:.2g} "
        f"times the size that keeps the signal; together they change it by a factor of {extreme:.1e}.",
        evidence={
            "layer": culprit.name,
            "kernel_sd": culprit.kernel_sd,
            "inputs_of_a_unit": int(culprit.fan_in or 0),
            "share_of_ideal": worst,
            "product": extreme,
            "layers_off": count,
        },
        cause="The initialiser has a fixed size that does not depend on the number of inputs of a unit.",
        what_to_try=("use he_normal before ReLU, glorot_uniform else", "put batch normalisation between the layers"),
        layer=culprit.name,
    )


def _before_relu(layers: Sequence[LayerFacts], layer: LayerFacts) -> bool:
    if layer.activation not in (None, "linear"):
        return layer.activation in RELU_LIKE
    following = [other for other in layers if other.parents == (layer.name,)]
    return any(other.activation in RELU_LIKE for other in following)
