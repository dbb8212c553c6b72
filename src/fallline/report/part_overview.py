"""The head of the page: title, verdict in one sentence, key figures; and the problem."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np

from fallline.report.document import Block, Bullets, Facts, Level, Line, Paragraph, Section, Span, Tile
from fallline.report.text import and_list, count, duration, name, number, plural, score_interval, score_value
from fallline.report.view import View

__all__ = ["kicker", "problem", "tiles", "title", "verdict"]

_KINDS = {
    "regression": "Regression: predict a quantity",
    "multioutput": "Regression with several targets",
    "binary": "Binary classification: tell two classes apart",
    "multiclass": "Classification: choose one of several classes",
    "multilabel": "Multi-label classification: each label is present or not",
}
_STANDING = {
    "clear": "clearly better than",
    "better": "better than",
    "level": "about as well as",
    "worse": "worse than",
}
_BEATEN: dict[str, tuple[Level, str]] = {
    "clear": ("good", "beaten"),
    "better": ("good", "beaten"),
    "level": ("warning", "no clear winner"),
    "worse": ("serious", "not beaten"),
    "": ("", ""),
}
_ROWS = {
    "test": "rows that it never saw",
    "out_of_fold": "rows, each predicted by networks that did not see it",
    "validation": "validation rows",
}


def title(view: View) -> str:
    """Return the page's title."""
    if view.targets:
        return "Predicting " + (
            and_list(view.targets)
            if len(view.targets) <= 3
            else plural(len(view.targets), "label" if view.kind == "multilabel" else "target")
        )
    return view.name or "A training run"


def kicker(view: View) -> str:
    """Return the line above the title: what this is, of which run, when."""
    parts = ["Training report"]
    if view.name and view.targets:
        parts.append(view.name)
    when = view.environment.get("time")
    if isinstance(when, str):
        try:
            moment = datetime.fromisoformat(when)
            parts.append(f"{moment.day} {moment:%B %Y}")
        except ValueError:
            pass
    return "  ·  ".join(parts)


def verdict(view: View) -> Line:
    """Return one sentence: what was learned, how good against the baseline, and is it healthy."""
    main = view.main
    if view.run.outcome == "diverged" and (main is None or not math.isfinite(main.value)):
        return (
            Span("Training diverged"),
            ": the loss stopped being a number, so this network has learned nothing to rely on.",
        )
    subject = f"An ensemble of {count(view.n_members)} networks" if view.n_members > 1 else "The network"
    goal = and_list(view.targets) if 0 < len(view.targets) <= 3 else "its targets"
    if main is None:
        return (
            f"{subject} was trained for {plural(view.run.trace.n_epochs, 'epoch')}",
            *_loss_reached(view),
            "; no rows were kept for a score; ",
            *_health(view),
        )
    span = score_interval(main)
    figure = (f"{view.metric(main.metric)} ", Span(score_value(main)), f" (95\u202f% interval {span})" if span else "")
    rows = f" on {count(main.n)} {_ROWS.get(main.rows, 'rows')}" if main.n else ""
    baseline = view.best_baseline
    if baseline is None:
        return (f"{subject} predicts {goal} with ", *figure, f"{rows}; ", *_health(view))
    return (
        f"{subject} predicts {goal} ",
        Span(_STANDING[view.standing] if view.standing else "beside"),
        f" {view.who(baseline.who)}, the better baseline: ",
        *figure,
        f" against {score_value(baseline, main)}{rows}; ",
        *_health(view),
    )


def _loss_reached(view: View) -> tuple[str, ...]:
    curve = view.run.trace.curve(view.watched_loss)
    finite = curve[np.isfinite(curve)]
    if not len(finite):
        return ()
    word = "validation" if view.watched_loss == "val_loss" else "training"
    return (f" and reached a {word} loss of {number(float(finite.min()))}",)


def _health(view: View) -> tuple[str | Span, ...]:
    diagnosis, outcome = view.run.diagnosis, view.run.outcome
    if outcome == "diverged":
        return (Span("some training diverged"), ".")
    if outcome == "interrupted":
        return ("training was ", Span("interrupted"), " before its end.")
    if not diagnosis.findings and not diagnosis.examined:
        return ("its training was not diagnosed.",)
    serious = [f for f in diagnosis.findings if f.severity == "serious"]
    warnings = [f for f in diagnosis.findings if f.severity == "warning"]
    if serious or warnings:
        first = (serious or warnings)[0].symptom.replace("-", " ")
        more = len(serious) + len(warnings) - 1
        tail = f" and {plural(more, 'more finding')}" if more else ""
        return (
            f"one thing {'is wrong' if serious else 'deserves a look'}: " if not more else "look at ",
            Span(name(first, 60)),
            f"{tail}.",
        )
    return ("its training ", Span("looks healthy"), ".")


