"""The experiments: each with its intent, expectation, method, result and finding, and what was gained, drawn."""

from __future__ import annotations

import math

from fallline.report.chart_gains import Gain, gain_chart
from fallline.report.chart_scores import interval_chart
from fallline.report.document import (
    Block,
    Bullets,
    Cell,
    Facts,
    Figure,
    Fold,
    Line,
    Paragraph,
    Part,
    Row,
    Section,
    Span,
    Table,
)
from fallline.report.text import METRICS, count, metric, name, number, percent, plural
from fallline.report.view import View
from fallline.types import Comparison, Decision, Experiment, Step

__all__ = ["experiment_blocks", "experiments", "improvements"]

_MOST = 40
_LEVELS: dict[Decision, str] = {"helps": "good", "hurts": "serious", "cannot tell": "soft"}
_WHO = {"model": "with what was kept", "control": "as it was before"}
_ENDS = {
    "nothing helps": "It ended because nothing more was found to help.",
    "solved": "It ended because next to nothing was left to gain.",
    "budget": "It ended because the budget was spent.",
}
_NOTHING = "Nothing was tried, so nothing was kept or thrown away: this is the recipe as it was given."
_NONE = (
    "No experiment was run for this report: one recipe was trained, and nothing was compared with anything but the "
    "baselines."
)


def experiments(view: View) -> Section:
    """Return all experiments, or that there were none and what makes some."""
    story = view.story
    if story is None or not story.steps:
        return Section("experiments", "Experiments", (Paragraph(_NONE), _how(view)))
    took = f" They took {plural(story.trainings, 'training')}." if story.trainings else ""
    blocks: list[Block] = [
        Paragraph(
            f"{plural(len(story.steps), 'experiment')}, in their order. Each treated arm was trained beside an "
            f"untreated control, on the same seeds and folds.{took}"
        )
    ]
    for i, step in enumerate(story.steps[:_MOST], start=1):
        stage = f": {name(step.stage, 60)}" if step.stage else ""
        blocks.append(Part(f"Experiment {i}{stage}", tuple(experiment_blocks(step.experiment, step.reasons))))
    if len(story.steps) > _MOST:
        blocks.append(Paragraph(f"{count(len(story.steps) - _MOST)} more are not shown.", "small"))
    return Section("experiments", "Experiments", tuple(blocks))


def _how(view: View) -> Bullets:
    """Say which commands would make experiments; the data's file stands in them where it is known."""
    what = view.data_words
    commands = {
        f"fallline improve {what}": "tries treatments beside an untreated control and keeps what helps",
        f"fallline experiment {what} --treat add-dropout": "tries one treatment of your choice",
        f"fallline search {what} --trials 30": "tries other values of the recipe’s entries on folds",
        f"fallline evaluate {what} --preset default --preset simple": "compares recipes on the same folds",
    }
    return Bullets(tuple((Span(command, "mono"), f" {told}.") for command, told in commands.items()))


def improvements(view: View) -> Section:
    """Return what was kept, from score to score."""
    story = view.story
    if story is None or not story.steps:
        return Section("improvements", "Improvements", (Paragraph(_NOTHING),))
    kept = [(i, step) for i, step in enumerate(story.steps, start=1) if step.kept]
    ended = f" {_ENDS.get(story.ended, f'It ended by: {name(story.ended, 60)}.')}" if story.ended else ""
    blocks: list[Block] = []
    if kept:
        rows = tuple(_kept_row(i, step) for i, step in kept)
        heads = ("Kept", "After experiment", "Control", "With it", "Gain", "95 % interval")
        caption = "What was kept, from score to score (on the folds of its experiment)"
        blocks += [
            Paragraph(f"{plural(len(story.treatments), 'treatment')} kept.{ended}"),
            Table(heads, rows, caption, numeric=frozenset({1, 2, 3, 4, 5}), stacked=True),
        ]
    else:
        blocks.append(Paragraph(f"Nothing that was tried was shown to help, so nothing was changed.{ended}"))
    if story.scores:
        shown = [s for s in story.scores if s.metric == story.scores[0].metric and (kept or s.who != "control")]
        names = _WHO if kept else {}
        pairs = [(names.get(s.who, view.who(s.who)), s) for s in shown]
        rows_of = story.scores[0].n
        told = f"On {count(rows_of)} rows that no choice has seen. " if rows_of else ""
        blocks.append(Row((Figure(interval_chart(pairs), f"{told}The dashed line is the better baseline."),)))
    return Section("improvements", "Improvements", tuple(blocks))


