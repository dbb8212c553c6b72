"""``fallline experiment``: do treatments help on a table?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallline.cli.options import events, problem_kind, reading
from fallline.errors import InputError

if TYPE_CHECKING:
    from fallline.cli.screen import Screen
    from fallline.types import Problem, Recipe

__all__ = ["command"]


@click.command("experiment")
@click.argument("data")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-t", "--target", multiple=True, metavar="COLUMN", help="The column to predict; again for several.")
@problem_kind
@click.option(
    "--treat", "treatments", multiple=True, metavar="NAME", help="A treatment (`fallline treatments`); again for more."
)
@click.option("--recipe", "recipe_file", metavar="FILE", help="The TOML recipe of the control; -: stdin.")
@click.option("--preset", metavar="NAME", help="The preset of the control.  [default: default]")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Each is held out once.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings on every fold.")
@click.option("--metric", metavar="NAME", help="Compare by it.  [default: log_loss or rmse]")
@click.option("--fork-at", type=click.IntRange(1), metavar="EPOCH", help="What if it had been treated there?")
@click.option("--keep-going", is_flag=True, help="Leave treatments out that have nothing to change here.")
@click.option("-o", "--output", metavar="FILE", help="Write the experiment as JSON.")
@click.option("--report", metavar="FILE", help="Write a report as HTML.")
@reading
@click.option("-q", "--quiet", is_flag=True, help="Print the decisions alone: NAME=DECISION, a line each.")
@events
def command(
    data: str, assignments: tuple[str, ...], target: tuple[str, ...], kind: str | None, treatments: tuple[str, ...],
    folds: int, seeds: int, metric: str | None, fork_at: int | None, keep_going: bool, output: str | None,
    report: str | None, delimiter: str | None, encoding: str | None, decimal: str | None, quiet: bool,
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Try treatments on the table DATA beside an untreated control: same seeds, same folds, and a decision.

    KEY=VALUE changes an entry of the control's recipe.

    \u0008
    fallline experiment houses.csv -t price --treat add-dropout --treat larger-batch
    fallline experiment houses.csv -t price --treat lower-learning-rate --fork-at 40

    In a script, --json writes a line when something happens: read, phase, epoch, finished.
    """
    from fallline.cli.failures import StoppedError
    from fallline.cli.files import put_new
    from fallline.cli.job import Source, described
    from fallline.cli.progress import TrainingProgress
    from fallline.cli.report import written
    from fallline.cli.screen import Screen, jsonable
    from fallline.cli.show import show_kind
    from fallline.cli.signals import StopSignals
    from fallline.cli.train import asked_recipe
    from fallline.experiment import experiment

    if not treatments:
        raise InputError("Nothing is to be tried: name a treatment with --treat; `fallline treatments` lists them.")
    for path in (output, report):
        if path is not None and Path(path).exists():
            raise InputError(f"{path} exists already. Choose another name.")
    recipe = asked_recipe(assignments, {**options, "seed": None, "group": None, "time": None})
    source = Source(data=data, target=target, kind=kind, delimiter=delimiter, encoding=encoding, decimal=decimal)
    screen = Screen(quiet=quiet, as_json=as_json)
    with StopSignals(lambda number: screen.note("Stopping.")) as stop:
        problem = source.problem(recipe)
        screen.event("read", **described(problem))
        show_kind(screen, problem)
        chosen = _acting(treatments, recipe, problem, screen) if keep_going else list(treatments)
        try:
            with TrainingProgress(screen, stop) as progress:
                found = experiment(
                    recipe, chosen, problem, seeds=seeds, folds=folds, metric=metric, fork_at=fork_at,
                    on_progress=progress,
                )  # fmt: skip
        except KeyboardInterrupt:
            screen.note("Stopped: half of an experiment decides nothing, so none of it is kept.")
            screen.event("interrupted")
            raise StoppedError(stop.signum or 2) from None
    screen.lines(str(found).splitlines())
    screen.event("finished", **found.to_dict())
    if output is not None:
        put_new(Path(output), json.dumps(jsonable(found.to_dict()), allow_nan=False, indent=1).encode())
        screen.say(f"the experiment: {output}")
    if report is not None:
        written(found, report, screen)
    if quiet:
        for one in found.comparisons:
            screen.result(f"{one.name}={one.decision}")


def _acting(names: Sequence[str], recipe: Recipe, problem: Problem, screen: Screen) -> list[str]:
    """Return the treatments that change this recipe, and say of the others why not."""
    from fallline.treatments import discover, treat

    known, found = {treatment.name for treatment in discover()}, []
    for name in names:
        try:
            treat(recipe, name, problem)
        except InputError as error:
            if name not in known:
                raise
            screen.note(f"Left out: {error}")
        else:
            found.append(name)
    return found
