"""From a file to a finished run folder: what ``fallline train`` and ``fallline demo`` share."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline import __version__
from fallline.cli.failures import StoppedError
from fallline.cli.progress import TrainingProgress
from fallline.cli.screen import Screen
from fallline.cli.show import show_curves, show_end, show_findings, show_outcome, show_problem, show_scores
from fallline.cli.signals import StopSignals
from fallline.errors import DataError, RunFolderError

if TYPE_CHECKING:
    from fallline.store import RunFolder
    from fallline.types import Problem, Progress, Recipe, Run

__all__ = ["COMMAND", "Job", "Source", "described", "examined", "forked", "resumed", "work"]

REPORT, MODEL = "report.html", "model.keras"
# The key in a run's facts under which the command line keeps what resuming needs.
COMMAND = "command"


@dataclass(frozen=True)
class Source:
    """Where a table lies and how to understand it.

    Args:
        data: path of the file.
        target: the target columns' names.
        kind: of problem; None: inferred.
        leave_out: columns that are not used.
        delimiter, encoding, decimal: as in `fallline.read_table`; None: found out.
    """

    data: str
    target: tuple[str, ...]
    kind: str | None = None
    leave_out: tuple[str, ...] = ()
    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None

    def problem(self, recipe: Recipe) -> Problem:
        """Read the table and understand it."""
        from fallline.data import make_problem, read_table

        frame = read_table(self.data, delimiter=self.delimiter, encoding=self.encoding, decimal=self.decimal)
        if not self.target:
            raise _no_target(self.data, list(frame.columns))
        found: Problem = make_problem(
            frame, target=list(self.target) or None, kind=self.kind, group=recipe.split.group or None,
            leave_out=self.leave_out, source=self.data,
        )  # fmt: skip
        if recipe.split.time and recipe.split.time not in found.frame.columns:
            from fallline.errors import nearest

            raise DataError(
                f"split.time: there is no input column {recipe.split.time!r}."
                f"{nearest(recipe.split.time, list(found.frame.columns))}"
            )
        return found


def _no_target(data: str, columns: list[str]) -> DataError:
    """Say what to add to the command, ready to be copied."""
    import shlex

    from fallline.data.frames import shown
    from fallline.data.problem import likely_target

    again = shlex.join(["fallline", "train", data, "--target", likely_target(columns)])
    return DataError(
        f"No target is given: say which column is to be predicted with --target, for example `{again}`. "
        f"The columns are {shown(columns)}."
    )


@dataclass(frozen=True)
class Job:
    """One training to be done.

    Args:
        source: the table.
        recipe: as the user gave it, checked, "auto" entries open.
        root: the folder of runs.
        name: the run folder's name in it; None: made from the table's name and the first free number.
        overwrite: replace the run that lies there.
        fingerprint: for a resumed or forked run: that of the data it was begun with.
        origin: the name of the run that the fingerprint is from.
        resume: go on from the last checkpoint.
        watch: look inside the networks while they train.
        stop_when_lost: end a training of which nothing can come.
    """

    source: Source
    recipe: Recipe
    root: Path
    name: str | None = None
    overwrite: bool = False
    fingerprint: str = ""
    origin: str = ""
    resume: bool = False
    watch: bool = True
    stop_when_lost: bool = False

    def command(self) -> dict[str, Any]:
        """Return what a later ``--resume`` needs, as plain values."""
        from fallline.recipe import to_mapping

        return {
            "version": __version__,
            "source": {**asdict(self.source), "data": str(Path(self.source.data).resolve())},
            "recipe": to_mapping(self.recipe),
            "watch": self.watch,
        }


def resumed(folder: Path, data: str | None = None) -> Job:
    """Return the job of a run that was stopped or killed.

    Args:
        folder: its folder.
        data: where the table lies now; None: where it lay.

    Raises:
        RunFolderError: the folder is damaged or foreign, its training has ended, or was not begun by this version of
            the command line.
    """
    from fallline.store import RunFolder

    opened = RunFolder.open(folder)
    if opened.status == "finished":
        raise RunFolderError(f"The training of {folder} has ended: nothing is left to resume. Train a new run instead.")
    if "run.json" not in opened.names:
        raise RunFolderError(f"{folder} was stopped before anything was saved. Give the first command again.")
    source, recipe, fingerprint, version, watched = _first_command(opened, "go on")
    if version != __version__:
        raise RunFolderError(
            f"{folder} was begun by fallline {version}, and this is {__version__}: the result would not be that of an "
            f"uninterrupted training. Install fallline {version} to go on, or train again."
        )
    if data is not None:
        source = replace(source, data=data)
    name = folder.name
    return Job(
        source, recipe, folder.parent, name, fingerprint=fingerprint, origin=name, resume=True, watch=watched
    )


def forked(folder: Path, root: Path, *, recipe: Recipe | None = None, data: str | None = None) -> Job:
    """Return the job of a new run on the table of another.

    Args:
        folder: the other run's folder; it is only read.
        root: the folder of runs.
        recipe: the new run's; None: the other run's, as it was given.
        data: where the table lies now; None: where it lay. Its content must be the same.

    Raises:
        RunFolderError: the folder is damaged or foreign, or was not begun by the command line.
    """
    from fallline.store import RunFolder

    source, old, fingerprint, *_ = _first_command(RunFolder.open(folder), "train it again")
    if data is not None:
        source = replace(source, data=data)
    return Job(source, recipe or old, root, fingerprint=fingerprint, origin=folder.name)


def _first_command(opened: RunFolder, what: str) -> tuple[Source, Recipe, str, str, bool]:
    """Return the source, the recipe, the table's fingerprint, fallline's version and whether a run was watched."""
    from fallline.recipe import from_mapping
    from fallline.store.plain import loads

    try:
        facts = loads(opened.read("run.json"))["facts"]
        command = facts[COMMAND]
        recipe = from_mapping(command["recipe"])
        source, watched = _source(command["source"]), bool(command["watch"])
        return source, recipe, str(facts["fingerprint"]), str(command["version"]), watched
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"{opened.path} was not begun by `fallline train`, or by another version: its run.json does not say how "
            f"to {what} ({type(error).__name__}: {error})."
        ) from error


def _source(given: Mapping[str, Any]) -> Source:
    known = {f.name: given[f.name] for f in fields(Source)}
    return Source(**{**known, "target": tuple(known["target"]), "leave_out": tuple(known["leave_out"])})


def work(job: Job, screen: Screen) -> Run:
    """Do a job: read, train, save, and show everything.

    Raises:
        FalllineError: the table, the recipe or the folder cannot be used.
        StoppedError: a signal came; what was learned is saved, and the user was told how to go on.
    """
    stop = StopSignals(lambda number: _acknowledge(screen, number))
    with stop:
        problem = job.source.problem(job.recipe)
        screen.event("read", **described(problem))
        show_problem(screen, problem)
        if job.fingerprint and problem.fingerprint != job.fingerprint:
            option = "--resume" if job.resume else "--fork"
            raise DataError(
                f"{job.source.data} is not the table that the run {job.origin} was begun with: its content has "
                f"changed. Restore it, say where it lies now (fallline train DATA {option} RUN), or train a new run."
            )
        stop.leave_if_asked()
        with _opened(job) as folder:
            screen.event("started", run=str(folder.path), resumed=job.resume)
            run = _train(job, problem, folder, screen, stop)
            if stop.asked:
                _say_how_to_go_on(folder.path, run, screen)
                raise StoppedError(stop.signum)
    return run


@contextlib.contextmanager
def _opened(job: Job) -> Iterator[RunFolder]:
    """Lock the run folder; take it away again when the work fails before anything was learned."""
    from fallline.store import RunFolder, next_name

    if job.resume:
        folder = RunFolder.open(job.root / str(job.name))
    else:
        # Only now, when the table is known to be good, is anything written.
        name = job.name or next_name(job.root, Path(job.source.data).name)
        folder = RunFolder.create(job.root / name, overwrite=job.overwrite)
    new = not job.resume and not folder.replaces
    with folder:
        try:
            yield folder
        except Exception as error:
            if new and not isinstance(error, StoppedError):
                _withdraw(folder)
            raise


def _withdraw(folder: RunFolder) -> None:
    """Remove a folder of ours that holds nothing but the intention, so that a mistake can be mended and tried again."""
    from fallline.store import LiveWriter
    from fallline.store.manifest import MANIFEST_NAME

    with contextlib.suppress(OSError, RunFolderError):
        names = folder.names
        if folder.manifest.checkpoint or "trace.parquet" in names:
            return
        folder.close()
        LiveWriter(folder.path).remove()
        for name in (*names, MANIFEST_NAME):
            (folder.path / name).unlink(missing_ok=True)
        folder.path.rmdir()


def _train(job: Job, problem: Problem, folder: RunFolder, screen: Screen, stop: StopSignals) -> Run:
    from fallline.report import render
    from fallline.store import LiveWriter, environment, write_run, write_start
    from fallline.train import train_problem

    command = job.command()
    begun = job.resume

    def begin() -> None:
        """Write what resuming needs; where an old run is replaced, not before there is something to replace it."""
        nonlocal begun
        if not begun:
            write_start(
                folder, recipe=job.recipe, facts={**described(problem), "name": folder.path.name, COMMAND: command}
            )
            begun = True

    def checkpoint(arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        begin()
        folder.save_checkpoint(arrays, meta)

    live = LiveWriter(folder.path, go_on=job.resume)
    pending: list[Progress] = []
    if not folder.replaces:
        begin()
    state = folder.load_checkpoint() if job.resume else None
    with TrainingProgress(screen, stop) as progress:

        def watched(event: Progress) -> bool:
            pending.append(event)
            if not folder.replaces:  # else the older run is still the one that stands there
                for one in pending:
                    live.append(one)
                pending.clear()
            return progress(event)

        lost = None
        if job.stop_when_lost:
            from fallline.train.lost import LostWatch

            lost = LostWatch(watched)
        run = train_problem(
            problem, job.recipe, on_progress=lost or watched, checkpoint=checkpoint, resume=state, watch=job.watch
        )
        run = lost.ended(run) if lost is not None else run
        run = run.with_(
            facts={**run.facts, "name": folder.path.name, COMMAND: command},
            environment=environment(seed=job.recipe.seed, fingerprint=problem.fingerprint),
        )
        begin()
        write_run(folder, run)
        live.remove()
        if run.outcome != "interrupted" and not stop.asked:
            run = examined(run, problem, folder)
    _show_results(run, screen)
    folder.write(REPORT, render(run).encode("utf-8"))
    _show_places(job, run, folder.path, screen)
    return run


def examined(run: Run, problem: Problem, folder: RunFolder) -> Run:
    """Return the run with what its model does once it is loaded again from its file; keep that in the folder."""
    from fallline.store import load_run, write_final

    if run.preparation is None or run.recipe is None or MODEL not in folder.names:
        return run
    from fallline.train import examine_final

    loaded = load_run(folder.path).model
    final = examine_final(run, problem, loaded, MODEL, folder.read(MODEL), seed=0)
    write_final(folder, final)
    return run.with_(final=final)


def described(problem: Problem) -> dict[str, Any]:
    """Return what a table was understood to be, as plain values."""
    return {
        "kind": problem.kind,
        "why": problem.why,
        "target_names": list(problem.target_names),
        "classes": list(problem.classes),
        "n_rows": problem.n_rows,
        "notes": list(problem.notes),
        "source": problem.source,
        "fingerprint": problem.fingerprint,
    }


def _show_results(run: Run, screen: Screen) -> None:
    show_outcome(screen, run)
    show_curves(screen, run.trace, run.facts.get("best_epoch"))
    show_scores(screen, run.scores)
    show_findings(screen, run.diagnosis)


def _show_places(job: Job, run: Run, folder: Path, screen: Screen) -> None:
    interrupted = run.outcome == "interrupted"
    show_end(screen, folder, folder / REPORT, job.source.data, interrupted=interrupted)
    if screen.quiet:
        screen.result(str(folder))
    for finding in run.diagnosis.findings:
        screen.event("finding", **asdict(finding))
    screen.event(
        "interrupted" if interrupted else "finished",
        run=str(folder), report=str(folder / REPORT), outcome=run.outcome, epochs=run.trace.n_epochs,
        scores=[asdict(score) for score in run.scores], diagnosis=run.diagnosis.to_dict(),
    )  # fmt: skip


def _acknowledge(screen: Screen, number: int) -> None:
    name = signal.Signals(number).name
    screen.event("stopping", signal=name)
    screen.note(f"{name}: stopping after the current step of work, then saving. The same signal again ends at once.")


def _say_how_to_go_on(folder: Path, run: Run, screen: Screen) -> None:
    import shlex

    if run.outcome == "interrupted":
        again = f"fallline train --resume {shlex.quote(str(folder))}"
        screen.note(f"Stopped after epoch {run.trace.n_epochs}. Go on with: {again}")
    else:
        screen.note(f"The training had already ended; everything is saved in {folder}.")
