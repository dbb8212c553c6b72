"""``fallline evaluate``: how well recipes do on rows by which nothing was chosen."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fallline.cli.options import events, problem_kind, reading
from fallline.errors import InputError

__all__ = ["command"]


@click.command("evaluate")
@click.argument("data")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-t", "--target", multiple=True, metavar="COLUMN", help="The column to predict; again for several.")
@problem_kind
@click.option(
    "--recipe", "recipe_files", multiple=True, metavar="FILE", help="A TOML recipe; again to compare several."
)
@click.option(
    "--preset", "presets", multiple=True, metavar="NAME", help="A preset; again to compare.  [default: default]"
)
@click.option("--folds", type=click.IntRange(1), default=5, show_default=True, help="1: a hold-out.")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Partitions into folds.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Trainings on every fold.")
@click.option("--nested", is_flag=True, help="Choose among the recipes inside each outer fold.")
@click.option("--space", metavar="FILE", help="Search in this space (TOML, or default) inside each outer fold.")
@click.option("--strategy", default="random", show_default=True, help="Of that search.")
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="Candidates of that search.")
@click.option("--inner", type=click.IntRange(1), default=5, show_default=True, help="Folds of that choice.")
@click.option("--metric", metavar="NAME", help="Compare and choose by it.  [default: log_loss or rmse]")
@click.option("--group", metavar="COLUMN", help="Rows with equal values stay together.")
@click.option("--time", metavar="COLUMN", help="Train on the past, hold out what follows.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the folds.")
@click.option("--report", metavar="FILE", help="Write a report as HTML.")
@reading
@click.option("-q", "--quiet", is_flag=True, help="Print the mean scores alone: NAME=SCORE, a line each.")
@events
def command(
    data: str, assignments: tuple[str, ...], target: tuple[str, ...], kind: str | None, recipe_files: tuple[str, ...],
    presets: tuple[str, ...], folds: int, repeats: int, seeds: int, nested: bool, inner: int,
    space: str | None, strategy: str, trials: int, metric: str | None,
    group: str | None, time: str | None, seed: int, delimiter: str | None, encoding: str | None, decimal: str | None,
    quiet: bool, report: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Score recipes on the table DATA beside two baselines, with intervals over the folds.

    KEY=VALUE changes an entry of every recipe.

    \u0008
    fallline evaluate houses.csv -t price
    fallline evaluate houses.csv -t price --preset default --preset simple --repeats 3
    fallline evaluate houses.csv -t price --recipe a.toml --recipe b.toml --nested
    fallline evaluate houses.csv -t price --space space.toml --trials 20

    In a script, --json writes a line when something happens: read, phase, epoch, finished.
    """
    from fallline.cli.job import Source, described
    from fallline.cli.progress import TrainingProgress
    from fallline.cli.report import written
    from fallline.cli.screen import Screen
    from fallline.cli.show import show_kind
    from fallline.cli.train import recipe_text
    from fallline.evaluate import evaluate
    from fallline.recipe import default, from_toml, override

    if report is not None and Path(report).exists():
        raise InputError(f"{report} exists already. Choose another name.")
    recipes = {name: default(name) for name in presets or (() if recipe_files else ("default",))}
    for path in recipe_files:
        name = Path(path).stem
        if name in recipes:
            raise InputError(f"Two recipes have the name {name!r}; rename one of the files.")
        recipes[name] = from_toml(recipe_text(Path(path)))
    recipes = {name: override(recipe, assignments) for name, recipe in recipes.items()}
    source = Source(data=data, target=target, kind=kind, delimiter=delimiter, encoding=encoding, decimal=decimal)
    short = [f"split.{key}={json.dumps(column)}" for key, column in (("group", group), ("time", time)) if column]
    problem = source.problem(override(next(iter(recipes.values())), short))
    screen = Screen(quiet=quiet, as_json=as_json)
    screen.event("read", **described(problem))
    show_kind(screen, problem)
    with TrainingProgress(screen) as progress:
        found = evaluate(
            recipes, problem, folds=folds, repeats=repeats, seeds=seeds, nested=space if space is not None else nested,
            inner=inner, strategy=strategy, trials=trials, metric=metric, group=group, time=time, seed=seed,
            on_progress=progress,
        )  # fmt: skip
    screen.lines(str(found).splitlines())
    if report is not None:
        written(found, report, screen)
    screen.event("finished", **found.to_dict())
    if quiet:
        for name in found.names:
            screen.result(f"{name}={found.score(name).value:.6g}")
