"""``fallline improve``: diagnose, try treatments beside the untreated control, keep what helps."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallline.cli.improve_model import MODEL_OPTIONS
from fallline.cli.options import events, problem_kind, reading
from fallline.errors import InputError

if TYPE_CHECKING:
    from fallline.cli.improve_model import ModelSubject
    from fallline.cli.job import Source
    from fallline.cli.screen import Screen
    from fallline.types import ImproveEvent, Improvement, Problem, Recipe

__all__ = ["command"]

# What a later --resume needs; the ledger itself is `fallline.improve.LEDGER`.
COMMAND_FILE, RECIPE_FILE, RUN_FOLDER = "improve.json", "recipe.toml", "run"
_KEPT = ("seeds", "folds", "holdout", "metric", "seed")


@click.command("improve")
@click.argument("data", required=False)
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]... | MODEL.keras DATA")
@click.option("-t", "--target", multiple=True, metavar="COLUMN", help="The column to predict; again for several.")
@problem_kind
@click.option("--recipe", "recipe_file", metavar="FILE", help="The TOML recipe to begin with; -: stdin.")
@click.option("--preset", metavar="NAME", help="The preset to begin with.  [default: default]")
@click.option("--loss", metavar="NAME", help="Of a model: a Keras loss.  [default: the compiled one, else what fits]")
@click.option("--optimizer", metavar="NAME", help="Likewise: its optimizer.  [default: the compiled one, else adam]")
@click.option("--learning-rate", type=float, metavar="RATE", help="Of a model.  [default: the compiled optimizer's]")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Of a training of a model.  [default: 100]")
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Of a model: rows per step.  [default: 32]")
@click.option("--budget", default="10 minutes", show_default=True, metavar="TIME", help="Seconds, '90 s', '2 h'.")
@click.option("--trainings", type=click.IntRange(1), metavar="N", help="Most trainings, besides the time.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of every experiment.")
@click.option("--seeds", type=click.IntRange(2), default=3, show_default=True, help="One screens, the others confirm.")
@click.option("--holdout", type=float, default=0.2, show_default=True, help="Share of rows that no choice sees.")
@click.option("--metric", metavar="NAME", help="Judge by it.  [default: log_loss or rmse]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the hold-out and the folds.")
@click.option("-o", "--output", metavar="FOLDER", help="Of the ledger and the result.  [default: improved/NAME-N]")
@click.option("--resume", metavar="FOLDER", help="Go on with an improvement that was stopped, or for longer.")
@reading
@click.option("-q", "--quiet", is_flag=True, help="Print the folder's path alone.")
@events
def command(
    data: str | None, assignments: tuple[str, ...], budget: str, trainings: int | None, output: str | None,
    resume: str | None, quiet: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Find what helps a training: diagnose, try treatments side by side, keep those that help.

    What is trained is a recipe on the table DATA, or a Keras model on its data: MODEL.keras and an .npz, or a table of
    numbers. A model is trained with the loss, the optimizer and the learning rate that it was compiled with, where they
    are Keras' own; a file says neither epochs nor batch size.

    Every experiment stands in the folder's ledger.jsonl as soon as it is done. The result is scored on rows that
    no choice has seen; recipe.toml is the better recipe (model.keras the better model, improvement.json what to change
    by hand), run/ the run trained with it.

    \u0008
    fallline improve houses.csv --target price
    fallline improve houses.csv -t price --preset simple --budget "2 minutes"
    fallline improve model.keras data.npz -t y --epochs 30 --batch-size 64
    fallline improve --resume improved/houses-1 --budget "1 hour"

    Ctrl-C keeps the ledger and says how to go on. In a script, --json writes a line when something happens: read,
    phase, epoch, diagnosed, candidates, experiment, decided, stopped, scored, finished.
    """
    from fallline.cli.screen import Screen

    if data is not None and "=" in data and not Path(data).exists():
        assignments, data = (data, *assignments), None
    screen = Screen(quiet=quiet, as_json=as_json)
    if resume is not None:
        changes = [name for name in ("recipe_file", "preset", *MODEL_OPTIONS) if options[name] is not None]
        if changes or assignments or output is not None or options["target"] or options["kind"]:
            raise InputError("--resume goes on with the table, recipe and options of the folder; give --budget alone.")
        subject, kept = _resumed(Path(resume), data)
        _work(subject, kept, Path(resume), budget, trainings, screen)
        return
    subject = _new(data, assignments, options)
    with _folder(output, subject.source) as folder:
        _work(subject, {name: options[name] for name in _KEPT}, folder, budget, trainings, screen)


