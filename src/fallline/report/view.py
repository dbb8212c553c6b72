"""What the sections ask about a run, answered in one place and without trusting the run's free-form facts."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fallline.report.markup import clean
from fallline.report.text import metric, name, who
from fallline.types import PROBLEM_KINDS, Finding, Inside, Run, Score, Story

__all__ = ["Member", "View"]

# Beside which picture a symptom's findings stand, by the catalogue's ids; all others stand by the learning curves.
_PLACES = {
    **dict.fromkeys(("S21", "S22", "S25", "S26", "S27", "S31", "S35", "S37"), "data"),
    "S12": "baseline",
    **dict.fromkeys(("S13", "S14", "S15", "S16", "S17", "S18", "S19", "S20"), "inside"),
    "S32": "members",
}


@dataclass(frozen=True)
class Member:
    """One network of the run: its number from 0, how it ended, its best epoch and validation (or training) loss."""

    index: int
    outcome: str
    best_epoch: int | None
    best_loss: float


class View:
    """A run, read for the report.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.story: Story | None = run.story
        self.facts: Mapping[str, Any] = run.facts if isinstance(run.facts, Mapping) else {}
        self.environment: Mapping[str, Any] = run.environment if isinstance(run.environment, Mapping) else {}

    # ---------------------------------------------------------------------------------------------- the problem

    @cached_property
    def kind(self) -> str:
        """The problem's kind, or "" when it is not known."""
        kind = self.facts.get("kind")
        return kind if kind in PROBLEM_KINDS else ""

    @cached_property
    def classification(self) -> bool:
        """True when labels are predicted."""
        if self.kind:
            return self.kind in ("binary", "multiclass", "multilabel")
        return any(score.metric in ("log_loss", "accuracy", "auc") for score in self.run.scores)

    @cached_property
    def name(self) -> str:
        """The run's name, or ""."""
        found = self.facts.get("name")
        return name(found, 80) if found else ""

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets, cleaned."""
        return tuple(name(t, 60) for t in _sequence(self.facts.get("target_names")))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, cleaned; numbered when the run does not name them."""
        found = tuple(name(c, 60) for c in _sequence(self.facts.get("classes")))
        if found or self.run.held_out is None or self.kind not in ("binary", "multiclass"):
            return found
        prediction = np.asarray(self.run.held_out.prediction)
        return tuple(str(k) for k in range(2 if prediction.ndim == 1 else prediction.shape[1]))

    @cached_property
    def n_rows(self) -> int | None:
        """Rows with a target."""
        return self.run.summary.n_rows if self.run.summary else whole(self.facts.get("n_rows"))

    @cached_property
    def folder(self) -> str:
        """The run folder in code: only what cannot be misread in a shell or in Python."""
        told = self.facts.get("folder")
        if isinstance(told, str) and re.fullmatch(r"[\w. \-/]+", told):
            return told
        return f"runs/{self.name}" if self.name and re.fullmatch(r"[\w. \-]+", self.name) else "runs/NAME"

    @cached_property
    def data_words(self) -> str:
        """The table and its target as a shell command names them; DATA and COLUMN where they are not known."""
        command = self.facts.get("command")
        source = command.get("source") if isinstance(command, Mapping) else None
        data = source.get("data") if isinstance(source, Mapping) else None
        named = shlex.quote(Path(str(data)).name) if data and clean(data, 300) == str(data) else "DATA"
        plain = [t for t in _sequence(self.facts.get("target_names")) if clean(t, 60) == str(t)]
        targets = " ".join(f"-t {shlex.quote(str(t))}" for t in plain[:3]) if len(plain) <= 3 else ""
        return f"{named} {targets or '-t COLUMN'}"

    def notes(self) -> tuple[str, ...]:
        """Sentences of the run about its data."""
        return tuple(name(n, 400) for n in _sequence(self.facts.get("notes")))[:40]

    # ----------------------------------------------------------------------------------------------- the scores

    @cached_property
    def main(self) -> Score | None:
        """The model's main score."""
        return next((s for s in self.run.scores if s.who == "model"), None)

    def of(self, key: str) -> list[Score]:
        """All scores of one metric: the model's, then the baselines' from the simplest up, one per model."""
        order = {"model": 0, "linear": 1, "dummy": 2}
        found = {s.who: s for s in reversed(self.run.scores) if s.metric == key}
        return sorted(found.values(), key=lambda s: order.get(s.who, 1))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics of the model, main first."""
        return tuple(dict.fromkeys(s.metric for s in self.run.scores if s.who == "model"))

    @cached_property
    def headline(self) -> tuple[str, ...]:
        """The two metrics that are shown first: the main one, and the one that is easiest to read."""
        others = [m for m in self.metrics[1:] if m != "mae"] or list(self.metrics[1:])
        return (*self.metrics[:1], *others[:1])

    @cached_property
    def best_baseline(self) -> Score | None:
        """The better of the baselines on the main metric."""
        if self.main is None:
            return None
        others = [s for s in self.of(self.main.metric) if s.who != "model" and math.isfinite(s.value)]
        sign = -1 if self.main.higher_is_better else 1
        return min(others, key=lambda s: sign * s.value) if others else None

    @cached_property
    def standing(self) -> str:
        """The model against the better baseline: ``clear``, ``better``, ``level``, ``worse``, or "" when unknown.

        ``clear``: the two intervals do not meet; ``better``: the baseline lies outside the model's interval.
        """
        main, other = self.main, self.best_baseline
        if main is None or other is None or not math.isfinite(main.value):
            return ""
        sign = -1 if main.higher_is_better else 1
        ends = sorted(sign * v for v in (main.low, main.high))
        if not all(math.isfinite(v) for v in ends):
            return "better" if sign * main.value < sign * other.value else "worse"
        low, high = ends
        rival = sign * other.value
        rivals = sorted(sign * v for v in (other.low, other.high) if math.isfinite(v))
        if high < rival:
            return "clear" if rivals and high < rivals[0] else "better"
        return "worse" if low > rival else "level"

    def who(self, score_who: str) -> str:
        """Return who was scored, in words."""
        return who(score_who, self.classification, self.n_members)

    def metric(self, key: str) -> str:
        """Return a metric's name in words."""
        return metric(key)

    # ---------------------------------------------------------------------------------------------- the training

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The run's networks; from the facts where they say so, else read off the trace."""
        told = self.facts.get("members")
        given = [m for m in _sequence(told) if isinstance(m, Mapping)] if not isinstance(told, Mapping) else []
        traced = self._traced_best()
        if not given:
            return tuple(Member(i, str(self.run.outcome), *best) for i, best in enumerate(traced))
        found = []
        for i, fact in enumerate(given[:10_000]):
            epoch, loss = traced[i] if i < len(traced) else (None, math.nan)
            told_loss = _number(fact.get("best_val_loss", fact.get("val_loss")))
            outcome = name(fact.get("outcome", self.run.outcome), 40)
            found.append(
                Member(
                    i, outcome, whole(fact.get("best_epoch")) or epoch, told_loss if math.isfinite(told_loss) else loss
                )
            )
        return tuple(found)

    def _traced_best(self) -> list[tuple[int | None, float]]:
        trace = self.run.trace
        quantity = self.watched_loss
        best: list[tuple[int | None, float]] = []
        for row in trace.matrix(quantity) if trace.n_epochs else ():
            finite = np.where(np.isfinite(row), row, np.inf)
            k = int(np.argmin(finite))
            best.append((k + 1, float(row[k])) if np.isfinite(finite[k]) else (None, math.nan))
        return best

    @cached_property
    def watched_loss(self) -> str:
        """The loss that decides: on validation rows where there are any."""
        return "val_loss" if "val_loss" in self.run.trace.quantities else "loss"

    @cached_property
    def n_members(self) -> int:
        """Number of networks."""
        return max(len(self.members), 1)

    @cached_property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept (of an ensemble: where the mean curve is lowest)."""
        if self.n_members == 1:
            told = whole(self.facts.get("best_epoch"))
            if told or (self.members and self.members[0].best_epoch):
                return told or self.members[0].best_epoch
        curve = self.run.trace.curve(self.watched_loss)
        finite = np.where(np.isfinite(curve), curve, np.inf)
        return int(np.argmin(finite)) + 1 if len(curve) and np.isfinite(finite).any() else None

    @cached_property
    def findings(self) -> tuple[tuple[str, Finding], ...]:
        """(number in the report, finding), in rank order; numbers are given to the first 99."""
        return tuple((str(i) if i < 100 else "", f) for i, f in enumerate(self.run.diagnosis.findings, start=1))

    def findings_at(self, place: str) -> tuple[tuple[str, Finding], ...]:
        """The findings that stand beside one picture: ``data``, ``baseline``, ``inside``, ``members`` or ``learning``.

        Where the report has no such picture, its findings stand by the learning curves.
        """
        return tuple((mark, finding) for mark, finding in self.findings if self._place(finding) == place)

    def _place(self, finding: Finding) -> str:
        place = _PLACES.get(finding.id, "learning")
        shown = {
            "data": self.run.summary is not None,
            "baseline": bool(self.metrics),
            "inside": self.layers is not None,
            "members": self.n_members > 1,
        }
        return place if shown.get(place) else "learning"

    @cached_property
    def layers(self) -> Inside | None:
        """What was seen in the layers; None where nobody looked or nothing came of it."""
        inside = self.run.trace.inside
        return inside if inside is not None and inside.layers and len(inside.epochs) else None


def _sequence(value: Any) -> tuple[Any, ...]:
    """A list's items; nothing for anything that is not a list."""
    return tuple(value) if isinstance(value, (list, tuple, np.ndarray)) else ()


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def whole(value: Any) -> int | None:
    """Return a positive whole number, or None for anything else."""
    found = _number(value)
    return int(found) if math.isfinite(found) and found >= 1 else None
