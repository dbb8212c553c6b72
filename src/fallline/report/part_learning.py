"""Scores against baselines, learning curves with what was found on them, the findings, the ensemble's members."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from fallline.report.chart_curves import CurveMark, curve_chart, rate_chart
from fallline.report.chart_scores import interval_chart, strip_chart
from fallline.report.document import (
    Block,
    Bullets,
    Facts,
    Figure,
    Fold,
    Line,
    Note,
    Paragraph,
    Row,
    Section,
    Span,
    Table,
)
from fallline.report.figures import Curves, curves, log_floor, log_wanted, performance_names
from fallline.report.text import METRIC_MEANING, count, metric, name, number, plural, score_interval, score_value
from fallline.report.view import View
from fallline.types import Finding

__all__ = ["findings", "learning", "members", "scores"]

_STANDING = {
    "clear": "The network has skill: its interval and the best baseline's do not meet.",
    "better": "The network has skill: the best baseline lies outside its interval. The two intervals overlap, so the "
    "size of the gain is uncertain.",
    "level": "The gain over the best baseline is within the noise of this test: the simpler model may be all that "
    "these data need.",
    "worse": "A baseline is better on these rows. Look at the findings before using the network.",
}
_NO_SKILL = (
    "The network has no skill on these rows: a guess that ignores every input is better. Look at the findings "
    "before using it."
)
_MEMBERS_LISTED = 200


def scores(view: View) -> Section | None:
    """Return the comparison with the baselines."""
    if not view.metrics:
        return None
    charts = tuple(
        Figure(interval_chart([(view.who(s.who), s) for s in view.of(key)]))
        for key in view.headline
        if any(math.isfinite(s.value) for s in view.of(key))
    )
    baseline = view.best_baseline
    no_skill = view.standing == "worse" and baseline is not None and baseline.who == "dummy"
    blocks: list[Block] = [Paragraph(_NO_SKILL if no_skill else _STANDING[view.standing])] if view.standing else []
    if charts:
        blocks.append(Row(charts))
    models = list(dict.fromkeys(s.who for key in view.metrics for s in view.of(key)))
    rows = []
    for who in models:
        cells: list[Line] = [view.who(who)]
        for key in view.metrics:
            score = next((s for s in view.of(key) if s.who == who), None)
            span = score_interval(score) if score else ""
            cells.append(
                "–"
                if score is None
                else (
                    Span(score_value(score)) if who == "model" else score_value(score),
                    Span(f"\u2002{span}", "soft") if span else "",
                )
            )
        rows.append(tuple(cells))
    main = view.main
    where = f", on {count(main.n)} {main.rows.replace('_', '-')} rows" if main and main.n else ""
    heads = tuple(metric(k) for k in view.metrics)
    blocks.append(
        Table(
            ("Model", *heads),
            tuple(rows),
            f"Scores with 95 % intervals{where}",
            numeric=frozenset(range(1, len(heads) + 1)),
            stacked=True,
            emphasis=frozenset({0}),
        )
    )
    told: tuple[Line, ...] = tuple(
        (Span(metric(k)), f": {METRIC_MEANING[k]}.") for k in view.metrics if k in METRIC_MEANING
    )
    if told:
        blocks.append(Fold("What these figures mean", (Bullets(told),)))
    return Section("baseline", "Against the baseline", tuple(blocks))


# ------------------------------------------------------------------------------------------------ learning curves


def learning(view: View) -> Section | None:
    """Return the learning curves with findings at their epochs."""
    trace = view.run.trace
    if trace.n_epochs == 0:
        return None
    blocks: list[Block] = []
    marked = [(m, f) for m, f in view.findings if f.epoch is not None and 1 <= f.epoch <= trace.n_epochs and m]
    marks = [CurveMark(m, int(f.epoch or 1), _level(f)) for m, f in marked]
    loss = curves(trace, "loss")
    if loss.n_epochs:
        own = [m.best_epoch for m in view.members if m.best_epoch] if view.n_members > 1 else []
        chart = curve_chart(loss, "Learning curves: loss", "loss", marks=marks, best=view.best_epoch, member_best=own)
        blocks.append(Figure(chart, _caption(view, loss, own)))
    if marked:
        told: list[Line] = [
            (Span(m, _level(f)), Span(_symptom(f)), f", epoch {count(int(f.epoch or 1))}: {name(f.message, 300)}")
            for m, f in marked
        ]
        blocks.append(Bullets(tuple(told), bare=True))
    charts: list[Block] = []
    for key in performance_names(trace)[:6]:
        found = curves(trace, key)
        if found.n_epochs:
            charts.append(
                Figure(
                    curve_chart(found, f"Learning curves: {metric(key)}", metric(key), best=view.best_epoch, half=True)
                )
            )
    rate = trace.curve("learning_rate") if "learning_rate" in trace.quantities else np.empty(0)
    if len(rate) > 1 and np.isfinite(rate).all() and np.ptp(rate) > 0:
        charts.append(Figure(rate_chart(rate)))
    if charts:
        blocks.append(Row(tuple(charts)))
    return Section("learning", "Learning curves", tuple(blocks)) if blocks else None


def _caption(view: View, found: Curves, own: list[int]) -> Line:
    parts: list[str | Span] = ["Training and validation loss after each epoch, both in evaluation mode on fixed rows. "]
    if view.n_members > 1:
        parts.append(f"Thick: mean of the {count(view.n_members)} members; thin: each member's validation loss. ")
    if own:
        parts.append("Small ticks on the base line: each member's best epoch, whose weights were kept. ")
    if log_wanted(found.values()) and found.values().min() < log_floor(found):
        parts.append(f"What lies below {number(log_floor(found), 1)} is drawn on the lower border. ")
    if len(found.running):
        parts.append("Dotted: running mean of the steps in training mode, with dropout and noise at work. ")
    outcome = {
        "stopped_early": "Training stopped early: validation no longer improved.",
        "completed": "Training ran all of its epochs.",
        "diverged": "Training diverged.",
        "interrupted": "Training was interrupted; what was learned until then is kept.",
    }.get(view.run.outcome, "")
    return (*parts, outcome)


def _level(finding: Finding) -> Literal["good", "note", "warning", "serious"]:
    return "good" if finding.symptom == "good-fit" else finding.severity


def _symptom(finding: Finding) -> str:
    words = name(finding.symptom, 60).replace("-", " ")
    return words[:1].upper() + words[1:]


# ------------------------------------------------------------------------------------------------------ findings


def findings(view: View) -> Section | None:
    """Return what the diagnosis found, and what it could not look at."""
    diagnosis = view.run.diagnosis
    if not diagnosis.findings and not diagnosis.examined and not diagnosis.not_examined:
        return None
    blocks: list[Block] = []
    if diagnosis.healthy and diagnosis.examined:
        blocks.append(
            Paragraph(f"Nothing is wrong as far as was examined: {plural(len(diagnosis.examined), 'rule')} looked.")
        )
    blocks += [_finding(mark, finding) for mark, finding in view.findings[:60]]
    if len(diagnosis.findings) > 60:
        blocks.append(Paragraph(f"{count(len(diagnosis.findings) - 60)} more findings are not shown.", "small"))
    if diagnosis.not_examined:
        lines: list[Line] = [
            (Span(name(s, 60)), f": {name(why, 300)}") for s, why in list(diagnosis.not_examined.items())[:100]
        ]
        blocks.append(
            Fold(
                f"Not examined: {plural(len(diagnosis.not_examined), 'symptom')}",
                (
                    Paragraph("These rules could not speak. That is not the same as healthy.", "small"),
                    Bullets(tuple(lines)),
                ),
            )
        )
    if diagnosis.examined:
        blocks.append(
            Fold(
                f"Examined: {plural(len(diagnosis.examined), 'symptom')}",
                (Paragraph(", ".join(name(s, 60) for s in diagnosis.examined[:200]) + "."),),
            )
        )
    return Section("findings", "Findings", tuple(blocks))


def _finding(mark: str, finding: Finding) -> Note:
    blocks: list[Block] = [Paragraph(name(finding.message, 600))]
    evidence: Mapping[str, float | int | str] = finding.evidence
    if evidence:
        shown = list(evidence.items())[:16]
        blocks.append(Facts(tuple((name(k, 60).replace("_", " "), _evidence(v)) for k, v in shown)))
    if finding.cause:
        blocks.append(Paragraph((Span("Likely cause. "), name(finding.cause, 500))))
    if finding.treatments:
        blocks.append(Paragraph(Span("Worth trying, in this order:")))
        blocks.append(Bullets(tuple(name(t, 300) for t in finding.treatments[:12]), ordered=True))
    where = [name(finding.id, 12)] if finding.id else []
    if finding.layer:
        where.append(f"layer {name(finding.layer, 60)}")
    if finding.epoch is not None:
        where.append(f"epoch {count(finding.epoch)}")
    where.append(f"confidence {finding.confidence:.0%}".replace("%", "\u202f%"))
    return Note(_level(finding), _symptom(finding), tuple(blocks), mark, " · ".join(where))


def _evidence(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return name(value, 200)
    return number(float(value))


# ------------------------------------------------------------------------------------------------------- members


def members(view: View) -> Section | None:
    """Return the spread over the networks of an ensemble."""
    if view.n_members < 2:
        return None
    finite = [(m.index, m.best_loss) for m in view.members if math.isfinite(m.best_loss)]
    word = "validation" if view.watched_loss == "val_loss" else "training"
    blocks: list[Block] = []
    lost = view.n_members - len(finite)
    if finite:
        values = np.array([v for _, v in finite])
        spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        told: Line = (
            f"The {count(len(finite))} networks differ in their initial weights, order of examples and fold. ",
            f"Their best {word} loss is ",
            Span(number(float(values.mean()))),
            f" on average, with a standard deviation of {number(spread)}; their predictions are averaged.",
        )
        blocks.append(
            Row((Figure(strip_chart(finite[:_MEMBERS_LISTED], f"best {word} loss of each member")), Paragraph(told)))
        )
    if lost:
        blocks.append(
            Note("warning", f"{plural(lost, 'member')} diverged", (Paragraph("They take no part in the average."),))
        )
    rows = tuple(
        (
            str(m.index + 1),
            m.outcome.replace("_", " "),
            count(m.best_epoch) if m.best_epoch else "–",
            number(m.best_loss),
        )
        for m in view.members[:_MEMBERS_LISTED]
    )
    blocks.append(
        Fold(
            "All members",
            (
                Table(
                    ("Member", "Outcome", "Best epoch", f"Best {word} loss"),
                    rows,
                    "Members of the ensemble",
                    numeric=frozenset({2, 3}),
                ),
            ),
        )
    )
    return Section("members", "The ensemble’s members", tuple(blocks))
