"""What is worth trying: treatments of what the diagnosis found, root cause first, then those that often pay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol

from fallline.treatments import treatments_of
from fallline.types import Diagnosis, Finding

__all__ = ["DOSES", "GENERAL", "Candidate", "Treats", "candidates", "symptoms_of"]

# Treatments that come first for the first finding, and for each of the others; the rest follows later.
_OF_THE_FIRST, _OF_EACH = 4, 2
# Treatments of several findings that are tried together: a remark far down the list is a consequence more often than a
# cause, and each needless treatment takes something from the others.
_MOST_TOGETHER = 4
# Treatments by a factor, which may be far too small: they are offered several times over at once, as members of the
# same compiled program. 10, 100 and 1,000 times a learning rate reach from one that learns nothing to one that does.
DOSES = {
    "raise-learning-rate": 3, "lower-learning-rate": 3, "less-regularisation": 3, "more-epochs": 2, "larger-batch": 2,
}  # fmt: skip
# Tried where nothing is wrong, in this order: what averages and restrains before what enlarges, what costs no new
# compiled program before what does. The order decides only what a small budget reaches.
GENERAL: tuple[str, ...] = (
    "average-networks", "decay-learning-rate", "add-weight-penalty", "raise-learning-rate", "lower-learning-rate",
    "add-dropout", "wider-layers", "smaller-network", "more-epochs", "smaller-batch", "early-stopping", "use-adam",
    "suit-initializer", "normalise-layers", "deeper-network", "smooth-labels", "less-regularisation", "scale-inputs",
    "whiten-inputs", "add-noise", "larger-batch", "warm-up",
)  # fmt: skip


class Treats(Protocol):
    """What can be treated.

    Args:
        last: names of treatments that are tried behind all others, as what follows them costs more.
    """

    last: tuple[str, ...]

    def treated(self, subject: Any, names: tuple[str, ...]) -> Any | None:
        """Return the subject treated, or None where there is nothing to change."""

    def viable(self, subject: Any) -> bool:
        """Return whether the subject can be trained."""

    def key(self, subject: Any) -> str:
        """Return what tells two subjects apart."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One arm of an experiment.

    Args:
        name: of the arm.
        treatments: that it adds.
        reason: the symptom that it is tried for; "" for none.
        subject: the control, treated.
        key: what tells it apart from others.
        tier: 0: the first treatments of what is wrong, 1: all others. An experiment holds candidates of one tier, so
            that Holm's correction for their number does not hide a cure among what is tried for want of a better.
    """

    name: str
    treatments: tuple[str, ...]
    reason: str
    subject: Any
    key: str
    tier: int = 0


def candidates(
    bench: Treats,
    control: Any,
    diagnosis: Diagnosis,
    *,
    tried: Collection[str],
    without: Collection[str] = (),
    helped: Mapping[tuple[str, ...], str] | None = None,
    treated: Collection[str] = (),
    kept: Collection[str] = (),
) -> Iterator[Candidate]:
    """Yield what to try on a control, most promising first, each result once.

    Args:
        bench: applies treatments.
        control: what is to be improved.
        diagnosis: of its training.
        tried: keys of what was measured already.
        without: names of treatments that are known to hurt.
        helped: treatments that helped beside those that were kept -> the symptom that they were tried for.
        treated: symptoms that a treatment was kept for: it was the best of one experiment, which does not say that it
            was enough, also where the rules see the symptom no longer.
        kept: names of treatments that were kept.
    """
    seen = {*tried, bench.key(control)}
    others = ((0, names, reason) for names, reason in (helped or {}).items())
    plans = _plans(bench, control, diagnosis, without, _Before(treated, kept))
    for tier, names, reason in (*others, *plans):
        subject = bench.treated(control, names)
        if subject is None:
            continue
        key = bench.key(subject)
        if key in seen:
            continue
        seen.add(key)
        if bench.viable(subject):
            yield Candidate(_title(names), names, reason, subject, key, tier)


def symptoms_of(kept: Candidate, diagnosis: Diagnosis) -> list[str]:
    """Return the symptoms of a diagnosis, remarks left out, that a candidate's treatments are for."""
    grave = [finding.symptom for finding in diagnosis if finding.severity != "note"]
    return [name for name in grave if {one.name for one in treatments_of(name)} & set(kept.treatments)]


