"""Oscillation: the training loss jumps up and down instead of falling.

What it does
------------
Measures the epoch-to-epoch noise of the training loss over the second half of the run, as a share of what was learned
and of the loss itself, and counts how often the loss changes direction.

Why it hurts
------------
Steps that leap across the valley never reach its floor, and which epoch ends the run decides how good the network is.

When it is wrong
----------------
A cyclic learning rate moves the loss on purpose. A batch size of 1 makes running means noisy without harm.

Reference
---------
Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), section 5: steps beyond twice the inverse
curvature swing across the minimum with growing amplitude.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.rules._curves import drop_scale, finite, jitter
from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S7", "oscillation", "learning", ("during", "after"), min_epochs=10)

# Noise per epoch as a share of what was learned, and of the present loss; chosen on the clinic's calibration half
# (benchmarks/results/clinic-thresholds.json says where healthy runs lie).
SWING_OF_LEARNED = 0.02
SWING_OF_LEVEL = 0.05
# White noise changes direction in 2 of 3 epochs, a zig-zag in all, a smooth curve in none.
TURNS = 0.4


def examine(
    loss: np.ndarray, start_loss: float, running_loss: np.ndarray | None = None, loss_is_running: bool = False
) -> Iterator[Finding]:
    """Yield a finding when the second half of the training loss swings."""
    epochs, values = finite(loss)
    half = values[len(values) // 2 :]
    swing = jitter(half)
    level = float(np.median(half))
    learned = drop_scale(start_loss, float(np.min(values)))
    turns = _turns(half)
    if swing < SWING_OF_LEARNED * learned or swing < SWING_OF_LEVEL * abs(level) or turns < TURNS:
        return
    if running_loss is not None and not loss_is_running and _calm(finite(running_loss)[1]):
        yield SYMPTOM.finding(
            "note",
            0.5,
            f"The loss in evaluation mode swings by {swing:.3g} from epoch to epoch around {level:.4g}, while the loss "
            "in training mode falls calmly: the averages that batch normalisation predicts with lag behind.",
            evidence={"swing": swing, "swing_of_learned": swing / learned, "turns": turns, "level": level},
            cause="The moving averages of batch normalisation belong to weights that have moved on since.",
            what_to_try=("let the learning rate decay", "use larger batches", "lower the momentum of the averages"),
            epoch=int(epochs[len(values) // 2]),
        )
        return
    yield SYMPTOM.finding(
        "warning",
        0.6 + 0.3 * min(1.0, swing / (4 * SWING_OF_LEARNED * learned)),
        f"The training loss swings by {swing:.3g} from epoch to epoch around {level:.4g} and turns in "
        f"{100 * turns:.0f} % of the epochs: the steps are too large to settle.",
        evidence={"swing": swing, "swing_of_learned": swing / learned, "turns": turns, "level": level},
        cause="The learning rate is too high for this loss surface, or the batches are very small.",
        what_to_try=(
            "lower the learning rate threefold to tenfold",
            "let the learning rate decay",
            "use larger batches",
        ),
        epoch=int(epochs[len(values) // 2]),
    )


def _calm(values: np.ndarray) -> bool:
    """True when the second half of a curve never turns, or seldom and by less than a swing."""
    half = values[len(values) // 2 :]
    if len(half) < SYMPTOM.min_epochs // 2:
        return False
    turns = _turns(half)
    return turns == 0 or (turns < TURNS and jitter(half) < SWING_OF_LEVEL * abs(float(np.median(half))))


def _turns(values: np.ndarray) -> float:
    """Return the share of steps that go the other way than the one before."""
    steps = np.diff(values)
    return float(np.mean(np.sign(steps[1:]) * np.sign(steps[:-1]) < 0)) if len(steps) > 1 else 0.0
