"""A diagnosis as HTML for a notebook: each finding with its evidence drawn beside its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fallline.report.markup import Markup, join, tag
from fallline.types import Diagnosis, Finding

__all__ = ["diagnosis_html"]

_COLOURS: Mapping[str, str] = {"serious": "#b3261e", "warning": "#a05a00", "note": "#3a6b35"}
_WIDTH, _ROW, _LABEL, _BAR = 560, 18, 200, 240
# Numbers further apart than this are drawn on a logarithmic scale: a bar of a thousandth cannot be seen.
_SPAN = 100.0


def diagnosis_html(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as one self-contained piece of HTML; all text in it is escaped.

    Args:
        diagnosis: with any findings.

    >>> "Nothing is wrong" in diagnosis_html(Diagnosis())
    True
    """
    head = "Nothing is wrong as far as was examined." if diagnosis.healthy else "Findings, root cause first:"
    parts: list[Markup] = [tag("p", tag("b", head))]
    parts += [_finding(finding) for finding in diagnosis]
    if diagnosis.not_examined:
        rows = [tag("li", f"{name}: {why}") for name, why in sorted(diagnosis.not_examined.items())]
        summary = tag("summary", f"Not examined: {len(rows)} symptoms")
        parts.append(tag("details", summary, tag("ul", *rows)))
    return str(tag("div", *parts, class_="fallline-diagnosis"))


def _finding(finding: Finding) -> Markup:
    colour = _COLOURS[finding.severity]
    where = f" in layer {finding.layer}" if finding.layer else ""
    when = f", epoch {finding.epoch}" if finding.epoch is not None else ""
    title = tag(
        "p",
        tag("b", f"{finding.severity}: {finding.symptom}", style=f"color:{colour}"),
        f"{where}{when} (confidence {finding.confidence:.2f})",
    )
    lines = [tag("p", finding.message)]
    if finding.cause:
        lines.append(tag("p", f"Likely cause: {finding.cause}"))
    if finding.what_to_try:
        lines.append(tag("p", "Try: ", tag("ul", *(tag("li", step) for step in finding.what_to_try))))
    style = f"border-left:4px solid {colour};padding-left:0.8em;margin:0.6em 0"
    return tag("div", title, join(lines), _evidence(finding), style=style)


def _evidence(finding: Finding) -> Markup:
    """Draw the numbers of a finding as bars, on one scale; words stand beside them as they are."""
    rows = list(finding.evidence.items())
    if not rows:
        return Markup("")
    numbers = {name: abs(float(v)) for name, v in rows if isinstance(v, (int, float)) and math.isfinite(float(v))}
    present = [value for value in numbers.values() if value > 0]
    log = bool(present) and max(present) > _SPAN * min(present)
    marks = []
    for i, (name, value) in enumerate(rows):
        y = (i + 1) * _ROW - 5
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        marks.append(tag("text", name.replace("_", " "), x=0, y=y, font_size=12, fill="currentColor"))
        length = _length(numbers.get(name, 0.0), present, log=log)
        if name in numbers:
            colour = _COLOURS[finding.severity]
            marks.append(tag("rect", x=_LABEL, y=y - 10, width=max(length, 1.0), height=11, fill=colour, opacity=0.6))
        x = _LABEL + length + 6
        marks.append(tag("text", shown[:60], x=x, y=y, font_size=12, fill="currentColor"))
    height = len(rows) * _ROW + 4
    words = f"Evidence of {finding.symptom}" + (", logarithmic bars" if log else "")
    return tag(
        "svg", tag("title", words), *marks, role="img", viewBox=f"0 0 {_WIDTH} {height}", width=_WIDTH, height=height
    )


def _length(value: float, present: list[float], *, log: bool) -> float:
    if value <= 0 or not present:
        return 0.0
    if log:
        low = math.log10(min(present)) - 0.5
        return _BAR * (math.log10(value) - low) / (math.log10(max(present)) - low)
    return _BAR * value / max(present)
