"""Inputs not scaled: what the first trainable layer sees is far from centred and of unit size.

What it does
------------
Takes mean and sd of each input as the first trainable layer sees it (after the model's own scaling layers) and looks
at its root mean square. Centred inputs have 1; [0, 1] and [-1, 1] have less; both are fine.

Why it hurts
------------
The curvature of the loss along a weight grows with the mean square of its input: inputs of very different or very
large size make the surface a narrow valley, saturate units, and force a tiny learning rate on all weights.

When it is wrong
----------------
Adam hides moderate scales, and tables of small counts train well enough as they are; the limit leaves room for them.

Reference
---------
Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), section 4.3: normalising the inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S21", "inputs-not-scaled", "learning", ("before", "after"))

# Root mean square of an input: the curvature grows with its square. Centimetres of a flower (6) or counts up to 18 (8)
# still train well; pixels up to 255 (80) or years (2,000) do not.
LARGE = 10.0
# From here the curvature along this input is 10^4 times that of a scaled one.
HUGE = 100.0
# All inputs that vary have an sd below this: the network starts as good as blind.
TINY = 0.01


def _name(index: int, names: Sequence[str] | None) -> str:
    return str(names[index]) if names is not None and index < len(names) else f"input {index}"


def examine(
    input_mean: np.ndarray, input_sd: np.ndarray, input_names: Sequence[str] | None = None
) -> Iterator[Finding]:
    """Yield a finding when any input is large, or all of them are tiny."""
    mean, sd = np.asarray(input_mean, np.float64).reshape(-1), np.asarray(input_sd, np.float64).reshape(-1)
    mean, sd = mean[: len(sd)], sd[: len(mean)]
    size = np.sqrt(mean**2 + sd**2)
    size = np.where(np.isfinite(size), size, 0.0)
    if not len(size) or not size.any():
        return
    where = int(np.argmax(size))
    evidence: dict[str, float | int | str] = {
        "input": _name(where, input_names),
        "mean": float(mean[where]),
        "sd": float(sd[where]),
        "inputs_beyond_limit": int((size > LARGE).sum()),
        "inputs": len(size),
    }
    what_to_try = (
        "scale the inputs to mean 0 and sd 1 on the training rows",
        "put a Normalization layer in front and adapt it",
    )
    if size[where] > LARGE:
        yield SYMPTOM.finding(
            "serious" if size[where] > HUGE else "warning",
            0.95 if size[where] > HUGE else 0.75,
            f"{int((size > LARGE).sum())} of {len(size)} inputs are not scaled: the largest, {evidence['input']}, has "
            f"mean {mean[where]:.4g} and sd {sd[where]:.4g} where about 0 and 1 are best.",
            evidence=evidence,
            cause="The inputs reach the first trainable layer as they were recorded.",
            what_to_try=what_to_try,
        )
        return
    varied = sd[np.isfinite(sd) & (sd > 0)]
    if len(varied) and size[where] < TINY:
        yield SYMPTOM.finding(
            "warning",
            0.7,
            f"All {len(size)} inputs are tiny: the largest, {evidence['input']}, has mean {mean[where]:.4g} and sd "
            f"{sd[where]:.4g} where about 0 and 1 are best.",
            evidence=evidence,
            cause="The inputs were divided by too large a number.",
            what_to_try=what_to_try,
        )
