"""Exploding gradients: the gradient is far larger than the weights, or stops being a number.

What it does
------------
Compares the norm of the whole gradient with that of the weights, in units of the loss, at every look, and looks whether
it is finite. In a run that was lost it looks whether the gradient grew before.

Why it hurts
------------
One step throws the weights out of every useful region.

When it is wrong
----------------
Adam divides the gradient by its own size and can live with large ones; a run that learned well outweighs the finding.

Reference
---------
R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks" (2013), section 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._curves import finite
from fallline.rules._inside import name_of
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S14", "exploding-gradients", "learning", ("during", "after"))

# Norm of the gradient over that of the weights, per unit of loss; chosen on the clinic's calibration half
# (benchmarks/results/clinic-thresholds.json says where healthy runs start).
LARGE = 20.0  # ... and of 1 and more per unit of loss: beside weights of nearly zero any gradient is large
# Growth of the gradient's norm over a run that was lost.
GROWTH = 1e3


def examine(
    network_gradient_norm: np.ndarray,
    network_weight_norm: np.ndarray,
    watched_epochs: np.ndarray | None = None,
    layer_gradient_norm: np.ndarray | None = None,
    layer_names: Sequence[str] | None = None,
    lost_at: int | None = None,
    start_loss: float | None = None,
    reference_loss: float | None = None,
    loss: np.ndarray | None = None,
) -> Iterator[Finding]:
    """Yield a finding at the first look with an infinite or far too large gradient."""
    gradient = np.asarray(network_gradient_norm, np.float64).reshape(-1)
    weight = np.asarray(network_weight_norm, np.float64).reshape(-1)
    if not len(gradient) or len(gradient) != len(weight):
        return
    first = finite(loss)[1][:1] if loss is not None else np.zeros(0)  # a gradient is as large as the loss it is of
    unit = max(1.0, abs(reference_loss or 0.0), abs(start_loss or 0.0), *np.abs(first).tolist())
    share = np.divide(gradient, weight * unit, out=np.zeros(len(gradient)), where=weight > 0)
    # NaN also stands where no gradient was looked at (behind the last epoch of a loop of one's own); a gradient that is
    # truly NaN loses the run.
    broken = np.isinf(gradient) | (np.isnan(gradient) & (lost_at is not None))
    infinite = broken & (np.isfinite(weight) | (np.arange(len(weight)) == 0))
    grew = np.zeros(len(gradient), bool)
    if lost_at is not None and np.isfinite(gradient[0]) and gradient[0] > 0:
        grew = np.isfinite(gradient) & (gradient > GROWTH * gradient[0])
    bad = np.flatnonzero(infinite | ((share > LARGE) & (gradient > unit)) | grew)
    if not len(bad):
        return
    at = int(bad[0])
    epoch = int(watched_epochs[at]) if watched_epochs is not None and at < len(watched_epochs) else at
    layer = _strongest(layer_gradient_norm, at, layer_names)
    size = "is not a finite number" if infinite[at] else f"has a norm of {gradient[at]:.3g}"
    evidence: dict[str, float | int | str] = {"epoch": epoch, "gradient_norm": float(gradient[at]),
                                              "weight_norm": float(weight[at])}  # fmt: skip
    yield SYMPTOM.finding(
        "serious",
        0.95 if infinite[at] or lost_at is not None else 0.75,
        f"At epoch {epoch} the gradient {size}, with weights of norm {weight[at]:.3g}"
        + (f"; it is largest in layer {layer!r}." if layer else "."),
        evidence=evidence,
        cause="Weights, inputs or activations are so large that the error grows from layer to layer on its way back.",
        what_to_try=(
            "clip the gradients' norm to 1",
            "use a standard initialisation (he for ReLU, glorot else)",
            "lower the learning rate tenfold",
            "scale the inputs and targets to mean 0 and sd 1",
        ),
        layer=layer,
        epoch=epoch,
    )


def _strongest(values: np.ndarray | None, at: int, names: Sequence[str] | None) -> str:
    if values is None or at >= len(values) or not np.isfinite(values[at]).any():
        return ""
    return name_of(names, int(np.nanargmax(values[at])))