def _title(names: tuple[str, ...]) -> str:
    """Return an arm's name.

    >>> _title(("more-epochs", "raise-learning-rate", "raise-learning-rate"))
    'more-epochs + raise-learning-rate x2'
    """
    times = Counter(names)
    return " + ".join(name if count == 1 else f"{name} x{count}" for name, count in times.items())


@dataclass(frozen=True)
class _Before:
    """What was treated, and by what."""

    symptoms: Collection[str]
    kept: Collection[str]


def _plans(
    bench: Treats, control: Any, diagnosis: Diagnosis, without: Collection[str], before: _Before
) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """Yield (tier, treatments, the symptom they are for)."""
    found = [(finding, _names(bench, control, _treatments_of(finding), without)) for finding in diagnosis]
    worrying = [(finding, names) for finding, names in found if finding.severity != "note" and names]
    notes = [(finding, names) for finding, names in found
             if finding.severity == "note" and names and finding.symptom != "good-fit"]  # fmt: skip
    for cures in (worrying, (*worrying, *notes), worrying[:2]) if worrying else ():
        joined, reason = _together(bench, control, cures)
        if len(joined) > 1:
            yield 0, joined, reason
    doses = [
        [(0, treatments, finding.symptom)
         for treatments in _in_doses(names[: _OF_EACH if place else _OF_THE_FIRST], joined=place == 0)]
        for place, (finding, names) in enumerate(worrying)
    ]  # fmt: skip
    # By turns: what is named first may be what follows from another.
    yield from (one for turn in zip_longest(*doses) for one in turn if one is not None)
    for symptom in before.symptoms:
        names = _names(bench, control, [one.name for one in treatments_of(symptom)], without)
        # What else treats it, in doses, then one dose more of what was kept.
        others = [name for name in names if name not in before.kept][:_OF_THE_FIRST]
        more = [(name,) for name in names if name in before.kept]
        for treatments in (*_in_doses(others, joined=True), *more):
            yield 0, treatments, symptom
    for finding, names in (*worrying, *notes):
        yield from ((1, (name,), finding.symptom) for name in names)
    general = sorted(GENERAL, key=lambda name: name in bench.last)
    yield from ((1, (name,), "") for name in general if name not in without)


def _in_doses(names: Sequence[str], *, joined: bool) -> list[tuple[str, ...]]:
    """Return what is tried against one finding, in order: each treatment, in all its doses.

    The first treatment comes first, then second doses, then the first two treatments together where they may be
    ``joined``; other treatments come before the third dose of one that does nothing.

    >>> _in_doses(["raise-learning-rate", "use-adam"], joined=True)[:3]
    [('raise-learning-rate',), ('raise-learning-rate', 'raise-learning-rate'), ('raise-learning-rate', 'use-adam')]
    """
    singles = [(name,) for name in names]
    seconds, thirds = ([(name,) * dose for name in names if DOSES.get(name, 1) >= dose] for dose in (2, 3))
    pair = [tuple(names[:2])] if joined and len(names) > 1 else []
    return [*singles[:1], *seconds, *pair, *singles[1:3], *thirds, *singles[3:]]


Cures = Sequence[tuple[Finding, list[str]]]


def _together(bench: Treats, control: Any, cures: Cures) -> tuple[tuple[str, ...], str]:
    """Return the first treatment of each finding that still changes something behind the others, and the symptoms.

    Faults come in company, and curing one of two may show nothing: so the treatments of all grave findings are an arm
    of its own, and those of all findings, the remarks included, which may be causes that others outshine.
    """
    chosen: dict[str, str] = {}
    for finding, names in cures:
        fresh = (name for name in names if name not in chosen)
        fits = (name for name in fresh if bench.treated(control, (*chosen, name)) is not None)
        if len(chosen) < _MOST_TOGETHER and (name := next(fits, "")):
            chosen[name] = finding.symptom
    return tuple(chosen), " and ".join(dict.fromkeys(chosen.values()))


def _treatments_of(finding: Finding) -> Sequence[str]:
    """Return the names of a finding's treatments, as it says itself, or as its symptom does."""
    return finding.treatments or [one.name for one in treatments_of(finding.symptom)]


def _names(bench: Treats, control: Any, names: Sequence[str], without: Collection[str]) -> list[str]:
    """Return the treatments that change something, and are not known to hurt."""
    return [name for name in names if name not in without and bench.treated(control, (name,)) is not None]
