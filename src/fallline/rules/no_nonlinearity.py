"""No nonlinearity between layers: two linear layers in a row are one.

What it does
------------
Looks for a dense layer or convolution without activation whose output goes straight into another one (dropout, noise,
reshaping and average pooling between them change nothing). A network of a single layer that explains little is told
what it cannot do.

Why it hurts
------------
A product of two matrices is a matrix: the second layer costs weights and adds nothing; a network of such layers is
linear regression.

When it is wrong
----------------
A narrow linear layer between two wider ones is a bottleneck on purpose (low rank, embeddings), and a linear convolution
looks at neighbours only; they get a note. A linear problem needs no nonlinearity: a run that learned well outweighs
the finding.

Reference
---------
I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 6.1: why the hidden units must not be linear.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fallline.rules._rule import Symptom
from fallline.rules._structure import CONSTANT_LINEAR, LayerFacts, chain_back
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S24", "no-nonlinearity", "learning", ("before", "after"))

LINEAR = (None, "linear")
# Share explained below which a network of one layer is told what it cannot do.
POOR = 0.1


def examine(layers: Sequence[LayerFacts], explained: float | None = None) -> Iterator[Finding]:
    """Yield one finding that names the first linear layer that feeds another layer, or a remark on a lone layer."""
    by_name = {layer.name: layer for layer in layers}
    found = [pair for layer in layers if layer.is_weighted for pair in _linear_before(by_name, layer)]
    if not found:
        if explained is not None and explained < POOR:
            yield from _lone(layers)
        return
    weighted = [layer for layer in layers if layer.is_weighted]
    everything = len(found) == len(weighted) - 1 and not any(
        layer.activation not in LINEAR for layer in layers[: layers.index(weighted[-1])]
    )
    meant = (everything and len(found) > 1) or not all(_factor(first, second) for first, second in found)
    bottleneck = not meant
    first, second = found[0]
    yield SYMPTOM.finding(
        "note" if bottleneck else "serious" if everything and len(found) > 1 else "warning",
        0.85 if not bottleneck else 0.6,
        f"No activation stands between the layers {first.name!r} and {second.name!r}: together they are one linear map."
        + (" The whole network is linear." if everything else ""),
        evidence={"layer": first.name, "next_layer": second.name, "linear_pairs": len(found),
                  "whole_network": str(everything)},
        cause="The layer was given no activation; Keras' default is none.",
        what_to_try=(f"give {first.name!r} an activation, e.g. relu", "or leave the layer out"),
        layer=first.name,
    )  # fmt: skip


def _lone(layers: Sequence[LayerFacts]) -> Iterator[Finding]:
    """Yield a remark where one dense layer is all that learns."""
    learning = [layer for layer in layers if layer.weights]
    if len(learning) != 1 or learning[0].kind != "Dense":
        return
    yield SYMPTOM.finding(
        "note", 0.5,
        f"The network has no hidden layer: {learning[0].name!r} alone can only add its inputs up, and little is "
        "explained.",
        evidence={"layer": learning[0].name, "linear_pairs": 0, "whole_network": "True"},
        cause="A relation that bends, or in which inputs act together, needs a hidden layer.",
        what_to_try=("put a hidden layer with an activation in front, e.g. Dense(16, 'relu')",),
        layer=learning[0].name,
    )  # fmt: skip


def _linear_before(by_name: dict[str, LayerFacts], layer: LayerFacts) -> Iterator[tuple[LayerFacts, LayerFacts]]:
    for before in chain_back(by_name, layer):
        if before.is_weighted:
            if before.activation in LINEAR and not before.kind.startswith(("Depthwise", "Separable")):
                yield before, layer
            return
        if before.kind not in CONSTANT_LINEAR:
            return


def _factor(first: LayerFacts, second: LayerFacts) -> bool:
    """True where the first of two linear layers restricts the second on purpose: a convolution, or a bottleneck."""
    if first.kind != "Dense":
        return True
    if first.units is None or second.units is None or first.fan_in is None:
        return False
    return first.units < second.units and first.units < first.fan_in
