"""``fallline train``: a table in, a run folder out."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallline.cli.options import events, problem_kind, reading, runs_dir
from fallline.errors import InputError

if TYPE_CHECKING:
    from fallline.cli.job import Job
    from fallline.types import Recipe

__all__ = ["asked_recipe", "command", "recipe_text"]

PRESETS = ("default", "simple")


@click.command("train")
@click.argument("data", required=False)
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-t", "--target", multiple=True, metavar="COLUMN", help="The column to predict; again for several.")
@problem_kind
@click.option("--recipe", "recipe_file", metavar="FILE", help="A TOML file (`fallline recipe` prints one); -: stdin.")
@click.option("--preset", type=click.Choice(PRESETS), help="The recipe to start from.  [default: default]")
@click.option("--seed", type=int, metavar="N", help="Short for seed=N.")
@click.option("--name", metavar="NAME", help="Name of the run folder.  [default: the file's name and a number]")
@runs_dir
@click.option("--overwrite", is_flag=True, help="Replace the run of that name.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was stopped or killed.")
@click.option("--fork", metavar="RUN", help="A new run on the table of RUN, with its recipe changed.")
@click.option("--leave-out", multiple=True, metavar="COLUMN", help="A column not to use; again for several.")
@click.option("--group", metavar="COLUMN", help="Rows with equal values stay together; short for split.group=COLUMN.")
@click.option("--time", metavar="COLUMN", help="Train on the past, test on the latest; short for split.time=COLUMN.")
@reading
@click.option("--no-watch", is_flag=True, help="Do not look inside the networks while they train.")
@click.option("--stop-when-lost", is_flag=True, help="End a training that explodes, dies or stays flat.")
@click.option("-q", "--quiet", is_flag=True, help="Print the run folder's path alone.")
@events
def command(
    data: str | None,
    assignments: tuple[str, ...],
    resume: str | None,
    stop_when_lost: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on the table DATA (CSV, TSV, Parquet or .npz) and explain the result.

    The run folder gets the model (model.keras), the recipe, what was watched, the scores beside two baselines, the
    diagnosis and a report. KEY=VALUE changes any entry of the recipe:

    \u0008
    fallline train houses.csv --target price
    fallline train houses.csv -t price network.hidden=[256,256] learning_rate=0.01
    fallline train --resume runs/houses-1
    fallline train --fork runs/houses-1 seed=1

    When to stop (stopping.criterion): patience or a small alpha, which are fast, unless a few percent of the loss
    matter; gl for the best chance of a good network; for the best average pq where little overfits, else up (Prechelt
    1998).

    Ctrl-C saves what was learned and says how to go on. In a script, --json writes a line when something happens: read,
    started, phase, epoch, finding, finished.
    """
    from fallline.cli.job import resumed, work
    from fallline.cli.screen import Screen

    if data is not None and "=" in data and not Path(data).exists():
        assignments, data = (data, *assignments), None
    screen = Screen(quiet=quiet, as_json=as_json)
    if resume is not None:
        _refuse_changes("--resume", (*_given(options), *assignments), "the table, the options and the recipe")
        work(replace(resumed(Path(resume), data), stop_when_lost=stop_when_lost), screen)
        return
    work(replace(_new(data, assignments, options), stop_when_lost=stop_when_lost), screen)


def _given(options: dict[str, Any], but: tuple[str, ...] = ()) -> list[str]:
    """Return the options that were given, as they are written."""
    return [f"--{name.replace('_file', '').replace('_', '-')}" for name, value in options.items()
            if value not in (None, (), False) and name not in ("runs_dir", *but)]  # fmt: skip


def _refuse_changes(option: str, given: tuple[str, ...], kept: str) -> None:
    if given:
        raise InputError(
            f"{option} goes on with {kept} of the run; it cannot be combined with {', '.join(given)}. "
            "Train a new run to change them."
        )


# What may differ between a run and its fork: the recipe, the name, and whether it is watched.
_OF_A_FORK = ("fork", "recipe_file", "preset", "seed", "group", "time", "name", "overwrite", "no_watch")


def _fork(data: str | None, assignments: tuple[str, ...], options: dict[str, Any]) -> Job:
    from fallline.cli.job import forked
    from fallline.recipe import override

    _refuse_changes("--fork", tuple(_given(options, _OF_A_FORK)), "the table and its options")
    name, root = _name(options), Path(options["runs_dir"])
    new = None if options["recipe_file"] is None and options["preset"] is None else asked_recipe((), options)
    job = forked(Path(options["fork"]), root, recipe=new, data=data)
    changed = override(job.recipe, [*assignments, *_short(options)])
    return replace(job, recipe=changed, name=name, overwrite=options["overwrite"], watch=not options["no_watch"])


def _new(data: str | None, assignments: tuple[str, ...], options: dict[str, Any]) -> Job:
    """Make the job of a new run; everything that can be wrong without reading the table is said first."""
    from fallline.cli.job import Job, Source

    if options["fork"] is not None:
        return _fork(data, assignments, options)
    if data is None:
        raise InputError("No table is given: name a file, for example `fallline train data.csv --target price`.")
    source = Source(
        data=data, target=options["target"], kind=options["kind"], leave_out=options["leave_out"],
        delimiter=options["delimiter"], encoding=options["encoding"], decimal=options["decimal"],
    )  # fmt: skip
    recipe = asked_recipe(assignments, options)
    return Job(
        source, recipe, Path(options["runs_dir"]), _name(options), overwrite=options["overwrite"],
        watch=not options["no_watch"],
    )  # fmt: skip


def asked_recipe(assignments: tuple[str, ...], options: dict[str, Any]) -> Recipe:
    """Return the recipe that a file or a preset, short options and assignments make together."""
    from fallline.recipe import default, from_toml, override

    if options["recipe_file"] is not None:
        if options["preset"] is not None:
            raise InputError('Both --recipe and --preset are given; write preset = "..." into the recipe instead.')
        given = options["recipe_file"]
        text = recipe_text(Path(given)) if given != "-" else sys.stdin.buffer.read().decode("utf-8", "replace")
        recipe = from_toml(text)
    else:
        recipe = default(options["preset"] or "default")
    return override(recipe, [*assignments, *_short(options)])


def _short(options: dict[str, Any]) -> list[str]:
    """Return the entries of the recipe that have an option of their own, as assignments."""
    short = [] if options["seed"] is None else [f"seed={options['seed']}"]
    for key, column in (("group", options["group"]), ("time", options["time"])):
        short += [] if column is None else [f"split.{key}={json.dumps(column, ensure_ascii=False)}"]
    return short


def recipe_text(path: Path) -> str:
    """Return the text of a recipe's file; say what is wrong with it."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"There is no recipe {path}. `fallline recipe > {path.name}` makes one.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a recipe: byte {error.start} is not UTF-8 text.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


def _name(options: dict[str, Any]) -> str | None:
    """Return the name that the run folder is to have, None when it is to be made up."""
    name: str | None = options["name"]
    if name is None:
        if options["overwrite"]:
            raise InputError("--overwrite replaces the run that --name says; give the --name, too.")
        return None
    if Path(name).name != name or name in ("", "..") or name.startswith(".") or "\\" in name or not name.isprintable():
        raise InputError(f"{name!r} is no name of a run: give one folder's name; --runs-dir says where it lies.")
    return name
