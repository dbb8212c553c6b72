"""Batch normalisation with dropout: dropout in front of batch normalisation shifts its statistics.

What it does
------------
Looks for a dropout layer with a batch normalisation behind it, with or without weights between them. A rate of a half
and more right in front of it is a warning, the rest a note.

Why it hurts
------------
Dropout raises the variance in training and not in prediction; batch normalisation learns the raised one and then
divides by the wrong number.

When it is wrong
----------------
With small rates, or where many averaging steps lie between the two, the harm is small and often not measurable.

Reference
---------
X. Li, S. Chen, X. Hu, J. Yang, "Understanding the disharmony between dropout and batch normalization by variance shift"
(2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fallline.rules._rule import Symptom
from fallline.rules._structure import LayerFacts
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S29", "batch-norm-with-dropout", "learning", ("before", "after"))

STRONG = 0.5


def examine(layers: Sequence[LayerFacts]) -> Iterator[Finding]:
    """Yield one finding for the strongest dropout in front of a batch normalisation."""
    found: list[tuple[float, bool, str, str]] = []
    for i, layer in enumerate(layers):
        if "Dropout" not in layer.kind or layer.rate <= 0:
            continue
        for distance, other in enumerate(layers[i + 1 :], start=1):
            if other.kind == "BatchNormalization":
                found.append((layer.rate, distance == 1, layer.name, other.name))
                break
    if not found:
        return
    rate, adjacent, dropout, norm = max(found)
    strong = rate >= STRONG
    yield SYMPTOM.finding(
        "warning" if strong and any(near and r >= STRONG for r, near, _, _ in found) else "note",
        0.7 if strong else 0.5,
        f"Dropout {dropout!r} (rate {rate:.2g}) stands {'right ' if adjacent else ''}in front of the batch "
        f"normalisation {norm!r}, whose statistics differ between training and prediction because of it.",
        evidence={"dropout": dropout, "rate": rate, "normalisation": norm, "pairs": len(found)},
        cause="Dropout changes the variance of what the normalisation sees, in training only.",
        what_to_try=("put dropout behind the last batch normalisation", "leave dropout out", "lower its rate"),
        layer=dropout,
    )
