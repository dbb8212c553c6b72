"""``fallline demo``: the whole way once, on a real table that scikit-learn brings along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fallline.cli.screen import Screen

__all__ = ["command"]

_TABLE = "breast_cancer.csv"
_TARGET = "diagnosis"
_NEW_ROWS = 5


@click.command("demo")
@click.option("--folder", metavar="FOLDER", help="Where the table and the run go.  [default: a new temporary folder]")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
def command(folder: str | None, assignments: tuple[str, ...]) -> None:
    """Train on a real medical table (569 breast tumours, 30 measurements each), and show everything there is."""
    import tempfile

    from fallline.cli.files import put_new
    from fallline.cli.job import Job, Source, work
    from fallline.cli.screen import Screen
    from fallline.recipe import default, override

    recipe = override(default(), assignments)
    screen = Screen()
    home = Path(tempfile.mkdtemp(prefix="fallline-demo-")) if folder is None else Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    table = home / _TABLE
    content = _breast_cancer()
    # A second demo in the same folder uses the table that is there, if it is the same one.
    if not table.exists() or table.read_bytes() != content:
        put_new(table, content)
    screen.say("The same as:", style="dim")
    screen.lines([f"  fallline train {table} --target {_TARGET} --runs-dir {home / 'runs'}"])
    run = work(Job(Source(str(table), (_TARGET,)), recipe, home / "runs"), screen)
    _predict_some(screen, table, home / "runs" / str(run.facts["name"]))


def _breast_cancer() -> bytes:
    """Return scikit-learn's table as CSV, the target in words."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.frame.drop(columns="target")
    frame[_TARGET] = [str(data.target_names[label]) for label in data.target]
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8")


def _predict_some(screen: Screen, table: Path, folder: Path) -> None:
    """Load the saved run as a user would, and predict the first rows."""
    from rich import box
    from rich.table import Table

    from fallline.cli.predict import with_predictions
    from fallline.cli.show import heading
    from fallline.data import read_table
    from fallline.store import load_run

    frame = read_table(table).head(_NEW_ROWS)
    predicted = with_predictions(load_run(folder), frame.drop(columns=_TARGET), proba=True)
    added = [name for name in predicted.columns if name.startswith(f"{_TARGET}_")]
    heading(screen, f"The saved run, loaded again, predicts the first {_NEW_ROWS} rows")
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in (f"true {_TARGET}", *added):
        shown.add_column(screen.fit(name))
    for row in range(_NEW_ROWS):
        cells = [predicted[name].iloc[row] for name in added]
        texts = [cell if isinstance(cell, str) else f"{cell:.3f}" for cell in cells]
        shown.add_row(str(frame[_TARGET].iloc[row]), *map(str, texts))
    screen.show(shown)
