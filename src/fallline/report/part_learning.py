"""Scores against baselines, learning curves with what was found on them, the ensemble's members."""

from __future__ import annotations

import math

import numpy as np

from fallline.report.chart_curves import CurveMark, curve_chart, rate_chart
from fallline.report.chart_scores import interval_chart, strip_chart
from fallline.report.document import (
    Block,
    Bullets,
    Figure,
    Fold,
    Line,
    Note,
    Paragraph,
    Part,
    Row,
    Section,
    Span,
    Table,
)
from fallline.report.figures import Curves, curves, log_floor, log_wanted, performance_names
from fallline.report.remarks import cards, level, mentioned
from fallline.report.text import METRIC_MEANING, count, metric, number, plural, score_interval, score_value
from fallline.report.view import View

__all__ = ["learning", "members", "scores"]

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
_NOT_SCORED = (
    "No rows were kept for a score, so there is nothing to compare. A baseline needs a table: fallline train scores "
    "one that ignores every input and a linear one on the same rows."
)
_ONE_SEED = (
    "One network was trained, from one seed: how much the result would differ from seed to seed is not known. "
    "ensemble.members=4 trains four and shows their spread; fallline evaluate DATA --seeds 5 measures it on folds."
)


def scores(view: View) -> Section:
    """Return the comparison with the baselines, the threshold of skill."""
    if not view.metrics:
        return Section("baseline", "Baseline", (Paragraph(_NOT_SCORED),))
    charts = tuple(
        Figure(interval_chart([(view.who(s.who), s) for s in view.of(key)]))
        for key in view.headline
        if any(math.isfinite(s.value) for s in view.of(key))
    )
    baseline = view.best_baseline
    no_skill = view.standing == "worse" and baseline is not None and baseline.who == "dummy"
    blocks: list[Block] = [Paragraph(_NO_SKILL if no_skill else _STANDING[view.standing])] if view.standing else []
    if baseline is None:
        blocks.append(Paragraph("No baseline was scored on these rows, so skill cannot be told from chance here."))
    else:
        reached = f"{metric(baseline.metric)} {score_value(baseline, view.main)}"
        line = f" ({reached}), the dashed line: what does not pass it has learned nothing that a simple model has not."
        blocks.append(Paragraph(("The threshold of skill is ", Span(view.who(baseline.who)), line)))
    if charts:
        blocks.append(Row(charts))
    blocks += cards(view, "baseline")
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
    return Section("baseline", "Baseline", tuple(blocks))


# ------------------------------------------------------------------------------------------------ learning curves


def learning(view: View) -> Part:
    """Return the learning curves with findings at their epochs, and beside them what was found."""
    trace = view.run.trace
    blocks: list[Block] = [] if trace.n_epochs else [Paragraph("No epoch was completed, so there is no curve.")]
    marked = [(m, f) for m, f in view.findings if f.epoch is not None and 1 <= f.epoch <= trace.n_epochs and m]
    marks = [CurveMark(m, int(f.epoch or 1), level(f)) for m, f in marked]
    loss = curves(trace, "loss")
    if loss.n_epochs:
        own = [m.best_epoch for m in view.members if m.best_epoch] if view.n_members > 1 else []
        chart = curve_chart(loss, "Learning curves: loss", "loss", marks=marks, best=view.best_epoch, member_best=own)
        blocks.append(Figure(chart, _caption(view, loss, own)))
    here = cards(view, "learning")
    elsewhere = [(m, f) for m, f in marked if (m, f) not in view.findings_at("learning")]
    if here or elsewhere:
        blocks += here
        if elsewhere:
            blocks.append(Bullets(tuple(mentioned(m, f) for m, f in elsewhere), bare=True))
    elif view.run.diagnosis.healthy and view.run.diagnosis.examined:
        looked = plural(len(view.run.diagnosis.examined), "rule")
        blocks.append(Paragraph(f"Nothing is wrong as far as was examined: {looked} looked."))
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
    return Part("How it learned", tuple(blocks))


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


# ------------------------------------------------------------------------------------------------------- members


def members(view: View) -> Part:
    """Return the spread over seeds: the networks of an ensemble."""
    if view.n_members < 2:
        return Part("Spread over seeds", (Paragraph(_ONE_SEED),))
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
    blocks += cards(view, "members")
    return Part("Spread over seeds", tuple(blocks))
