"""``fallline check``: what can be examined before a model is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fallline.cli.arrays import model_arrays
from fallline.errors import InputError

if TYPE_CHECKING:
    from fallline.types import Diagnosis

__all__ = ["command"]

# Every evaluation takes all rows, and a derivative is as wrong for a few as for many.
_ROWS = 32


@click.command("check")
@click.argument("model")
@click.argument("data", required=False)
@click.option("-t", "--target", default="y", show_default=True, metavar="NAME", help="The array or column to predict.")
@click.option("--gradients", is_flag=True, help="Compare backpropagation with central differences, in float64.")
@click.option("--loss", metavar="NAME", help="A Keras loss.  [default: what fits its output]")
@click.option("--training", is_flag=True, help="Check the model as it is while training.")
@click.option("--entries", type=int, default=10, show_default=True, help="Entries of each tensor; 0: all.")
@click.option("--tolerance", type=float, default=1e-6, show_default=True, help="The largest error that passes.")
@click.option("--rows", type=int, default=_ROWS, show_default=True, help="Rows of the data that are used.")
@click.option("--recipe", "recipe_file", metavar="FILE", help="For a table: the recipe.  [default: the preset]")
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Rows per step that are planned.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Epochs that are planned.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    model: str, data: str | None, target: str, gradients: bool, loss: str | None, training: bool, entries: int,
    tolerance: float, rows: int, recipe_file: str | None, batch_size: int | None, epochs: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Say what is wrong before a training: of a table, or of a Keras MODEL (.keras) and its DATA (.npz, or a table).

    With --gradients the derivatives of the model are compared with differences; the exit code is 1 when any is wrong.

    \u0008
    fallline check houses.csv -t price
    fallline check model.keras digits.npz -t y
    fallline check --gradients model.keras data.npz
    """
    if rows < 1 or entries < 0:
        raise InputError(f"--rows {rows} --entries {entries}: it takes at least 1 row, and entries of 0 (all) or more.")
    if not gradients:
        _say(_symptoms(model, data, target, loss, recipe_file, batch_size, epochs), as_json)
        return
    if data is None:
        raise InputError("The derivatives of a model are checked on data: fallline check --gradients MODEL DATA.")
    from fallline.store import load_model
    from fallline.train import check_gradients

    x, y = model_arrays(data, target, rows)
    found = check_gradients(
        load_model(model), x, y, loss=loss, training=training, entries=entries or None, tolerance=tolerance
    )
    click.echo(json.dumps(found.to_dict()) if as_json else str(found))
    if not found:
        raise SystemExit(1)


def _say(result: Diagnosis, as_json: bool) -> None:
    from fallline.cli.screen import Screen, jsonable
    from fallline.cli.show import show_findings

    if as_json:
        click.echo(json.dumps(jsonable(result.to_dict()), allow_nan=False))
    else:
        show_findings(Screen(), result)


def _symptoms(
    model: str,
    data: str | None,
    target: str,
    loss: str | None,
    recipe_file: str | None,
    batch_size: int | None,
    epochs: int | None,
) -> Diagnosis:
    """Check a table with a recipe, or a model with its data."""
    from fallline.diagnose import check

    if data is not None:
        from fallline.store import load_model, read_compiled

        x, y = model_arrays(data, target, None)
        loaded = load_model(model)
        return check(loaded, x, y, loss=loss or read_compiled(model).loss, batch_size=batch_size, epochs=epochs)
    if Path(model).suffix == ".keras":
        raise InputError(f"A model is checked with its data: fallline check {model} data.npz -t y.")
    from fallline.data import make_problem, read_table
    from fallline.recipe import default, from_toml

    recipe = default("default") if recipe_file is None else from_toml(Path(recipe_file).read_text(encoding="utf-8"))
    return check(recipe, make_problem(read_table(model), target=target, source=model))
