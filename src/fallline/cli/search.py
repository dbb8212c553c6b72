"""``fallline search``: better values of recipe entries, judged on folds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fallline.cli.options import events, problem_kind, reading
from fallline.errors import InputError

if TYPE_CHECKING:
    from fallline.types import Trial

__all__ = ["command"]

# As in fallline.search.STRATEGIES, which would load much for the help text; a test compares the two.
STRATEGIES = ("random", "grid", "coordinate", "zoom", "halving", "hyperband", "tpe")


@click.command("search")
@click.argument("data")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-t", "--target", multiple=True, metavar="COLUMN", help="The column to predict; again for several.")
@problem_kind
@click.option("--space", default="default", show_default=True, metavar="FILE", help="A TOML file of ranges.")
@click.option("--strategy", type=click.Choice(STRATEGIES), default="random", show_default=True)
@click.option("--trials", type=click.IntRange(1), default=30, show_default=True, help="Candidates.")
@click.option("--budget", metavar="TIME", help="Begin no training after that: seconds, '90 s', '2 h'.")
@click.option("--recipe", "recipe_file", metavar="FILE", help="The TOML recipe that is varied.  [default: the preset]")
@click.option("--preset", default="default", show_default=True, metavar="NAME", help="The recipe that is varied.")
@click.option("--folds", type=click.IntRange(1), default=5, show_default=True, help="1: a hold-out.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Trainings on every fold.")
@click.option("--metric", metavar="NAME", help="Judge by it.  [default: log_loss or rmse]")
@click.option("--group", metavar="COLUMN", help="Rows with equal values stay together.")
@click.option("--time", metavar="COLUMN", help="Train on the past, hold out what follows.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the folds and the strategy.")
@click.option("--widen", type=click.IntRange(0), default=2, show_default=True, help="Widenings of a border.")
@click.option(
    "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
    help="ray: on the workers of a Ray cluster (RAY_ADDRESS), or of one started here.",
)  # fmt: skip
@click.option("--journal", metavar="FILE", help="Remember finished trials; the same call goes on there.")
@click.option("-o", "--output", metavar="FILE", help="Write the best recipe as TOML.")
@click.option("--report", metavar="FILE", help="Write a report as HTML.")
@reading
@click.option("-q", "--quiet", is_flag=True, help="Print the best changes alone: KEY=VALUE, a line each.")
@events
def command(
    data: str, assignments: tuple[str, ...], target: tuple[str, ...], kind: str | None, space: str,
    strategy: str, trials: int, budget: str | None, recipe_file: str | None, preset: str, folds: int, seeds: int,
    metric: str | None, group: str | None, time: str | None, seed: int, widen: int, engine: str, journal: str | None,
    output: str | None, delimiter: str | None, encoding: str | None, decimal: str | None, report: str | None,
    quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Search for better values of recipe entries on the table DATA.

    The score of the best was selected on and flatters; `fallline evaluate` says what to expect.

    \u0008
    fallline search houses.csv -t price --trials 50 --journal houses.jsonl -o better.toml
    fallline search houses.csv -t price --space space.toml --strategy hyperband --trials 100

    In a script, --json writes a line when something happens: read, phase, epoch, trial, finding, finished.
    """
    from fallline.cli.files import put_new
    from fallline.cli.job import Source, described
    from fallline.cli.progress import TrainingProgress
    from fallline.cli.report import written
    from fallline.cli.screen import Screen, jsonable
    from fallline.cli.show import show_kind
    from fallline.cli.train import recipe_text
    from fallline.recipe import default, from_toml, override, to_toml
    from fallline.search import search

    for path in (output, report):
        if path is not None and Path(path).exists():
            raise InputError(f"{path} exists already. Choose another name.")
    recipe = default(preset) if recipe_file is None else from_toml(recipe_text(Path(recipe_file)))
    short = [f"split.{key}={json.dumps(column)}" for key, column in (("group", group), ("time", time)) if column]
    recipe = override(recipe, [*assignments, *short])
    source = Source(data=data, target=target, kind=kind, delimiter=delimiter, encoding=encoding, decimal=decimal)
    problem, screen = source.problem(recipe), Screen(quiet=quiet, as_json=as_json)
    screen.event("read", **described(problem))
    show_kind(screen, problem)

    def tell(trial: Trial) -> None:
        screen.say(f"trial {trial.number}: {trial.value:.4f}")
        screen.event("trial", number=trial.number, point=trial.point, value=trial.value, epochs=trial.epochs)

    with TrainingProgress(screen, lines=False) as progress:
        found = search(
            recipe, problem, space=space, strategy=strategy, trials=trials, budget=budget, folds=folds,
            seeds=None if seeds == 1 else seeds, metric=metric, seed=seed, widen=widen, engine=engine, journal=journal,
            on_progress=progress, on_trial=tell,
        )  # fmt: skip
    screen.lines(str(found).splitlines())
    if output is not None and found.trials:
        put_new(Path(output), to_toml(found.recipe).encode())
        screen.say(f"the recipe: {output}")
    if report is not None:
        written(found, report, screen)
    for finding in found.findings:
        screen.event("finding", **asdict(finding))
    screen.event("interrupted" if found.outcome == "interrupted" else "finished", **found.to_dict())
    if quiet and found.trials:
        for name, value in found.best.point.items():
            screen.result(f"{name}={value if isinstance(value, str) else json.dumps(jsonable(value))}")
    if found.outcome == "interrupted":
        if journal is not None:
            screen.note(f"Stopped. The same call goes on from {journal}.")
        raise SystemExit(130)
