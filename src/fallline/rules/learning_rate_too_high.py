"""Learning rate too high: the steps are larger than the loss surface allows.

What it does
------------
Before training: compares the rate with the largest stable one, which is known exactly for a linear model under mse, and
with what the optimizer usually takes. After training: looks whether the loss leapt far above its start and stayed
there, whether each step changed the weights by more than a tenth, and whether an unusual rate ended in no learning.

Why it hurts
------------
Steps that leap across the valley climb its other side: the loss swings, explodes, or throws units so far that they
never answer again.

When it is wrong
----------------
Large rates with warm-up, normalisation layers or very large batches can be right; a run that learned well outweighs the
suspicion.

Reference
---------
Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), section 5: gradient descent diverges beyond 2
divided by the largest curvature. The share 1e-1 of a step in its weights is the upper limit of DeepDiagnosis (2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._curves import end_level, finite
from fallline.rules._rates import PLAIN, SIGN_LIKE, effective_rate
from fallline.rules._rule import Symptom
from fallline.rules._structure import LayerFacts, weight_layers
from fallline.types import Finding, Severity

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S10", "learning-rate-too-high", "learning", ("before", "during", "after"))

# Adam and its kin step by about the rate in every weight, and weights are of size 0.1 to 1.
SUSPECT_SIGN, ABSURD_SIGN = 0.03, 0.1
# Plain gradient descent on scaled inputs and a cross-entropy is stable up to about 1.
SUSPECT_PLAIN, ABSURD_PLAIN = 0.3, 1.0
# Relative size of one step: see Reference.
STEP = 0.1
# Explained share of a constant prediction's loss below which the rate is not excused by its success.
POOR = 0.5
# The loss leapt to this multiple of its start (or of a constant prediction's loss).
LEAP = 3.0
# ... and did not come down again: a loss that only begins high, and falls, is another story.
STAYED = 0.8

CAUSE = "The learning rate is too high for this loss surface."
WHAT_TO_TRY = (
    "lower the learning rate tenfold",
    "scale the inputs and targets to mean 0 and sd 1",
    "clip the gradients' norm to 1",
)


def examine(
    first_rate: float,
    optimizer_name: str,
    momentum: float = 0.0,
    rate_is_scheduled: bool = False,
    loss: np.ndarray | None = None,
    start_loss: float | None = None,
    reference_loss: float | None = None,
    explained: float | None = None,
    network_update_ratio: np.ndarray | None = None,
    layers: Sequence[LayerFacts] | None = None,
    loss_name: str | None = None,
    input_mean: np.ndarray | None = None,
    input_sd: np.ndarray | None = None,
    batch_size: int | None = None,
) -> Iterator[Finding]:
    """Yield one finding, from what was seen in the run if there is one, else from the numbers alone."""
    rate = effective_rate(first_rate, optimizer_name, momentum)
    sign = optimizer_name in SIGN_LIKE
    evidence: dict[str, float | int | str] = {"learning_rate": float(first_rate), "optimizer": optimizer_name}
    if momentum:
        evidence["rate_with_momentum"] = rate
    stable = _stable_rate(layers, loss_name, input_mean, input_sd) if optimizer_name in PLAIN else None
    if stable is not None and first_rate > stable * (1.0 + momentum):
        evidence["largest_stable_rate"] = stable * (1.0 + momentum)
        yield _finding(
            "serious", 0.95,
            f"The learning rate {first_rate:.3g} is above {stable * (1.0 + momentum):.3g}, beyond which gradient "
            "descent on these inputs grows instead of falling.", evidence,
        )  # fmt: skip
        return
    suspect, absurd = (SUSPECT_SIGN, ABSURD_SIGN) if sign else (SUSPECT_PLAIN, ABSURD_PLAIN)
    judged = (sign or optimizer_name in PLAIN) and not rate_is_scheduled
    usual = f"The learning rate {first_rate:.3g} is high for {optimizer_name}; usual is {absurd / 100:.3g}."
    if loss is None:
        if judged and rate >= absurd:
            yield _finding("warning", 0.5, usual, evidence)
        return
    poor = explained is not None and explained < POOR
    start = max(abs(start_loss or 0.0), abs(reference_loss or 0.0))
    seen = _leap(finite(loss)[1], start, first_rate, evidence) if explained is None or poor else None
    if seen is None and poor:
        seen = _large_steps(network_update_ratio, first_rate, evidence)
    if seen is not None:
        yield seen
        return
    if judged and poor and rate >= suspect:
        evidence["explained"] = float(explained or 0.0)
        yield _finding(
            "warning", 0.75 if rate >= absurd else 0.6,
            f"The learning rate {first_rate:.3g} is high for {optimizer_name}, and the network explains only "
            f"{100 * max(0.0, float(explained or 0.0)):.0f} % of what there is to explain.", evidence,
        )  # fmt: skip
        return
    if judged and rate >= absurd:
        yield _finding("note", 0.5, f"{usual} This training coped with it.", evidence)
        return
    if batch_size == 1 and optimizer_name in PLAIN and explained is not None and explained < 0.9:
        yield from _by_single_rows(rate, momentum, evidence)


def _leap(
    values: np.ndarray, start: float, first_rate: float, evidence: dict[str, float | int | str]
) -> Finding | None:
    """Return a finding where the loss leapt up and stayed there."""
    stayed = len(values) > 0 and end_level(values) > STAYED * float(values[0])
    if not (stayed and start > 0 and end_level(values) > LEAP * start):
        return None
    return _finding(
        "serious", 0.8,
        f"The training loss leapt from {start:.4g} to {end_level(values):.4g} and stayed there, at a learning rate of "
        f"{first_rate:.3g}.", evidence | {"start_loss": start, "final_loss": end_level(values)},
    )  # fmt: skip


def _large_steps(
    network_update_ratio: np.ndarray | None, first_rate: float, evidence: dict[str, float | int | str]
) -> Finding | None:
    """Return a finding where a step changes the weights by much of their size."""
    step = _median(network_update_ratio)
    if step is None or not step > STEP:
        return None
    return _finding(
        "warning", 0.75,
        f"Each step changes the weights by {100 * step:.0f} % of their size: the learning rate {first_rate:.3g} is too "
        "high.", evidence | {"step_of_weights": step},
    )  # fmt: skip


def _by_single_rows(rate: float, momentum: float, evidence: dict[str, float | int | str]) -> Iterator[Finding]:
    if momentum >= 0.5 and rate >= SUSPECT_PLAIN / 10:
        yield _finding(
            "warning", 0.6,
            f"Every single row moves the weights with a rate of {rate:.3g} (momentum {momentum:.2g}): the steps follow "
            "single rows, not their mean.", evidence | {"batch_size": 1},
        )  # fmt: skip


def _finding(severity: Severity, confidence: float, message: str, evidence: dict[str, float | int | str]) -> Finding:
    return SYMPTOM.finding(
        severity, confidence, message, evidence=evidence, cause=CAUSE, what_to_try=WHAT_TO_TRY
    )


def _median(values: np.ndarray | None) -> float | None:
    if values is None:
        return None
    seen = np.asarray(values, np.float64)[1:]  # epoch 0 is before the first step
    seen = seen[np.isfinite(seen)]
    return float(np.median(seen)) if len(seen) else None


def _stable_rate(
    layers: Sequence[LayerFacts] | None,
    loss_name: str | None,
    mean: np.ndarray | None,
    sd: np.ndarray | None,
) -> float | None:
    """Return the largest stable rate of a linear model under mse: 1 over the largest mean square of an input direction.

    The mean square along the mean vector, and along each input, are lower bounds of the largest one.
    """
    if layers is None or loss_name != "mse" or mean is None or sd is None:
        return None
    weighted = weight_layers(layers)
    if len(weighted) != 1 or weighted[0].kind != "Dense" or weighted[0].activation not in (None, "linear"):
        return None
    if any(layer.weights and not layer.is_weighted for layer in layers):
        return None
    mean, sd = np.asarray(mean, np.float64), np.asarray(sd, np.float64)
    if not len(mean) or len(mean) != len(sd) or not np.isfinite(mean).all() or not np.isfinite(sd).all():
        return None
    largest = max(float(mean @ mean), float((mean**2 + sd**2).max()))
    return 1.0 / largest if largest > 0 else None
