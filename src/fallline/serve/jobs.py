"""Trainings that were started from the page: each is a `fallline train` of its own, which outlives the page."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fallline.errors import InputError
from fallline.recipe import from_toml
from fallline.serve.index import Index
from fallline.serve.tables import Tables
from fallline.store import next_name

__all__ = ["Jobs"]

MOST_AT_ONCE = 4
_MOST_SAID_BYTES = 16_384
_MOST_TEXT = 500


@dataclass(eq=False)
class _Job:
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    made: Path | None  # the empty folder that was reserved for it
    stopping: bool = False


class Jobs:
    """Starts, forks, resumes and stops trainings.

    A training is a process of its own session: Ctrl-C of the page does not reach it, and it goes on when the page
    ends. No text from the page becomes part of a shell command; tables are those that `Tables` allows.

    Args:
        index: the runs.
        tables: what may be trained on.
    """

    def __init__(self, index: Index, tables: Tables) -> None:
        self._index, self._tables = index, tables
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}

    def start(self, data: str, target: Sequence[str], recipe: str, name: str = "") -> str:
        """Train on a table; return the new run's name.

        Args:
            data: path of the table.
            target: the target columns.
            recipe: as TOML.
            name: what to call the run; "": after the table.

        Raises:
            InputError: the table is not allowed, no target is given, or too many trainings are at work.
            RecipeError: every mistake of the recipe.
        """
        path = self._tables.resolve(data)
        if not target or not all(target):
            raise InputError("No target is given: name the column that is to be predicted.")
        from_toml(recipe)
        chosen = self._reserve(name or path.name)
        return self._run(chosen, [str(path), *(f"--target={column}" for column in target), "--recipe=-"], recipe)

    def fork(self, origin: str, data: str, recipe: str, name: str = "") -> str:
        """Train another run's table with another recipe; return the new run's name.

        The training itself checks that the table's content is that of the run.

        Args:
            origin: the other run.
            data: where its table lies, as its folder says.
            recipe: as TOML.
            name: what to call the new run; "": after the other.

        Raises:
            InputError: as `start`.
        """
        path, folder = self._tables.resolve(data), self._index.folder(origin)
        from_toml(recipe)
        chosen = self._reserve(name or re.sub(r"-\d+$", "", origin))
        return self._run(chosen, [str(path), f"--fork={folder.resolve()}", "--recipe=-"], recipe)

    def resume(self, name: str, data: str) -> str:
        """Go on with a run that was stopped or killed; return its name.

        Args:
            name: of the run.
            data: where its table lies, as its folder says.

        Raises:
            InputError: as `start`.
        """
        path, folder = self._tables.resolve(data), self._index.folder(name)
        return self._run(name, [str(path), f"--resume={folder.resolve()}"], "", made=None)

    def stop(self, name: str) -> None:
        """Ask a training for an orderly end, once: it finishes its step of work, saves, and can be resumed.

        Raises:
            InputError: it was not started from this page, or has ended.
        """
        with self._lock:
            job = self._jobs.get(name)
            if job is None or job.process.poll() is not None:
                raise InputError(
                    f"{name} is not a training that this page has started and that is still at work. "
                    "Stop it where it was started, by Ctrl-C."
                )
            if not job.stopping:  # a second signal would end it at once, unsaved
                job.stopping = True
                job.process.send_signal(signal.SIGINT)

    def state(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a training started here: ``running``, ``stopping``, ``code`` and ``said``."""
        job = self._jobs.get(name)
        if job is None:
            return None
        code = job.process.poll()
        return {"running": code is None, "stopping": job.stopping, "code": code, "said": _said(job)}

    def running(self) -> list[tuple[str, int]]:
        """Return (name, process) of the trainings at work."""
        return [(name, job.process.pid) for name, job in self._jobs.items() if job.process.poll() is None]

    def failed(self) -> dict[str, str]:
        """Return what the trainings said that ended without a run folder, by name."""
        return {
            name: _said(job)
            for name, job in list(self._jobs.items())
            if job.process.poll() not in (None, 0) and not (self._index.root / name).is_dir()
        }

    def close(self) -> None:
        """Forget all trainings; those at work go on."""
        with self._lock:
            for job in self._jobs.values():
                job.said.close()
            self._jobs.clear()

    # ------------------------------------------------------------------------------------------------- the process

    def _reserve(self, wanted: str) -> str:
        if len(wanted) > _MOST_TEXT:
            raise InputError("The name is too long.")
        if len(self.running()) >= MOST_AT_ONCE:
            raise InputError(f"{MOST_AT_ONCE} trainings are at work: stop one, or wait until one has ended.")
        return next_name(self._index.root, wanted)

    def _run(self, name: str, arguments: list[str], recipe: str, made: Path | None = Path()) -> str:
        root = self._index.root.resolve()
        if made is not None:
            made = root / name
            arguments = [*arguments, f"--name={name}", f"--runs-dir={root}"]
        with self._lock:
            if (old := self._jobs.get(name)) is not None:
                if old.process.poll() is None:
                    raise InputError(f"{name} is at work already.")
                old.said.close()
            # Files, not pipes: a training that outlives the page must not lose its voice and die of it.
            said, told = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - they live with the job
            told.write(recipe.encode())
            told.seek(0)
            # -P: what lies in the folder that the page was started in is not imported.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "fallline", "train", *arguments, "--quiet"],
                stdin=told, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
            told.close()
            job = self._jobs[name] = _Job(process, said, made)
        threading.Thread(target=_tidy, args=(job,), name=f"fallline-job-{name}", daemon=True).start()
        return name


def _tidy(job: _Job) -> None:
    """Wait for the end, and take away the reserved folder of a training that never came to write into it."""
    job.process.wait()
    if job.made is not None:
        with contextlib.suppress(OSError):
            job.made.rmdir()  # succeeds only where it is empty


def _said(job: _Job) -> str:
    if job.said.closed:  # it was resumed a moment ago
        return ""
    size = os.fstat(job.said.fileno()).st_size
    start = max(0, size - _MOST_SAID_BYTES)
    return os.pread(job.said.fileno(), _MOST_SAID_BYTES, start).decode("utf-8", "replace").strip()
