"""No skill: the network is not better than a prediction that ignores the inputs.

What it does
------------
Compares the network's main score on held-out rows with the baselines' on the same rows. Two scores count as different
when each lies outside the other's 95 % interval.

Why it hurts
------------
A network without skill is worse than none: it costs more and promises something.

When it is wrong
----------------
With few held-out rows the intervals are wide and a real advantage may stay hidden; the finding then says "cannot be
told apart", with lower confidence.

Reference
---------
J. Brownlee, "Better Deep Learning" (2018): a model has skill only relative to a naive baseline on the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fallline.rules._rule import Symptom
from fallline.types import Finding, Score

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S12", "no-skill", "learning", ("after",))

NAIVE = "dummy"
WHAT_TO_TRY = (
    "check that inputs and labels belong together",
    "scale the inputs",
    "look at the training loss first: if it did not fall, cure that",
)


def _loss(score: Score, value: float) -> float:
    return -value if score.higher_is_better else value


def _clearly_better(one: Score, other: Score) -> bool:
    """True when each score lies outside the other's interval and ``one`` is the better; NaN ends mean no interval."""
    if not _loss(one, one.value) < _loss(other, other.value):
        return False
    worst = _loss(one, one.low if one.higher_is_better else one.high)
    best = _loss(other, other.high if other.higher_is_better else other.low)
    return not (worst >= _loss(other, other.value)) and not (best <= _loss(one, one.value))


def examine(model_scores: Sequence[Score], baseline_scores: Sequence[Score]) -> Iterator[Finding]:
    """Yield a finding against the naive baseline, else one against the best other baseline."""
    if not model_scores or not math.isfinite(model_scores[0].value):
        return
    ours = model_scores[0]
    same = [s for s in baseline_scores if s.metric == ours.metric and s.rows == ours.rows and math.isfinite(s.value)]
    naive = [s for s in same if s.who.startswith(NAIVE)]
    others = [s for s in same if not s.who.startswith(NAIVE)]
    for base in naive:
        if _clearly_better(ours, base):
            continue
        worse = _loss(ours, ours.value) >= _loss(base, base.value)
        yield SYMPTOM.finding(
            "serious" if _clearly_better(base, ours) else "warning",
            0.95 if worse else 0.6,
            f"On {ours.n or 'the'} {ours.rows.replace('_', '-')} rows the network's {ours.metric} is {ours.value:.4g}; "
            f"a prediction that ignores the inputs reaches {base.value:.4g}. "
            + ("It has no skill." if worse else "The two cannot be told apart."),
            evidence=_evidence(ours, base),
            cause="The network did not learn, or the inputs say little about the target.",
            what_to_try=WHAT_TO_TRY,
        )
        return
    beaten = [s for s in others if _clearly_better(s, ours)]
    if beaten:
        best = min(beaten, key=lambda s: _loss(s, s.value))
        yield SYMPTOM.finding(
            "warning",
            0.8,
            f"On {ours.n or 'the'} {ours.rows.replace('_', '-')} rows the network's {ours.metric} is {ours.value:.4g}; "
            f"the {best.who} baseline reaches {best.value:.4g}, clearly better.",
            evidence=_evidence(ours, best),
            cause="The relation is simpler than the network, or the network is trained badly.",
            what_to_try=("use the simpler model", "add weight decay", "lower the learning rate and train longer"),
        )


def _evidence(ours: Score, base: Score) -> dict[str, float | int | str]:
    return {
        "metric": ours.metric,
        "model": ours.value,
        "model_low": ours.low,
        "model_high": ours.high,
        "baseline": base.who,
        "baseline_value": base.value,
        "baseline_low": base.low,
        "baseline_high": base.high,
        "rows": ours.n,
    }
