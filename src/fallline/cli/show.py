"""A problem, a finished run and its parts, printed for people."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.cli.curve import Curve, can_draw_braille, draw
from fallline.cli.screen import Screen

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from fallline.types import Diagnosis, Problem, Run, Score, Trace

__all__ = [
    "drawn", "show_curves", "show_end", "show_findings", "show_kind", "show_outcome", "show_problem", "show_scores",
]  # fmt: skip

_KINDS = {
    "regression": "regression: a quantity",
    "binary": "binary classification: one of two classes",
    "multiclass": "classification: one of several classes",
    "multioutput": "regression of several quantities",
    "multilabel": "several yes-or-no labels",
}
_NOUNS = {"numeric": "numeric", "category": "category", "boolean": "yes-or-no", "date": "date"}
_SEVERITY_STYLE = {"note": "green", "warning": "yellow", "serious": "bold red"}
_CURVE_STYLES = ("cyan", "magenta", "green", "yellow")
_MOST_WIDTH = 100
_BASELINES = {"dummy": "no inputs", "linear": "linear model"}
_OUTCOMES = {
    "completed": "all epochs were run",
    "stopped_early": "stopped when the validation loss no longer fell",
    "diverged": "the loss stopped being a finite number",
    "interrupted": "stopped from outside",
}


def show_problem(screen: Screen, problem: Problem) -> None:
    """Say what was read and how it was understood."""
    kinds: Counter[str] = Counter(column.kind for column in problem.columns)
    inputs = ", ".join(f"{kinds[kind]} {noun}" for kind, noun in _NOUNS.items() if kinds[kind]) or "none"
    heading(screen, "Data")
    fact(screen, "read", f"{problem.n_rows:,} rows" + (f" from {problem.source}" if problem.source else ""))
    show_kind(screen, problem)
    if problem.classes:
        names = [str(name) for name in problem.classes]
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        fact(screen, "classes", shown)
    fact(screen, "inputs", f"{sum(kinds[kind] for kind in _NOUNS)} columns: {inputs}")
    for column in problem.columns:
        if column.kind == "left_out":
            fact(screen, "left out", f"{column.name}: {column.reason}")
    for note in problem.notes:
        if note != problem.why:  # said already, where it is looked for
            fact(screen, "note", note)


def show_kind(screen: Screen, problem: Problem) -> None:
    """Say which kind of problem a table was taken for, and why."""
    fact(screen, "to predict", f"{', '.join(problem.target_names)} ({_KINDS.get(problem.kind, problem.kind)})")
    if problem.why:
        fact(screen, "why", problem.why)


def show_outcome(screen: Screen, run: Run) -> None:
    """Say how the training ended."""
    heading(screen, "Training")
    facts = run.facts
    fact(screen, "outcome", _OUTCOMES.get(run.outcome, run.outcome))
    members = facts.get("members")
    count = len(members) if isinstance(members, (list, tuple)) else 1
    epochs = f"{run.trace.n_epochs}"
    if facts.get("best_epoch"):
        epochs += f"; the best epoch was {facts['best_epoch']}"
    fact(screen, "networks", f"{count}, {facts['parameters']:,} weights" if facts.get("parameters") else f"{count}")
    spread = facts.get("seed_spread")
    if isinstance(spread, Mapping) and isinstance(spread.get("sd"), (int, float)):
        around = f"{spread['mean']:.4g}, standard deviation {spread['sd']:.2g}"
        fact(screen, "spread", f"validation loss {around} over {spread['members']} networks")
    fact(screen, "epochs", epochs)
    if isinstance(facts.get("seconds"), (int, float)):
        fact(screen, "seconds", f"{facts['seconds']:.1f}")


def show_curves(screen: Screen, trace: Trace, best_epoch: Any = None) -> None:
    """Draw training and validation loss over the epochs."""
    if not screen.talks:
        return
    curves = [Curve("training", trace.curve("loss").tolist())]
    validation = trace.curve("val_loss").tolist()
    if any(math.isfinite(value) for value in validation):
        curves.append(Curve("validation", validation, dashed=True))
    mark = int(best_epoch) if isinstance(best_epoch, (int, float)) and len(curves) > 1 else None
    lines = drawn(curves, screen.out, mark=mark)
    if lines:
        heading(screen, "Loss")
    for line in lines:
        screen.show(line)


def drawn(curves: Sequence[Curve], console: Console, *, height: int = 12, mark: int | None = None) -> list[Text]:
    """Return curves as lines that a console can show, in its signs and within its width."""
    from rich.text import Text

    ascii_only = not can_draw_braille(console.encoding)
    lines = []
    for row in draw(curves, width=min(console.width, _MOST_WIDTH), height=height, mark=mark, ascii_only=ascii_only):
        line = Text(no_wrap=True, overflow="crop")
        for text, index in row:
            line.append(text, style=None if index is None else _CURVE_STYLES[index % len(_CURVE_STYLES)])
        lines.append(line)
    return lines


def show_scores(screen: Screen, scores: tuple[Score, ...]) -> None:
    """Print the model's scores beside the baselines', with their intervals."""
    if not scores or not screen.talks:
        return
    from rich import box
    from rich.table import Table

    from fallline.report.text import metric, score_interval, score_value

    first = scores[0]
    heading(screen, f"Scores on {first.n:,} {_rows(first.rows)}")
    people = list(dict.fromkeys(score.who for score in scores))
    metrics = dict.fromkeys(score.metric for score in scores)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    for who in people:
        table.add_column("this model" if who == "model" else _BASELINES.get(who, screen.fit(who)), justify="right")
    for name in metrics:
        same = {score.who: score for score in scores if score.metric == name}
        cells = [f"{score_value(same[who])}\n{score_interval(same[who])}" if who in same else "" for who in people]
        table.add_row(screen.fit(metric(name)), *(screen.fit(cell.rstrip()) for cell in cells))
    screen.show(table)
    paragraph(screen, _legend(scores, metric), indent=0)


def _legend(scores: tuple[Score, ...], words: Callable[[str], str]) -> str:
    """Say in which direction each metric is better, and what the second lines are."""
    parts = []
    for higher in (False, True):
        names = dict.fromkeys(words(score.metric) for score in scores if score.higher_is_better is higher)
        if names:
            parts.append(f"{', '.join(names)}: {'higher' if higher else 'lower'} is better.")
    if any(math.isfinite(score.low) for score in scores):
        parts.append("Second lines: 95 % intervals.")
    return " ".join(parts)


def _rows(rows: str) -> str:
    return {
        "test": "untouched rows",
        "out_of_fold": "rows, each predicted by networks that did not train on it",
        "validation": "validation rows",
    }.get(rows, rows)


def show_findings(screen: Screen, diagnosis: Diagnosis) -> None:
    """Print the diagnosis in plain words, most important first."""
    heading(screen, "Findings")
    if not len(diagnosis):
        screen.say("  Nothing is wrong as far as was examined." if diagnosis.examined else "  Nothing was examined.")
    for finding in diagnosis:
        title = f"  {finding.severity}: {finding.symptom}" + (f" (layer {finding.layer})" if finding.layer else "")
        screen.say(title, style=_SEVERITY_STYLE.get(finding.severity))
        paragraph(screen, finding.message)
        if finding.cause:
            paragraph(screen, f"Likely cause: {finding.cause}")
        if finding.what_to_try:
            paragraph(screen, f"Try: {'; '.join(finding.what_to_try)}")
    if diagnosis.not_examined:
        names = ", ".join(sorted(diagnosis.not_examined))
        paragraph(screen, f"Not examined, because it was not watched: {names}.", indent=2)


def show_end(screen: Screen, folder: Path, report: Path, data: str, *, interrupted: bool = False) -> None:
    """Say where everything lies and what to do next."""
    import shlex

    heading(screen, "Saved")
    fact(screen, "run", str(folder))
    fact(screen, "report", str(report))
    if not interrupted:
        # On one line, however long: it is there to be copied.
        screen.lines(
            [f"  predict     fallline predict {shlex.quote(str(folder))} {shlex.quote(data)} -o predicted.csv"]
        )


def heading(screen: Screen, text: str) -> None:
    """Print a section's name."""
    screen.say()
    screen.say(text, style="bold")


def fact(screen: Screen, name: str, text: str) -> None:
    """Print a name and what belongs to it, wrapped under itself."""
    width = max(40, min(screen.out.width, _MOST_WIDTH))
    # Paths and commands are copied by people: words are never cut.
    lines = textwrap.wrap(text, width - 14, break_long_words=False, break_on_hyphens=False) or [""]
    screen.lines([f"  {name:<11} {lines[0]}", *(" " * 14 + line for line in lines[1:])])


def paragraph(screen: Screen, text: str, indent: int = 6) -> None:
    """Print wrapped text."""
    width = max(40, min(screen.out.width, _MOST_WIDTH))
    blank = " " * indent
    lines = textwrap.wrap(text, width, initial_indent=blank, subsequent_indent=blank + "  ", break_long_words=False)
    screen.lines(lines)
