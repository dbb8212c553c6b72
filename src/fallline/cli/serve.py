"""``fallline serve``: the runs of a folder in the browser, while they train."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]

# As in fallline.serve.listen, which need not be imported for the help text; a test compares the two.
PORT = 8330


@click.command("serve")
@click.argument("runs", default="runs", metavar="[RUNS]")
@click.option("--port", type=int, default=PORT, show_default=True, metavar="N", help="Of this machine; 0: any free.")
@click.option("--data", multiple=True, default=["."], show_default=True, metavar="PATH",
              help="A folder or file that trainings may be started on; again for several.")  # fmt: skip
@click.option("--experiments", multiple=True, metavar="FOLDER",
              help="Of improvements' folders and searches' journals; again for several.  [default: what lies beside "
              "RUNS]")  # fmt: skip
@click.option("--no-open", is_flag=True, help="Print the link, open no browser.")
def command(runs: str, port: int, data: tuple[str, ...], experiments: tuple[str, ...], no_open: bool) -> None:
    """Show the runs in the folder RUNS on a page: live curves, comparisons, the inside of each network.

    Improvements and searches are shown as well, experiment by experiment and trial by trial.

    The page is for this machine and for whoever has the link, which works once. Trainings can be started, stopped and
    forked there; they read tables below --data alone, and go on when the page ends.

    \u0008
    fallline serve
    fallline serve results --data ~/tables --no-open
    """
    from fallline.serve import serve

    serve(
        Path(runs), port=port, data=[Path(path) for path in data], studies=[Path(path) for path in experiments],
        show=not no_open, say=_say,
    )  # fmt: skip


def _say(text: str) -> None:
    click.echo(text)
