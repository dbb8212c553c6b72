"""A finding as a card, and beside which picture of the report it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from fallline.report.document import Block, Bullets, Facts, Line, Note, Paragraph, Span
from fallline.report.text import count, name, number
from fallline.report.view import View
from fallline.types import Finding

__all__ = ["at_a_glance", "card", "cards", "level", "mentioned", "symptom"]

_MOST_CARDS = 60
_MOST_AT_A_GLANCE = 8


def level(finding: Finding) -> Literal["good", "note", "warning", "serious"]:
    """Return how a finding is marked: a good fit is found, too, and is no remark."""
    return "good" if finding.symptom == "good-fit" else finding.severity


def symptom(finding: Finding) -> str:
    """Return a symptom's name in words."""
    words = name(finding.symptom, 60).replace("-", " ")
    return words[:1].upper() + words[1:]


def _key(mark: str) -> str:
    return f"finding-{mark}" if mark else ""


def cards(view: View, place: str) -> list[Block]:
    """Return the findings that belong to one place of the report, as cards, in rank order."""
    found = view.findings_at(place)
    blocks: list[Block] = [card(mark, finding) for mark, finding in found[:_MOST_CARDS]]
    if len(found) > _MOST_CARDS:
        blocks.append(Paragraph(f"{count(len(found) - _MOST_CARDS)} more findings are not shown.", "small"))
    return blocks


def card(mark: str, finding: Finding) -> Note:
    """Return one finding: message, evidence, likely cause, and what to try."""
    blocks: list[Block] = [Paragraph(name(finding.message, 600))]
    evidence: Mapping[str, float | int | str] = finding.evidence
    if evidence:
        shown = list(evidence.items())[:16]
        blocks.append(Facts(tuple((name(k, 60).replace("_", " "), _evidence(v)) for k, v in shown)))
    if finding.cause:
        blocks.append(Paragraph((Span("Likely cause. "), name(finding.cause, 500))))
    if finding.what_to_try:
        blocks.append(Paragraph(Span("Worth trying, in this order:")))
        blocks.append(Bullets(tuple(name(t, 300) for t in finding.what_to_try[:12]), ordered=True))
    where = [name(finding.id, 12)] if finding.id else []
    if finding.layer:
        where.append(f"layer {name(finding.layer, 60)}")
    if finding.epoch is not None:
        where.append(f"epoch {count(finding.epoch)}")
    where.append(f"confidence {finding.confidence:.0%}".replace("%", "\u202f%"))
    return Note(level(finding), symptom(finding), tuple(blocks), mark, " · ".join(where), _key(mark))


def _evidence(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return name(value, 200)
    return number(float(value))


def mentioned(mark: str, finding: Finding) -> Line:
    """Return one line on a finding that leads to its card."""
    when = f", epoch {count(int(finding.epoch))}" if finding.epoch is not None else ""
    words = Span(symptom(finding), to=_key(mark)) if mark else Span(symptom(finding))
    return (Span(mark or "•", level(finding)), words, f"{when}: {name(finding.message, 300)}")


def at_a_glance(view: View) -> tuple[Line, ...]:
    """Return the findings for the head of the page, the weightiest first."""
    lines = [mentioned(mark, finding) for mark, finding in view.findings[:_MOST_AT_A_GLANCE]]
    more = len(view.findings) - len(lines)
    if more:
        lines.append(f"and {count(more)} more below.")
    return tuple(lines)