@dataclass(frozen=True)
class TableSubject:
    """A table and the recipe that it is trained by.

    Args:
        table: where it lies and how to understand it.
        recipe: as it was given.
    """

    table: Source
    recipe: Recipe

    @property
    def source(self) -> str:
        """The path by which the folder is named."""
        return self.table.data

    def command(self) -> dict[str, Any]:
        """Return what a later ``--resume`` needs."""
        from fallline.recipe import to_mapping

        source = {**asdict(self.table), "data": str(Path(self.table.data).resolve())}
        return {"source": source, "recipe": to_mapping(self.recipe)}

    def read(self, screen: Screen) -> tuple[tuple[Any, Any, Any], dict[str, Any]]:
        """Read the table and say how it was understood; return what `fallline.improve` takes."""
        from fallline.cli.job import described
        from fallline.cli.show import show_problem

        problem = self.table.problem(self.recipe)
        screen.event("read", **described(problem))
        show_problem(screen, problem)
        return (self.recipe, problem, None), {}

    def saved(self, found: Improvement, control: Any, x: Any, folder: Path, screen: Screen) -> None:
        """Save the better recipe and the run trained with it."""
        _saved(found, x, folder, self.table, screen)


def _new(data: str | None, assignments: tuple[str, ...], options: Mapping[str, Any]) -> TableSubject | ModelSubject:
    from fallline.cli.improve_model import ModelSubject, is_model, refuse_for_table
    from fallline.cli.job import Source
    from fallline.cli.train import asked_recipe

    if data is None:
        raise InputError(
            "No table is given: name a file, for example `fallline improve data.csv --target price`; or a Keras model "
            "and its data: `fallline improve model.keras data.npz -t y`."
        )
    if is_model(data, assignments):
        return ModelSubject.of(data, assignments, options)
    refuse_for_table(options)
    recipe = asked_recipe(assignments, {**options, "seed": None, "group": None, "time": None})
    words = {name: options[name] for name in ("kind", "delimiter", "encoding", "decimal")}
    return TableSubject(Source(data=data, target=options["target"], **words), recipe)


@contextlib.contextmanager
def _folder(output: str | None, data: str) -> Iterator[Path]:
    """Reserve the folder; where nothing came to lie in it, it goes again."""
    from fallline.store import next_name

    root = Path("improved")
    folder = Path(output) if output is not None else root / next_name(root, Path(data).name)
    if output is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists already. Choose another folder, or go on with --resume {folder}.")
    try:
        yield folder
    finally:
        if output is None:
            for empty in (folder, root):
                with contextlib.suppress(OSError):
                    empty.rmdir()


def _resumed(folder: Path, data: str | None) -> tuple[TableSubject | ModelSubject, dict[str, Any]]:
    """Read what the first call left."""
    from fallline.cli.improve_model import resumed_model
    from fallline.cli.job import Source
    from fallline.recipe import from_mapping

    try:
        found = json.loads((folder / COMMAND_FILE).read_text(encoding="utf-8"))
        kept = {name: found["options"][name] for name in _KEPT}
        if "model" in found:
            return resumed_model(found["model"], data), kept
        source = {**found["source"], "target": tuple(found["source"]["target"])}
        source |= {"leave_out": tuple(source["leave_out"])} | ({} if data is None else {"data": data})
        return TableSubject(Source(**source), from_mapping(found["recipe"])), kept
    except FileNotFoundError:
        raise InputError(f"There is no improvement in {folder}: {COMMAND_FILE} is not there.") from None
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / COMMAND_FILE} cannot be read: {type(error).__name__}: {error}.") from None


def _work(
    subject: TableSubject | ModelSubject, options: Mapping[str, Any], folder: Path, budget: str, trainings: int | None,
    screen: Screen,
) -> None:  # fmt: skip
    from fallline.cli.files import put_new
    from fallline.cli.signals import StopSignals
    from fallline.improve import improve

    with StopSignals(lambda number: screen.note("Stopping; what the ledger has is kept.")) as stop:
        (control, x, y), keywords = subject.read(screen)
        shown = _Shown(screen, stop)

        def told(event: ImproveEvent) -> None:
            path = folder / COMMAND_FILE
            if not path.exists():
                put_new(path, json.dumps({**subject.command(), "options": dict(options)}).encode())
            shown.event(event)

        try:
            found = improve(
                control, x, y, budget=budget, trainings=trainings, folder=folder, on_event=told,
                on_progress=shown.progress, **keywords, **options,
            )  # fmt: skip
        finally:
            shown.close()
        if found.outcome == "interrupted":
            screen.note(f"Stopped. Go on with: fallline improve --resume {folder}")
            screen.event("interrupted", folder=str(folder))
            raise SystemExit(128 + (stop.signum or 2))
        subject.saved(found, control, x, folder, screen)
        _end(found, folder, screen)


