"""``fallline report``: the report of a run, written again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fallline.cli.options import runs_dir
from fallline.errors import FalllineError

if TYPE_CHECKING:
    from fallline.cli.screen import Screen
    from fallline.store import RunFolder
    from fallline.types import Evaluation, Experiment, Run, Search

__all__ = ["command", "written"]


@click.command("report")
@click.argument("run")
@runs_dir
@click.option("-o", "--output", metavar="FILE", help="Where to.  [default: report.html in the run folder]")
@click.option("--markdown", metavar="FOLDER", help="Write report.md and pictures/*.png there instead.")
@click.option("--overwrite", is_flag=True, help="Replace what --output or --markdown name.")
def command(run: str, runs_dir: str, output: str | None, markdown: str | None, overwrite: bool) -> None:
    """Write the report of RUN again: a run folder or its name, or the folder of an improvement.

    Without --output it takes the place of the run's own report.html; a report.html that fallline did not write, or that
    was changed since, is left alone. Where the folder does not know yet what its model does once it is loaded again,
    and the table lies where it lay, that is found out now.
    """
    from fallline.cli.files import put_new
    from fallline.cli.job import REPORT
    from fallline.report import render
    from fallline.store import RunFolder, load_run

    path = folder_of(run, runs_dir)
    found = load_run(path, model=False)
    if markdown is not None:
        from fallline.plot import write_markdown

        click.echo(write_markdown(found, markdown, overwrite=overwrite))
    if output is not None:
        put_new(Path(output), render(found).encode("utf-8"), overwrite=overwrite)
        click.echo(output)
    if output is not None or markdown is not None:
        return
    with RunFolder.open(path) as folder:
        if REPORT in folder.names:
            folder.read(REPORT)  # refuses one that was changed by hand
        folder.write(REPORT, render(_examined(found, folder)).encode("utf-8"))
        click.echo(folder.path / REPORT)


def written(found: Evaluation | Search | Experiment, path: str, screen: Screen) -> None:
    """Write the report of what a command found, and say where it lies."""
    from fallline.cli.files import put_new
    from fallline.report import render

    put_new(Path(path), render(found).encode("utf-8"))
    screen.say(f"the report: {path}")
    screen.event("report", path=path)


def folder_of(run: str, runs_dir: str) -> Path:
    """Return the run folder that is meant by a path or, where there is no such path, by a name below ``runs_dir``."""
    path, named = Path(run), Path(runs_dir) / run
    if not path.exists() and named.is_dir():
        return named
    # What `fallline improve` leaves: its ledger, and the run that came of it.
    return path / "run" if (path / "ledger.jsonl").is_file() and (path / "run").is_dir() else path


def _examined(run: Run, folder: RunFolder) -> Run:
    """Load the model again where nobody did; only with the very table that the run was made from."""
    if run.final is not None or run.held_out is None or run.held_out.index is None or run.held_out.rows != "test":
        return run
    from fallline.cli.job import examined, forked

    try:
        job = forked(folder.path, folder.path.parent)
        if not Path(job.source.data).exists():
            return run
        problem = job.source.problem(job.recipe)
    except FalllineError:
        return run  # a report of a run does not need its table
    return examined(run, problem, folder) if problem.fingerprint == job.fingerprint else run