def tiles(view: View) -> tuple[Tile, ...]:
    """Return the key figures under the verdict."""
    found = []
    for key in view.headline:
        score = next(s for s in view.of(key) if s.who == "model")
        span = score_interval(score)
        label = view.metric(key)
        found.append(Tile(label[0].upper() + label[1:], score_value(score), f"95\u202f%: {span}" if span else ""))
    if view.best_baseline:
        level, word = _BEATEN[view.standing]
        rival = view.who(view.best_baseline.who)
        value = score_value(view.best_baseline, view.main)
        found.append(Tile("Best baseline", value, f"{rival}: {word}" if word else rival, level))
    took = duration(view.facts.get("seconds"))
    epochs = plural(view.run.trace.n_epochs, "epoch") if view.run.trace.n_epochs else ""
    if took or epochs:
        found.append(Tile("Training", took or epochs, epochs if took else ""))
    found.append(_health_tile(view))
    return tuple(found)


def _health_tile(view: View) -> Tile:
    findings = view.run.diagnosis.findings
    if view.run.outcome == "diverged":
        return Tile("Health", "Diverged", "values are not numbers", "serious")
    worst: Level = "serious" if any(f.severity == "serious" for f in findings) else "warning"
    n = sum(f.severity != "note" for f in findings)
    if n:
        return Tile("Health", plural(n, "finding"), "listed below", worst)
    if not findings and not view.run.diagnosis.examined:
        return Tile("Health", "Not examined")
    return Tile("Health", "Healthy", f"{plural(len(view.run.diagnosis.examined), 'rule')} looked", "good")


# --------------------------------------------------------------------------------------------------- the problem


def problem(view: View) -> Section:
    """Return the section on what is to be learned, from what."""
    pairs: list[tuple[str, Line]] = []
    if view.kind:
        pairs.append(("Task", _KINDS[view.kind]))
    if view.targets:
        shown = [Span(t, "mono") for t in view.targets[:12]]
        what = "label" if view.kind == "multilabel" else "target"
        pairs.append(
            (plural(len(view.targets), what) if len(view.targets) > 1 else "Target", _listed(shown, len(view.targets)))
        )
    if view.classes and view.kind in ("binary", "multiclass"):
        pairs.append(
            (f"{len(view.classes)} classes", _listed([Span(c, "mono") for c in view.classes[:12]], len(view.classes)))
        )
        if view.kind == "binary":
            pairs.append(("Probabilities", ("are those of ", Span(view.classes[-1], "mono"))))
    if view.n_rows:
        pairs.append(("Rows", count(view.n_rows)))
    if view.run.summary:
        pairs.append(("Columns", _columns(view)))
    source = view.facts.get("source")
    if source:
        pairs.append(("Source", Span(name(source, 200), "mono")))
    if view.facts.get("loss"):
        pairs.append(("Loss", name(view.facts["loss"], 80).replace("_", " ")))
    blocks: list[Block] = (
        [Facts(tuple(pairs))]
        if pairs
        else [Paragraph("A Keras model was trained on arrays; the run does not say what they mean.")]
    )
    if view.notes():
        blocks.append(Bullets(view.notes()))
    return Section("problem", "Problem", tuple(blocks))


def _listed(spans: list[Span], total: int) -> Line:
    parts: list[str | Span] = []
    for i, span in enumerate(spans):
        parts += [", ", span] if i else [span]
    if total > len(spans):
        parts.append(f" and {count(total - len(spans))} more")
    return tuple(parts)


def _columns(view: View) -> str:
    assert view.run.summary is not None
    words = {
        "numeric": "numeric",
        "category": "categorical",
        "boolean": "boolean",
        "date": "date",
        "left_out": "left out",
    }
    kinds = [c.kind for c in view.run.summary.columns]
    told = [f"{count(kinds.count(k))} {w}" for k, w in words.items() if k in kinds]
    if len(set(kinds)) == 1 and told:
        return f"{count(len(kinds))}, {'all ' if len(kinds) > 1 else ''}{words.get(kinds[0], '')}"
    return f"{count(len(kinds))}: {and_list(told)}" if told else count(len(kinds))
