"""Extensions: what the diagnosis suggests next, how far the evidence reaches, and what nobody looked at."""

from __future__ import annotations

from fallline.report.document import Block, Bullets, Fold, Line, Paragraph, Part, Section, Span
from fallline.report.remarks import symptom
from fallline.report.text import count, name, plural
from fallline.report.view import View

__all__ = ["extensions"]

_MOST = 12


def extensions(view: View) -> Section:
    """Return what could be done next, and what is not known."""
    blocks: list[Block] = [Part("What to try next", tuple(_next(view)))]
    limits = _limits(view)
    if limits:
        blocks.append(Part("How far this evidence reaches", (Bullets(tuple(limits)),)))
    diagnosis = view.run.diagnosis
    if diagnosis.not_examined:
        lines: list[Line] = [
            (Span(name(s, 60)), f": {name(why, 300)}") for s, why in list(diagnosis.not_examined.items())[:100]
        ]
        told = Paragraph("These rules could not speak. That is not the same as healthy.", "small")
        blocks.append(
            Fold(f"Not examined: {plural(len(diagnosis.not_examined), 'symptom')}", (told, Bullets(tuple(lines))))
        )
    if diagnosis.examined:
        listed = Paragraph(", ".join(name(s, 60) for s in diagnosis.examined[:200]) + ".")
        blocks.append(Fold(f"Examined: {plural(len(diagnosis.examined), 'symptom')}", (listed,)))
    return Section("extensions", "Extensions", tuple(blocks))


def _next(view: View) -> list[Block]:
    """The first treatment of each finding, the weightiest first, and how to try one."""
    wanted = [(mark, f) for mark, f in view.findings if f.what_to_try and f.symptom != "good-fit"]
    if not wanted:
        if not view.run.diagnosis.examined:
            return [Paragraph("This training was not diagnosed; fallline diagnose RUN looks at it.")]
        return [Paragraph("Nothing was found that asks for a repair.")]
    lines: list[Line] = []
    for mark, finding in wanted[:_MOST]:
        others = len(finding.what_to_try) - 1
        more = f" (and {plural(others, 'other way', 'other ways')})" if others else ""
        key = f"finding-{mark}" if mark else ""
        lines.append(
            (f"Against {symptom(finding).lower()}", Span(f" {mark}", "soft", to=key) if key else "", ": ",
             f"{name(finding.what_to_try[0], 300).rstrip('.')}{more}.")
        )  # fmt: skip
    blocks: list[Block] = [Bullets(tuple(lines), ordered=True)]
    if len(wanted) > _MOST:
        blocks.append(Paragraph(f"{count(len(wanted) - _MOST)} more findings have treatments of their own.", "small"))
    if view.run.recipe is not None:
        improve = f"fallline improve {view.data_words}"
        blocks.append(Paragraph((Span(improve, "mono"), " tries these and others beside an untreated control.")))
    if view.name:
        fork = f"fallline train --fork {view.folder} KEY=VALUE"
        blocks.append(Paragraph((Span(fork, "mono"), " trains again with an entry of the recipe changed by hand.")))
    return blocks


def _limits(view: View) -> list[Line]:
    lines: list[Line] = []
    main = view.main
    if main is None:
        lines.append("No row was kept for a score: how good the network is on new rows is not known.")
    elif main.rows == "test" and (view.story is None or not view.story.steps):
        rows = f" of {count(main.n)} rows" if main.n else ""
        lines.append(
            (f"The score rests on one test part{rows}. ", Span(f"fallline evaluate {view.data_words}", "mono"),
             " scores the recipe on folds, so that every row is held out once.")
        )  # fmt: skip
    if view.n_members < 2:
        lines.append("One seed: the spread from seed to seed is not known.")
    summary = view.run.summary
    if summary is not None and summary.leakage:
        what = "A column may give" if len(summary.leakage) == 1 else f"{count(len(summary.leakage))} columns may give"
        lines.append(f"{what} the target away; if so, every score here is too good. See the data summary.")
    if summary is not None and summary.duplicate_rows:
        rows = plural(summary.duplicate_rows, "row repeats", "rows repeat")
        lines.append(f"{rows} an earlier one: repeated rows on both sides of a split flatter the score.")
    if view.run.outcome == "interrupted":
        lines.append("The training was interrupted before its end.")
    return lines
