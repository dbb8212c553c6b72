"""Ends a training that is lost: diverged, dead, or flat for a third of its epochs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fallline.diagnose import lost_cause, rank
from fallline.train.loop import OnProgress
from fallline.types import Finding, Progress, Run

__all__ = ["LostWatch"]


class LostWatch:
    """Looks at the curves between the chunks of a training and asks for its end when nothing can come of it.

    Args:
        inner: another listener, which is told of every event, too, and may ask for a stop for reasons of its own.
    """

    def __init__(self, inner: OnProgress | None = None) -> None:
        self.inner = inner
        self.finding: Finding | None = None
        self._curves: dict[str, list[float]] = {}

    def __call__(self, event: Progress) -> bool:
        """Take in an event; True asks for the end."""
        asked = bool(self.inner(event)) if self.inner is not None else False
        if event.phase != "train":
            return asked
        for name, values in event.curves.items():
            self._curves.setdefault(name, []).extend(values)
        if self.finding is None and event.active and event.epoch < event.epochs:
            curves = {name: np.asarray(values, np.float64) for name, values in self._curves.items()}
            self.finding = lost_cause(curves, planned=event.epochs)
        return asked or self.finding is not None

    def ended(self, run: Run) -> Run:
        """Return the run with the reason of its early end, if it was this one that ended it."""
        found = self.finding
        if found is None or run.outcome != "interrupted":
            return run
        diagnosis = run.diagnosis
        if found.symptom not in {finding.symptom for finding in diagnosis}:
            diagnosis = replace(diagnosis, findings=rank((*diagnosis.findings, found)))
        why = {"symptom": found.symptom, "message": found.message}
        return run.with_(outcome="stopped_early", diagnosis=diagnosis, facts={**run.facts, "lost": why})
