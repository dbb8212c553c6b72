"""Validation set overfitted: a search tried so much that its best validation score is luck.

What it does
------------
Compares the best validation score of a search with the score of the same network on rows that the search never saw, and
with how much the best of so many trials gains by luck alone (sqrt(2 ln trials) standard errors).

Why it hurts
------------
The score that is reported was selected; on new rows it will not be reached.

When it is wrong
----------------
Trials of similar settings are not independent, so luck is smaller than reckoned; without untouched rows the finding is
a warning about what can be known, not a proof.

Reference
---------
G. Cawley, N. Talbot, "On over-fitting in model selection and subsequent selection bias in performance evaluation"
(2010).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S34", "validation-overfitted", "prediction", ("after",))

FEWEST_TRIALS = 5
# The gap to the untouched rows, in standard errors of that gap.
CLEAR = 2.0
# Without untouched rows: luck of the best trial, as a share of the score, that is too much to choose by.
LUCK = 0.1


def examine(
    trials: int,
    validation_rows: int,
    validation_score: float,
    test_score: float | None = None,
    test_rows: int | None = None,
    higher_is_better: bool = False,
) -> Iterator[Finding]:
    """Yield a finding when the selected score is better than it can be expected to stay.

    A score's standard error over n rows is taken as score / sqrt(n), as for a mean loss (a share p: sqrt(p (1-p) / n)).
    """
    if trials < FEWEST_TRIALS or validation_rows < 1 or not math.isfinite(validation_score):
        return
    error = _error(validation_score, validation_rows, higher_is_better)
    luck = error * math.sqrt(2.0 * math.log(trials))
    evidence: dict[str, float | int | str] = {
        "trials": trials,
        "validation_rows": validation_rows,
        "validation_score": validation_score,
        "luck_of_the_best": luck,
    }
    what_to_try = ("judge the choice by nested cross-validation", "keep more rows for validation, or use k folds",
                  "try fewer settings")  # fmt: skip
    cause = "Among many trials the best one is partly the luckiest one."
    if test_score is not None and math.isfinite(test_score):
        gap = validation_score - test_score if higher_is_better else test_score - validation_score
        both = math.hypot(error, _error(test_score, test_rows, higher_is_better) if test_rows else 0.0)
        if gap > CLEAR * both > 0:
            yield SYMPTOM.finding(
                "warning", 0.85,
                f"The best of {trials} trials scores {validation_score:.4g} on the {validation_rows} rows it was "
                f"chosen on and {test_score:.4g} on untouched rows.",
                evidence=evidence | {"test_score": test_score, "gap": gap}, cause=cause, what_to_try=what_to_try,
            )  # fmt: skip
        return
    if luck > LUCK * abs(validation_score) > 0:
        yield SYMPTOM.finding(
            "warning", 0.5,
            f"{trials} trials were judged by {validation_rows} rows: the best gains about {luck:.2g} by luck alone, "
            f"of a score of {validation_score:.4g}.", evidence=evidence, cause=cause, what_to_try=what_to_try,
        )  # fmt: skip


def _error(score: float, rows: int, higher_is_better: bool) -> float:
    if higher_is_better and 0 <= score <= 1:
        return math.sqrt(max(score * (1 - score), 1e-12) / rows)
    return abs(score) / math.sqrt(rows)
