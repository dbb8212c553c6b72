"""High variance over seeds: the result depends on chance.

What it does
------------
Takes the scores of trainings that differ in their seed alone and compares their sd with the distance between their mean
and the score of a prediction that ignores the inputs; without that score, with the mean itself.

Why it hurts
------------
Whoever compares two settings by one training each compares two draws of a lottery, and the network that is kept may be
the unlucky one.

When it is wrong
----------------
Of few seeds the sd itself is uncertain by about 1 / sqrt(2 (seeds - 1)); fewer than three say nothing.

Reference
---------
X. Bouthillier et al., "Accounting for variance in machine learning benchmarks" (2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S32", "high-variance-over-seeds", "prediction", ("after",))

FEWEST = 3
# Of the way from no skill to the mean score; ensembles of networks on small tables have 0.02 to 0.08.
OF_SKILL = 0.15
# Of the mean score, where no skill is not known.
OF_MEAN = 0.1
WILD = 0.4


def examine(scores_over_seeds: Sequence[float] | np.ndarray, no_skill_score: float | None = None) -> Iterator[Finding]:
    """Yield a finding when the scores of equal trainings differ widely."""
    scores = np.asarray(scores_over_seeds, np.float64).reshape(-1)
    lost = int((~np.isfinite(scores)).sum())
    scores = scores[np.isfinite(scores)]
    if len(scores) < FEWEST:
        return
    mean, sd = float(scores.mean()), float(scores.std(ddof=1))
    base = abs(mean - no_skill_score) if no_skill_score is not None else abs(mean)
    share = sd / base if base > 0 else np.inf if sd > 0 else 0.0
    limit = OF_SKILL if no_skill_score is not None else OF_MEAN
    if share < limit or not np.isfinite(sd) or sd == 0:
        return
    yield SYMPTOM.finding(
        "serious" if share > WILD else "warning",
        min(0.9, 0.5 + 0.05 * len(scores)),
        f"{len(scores)} trainings that differ in their seed alone score {mean:.4g} on average, with an sd of {sd:.2g} "
        f"(from {scores.min():.4g} to {scores.max():.4g}).",
        evidence={"seeds": len(scores), "mean": mean, "sd": sd, "lowest": float(scores.min()),
                  "highest": float(scores.max()), "not_finite": lost, "share": float(min(share, 1e9))},
        cause="The training ends in different places: too few rows, too high a learning rate, or too short a training.",
        what_to_try=("average the predictions of several networks", "compare settings over several seeds",
                    "lower the learning rate, or let it decay"),
    )  # fmt: skip
