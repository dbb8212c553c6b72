"""``fallline diagnose``: what is wrong with a training, whoever recorded it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fallline.types import Run

__all__ = ["command"]


@click.command("diagnose")
@click.argument("what")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(what: str, as_json: bool) -> None:
    """Say what is wrong with a training.

    WHAT is a run folder, a CSV file of learning curves, or a folder of TensorBoard logs. A CSV file has a header and
    one row per epoch; `loss` or `train_loss` and `val_loss` or `valid_loss` are found, as are `accuracy`, `lr` and
    other common spellings. Rules that need more than there is are listed as not examined.
    """
    from fallline.cli.screen import Screen, jsonable
    from fallline.cli.show import show_findings
    from fallline.diagnose import diagnose
    from fallline.store.manifest import MANIFEST_NAME

    path = Path(what)
    # The rules of today speak, also over a run of long ago.
    result = diagnose(_run(path) if (path / MANIFEST_NAME).is_file() else path)
    if as_json:
        click.echo(json.dumps(jsonable(result.to_dict()), allow_nan=False))
    else:
        show_findings(Screen(), result)


def _run(folder: Path) -> Run:
    """Load a run, with its model where only that can tell what the layers are."""
    from fallline.errors import RunFolderError
    from fallline.store import load_run

    run = load_run(folder, model=False)
    if run.preparation is not None:
        return run
    try:
        return load_run(folder)
    except RunFolderError:  # classes of the user's own cannot be named here; what needs them is "not examined"
        return run
