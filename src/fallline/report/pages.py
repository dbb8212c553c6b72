"""Reports of an evaluation, a search and an experiment: pages of their own, in the words of a run's report."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fallline.report.chart_gains import Gain, gain_chart
from fallline.report.chart_scores import interval_chart
from fallline.report.chart_search import entry_chart, trial_chart
from fallline.report.document import (
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Fold,
    Line,
    Paragraph,
    Row,
    Section,
    Span,
    Table,
    Tile,
)
from fallline.report.markup import clean
from fallline.report.part_experiments import experiment_blocks
from fallline.report.remarks import card
from fallline.report.text import (
    METRIC_MEANING,
    count,
    metric,
    name,
    number,
    plural,
    score_interval,
    score_value,
    who,
)
from fallline.types import Difference, Evaluation, Experiment, Recipe, Score, Search

__all__ = ["FOOT", "evaluation_document", "experiment_document", "search_document"]

FOOT = "Made by fallline. This page is complete in itself: it loads nothing and runs nothing."
_BASELINES = ("dummy", "linear")
_LABELS = ("log_loss", "accuracy", "auc")
_MOST_ROWS, _MOST_ENTRIES, _MOST_TEXT = 200, 24, 20_000
_VERDICTS = {"better": "good", "worse": "serious", "cannot tell": "soft"}


def _numbered(sections: list[Section]) -> tuple[Section, ...]:
    return tuple(replace(section, number=str(i)) for i, section in enumerate(sections, start=1))


def _toml(recipe: Recipe, label: str) -> Code:
    from fallline.recipe import to_toml

    return Code(clean(to_toml(recipe, comments=False), _MOST_TEXT, lines=True).strip(), label, "toml")


# ------------------------------------------------------------------------------------------------------ evaluation


def evaluation_document(found: Evaluation) -> Document:
    """Return the report of an evaluation: contenders and baselines on the held-out rows of the same folds."""
    best = found.score(found.best)
    main = metric(found.metric)
    contenders = [one for one in found.names if one not in _BASELINES]
    tiles = (
        Tile(f"Best {main}", score_value(best), _contender(found, found.best)),
        Tile("Contenders", count(len(contenders)), "beside two baselines"),
        Tile("Folds", count(len(found.folds)), plural(max(len(found.seeds), 1), "seed")),
        Tile("Trainings", count(found.trainings)),
    )
    sections = [_harness_of(found), _scores_of(found), _differences_of(found)]
    if found.chosen:
        sections.append(_chosen_in(found))
    if found.notes:
        sections.append(Section("notes", "Notes", (Bullets(tuple(name(n, 400) for n in found.notes)),)))
    title = "How well " + (f"{name(contenders[0], 60)} does" if len(contenders) == 1 else "the recipes do")
    return Document(title, "Evaluation report", _verdict(found), tiles, _numbered(sections), FOOT)


def _contender(found: Evaluation, one: str) -> str:
    return who(one, found.metric in _LABELS) if one in _BASELINES else name(one, 60)


def _verdict(found: Evaluation) -> Line:
    best = found.score(found.best)
    span = score_interval(best)
    words: tuple[str | Span, ...] = (
        Span(_contender(found, found.best)), f" has the best {metric(found.metric)}: ", Span(score_value(best)),
        f" (95\u202f% interval {span})" if span else "",
    )  # fmt: skip
    rivals = [d for d in found.differences if found.best in (d.who, d.against)]
    open_ones = [d for d in rivals if d.verdict == "cannot tell"]
    if open_ones:
        others = plural(len(open_ones), "other")
        return (*words, f"; its lead over {others} of {count(len(rivals))} is within the noise.")
    return (*words, "; its lead over every other is certain." if rivals else ".")


def _harness_of(found: Evaluation) -> Section:
    sizes = [(len(train), len(held)) for train, held in found.folds]
    pairs: list[tuple[str, Line]] = [("Scheme", name(found.scheme, 300))]
    if sizes:
        train, held = sizes[0]
        rows = f"{count(train)} rows to train and {count(held)} held out"
        pairs.append(("Folds", f"{count(len(sizes))}, the first with {rows}"))
    pairs.append(("Seeds", ", ".join(count(s) for s in found.seeds[:20]) or "each recipe’s own"))
    pairs.append(("Metric", (Span(metric(found.metric)), f": {METRIC_MEANING.get(found.metric, '')}.")))
    pairs.append(("Trainings", count(found.trainings)))
    return Section("test", "Test harness", (Facts(tuple(pairs)),))


def _scores_of(found: Evaluation) -> Section:
    keys = list(dict.fromkeys(score.metric for score in found.scores))
    charts = tuple(Figure(interval_chart([_pair(found, one, key) for one in found.names])) for key in keys[:2])
    rows = []
    for one in found.names:
        cells: list[Line] = [_contender(found, one)]
        for key in keys:
            score = next((s for s in found.scores if s.who == one and s.metric == key), None)
            cells.append("–" if score is None else (score_value(score), Span(f"\u2002{score_interval(score)}", "soft")))
        rows.append(tuple(cells))
    table = Table(
        ("Contender", *(metric(key) for key in keys)), tuple(rows), "Mean over folds and seeds, with 95 % intervals",
        numeric=frozenset(range(1, len(keys) + 1)), stacked=True,
        emphasis=frozenset(i for i, one in enumerate(found.names) if one == found.best),
    )  # fmt: skip
    told = "The dashed line is the better baseline: the threshold of skill."
    return Section("scores", "Scores", (Paragraph(told), Row(charts), table, *_per_fold(found)))


def _pair(found: Evaluation, one: str, key: str) -> tuple[str, Score]:
    score = next((s for s in found.scores if s.who == one and s.metric == key), Score(key, math.nan))
    return _contender(found, one), score if one in _BASELINES else replace(score, who="model")


def _per_fold(found: Evaluation) -> list[Block]:
    tables = found.values.get(found.metric, {})
    rows = []
    for one in found.names:
        values = np.asarray(tables[one], np.float64) if one in tables else np.empty((0, 0))
        if values.size:
            means = [float(np.nanmean(v)) if np.isfinite(v).any() else math.nan for v in values]
            rows.append((_contender(found, one), *(number(v) for v in means[:20])))
    if not rows or len(rows[0]) < 3:
        return []
    heads = ("Contender", *(f"Fold {i}" for i in range(1, len(rows[0]))))
    table = Table(heads, tuple(rows), f"{metric(found.metric)}, mean over seeds", frozenset(range(1, len(heads))))
    return [Fold("Fold by fold", (table,))]


def _differences_of(found: Evaluation) -> Section:
    lead = [d for d in found.differences if d.who not in _BASELINES]
    if not lead:
        return Section("differences", "Differences", (Paragraph("There is nothing to compare."),))
    words = metric(found.metric)
    told = (
        "Differences on the same folds and seeds (small dots), their mean, and the 95\u202f% interval of the corrected "
        "resampled t-test. An interval that holds 0 decides nothing; with several pairs the verdict asks for more "
        "(Holm’s correction)."
    )
    gains = [_as_gain(found, d) for d in lead[:_MOST_ENTRIES]]
    chart = gain_chart(gains, "Paired differences", f"gain in {words}; right of 0 is better")
    return Section("differences", "Differences", (Figure(chart, told),))


def _as_gain(found: Evaluation, one: Difference) -> Gain:
    sign = 1.0 if one.higher_is_better else -1.0
    low, high = sorted((sign * one.low, sign * one.high))
    tables = found.values.get(one.metric, {})
    single: tuple[float, ...] = ()
    if one.who in tables and one.against in tables:
        a, b = (np.asarray(tables[who_], np.float64) for who_ in (one.who, one.against))
        single = tuple((sign * (a - b)).ravel().tolist()) if a.shape == b.shape else ()
    label = f"{_contender(found, one.who)} against {_contender(found, one.against)}"
    return Gain(label, sign * one.value, low, high, _VERDICTS[one.verdict], one.verdict, single)


def _chosen_in(found: Evaluation) -> Section:
    what = "a recipe" if isinstance(found.chosen[0], Recipe) else "a model"
    told = (
        f"Inside each outer fold {what} was chosen on other rows. There it scored {number(found.selected_on)} on "
        "average: that figure was selected on and flatters; the scores above were not."
    )
    folds: list[Block] = []
    for i, one in enumerate(found.chosen[:30], start=1):
        told_of = _toml(one, f"Recipe of fold {i}") if isinstance(one, Recipe) else Paragraph(name(one, 60))
        folds.append(Fold(f"Chosen in fold {i}", (told_of,)))
    return Section("chosen", "What was chosen", (Paragraph(told), *folds))


# ---------------------------------------------------------------------------------------------------------- search


def search_document(found: Search) -> Document:
    """Return the report of a search: the best trial, the score from trial to trial, and over each entry."""
    words = metric(found.metric)
    pairs: list[tuple[str, Line]] = [
        ("Strategy", name(found.strategy, 60)), ("Trials", count(len(found.trials))),
        ("Trainings", count(found.trainings)), ("Outcome", found.outcome),
        ("Judged by", (Span(words), f", on {count(found.rows)} held-out rows")),
    ]  # fmt: skip
    harness = Section("test", "Test harness", (Facts(tuple(pairs)),))
    title, kicker = f"A search for a better {words}", "Search report"
    if not found.trials or math.isnan(found.best.value):
        told = "No trial was finished, so there is no best one."
        return Document(title, kicker, told, (), _numbered([harness, _findings(found)]), FOOT)
    best = found.best
    tiles = (
        Tile(f"Best {words}", number(best.value), "selected on: it flatters"),
        Tile("Trial", count(best.number), f"of {count(len(found.trials))}"),
        Tile("Trainings", count(found.trainings)),
    )
    verdict: Line = (
        "The best of ", plural(len(found.trials), "trial"), " has a ", words, " of ", Span(number(best.value)),
        ". It was chosen by this very score, which flatters: an evaluation on fresh folds says what to expect.",
    )  # fmt: skip
    sections = [harness, _best_of(found), _course(found), _entries(found), _findings(found)]
    return Document(title, kicker, verdict, tiles, _numbered(sections), FOOT)


def _best_of(found: Search) -> Section:
    rows = tuple((Span(name(k, 60), "mono"), _plain(v)) for k, v in found.best.point.items())
    table = Table(("Entry", "Value"), rows, f"What was varied, in trial {found.best.number}", frozenset({1}))
    recipe = Fold("The whole recipe", (_toml(found.recipe, "The best recipe as TOML"),))
    return Section("best", "The best trial", (table, recipe))


def _plain(value: object) -> str:
    return number(float(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else name(value, 60)


def _course(found: Search) -> Section:
    values = np.array([t.value for t in found.trials], np.float64)
    chart = trial_chart(values, metric(found.metric), higher_is_better=found.higher_is_better)
    caption = "Each point is one trial (mean over folds and seeds); the line is the best so far."
    sign = -1.0 if found.higher_is_better else 1.0
    ranked = sorted(found.trials, key=lambda t: (math.isnan(t.value), sign * t.value, t.number))[:_MOST_ROWS]
    entries = list(found.space)[:8]
    rows = tuple(
        (count(t.number), *(_plain(t.point.get(e, "–")) for e in entries), number(t.value), count(t.diverged))
        for t in ranked
    )
    heads = ("Trial", *(name(e, 40) for e in entries), metric(found.metric), "Diverged")
    table = Table(heads, rows, "Trials, the best first", frozenset(range(1, len(heads))))
    return Section("course", "From trial to trial", (Figure(chart, caption), Fold("All trials", (table,))))


def _entries(found: Search) -> Section:
    full = [t for t in found.trials if t.epochs is None] or list(found.trials)
    values = np.array([t.value for t in full], np.float64)
    best = next(i for i, t in enumerate(full) if t.number == found.best.number)
    figures = tuple(
        Figure(entry_chart(entry, space, [t.point[entry] for t in full], values, best))
        for entry, space in list(found.space.items())[:_MOST_ENTRIES]
        if all(entry in t.point for t in full)
    )
    told = "The score over each entry that was varied; the ring is the best trial. All vary at once: points scatter."
    blocks = (Paragraph(told), Row(figures)) if figures else (Paragraph("No entry was varied."),)
    return Section("entries", "Over each entry", blocks)


def _findings(found: Search) -> Section:
    if not found.findings:
        told = "The best value lies on no border of the space, and the trials were not too many for the rows."
        return Section("findings", "Findings", (Paragraph(told),))
    cards = tuple(card(str(i), finding) for i, finding in enumerate(found.findings, start=1))
    return Section("findings", "Findings", cards)


# ------------------------------------------------------------------------------------------------------ experiment


def experiment_document(found: Experiment) -> Document:
    """Return the report of an experiment: intent, expectation, method, result, finding, and the gains drawn."""
    tiles = [Tile("Seeds", count(len(found.seeds))), Tile("Folds", count(found.folds))]
    best = found.best
    if best is not None:
        gained = f"{number(best.mean)} in {metric(found.metric)}"
        tiles.insert(0, Tile("Helps most", name(best.name, 30), gained, "good"))
    blocks = tuple(experiment_blocks(found))
    sections = _numbered([Section("experiment", "The experiment", blocks)])
    title, verdict = name(found.intent, 200), name(found.finding, 600)
    return Document(title, "Experiment report", verdict, tuple(tiles), sections, FOOT)
