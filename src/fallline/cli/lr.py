"""``fallline lr``: which learning rate a table and a recipe ask for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from fallline.cli.options import problem_kind, reading
from fallline.cli.train import PRESETS, asked_recipe
from fallline.errors import InputError

__all__ = ["command"]


@click.command("lr")
@click.argument("data")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-t", "--target", multiple=True, required=True, metavar="COLUMN", help="The column to predict.")
@problem_kind
@click.option("--recipe", "recipe_file", metavar="FILE", help="A TOML file (`fallline recipe` prints one); -: stdin.")
@click.option("--preset", type=click.Choice(PRESETS), help="The recipe to start from.  [default: default]")
@click.option("--networks", type=click.IntRange(1), default=5, show_default=True, help="Networks that are tried.")
@click.option("--low", type=float, default=1e-7, show_default=True, help="The first rate.")
@click.option("--high", type=float, default=10.0, show_default=True, help="The last rate.")
@click.option("--steps", type=click.IntRange(20), default=100, show_default=True, help="From the first to the last.")
@click.option("--leave-out", multiple=True, metavar="COLUMN", help="A column not to use; again for several.")
@reading
@click.option("--plot", metavar="FILE", help="Draw losses over rates into FILE (.png, .svg); needs Matplotlib.")
@click.option("-q", "--quiet", is_flag=True, help="Print the rate alone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    data: str, assignments: tuple[str, ...], target: tuple[str, ...], kind: str | None, networks: int, low: float,
    high: float, steps: int, plot: str | None, quiet: bool, as_json: bool, leave_out: tuple[str, ...], **options: Any,
) -> None:  # fmt: skip
    """Suggest a learning rate for the table DATA: a short training while the rate rises until the loss explodes.

    Several networks are tried; how far their rates lie apart says how much the suggestion is worth. Nothing is kept.

    \u0008
    fallline lr houses.csv -t price
    fallline lr houses.csv -t price optimizer.name=sgd network.hidden=[64,64]
    """
    from fallline.cli.job import Source
    from fallline.cli.screen import Screen
    from fallline.train import find_learning_rate

    if plot is not None and Path(plot).exists():
        raise InputError(f"{plot} is there already. Give another name.")
    given = {**options, "seed": None, "group": None, "time": None}
    recipe = asked_recipe(assignments, given)
    reading_of = {name: options[name] for name in ("delimiter", "encoding", "decimal")}
    problem = Source(data, target, kind, leave_out, **reading_of).problem(recipe)
    found = find_learning_rate(recipe, problem, seeds=networks, low=low, high=high, steps=steps, seed=recipe.seed)
    screen = Screen(quiet=quiet, as_json=as_json)
    if plot is not None:
        found.plot().figure.savefig(plot)
    low_found, high_found = found.spread
    screen.event(
        "learning_rate",
        suggestion=found.suggestion, lowest=low_found, highest=high_found, optimizer=found.optimizer,
        rates=found.rates.tolist(), losses=found.losses.tolist(),
    )  # fmt: skip
    screen.say(str(found))
    wanted = [part for name in target for part in ("-t", name)]
    again = ["fallline", "train", data, *wanted, *assignments, f"learning_rate={found.suggestion:.2g}"]
    screen.lines([f"Train with it: {shlex.join(again)}"])
    if quiet:
        screen.result(f"{found.suggestion:.2g}")
