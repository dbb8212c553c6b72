"""Class imbalance: some classes have far fewer rows than others.

What it does
------------
Compares the rows of the largest and the smallest class. After training it also looks whether the rare classes are
recognised on held-out rows, or the loss is less than half of what always predicting the classes' shares gives: then the
imbalance is worth a note only.

Why it hurts
------------
A network that never names the rare class looks accurate and is useless for what it is usually wanted for.

When it is wrong
----------------
Where probabilities are wanted and every class has rows enough, imbalance alone does no harm and needs no cure.

Reference
---------
The ratio 10 is the default of Amazon SageMaker Debugger's ClassImbalance rule; H. He, E. Garcia, "Learning from
imbalanced data" (2009).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fallline.rules._rule import Symptom
from fallline.types import Finding

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S25", "class-imbalance", "learning", ("before", "after"))

RATIO = 10.0
# A rare class of which at least half is recognised on held-out rows is being learned.
RECOGNISED = 0.5
# Always predicting the shares of the classes explains nothing: who explains most of that loss knows the rare class.
MOST = 0.5


def examine(
    class_counts: Mapping[Any, int],
    class_recall: Mapping[Any, float] | None = None,
    explained: float | None = None,
    kept_val_loss: float | None = None,
    reference_loss: float | None = None,
) -> Iterator[Finding]:
    """Yield a finding when the largest class has ten times the rows of the smallest."""
    counts = {str(label): int(count) for label, count in class_counts.items() if count > 0}
    if len(counts) < 2:
        return
    most, least = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
    ratio = counts[most] / counts[least]
    if ratio < RATIO:
        return
    evidence: dict[str, float | int | str] = {
        "largest_class": most,
        "largest_rows": counts[most],
        "smallest_class": least,
        "smallest_rows": counts[least],
        "ratio": ratio,
    }
    known = {str(k): float(v) for k, v in class_recall.items()} if class_recall else {}
    rare = [k for k in counts if counts[most] >= RATIO * counts[k] and k in known and known[k] == known[k]]
    if rare:
        learned = all(known[k] >= RECOGNISED for k in rare)
    else:
        held = 1.0 - kept_val_loss / reference_loss if kept_val_loss is not None and reference_loss else explained
        learned = explained is not None and held is not None and min(explained, held) > MOST
    tail = ""
    if rare:
        worst = min(rare, key=lambda k: known[k])
        evidence |= {"recall_of_rare_class": known[worst], "rare_class": worst}
        tail = f" On held-out rows {100 * known[worst]:.0f} % of class {worst!r} are recognised."
    yield SYMPTOM.finding(
        "note" if learned else "warning",
        0.9 if rare else 0.7,
        f"Class {least!r} has {counts[least]} rows, class {most!r} {counts[most]}: {ratio:.0f} times as many.{tail}",
        evidence=evidence,
        cause="The classes are unequally frequent, so the loss is dominated by the frequent ones.",
        what_to_try=(
            "judge by log-loss, AUC or recall per class, not by accuracy",
            "weigh the classes inversely to their frequency (class_weight = balanced)",
            "collect more rows of the rare class",
        ),
    )
