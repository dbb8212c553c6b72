"""Learning rate too low: all steps together cannot carry the weights where they have to go.

What it does
------------
Before training: Adam and its kin move a weight by at most about the rate in a step, so rate times steps bounds how far
any weight can travel; weights of scaled problems have to travel by about 1. Plain gradient descent gets as far only
with gradients of size 1. After training: looks for a loss that falls
in a straight line and has come only a small part of its way, or for steps that change nothing.

Why it hurts
------------
The training ends long before the network has learned, and its curves look calm and healthy.

When it is wrong
----------------
Fine-tuning a network that was trained before needs no long way. A run that learned well outweighs the suspicion.

Reference
---------
D. Kingma, J. Ba, "Adam" (2015), section 2.1: the step is bounded by the rate. The share 1e-5 of a step in its weights
is the lower limit of DeepDiagnosis (2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._curves import drop_scale, end_level, fall_at_end, finite
from fallline.rules._rates import PLAIN, SIGN_LIKE, effective_rate
from fallline.rules._rule import Symptom
from fallline.rules._structure import LayerFacts
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S11", "learning-rate-too-low", "learning", ("before", "after"))

# Weights of scaled problems are of size 0.3 to 3; the way that can be gone must not be smaller.
REACH = 0.3
# Plain gradient descent below this rate moves weights by less than 1 % in 1,000 steps of unit gradient.
TINY_PLAIN = 1e-5
TINY_SIGN = 1e-6
# Relative size of one step: see Reference.
STEP = 1e-5
# An approach that falls by 15 % of its whole fall in its last fifth is still nearly a straight line (see S2).
STRAIGHT = 0.15
# ... and has come this far at most.
LITTLE = 0.5
MIN_EPOCHS = 5
# A loss that ends this far above its start has not been too slow; noise of small steps is far less.
ROSE = 1.1


def examine(
    first_rate: float,
    optimizer_name: str,
    momentum: float = 0.0,
    rate_is_scheduled: bool = False,
    total_steps: int | None = None,
    loss: np.ndarray | None = None,
    start_loss: float | None = None,
    explained: float | None = None,
    network_update_ratio: np.ndarray | None = None,
    layers: Sequence[LayerFacts] | None = None,
) -> Iterator[Finding]:
    """Yield one finding, from the run if there is one, else from the numbers alone."""
    rate = effective_rate(first_rate, optimizer_name, momentum)
    sign = optimizer_name in SIGN_LIKE
    evidence: dict[str, float | int | str] = {"learning_rate": float(first_rate), "optimizer": optimizer_name}
    if rate_is_scheduled or rate <= 0:
        return
    if layers is not None and any(layer.fan_in for layer in layers) and not any(layer.weights for layer in layers):
        return  # all frozen: no rate moves them
    learned = explained is not None and explained > LITTLE
    values = finite(loss)[1] if loss is not None else np.zeros(0)
    if len(values) and end_level(values) > ROSE * max(abs(start_loss or 0.0), abs(float(values[0]))):
        return  # it did not go too slowly, but the wrong way
    if (sign or optimizer_name in PLAIN) and total_steps and rate * total_steps < REACH and not learned:
        evidence |= {"steps": int(total_steps), "farthest_way_of_a_weight": rate * total_steps}
        yield _finding(
            0.8 if explained is not None else 0.6,
            f"{total_steps:,} steps of {optimizer_name} at {first_rate:.3g} move {'no' if sign else 'hardly any'} "
            f"weight by more than about {rate * total_steps:.2g}; they usually have to move by about 1.",
            evidence,
        )
        return
    if rate < (TINY_SIGN if sign else TINY_PLAIN) and (sign or optimizer_name in PLAIN) and not learned:
        yield _finding(0.6, f"The learning rate {first_rate:.3g} is tiny for {optimizer_name}.", evidence)
        return
    if loss is None or learned or len(values) < MIN_EPOCHS:
        return
    last, first = end_level(values), float(values[0])
    fall, error = fall_at_end(values)
    fallen = first - last
    done = fallen / drop_scale(start_loss or first, 0.0) if first > 0 else 1.0
    steady = fallen > 0 and fall > STRAIGHT * fallen and fall > 3 * error
    if steady and done < LITTLE and (explained is not None or done < LITTLE / 2):
        evidence |= {"fall_in_last_fifth": fall, "total_fall": fallen, "final_loss": last}
        yield _finding(
            0.75,
            f"The training loss falls in a straight line, from {first:.4g} to {last:.4g} in {len(values)} epochs: the "
            f"steps at a learning rate of {first_rate:.3g} are too small.",
            evidence,
        )
        return
    ratio = np.asarray([] if network_update_ratio is None else network_update_ratio, np.float64)
    ratio = ratio[np.isfinite(ratio)]
    if len(ratio) and 0 < float(np.median(ratio)) < STEP and explained is not None:
        evidence["step_of_weights"] = float(np.median(ratio))
        yield _finding(0.7, f"Each step changes the weights by only {np.median(ratio):.1e} of their size.", evidence)


def _finding(confidence: float, message: str, evidence: dict[str, float | int | str]) -> Finding:
    return SYMPTOM.finding(
        "warning", confidence, message, evidence=evidence,
        cause="The learning rate is too low for this many steps.",
        what_to_try=(
            "raise the learning rate tenfold", "train for more epochs, with early stopping",
            "use Adam instead of plain gradient descent", "use smaller batches: more steps in an epoch",
        ),
    )  # fmt: skip
