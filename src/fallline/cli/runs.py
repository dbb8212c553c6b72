"""``fallline runs``: what was trained so far."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from fallline.cli.options import runs_dir as runs_dir_option

__all__ = ["command"]


@click.command("runs")
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(runs_dir: str, as_json: bool) -> None:
    """List the runs in a folder, oldest first."""
    from fallline.cli.screen import Screen, jsonable
    from fallline.store import list_runs

    screen = Screen()
    entries = list_runs(runs_dir)
    if as_json:
        for entry in entries:
            click.echo(json.dumps(jsonable(asdict(entry)), allow_nan=False))
        return
    if not entries:
        screen.say(f"There are no runs in {runs_dir}. `fallline train data.csv --target COLUMN` makes one.")
        return
    from rich import box
    from rich.table import Table

    from fallline.report.text import METRICS, duration, number

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("run", "begun", "status", "predicts", "score", "took"):
        # The name is what the other commands take: it stays whole.
        table.add_column(
            title,
            overflow="fold",
            no_wrap=title != "predicts",
            min_width=len(title),
            justify="right" if title == "took" else "left",
        )
    for entry in entries:
        score = "" if entry.value is None else f"{METRICS.get(entry.metric, entry.metric)} {number(entry.value)}"
        if entry.outcome == "diverged":
            score = "diverged"  # whatever its last weights score
        took = "" if entry.seconds is None else duration(entry.seconds)
        begun = entry.created.replace("T", " ")[:16]
        cells = (entry.name, begun, entry.status, entry.target, score, took)
        table.add_row(*(screen.fit(cell) for cell in cells))
    screen.show(table)
    for entry in entries:
        if entry.problem:
            screen.say(f"{entry.name}: {entry.problem}")
    for entry in entries:
        if entry.status == "interrupted" and not entry.problem:
            screen.say(f"{entry.name} can go on: fallline train --resume {entry.path}")
