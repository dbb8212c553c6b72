"""``fallline report``: the HTML report of a run, written again."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("report")
@click.argument("run")
@click.option("-o", "--output", metavar="FILE", help="Where to.  [default: report.html in the run folder]")
@click.option("--overwrite", is_flag=True, help="Replace the file that --output names.")
def command(run: str, output: str | None, overwrite: bool) -> None:
    """Write the report of RUN (a run folder) again, for example with a newer fallline.

    Without --output it takes the place of the run's own report.html; a report.html that fallline did not write, or that
    was changed since, is left alone.
    """
    from fallline.cli.files import put_new
    from fallline.cli.job import REPORT
    from fallline.report import render
    from fallline.store import RunFolder, load_run

    content = render(load_run(run, model=False)).encode("utf-8")
    if output is not None:
        put_new(Path(output), content, overwrite=overwrite)
        click.echo(output)
        return
    with RunFolder.open(run) as folder:
        if REPORT in folder.names:
            folder.read(REPORT)  # refuses one that was changed by hand
        folder.write(REPORT, content)
        click.echo(folder.path / REPORT)