def _kept_row(place: int, step: Step) -> tuple[Cell, ...]:
    one = step.experiment
    arm = next((c for c in one.comparisons if c.name == step.kept), None)
    control = _mean(one.scores.get("control") or next(iter(one.scores.values()), ()))
    treated = _mean(one.scores.get(arm.name, ())) if arm else "–"
    gain = number(arm.mean) if arm else "–"
    span = f"{number(arm.low)} to {number(arm.high)}" if arm and math.isfinite(arm.low) else "–"
    return Span(name(step.kept, 80), "mono"), str(place), control, treated, gain, span


def _mean(values: tuple[float, ...]) -> str:
    finite = [v for v in values if math.isfinite(v)]
    return number(sum(finite) / len(finite)) if finite else "–"


def experiment_blocks(one: Experiment, reasons: tuple[tuple[str, str], ...] = ()) -> list[Block]:
    """Return one experiment: its five parts in words, then the gains with their intervals.

    Args:
        one: the experiment.
        reasons: (arm, the symptom that it was tried for).
    """
    parts = [("Intent", one.intent), ("Tried", _tried(reasons)), ("Expectation", one.expectation)]
    parts += [("Method", one.method), ("Result", "; ".join(one.result.split("\n")))]
    pairs: list[tuple[str, Line]] = [(term, name(words, 1600)) for term, words in parts if words]
    pairs.append(("Finding", Span(name(one.finding, 800))))
    blocks: list[Block] = [Facts(tuple(pairs))]
    arms = one.comparisons[:_MOST]
    if arms:
        words = METRICS.get(one.metric, metric(one.metric))
        title, axis = f"Gain in {words} against the control", f"gain in {words}; right of 0 is better"
        chart = gain_chart([_gain(arm) for arm in arms], title, axis)
        blocks.append(Figure(chart, _caption(one)))
        blocks.append(Fold("The figures", (_table(arms, words),)))
    return blocks


def _tried(reasons: tuple[tuple[str, str], ...]) -> str:
    """The arms, grouped by the symptom that they were tried for."""
    groups: dict[str, list[str]] = {}
    for arm, found in reasons:
        groups.setdefault(found, []).append(arm)
    return ". ".join(
        f"{f'Against {found}'.replace('-', ' ') if found else 'Because it often pays'}: {', '.join(arms)}"
        for found, arms in groups.items()
    )


def _caption(one: Experiment) -> str:
    pairs = len(one.comparisons[0].differences)
    return (
        f"Small dots: {plural(pairs, 'pair')} of trainings, equal in seed and fold. Large: their mean with the "
        "95\u202f% interval of the corrected resampled t-test. An interval that holds 0 decides nothing; where several "
        "arms were tried the verdict asks for more (Holm’s correction)."
    )


def _gain(arm: Comparison) -> Gain:
    return Gain(
        name(arm.name, 60), arm.mean, arm.low, arm.high, _LEVELS[arm.decision], arm.decision, tuple(arm.differences)
    )


def _table(arms: tuple[Comparison, ...], words: str) -> Table:
    rows = tuple(
        (
            Span(name(a.name, 60), "mono"),
            number(a.mean),
            f"{number(a.low)} to {number(a.high)}" if math.isfinite(a.low) else "–",
            percent(a.p_adjusted) if math.isfinite(a.p_adjusted) else "–",
            a.decision,
            count(a.more_seeds) if a.more_seeds else "–",
        )
        for a in arms
    )
    heads = ("Arm", "Mean gain", "95 % interval", "p, adjusted", "Decision", "More seeds to decide")
    return Table(heads, rows, f"Gain in {words} against the control", numeric=frozenset({1, 2, 3, 5}), stacked=True)
