"""All runs below one folder: listing them quickly, and naming new ones."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.errors import RunFolderError
from fallline.store import atomic
from fallline.store.folder import RunFolder, free_name
from fallline.store.lock import read_writer
from fallline.store.manifest import read_manifest
from fallline.store.plain import loads

__all__ = ["RunEntry", "list_runs", "next_name", "run_entry", "run_folders"]

_MAX_STEM = 60


@dataclass(frozen=True)
class RunEntry:
    """One line of the list of runs.

    Args:
        name: of the folder.
        path: to the folder.
        status: ``finished``, ``training`` (its writer lives), ``interrupted`` (it can be resumed), or ``unusable``.
        target: the target columns' names, joined by ", ".
        kind: of problem.
        metric: name of the main metric, "" when there is no score yet.
        value: the model's main score; None when there is none.
        created: when the run was begun, ISO 8601 in UTC.
        seconds: how long the training took; None when unknown.
        outcome: how it ended, as in `fallline.Run.outcome`; "" when it did not.
        problem: why the folder is unusable, or what is odd; else "".
    """

    name: str
    path: Path
    status: str
    target: str = ""
    kind: str = ""
    metric: str = ""
    value: float | None = None
    created: str = ""
    seconds: float | None = None
    outcome: str = ""
    problem: str = ""


def list_runs(root: str | os.PathLike[str]) -> list[RunEntry]:
    """Return every folder below ``root``, oldest first; what is no usable run says why and never breaks the list.

    Args:
        root: the folder of runs; one that does not exist has none.

    Raises:
        RunFolderError: ``root`` itself cannot be read.
    """
    return sorted((run_entry(folder) for folder in run_folders(root)), key=lambda entry: (entry.created, entry.name))


def run_folders(root: str | os.PathLike[str]) -> list[Path]:
    """Return the folders below ``root`` that may be runs: neither links nor hidden.

    Args:
        root: the folder of runs; one that does not exist has none.

    Raises:
        RunFolderError: ``root`` itself cannot be read.
    """
    try:
        return [
            Path(entry.path)
            for entry in os.scandir(root)
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise atomic.explain(error, Path(root), "read") from error


def run_entry(path: Path) -> RunEntry:
    """Return one folder's line of the list; it never fails, but says what is wrong."""
    try:
        # Each look at a manifest checks it whole; a list of a thousand runs must not do so thrice for each.
        manifest = read_manifest(path)
        status: str = manifest.status
        if status == "training":
            writer = read_writer(path)
            status = "training" if writer is not None and writer.alive else "interrupted"
        created = manifest.created
        if "run.json" not in manifest.files:
            return RunEntry(
                path.name,
                path,
                status,
                created=created,
                problem="" if status == "training" else "nothing was saved yet",
            )
        body = loads(RunFolder(path).read("run.json"))
        return RunEntry(path.name, path, status, created=created, **_known(body))
    except RunFolderError as error:
        return RunEntry(path.name, path, "unusable", problem=str(error))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return RunEntry(
            path.name, path, "unusable", problem=f"{path / 'run.json'} is not what fallline writes ({error})."
        )


def _known(body: Mapping[str, Any]) -> dict[str, Any]:
    facts = body["facts"]
    scores = [score for score in body.get("scores", ()) if score["who"] == "model"]
    seconds = facts.get("seconds")
    return {
        "target": ", ".join(str(name) for name in facts.get("target_names", ())),
        "kind": str(facts.get("kind", "")),
        "metric": str(scores[0]["metric"]) if scores else "",
        "value": float(scores[0]["value"]) if scores else None,
        "seconds": None if seconds is None else float(seconds),
        "outcome": str(body.get("outcome") or ""),
    }


def next_name(root: str | os.PathLike[str], stem: str) -> str:
    """Return a free readable name such as ``iris-1`` and reserve it by making the empty folder.

    `RunFolder.create` takes the empty folder over; two processes never get the same name.

    Args:
        root: the folder of runs; made when missing.
        stem: any text, for example the data file's name; what does not belong into a file name becomes "-".

    Raises:
        RunFolderError: the disk refuses.

    >>> import tempfile
    >>> root = tempfile.mkdtemp()
    >>> next_name(root, "Iris data.csv"), next_name(root, "Iris data.csv")
    ('Iris-data-1', 'Iris-data-2')
    """
    base = re.sub(r"\.(csv|tsv|txt|parquet|npz|gz)\b", "", stem, flags=re.IGNORECASE)
    base = re.sub(r"[^\w]+", "-", base)[:_MAX_STEM].strip("-_") or "run"
    try:
        os.makedirs(root, exist_ok=True)
        while True:
            name = free_name(root, base + "-1")
            try:
                os.mkdir(Path(root) / name)
            except FileExistsError:
                continue
            return name
    except OSError as error:
        raise atomic.explain(error, Path(root)) from error
