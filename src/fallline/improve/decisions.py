"""What an experiment of an improvement decides: which arm is kept, which are tried again, what else helped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev

from fallline.experiment.paired import ALPHA
from fallline.improve.candidates import Candidate
from fallline.types import Comparison, Experiment

__all__ = ["most_hopeful", "others_that_helped", "preferred"]

# Of the arms of a screen that is not decided, so many go on with fresh seeds and other folds.
_MOST_CONFIRMED = 3
# Of arms that help, one with fewer treatments is preferred if it has this share of the largest gain, or falls short of
# it by one standard error at most.
_NEARLY = 0.99


def preferred(found: Experiment, arms: Sequence[Candidate], screen: Experiment | None) -> Candidate | None:
    """Return the arm to keep: the largest gain, or fewer treatments where that is as good; None: none.

    As good is what has `_NEARLY` all of it, or falls short by no more than one standard error of the difference (the
    1-SE rule of L. Breiman and others, Classification and Regression Trees (1984), section 3.4.3). Another dose is not
    another treatment.

    Args:
        found: the experiment.
        arms: that were tried in it.
        screen: from which these arms were chosen; None: this is a screen.
    """
    by_name = {one.name: one for one in arms}
    good = _helping(found) or _always_better(screen, found)
    if not good and screen is not None:
        good = [one for one in found.comparisons if by_name[one.name].reason and _surely_better(one, found)]
    if not good:
        return None
    best = max(good, key=lambda one: one.mean)
    near = [one for one in good if _as_good(one, best, found)]
    chosen = min(near, key=lambda one: (len(set(by_name[one.name].treatments)), -one.mean))
    return by_name[chosen.name]


def _as_good(one: Comparison, best: Comparison, found: Experiment) -> bool:
    """Return whether an arm falls short of the best by next to nothing, or by no more than one standard error."""
    if one.mean >= _NEARLY * best.mean:
        return True
    short = [mine - theirs for mine, theirs in zip(_by_fold(best, found), _by_fold(one, found), strict=True)]
    return mean(short) <= stdev(short) / math.sqrt(len(short))


def _surely_better(one: Comparison, confirmed: Experiment) -> bool:
    """Return whether a confirmation lets a treatment of something diagnosed be kept.

    Two things speak for it besides this experiment, the diagnosis and the screen; that it hurts is no question any
    more. So the test is one-sided, corrected as ever, and must hold on every fold.
    """
    return one.p_adjusted / 2 < ALPHA and _on_every_fold(one, confirmed)


def others_that_helped(found: Experiment, arms: Sequence[Candidate], kept: Candidate) -> dict[tuple[str, ...], str]:
    """Return treatments that helped, have nothing in common with what was kept, and may help further, best first."""
    by_name = {one.name: one for one in arms}
    best_first = [by_name[one.name] for one in sorted(_helping(found), key=lambda one: -one.mean)]
    return {one.treatments: one.reason for one in best_first if not set(one.treatments) & set(kept.treatments)}


def most_hopeful(found: Experiment, arms: Sequence[Candidate]) -> list[Candidate]:
    """Return the arms of an undecided screen that gained most."""
    if found.best is not None:
        return []
    by_name = {one.name: one for one in arms}
    gained = [one for one in found.comparisons if one.mean > 0]
    gained.sort(key=lambda one: (_on_every_fold(one, found), one.mean), reverse=True)
    return [by_name[one.name] for one in gained[:_MOST_CONFIRMED]]


def _helping(found: Experiment) -> list[Comparison]:
    return [one for one in found.comparisons if one.decision == "helps"]


def _always_better(screen: Experiment | None, confirmed: Experiment) -> list[Comparison]:
    """Return the arms that gained on every fold of both experiments, where that says something.

    A cure's gains may differ from fold to fold by orders, as where the control has diverged, and no t-test sees it. By
    a sign test over the folds it is certain, though; Bonferroni's correction counts the arms of the screen, from which
    the others were chosen.
    """
    if screen is None or len(screen.comparisons) * 0.5 ** (screen.folds + confirmed.folds) > ALPHA:
        return []
    gained = {one.name for one in screen.comparisons if _on_every_fold(one, screen)}
    return [one for one in confirmed.comparisons if one.name in gained and _on_every_fold(one, confirmed)]


def _on_every_fold(one: Comparison, found: Experiment) -> bool:
    """Return whether an arm gained on each fold."""
    return min(_by_fold(one, found)) > 0


def _by_fold(one: Comparison, found: Experiment) -> list[float]:
    """Return the gain on each fold in the mean over the seeds, which are outermost."""
    return [mean(one.differences[fold :: found.folds]) for fold in range(found.folds)]
