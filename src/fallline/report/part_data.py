"""The data summary, drawn; and how rows were split for the test."""

from __future__ import annotations

import math

import numpy as np

from fallline.report.chart_data import class_bars, histogram, mini_histogram, mini_levels, share_bar, split_picture
from fallline.report.document import (
    Block,
    Bullets,
    Cell,
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
from fallline.report.remarks import cards
from fallline.report.text import METRIC_MEANING, and_list, count, metric, name, number, percent, plural
from fallline.report.view import View
from fallline.types import ColumnSummary, Recipe, Score, Summary

__all__ = ["data", "harness"]

MOST_DRAWN = 30  # columns with pictures
MOST_LISTED = 500  # columns in the table behind the fold
_MOST_REMARKS = 20
_MOST_PAIRS = 40
_NO_TABLE = (
    "The network was trained on arrays, of whose columns the run knows nothing. A table trained by a recipe is "
    "summarised here column by column."
)
_NO_HARNESS = (
    "Rows were split by whoever called the training; the run does not say how, and nothing was scored on rows "
    "kept apart."
)
_KINDS = {"left_out": "left out", "category": "categorical"}


def data(view: View) -> Section:
    """Return the data summary, drawn, with what was found in the data."""
    summary = view.run.summary
    if summary is None:
        return Section("data", "Data summary", (Paragraph(_NO_TABLE),))
    blocks: list[Block] = []
    if summary.remarks:
        blocks.append(Bullets(tuple(name(r, 400) for r in summary.remarks[:_MOST_REMARKS])))
    if summary.leakage:
        lines: list[Line] = [
            (Span(name(c), "mono"), f": {name(why, 300)}") for c, why in summary.leakage[:_MOST_REMARKS]
        ]
        blocks.append(
            Note(
                "warning",
                "Columns that may give the target away",
                (
                    Bullets(tuple(lines)),
                    Paragraph(
                        "Would these values be known when the model is used? If not, leave the columns out.", "small"
                    ),
                ),
            )
        )
    blocks += _targets(view, summary)
    if summary.correlated:
        blocks.append(_pairs(summary))
    blocks += cards(view, "data")
    blocks += _columns(summary)
    return Section("data", "Data summary", tuple(blocks))


def _targets(view: View, summary: Summary) -> list[Block]:
    figures: list[Block] = []
    if summary.class_counts:
        what = "Rows per label" if view.kind == "multilabel" else "Rows per class"
        drawing = class_bars([(str(k), int(v)) for k, v in summary.class_counts.items()], what)
        figures.append(Figure(drawing, heading=what))
    for target in summary.targets[:6]:
        if target.histogram is not None and not view.classification:
            caption = _statistics(target)
            drawing = histogram(*target.histogram, f"Distribution of {name(target.name)}", name(target.name, 60))
            figures.append(Figure(drawing, caption, f"Target {name(target.name, 60)}"))
    facts = _rows_in_words(summary)
    blocks: list[Block] = [Row((*figures, facts)) if figures else facts]
    if len(summary.targets) > 6 and not view.classification:
        blocks.append(Paragraph(f"{len(summary.targets) - 6} more targets are not drawn.", "small"))
    return blocks


def _rows_in_words(summary: Summary) -> Block:
    lines: list[Line] = [f"{plural(summary.n_rows, 'row')} with a target."]
    repeated = summary.duplicate_rows
    lines.append(
        f"{plural(repeated, 'row repeats', 'rows repeat')} an earlier one, inputs and target alike "
        f"({percent(repeated / max(summary.n_rows, 1))})."
        if repeated
        else "No row repeats another."
    )
    gaps = [c for c in summary.columns if c.missing]
    if gaps:
        worst = max(gaps, key=lambda c: c.missing)
        share = worst.missing / max(worst.missing + worst.count, 1)
        lines.append(
            (
                f"{plural(len(gaps), 'column has', 'columns have')} missing values, most of them ",
                Span(name(worst.name), "mono"),
                f" ({percent(share)}).",
            )
        )
    else:
        lines.append("No value is missing.")
    return Bullets(tuple(lines))


def _pairs(summary: Summary) -> Fold:
    pairs = sorted(summary.correlated, key=lambda p: -abs(p[2]))
    rows = tuple(
        (
            Span(name(a, 60), "mono"),
            Span(name(b, 60), "mono"),
            (share_bar(abs(r), f"Correlation of {name(a, 60)} and {name(b, 60)}: {r:.3f}"), f"{r:.3f}"),
        )
        for a, b, r in pairs[:_MOST_PAIRS]
    )
    blocks: list[Block] = [Table(("Column", "Column", "r"), rows, "Pairs with |r| ≥ 0.95")]
    if len(pairs) > _MOST_PAIRS:
        blocks.append(Paragraph(f"{plural(len(pairs) - _MOST_PAIRS, 'more pair')} not listed.", "small"))
    return Fold(plural(len(pairs), "pair of columns says", "pairs of columns say") + " nearly the same", tuple(blocks))


def _strength(column: ColumnSummary) -> float:
    return column.association if math.isfinite(column.association) else -1.0


def _columns(summary: Summary) -> list[Block]:
    if not summary.columns:
        return []
    ordered = sorted(summary.columns, key=lambda c: (c.kind == "left_out", -_strength(c)))
    drawn, rest = ordered[:MOST_DRAWN], ordered[MOST_DRAWN:]
    what = (
        f"The {len(drawn)} columns with the strongest relation to the target"
        if rest
        else "Columns, strongest relation to the target first"
    )
    table = Table(
        ("Column", "Distribution", "Values", "Missing", "Relation to target"),
        tuple(_drawn_row(c) for c in drawn),
        what,
        stacked=True,
    )
    blocks: list[Block] = [table]
    if rest:
        listed = rest[:MOST_LISTED]
        compact = Table(
            ("Column", "Kind", "Distinct", "Missing", "Relation"),
            tuple(
                (
                    Span(name(c.name, 60), "mono"),
                    _KINDS.get(c.kind, c.kind),
                    count(c.distinct),
                    _missing(c),
                    number(c.association, 2),
                )
                for c in listed
            ),
            "Other columns",
            numeric=frozenset({2, 3, 4}),
        )
        more = len(rest) - len(listed)
        tail = (Paragraph(f"{count(more)} more columns are not listed.", "small"),) if more else ()
        blocks.append(Fold(f"{plural(len(rest), 'more column')}", (compact, *tail)))
    blocks.append(
        Paragraph(
            "Relation to target: strength of the association of this column alone, from 0 (none) to 1 (it determines "
            "the target). Columns that matter only together with others can show none.",
            "small",
        )
    )
    return blocks


def _drawn_row(column: ColumnSummary) -> tuple[Cell, ...]:
    label = name(column.name, 60)
    words: tuple[str | Span, ...] = (
        Span(label, "mono"),
        " ",
        Span(_KINDS.get(column.kind, name(column.kind, 20)), "soft"),
    )
    if column.remark:
        words += (" ", Span(f"— {name(column.remark, 240)}", "soft"))
    picture: Cell = "–"
    if column.histogram is not None and len(column.histogram[1]):
        picture = mini_histogram(*column.histogram, f"Distribution of {label}")
    elif column.levels:
        picture = mini_levels(column.levels, column.count, f"Levels of {label}")
    gaps: Cell = Span("none", "soft")
    if column.missing:
        share = column.missing / max(column.missing + column.count, 1)
        gaps = (share_bar(share, f"{label}: missing {percent(share)}", "bar gap"), percent(share))
    relation: Cell = "–"
    if math.isfinite(column.association):
        words_of_it = f"{column.association:.2f}"
        relation = (share_bar(column.association, f"{label}: relation to target {words_of_it}"), words_of_it)
    return words, picture, _values(column), gaps, relation


def _missing(column: ColumnSummary) -> str:
    total = column.count + column.missing
    return percent(column.missing / total) if total and column.missing else "0"


def _values(column: ColumnSummary) -> Line:
    if column.statistics:
        return _statistics(column)
    if column.levels:
        shown = column.levels[:3]
        words: list[str | Span] = []
        for i, (level, n) in enumerate(shown):
            words += [", " if i else "", name(level, 24), Span(f" {percent(n / max(column.count, 1), 0)}", "soft")]
        if column.distinct > len(shown):
            words.append(Span(f"; {plural(column.distinct - len(shown), 'more level')}", "soft"))
        return tuple(words)
    return Span(f"{plural(column.distinct, 'distinct value')}", "soft")


def _statistics(column: ColumnSummary) -> Line:
    s = column.statistics
    shown = _day if column.kind == "date" else number
    parts: list[str | Span] = []
    if "median" in s:
        parts += ["median\u00a0", Span(shown(s["median"]))]
    elif "mean" in s:
        parts += ["mean\u00a0", Span(shown(s["mean"]))]
    if "min" in s and "max" in s:
        parts.append(Span(f"{', ' if parts else ''}{shown(s['min'])}\u00a0to\u00a0{shown(s['max'])}", "soft"))
    return tuple(parts) or "–"


def _day(days: float) -> str:
    """A date from its days since 1970-01-01, as the summary counts them."""
    return str(np.datetime64(math.floor(days), "D"))


# --------------------------------------------------------------------------------------------------- the harness


def harness(view: View) -> Section:
    """Return how the network was tested: splits, metric, folds, seeds."""
    recipe, main = view.run.recipe, view.main
    if recipe is None and main is None:
        return Section("test", "Test harness", (Paragraph(_NO_HARNESS),))
    blocks: list[Block] = []
    if recipe is not None:
        folds = recipe.split.folds if isinstance(recipe.split.folds, int) else 1
        picture = split_picture(recipe.split.test, folds, recipe.split.validation)
        caption: Line = (
            "The hatched rows were kept away from everything: preparation, training, stopping, calibration. "
            "They were used once, for the score."
            if recipe.split.test
            else "No rows were kept apart; each row is scored by networks that did not see it."
        )
        blocks.append(Figure(picture, caption))
        blocks.append(Bullets(tuple(_split_in_words(view, recipe, folds))))
    if main is not None:
        blocks.append(Facts(tuple(_judged_by(view, main))))
    if main is not None and main.rows == "validation":
        blocks.append(
            Paragraph(
                "The scores are on validation rows, which also chose the best epoch: they flatter the network.",
                "small",
            )
        )
    blocks.append(
        Paragraph(
            "Intervals hold the true value in about 95 of 100 cases, as far as chance in the choice of these rows is "
            "concerned; they do not cover what changes between one data set and the next.",
            "small",
        )
    )
    return Section("test", "Test harness", tuple(blocks))


def _judged_by(view: View, main: Score) -> list[tuple[str, Line]]:
    meaning = METRIC_MEANING.get(main.metric, "")
    direction = "higher is better" if main.higher_is_better else "lower is better"
    others = [metric(key) for key in view.metrics[1:]]
    pairs: list[tuple[str, Line]] = [("Metric", (Span(metric(main.metric)), f": {meaning or direction}."))]
    if others:
        pairs.append(("Also scored", and_list(others)))
    if view.n_members > 1:
        pairs.append(("Seeds", f"{count(view.n_members)} networks, each with its own seed, averaged"))
    return pairs


def _split_in_words(view: View, recipe: Recipe, folds: int) -> list[str]:
    split, lines = recipe.split, []
    if view.main and view.main.n and view.main.rows == "test":
        of = f" of {count(view.n_rows)}" if view.n_rows else ""
        lines.append(f"Test: {count(view.main.n)}{of} rows.")
    if folds > 1:
        each = "each member of the ensemble" if view.n_members > 1 else "the network"
        lines.append(f"Validation: {folds} folds; {each} is validated on one of them and trained on the others.")
    else:
        lines.append(f"Validation: {percent(split.validation, 0)} of the training rows, the same for every network.")
    if split.time:
        lines.append(f"Rows are ordered by {name(split.time)}: trained on the past, tested on the latest.")
    if split.group:
        lines.append(f"Rows with equal {name(split.group)} stay together in one part.")
    if split.stratify and view.classification and not split.time:
        lines.append("Every part has the same shares of classes.")
    lines.append(f"Seed {recipe.seed}: the same seed gives the same split, order and initial weights.")
    return lines
