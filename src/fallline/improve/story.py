"""What an improvement tells: each event as a text for people, and the same as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fallline.experiment.paired import ALPHA
from fallline.improve.candidates import Candidate
from fallline.treatments import discover
from fallline.types import Diagnosis, LedgerEntry, Score

__all__ = ["begins", "decided", "diagnosed", "offered", "scored", "stopped"]

Told = tuple[str, dict[str, Any]]

_ENDS = {
    "nothing helps": "No treatment is left that helps.",
    "solved": "What is missing to the best possible score is below 1 % of what a constant prediction misses.",
    "budget": "The budget is spent.",
    "interrupted": "Interrupted.",
}


def _list(names: Sequence[str]) -> str:
    """Return names as a list in words.

    >>> _list(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def diagnosed(found: Diagnosis, kept: tuple[str, ...]) -> Told:
    """Say what is wrong with the training."""
    who = "The training, treated so far," if kept else "The training"
    worrying = [finding for finding in found if finding.severity != "note"]
    if worrying:
        lines = [f"{who} has {len(worrying)} finding{'s' if len(worrying) > 1 else ''}, root cause first:"]
        lines += [f"{finding.severity}: {finding.symptom}. {finding.message}" for finding in worrying]
    else:
        lines = [f"{who} shows nothing wrong; it may still get better."]
    return "\n".join(lines), {"kept": list(kept), **found.to_dict()}


def offered(arms: Sequence[Candidate], kept: tuple[str, ...]) -> Told:
    """Say what is to be tried, and why."""
    groups: dict[str, list[str]] = {}
    for arm in arms:
        groups.setdefault(arm.reason, []).append(arm.name)
    pages = {treatment.name: treatment for treatment in discover()}
    lines = [
        f"{f'Against {reason}' if reason else 'Because it often pays'}: {', '.join(names)}."
        for reason, names in groups.items()
    ]
    facts = [
        {"arm": arm.name, "treatments": list(arm.treatments), "reason": arm.reason,
         "pages": {name: pages[name].title for name in arm.treatments}}
        for arm in arms
    ]  # fmt: skip
    return "\n".join(lines), {"kept": list(kept), "arms": facts}


def begins(
    number: int, stage: str, arms: Sequence[Candidate], seeds: Sequence[int], folds: int, trainings: int
) -> Told:
    """Say which experiment begins."""
    many = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} x {folds} folds"
    count = f"{len(arms)} treatment{'s' if len(arms) > 1 else ''}"
    what = count if stage == "screen" else _list([arm.name for arm in arms])
    again = "" if stage == "screen" else " again, with fresh seeds and on other folds"
    text = f"Experiment {number}: {what} beside the untreated control{again}, {many}, {trainings} trainings."
    facts = {"number": number, "stage": stage, "arms": [arm.name for arm in arms], "seeds": list(seeds), "folds": folds}
    return text, {**facts, "trainings": trainings}


def decided(entry: LedgerEntry, *, going_on: bool) -> Told:
    """Say what an experiment found, and what follows from it."""
    found = entry.experiment
    metric = found.metric.replace("_", "-")
    best_first = sorted(found.comparisons, key=lambda one: -one.mean)
    values = found.scores.get("control", ())
    level = f" The control's: {sum(values) / len(values):.4g}." if values else ""
    head = f"Gain in {metric} (positive: better), 95 % interval.{level}"
    rows = [f"{one.name}: {one.mean:+.4g} [{one.low:+.4g}, {one.high:+.4g}]  {one.decision}" for one in best_first]
    if entry.kept:
        end = f"Kept: {entry.kept}."
        best = found[entry.kept]
        if best.decision != "helps" and best.p_adjusted / 2 < ALPHA:
            end = f"Kept: {entry.kept}, which was better on every fold, and is so by the one-sided test."
        elif best.decision != "helps":
            end = f"Kept: {entry.kept}, which was better on every fold of both experiments."
    elif going_on:
        end = "Nothing is certain yet; what looks best is tried again."
    else:
        end = "Nothing is kept."
    recalled = ["(from the ledger)"] if entry.repeated else []
    facts = {
        "number": entry.number, "stage": entry.stage, "control": list(entry.control), "kept": entry.kept,
        "repeated": entry.repeated, "experiment": found.to_dict(),
    }  # fmt: skip
    return "\n".join([*recalled, head, *rows, end]), facts


def stopped(outcome: str, kept: tuple[str, ...], *, under_way: bool) -> Told:
    """Say why it ended, and whether an experiment was under way."""
    left_out = " The experiment under way is left out." if under_way else ""
    so_far = f"Kept: {_list(kept)}." if kept else "Nothing was kept."
    return f"{_ENDS[outcome]}{left_out} {so_far}", {"outcome": outcome, "kept": list(kept), "left_out": under_way}


def _interval(one: Score) -> str:
    return f" [{one.low:.4g}, {one.high:.4g}]" if math.isfinite(one.low) else ""


def scored(scores: Sequence[Score], kept: tuple[str, ...], rows: int) -> Told:
    """Say what the result is worth on rows that no choice has seen."""
    facts = {"rows": rows, "scores": [vars(score) for score in scores]}
    if not scores:
        return "All rows were chosen by: no score of the result is honest. Give a hold-out to get one.", facts
    first = [score for score in scores if score.metric == scores[0].metric]
    value = {score.who: score for score in first}
    model, control = value["model"], value["control"]
    if not kept:
        verdict = "The untreated control stays as it is."
    else:
        gain = (model.value - control.value) * (1 if model.higher_is_better else -1)
        words = "better than" if gain > 0 else "worse than" if gain < 0 else "as good as"
        verdict = f"On {rows:,} rows that no choice has seen it is {words} the untreated control:"
    names = {"model": "this model", "control": "untreated control", "dummy": "no inputs", "linear": "linear model"}
    metric = model.metric.replace("_", "-")
    rows_of = [
        f"{names.get(one.who, one.who)}: {metric} {one.value:.4g}{_interval(one)}"
        for one in first
        if kept or one.who != "control"
    ]
    return "\n".join([verdict, *rows_of]), facts