def _end(found: Improvement, folder: Path, screen: Screen) -> None:
    import shlex

    if found.outcome == "budget":
        screen.lines([f"  go on       fallline improve --resume {shlex.quote(str(folder))}"])
    if screen.quiet:
        screen.result(str(folder))


def _saved(found: Improvement, problem: Problem, folder: Path, source: Source, screen: Screen) -> None:
    import shlex

    from fallline.cli.files import put_new
    from fallline.cli.job import REPORT, examined
    from fallline.cli.show import fact, heading
    from fallline.recipe import to_toml
    from fallline.report import render
    from fallline.store import RunFolder, environment, write_run
    from fallline.types import Story

    assert found.run is not None
    put_new(folder / RECIPE_FILE, to_toml(found.recipe).encode(), overwrite=True)
    place = folder / RUN_FOLDER
    run = found.run.with_(
        facts={**found.run.facts, "name": folder.name, "folder": str(place)},
        environment=environment(seed=found.recipe.seed, fingerprint=found.run.facts.get("fingerprint", "")),
        story=Story.of(found),
    )
    with RunFolder.create(place, overwrite=place.exists()) as opened:
        write_run(opened, run)
        opened.write(REPORT, render(examined(run, problem, opened)).encode("utf-8"))
    heading(screen, "Saved")
    fact(screen, "ledger", str(folder / "ledger.jsonl"))
    fact(screen, "recipe", str(folder / RECIPE_FILE))
    fact(screen, "run", f"{place} (report.html says more)")
    names = f"{shlex.quote(str(place))} {shlex.quote(source.data)}"
    screen.lines([f"  predict     fallline predict {names} -o predicted.csv"])
    screen.event("finished", folder=str(folder), run=str(place), outcome=found.outcome, treatments=found.treatments)


class _Shown:
    """The events on a terminal or as JSON, with a progress bar between them."""

    def __init__(self, screen: Screen, stop: Any) -> None:
        self.screen, self.stop = screen, stop
        self.bar: Any = None

    def progress(self, now: Any) -> bool:
        """Show one progress event; return whether a signal came."""
        if self.bar is None:
            from fallline.cli.progress import TrainingProgress

            self.bar = TrainingProgress(self.screen, self.stop, lines=False).__enter__()
        self.bar(now)
        return bool(self.stop.asked)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None

    def event(self, event: ImproveEvent) -> None:
        """Tell one event."""
        from fallline.cli.show import heading, paragraph

        self.close()
        facts = {**event.facts, "text": event.text, "seconds": event.seconds, "trainings": event.trainings}
        self.screen.event(event.kind, **facts)
        titles = {"diagnosed": "Diagnosis", "candidates": "To try", "stopped": "End", "scored": "What it is worth"}
        if event.kind in titles:
            heading(self.screen, f"{titles[event.kind]}  ({_clock(event.seconds)})")
        if event.kind == "decided":
            self._decided(event)
            return
        first, *rest = event.text.split("\n")
        paragraph(self.screen, first, indent=2)
        for line in rest:
            paragraph(self.screen, line, indent=4)

    def _decided(self, event: ImproveEvent) -> None:
        from rich import box
        from rich.table import Table

        from fallline.cli.show import paragraph

        found = event.facts["experiment"]
        metric = found["metric"].replace("_", "-")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        control = found["scores"].get("control", ())
        level = f": {sum(control) / len(control):.4g}" if control else ""
        paragraph(self.screen, f"The control's {metric}{level}; a gain above 0 is better.", indent=2)
        for title in ("  treatment", f"gain in {metric}", "95 % interval", "decision"):
            table.add_column(title, justify="left" if title in ("  treatment", "decision") else "right")
        styles = {"helps": "green", "hurts": "red"}
        for one in sorted(found["comparisons"], key=lambda one: -one["mean"]):
            between = f"{one['low']:+.3g} to {one['high']:+.3g}"
            style = styles.get(one["decision"])
            table.add_row(f"  {one['name']}", f"{one['mean']:+.3g}", between, one["decision"], style=style)
        self.screen.show(table)
        paragraph(self.screen, event.text.rsplit("\n", 1)[-1], indent=2)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
