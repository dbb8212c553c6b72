"""Findings, and all of them about one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from fallline.types.verbs import verb

__all__ = ["FAMILIES", "SEVERITIES", "Diagnosis", "Family", "Finding", "Severity"]


Severity = Literal["note", "warning", "serious"]
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "serious")
Family = Literal["learning", "generalisation", "prediction"]
FAMILIES: tuple[Family, ...] = ("learning", "generalisation", "prediction")


@dataclass(frozen=True)
class Finding:
    """One named symptom with its evidence.

    Args:
        symptom: plain kebab-case name, e.g. ``overfit``; ``fallline rules`` lists them all.
        id: the catalogue's id, e.g. ``S3``.
        family: learning (cannot fit), generalisation (fits, fails on new rows), prediction (depends on the seed).
        severity: ``note`` (remarks, good fit), ``warning`` or ``serious``.
        confidence: in [0, 1].
        message: one sentence for a beginner, numbers included.
        evidence: name -> number (or short text) that the message rests on.
        cause: the likely cause, one sentence.
        what_to_try: in order, short imperative sentences for a person.
        layer: the layer concerned, or "".
        epoch: the epoch at which it shows, or None.
        treatments: names of the treatments of this symptom, likeliest first, as `fallline.treat` and
            `fallline.experiment` take them and ``fallline treatments`` lists them.
    """

    symptom: str
    id: str
    family: Family
    severity: Severity
    confidence: float
    message: str
    evidence: Mapping[str, float | int | str] = field(default_factory=dict)
    cause: str = ""
    what_to_try: tuple[str, ...] = ()
    layer: str = ""
    epoch: int | None = None
    treatments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """All findings about one run (or one model before training), most important first.

    Args:
        findings: in rank order.
        not_examined: symptom -> why its rule could not speak (a statistic that was not watched).
        examined: symptoms whose rules looked, whether or not they found something.
    """

    findings: tuple[Finding, ...] = ()
    not_examined: Mapping[str, str] = field(default_factory=dict)
    examined: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """True when no finding is a warning or worse."""
        return all(finding.severity == "note" for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: int) -> Finding:
        return self.findings[index]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers, ready for JSON."""
        return {
            "healthy": self.healthy,
            "findings": [
                {f.name: _plain(getattr(finding, f.name)) for f in fields(finding)} for finding in self.findings
            ],
            "examined": list(self.examined),
            "not_examined": dict(self.not_examined),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the findings with their confidence and severity; return Matplotlib's axes."""
        return verb("fallline.plot:plot_diagnosis")(self, ax)

    def _repr_html_(self) -> str:
        """Return the findings with their evidence drawn, for a notebook."""
        found: str = verb("fallline.report.findings:diagnosis_html")(self)
        return found

    def __str__(self) -> str:
        lines = [f"{finding.severity:8} {finding.symptom}: {finding.message}" for finding in self.findings]
        if self.healthy:
            lines.insert(0, "Nothing is wrong as far as was examined.")
        if self.not_examined:
            lines.append(f"Not examined: {', '.join(sorted(self.not_examined))}.")
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
