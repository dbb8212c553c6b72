"""All runs of a folder, known without reading them twice: a folder is looked into again only when it has changed."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import FalllineError, InputError
from fallline.report.figures import decimate
from fallline.serve.curves import line
from fallline.store import RunEntry, RunFolder, read_live, run_entry, run_folders
from fallline.store.live import LIVE_NAME
from fallline.store.lock import LOCK_NAME
from fallline.store.manifest import MANIFEST_NAME
from fallline.store.tables import trace_from_parquet

__all__ = ["Index", "Item", "stamp"]

SPARK_POINTS = 48

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Item:
    """One run of the list.

    Args:
        entry: what the list says.
        stamp: of the folder's state that was read.
    """

    entry: RunEntry
    stamp: Stamp

    @property
    def version(self) -> str:
        """A short text that changes whenever the run has changed."""
        return format(hash(self.stamp) & 0xFFFFFFFFFFFF, "x")


def stamp(path: Path) -> Stamp:
    """Return what tells a folder's states apart: its manifest's, its live curves' and its lock's inode, time and size.

    Every change of a run folder replaces its manifest.
    """
    found = []
    for name in (MANIFEST_NAME, LIVE_NAME, LOCK_NAME):
        try:
            seen = os.stat(path / name, follow_symlinks=False)
            found.append((seen.st_ino, seen.st_mtime_ns, seen.st_size))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


class Index:
    """The runs below one folder.

    Args:
        root: the folder of runs; it may not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._items: dict[str, Item] = {}
        self._sparks: dict[str, tuple[Stamp, dict[str, Any]]] = {}

    def items(self) -> list[Item]:
        """Return all runs, newest first; what is no usable run says why and never breaks the list.

        Raises:
            RunFolderError: the folder itself cannot be read.
        """
        with self._lock:
            found = {}
            for path in run_folders(self.root):
                known, now = self._items.get(path.name), stamp(path)
                # A writer may die without touching its folder: who is at work is asked for every time.
                fresh = known is not None and known.stamp == now and known.entry.status != "training"
                found[path.name] = known if fresh and known is not None else Item(run_entry(path), now)
            self._items = found
            self._sparks = {name: spark for name, spark in self._sparks.items() if name in found}
            return sorted(found.values(), key=lambda item: (item.entry.created, item.entry.name), reverse=True)

    def folder(self, name: str) -> Path:
        """Return the path of the run of that name.

        Raises:
            InputError: there is no such folder; names that lead elsewhere have none.
        """
        path = self.root / name
        if name != os.path.basename(name) or name.startswith(".") or path.is_symlink() or not path.is_dir():
            raise InputError(f"There is no run {name!r} in {self.root}.")
        return path

    def sparkline(self, name: str) -> dict[str, Any]:
        """Return the loss of a run as a few points: ``{"train": {"x", "y"}, "val": {"x", "y"}}``; empty when unknown.

        Raises:
            InputError: there is no such run.
        """
        path = self.folder(name)
        now = stamp(path)
        known = self._sparks.get(name)
        if known is None or known[0] != now:
            known = self._sparks[name] = (now, _spark(path))
        return known[1]


def _spark(path: Path) -> dict[str, Any]:
    try:
        live = read_live(path)
        if live is not None:
            curves = {name: live.curves.get(name, {}) for name in ("loss", "val_loss")}
            given = {name: (np.array(sorted(c)), _values(c)) for name, c in curves.items()}
        else:
            folder = RunFolder.open(path)
            if "trace.parquet" not in folder.names:
                return {}
            trace = trace_from_parquet(folder.read("trace.parquet"))
            given = {name: _numbered(trace.curve(name)) for name in ("loss", "val_loss")}
    except (FalllineError, OSError, ValueError):
        return {}  # what is wrong with the folder is said in the list
    return {
        key: line(*decimate(x, y, SPARK_POINTS))
        for key, (x, y) in zip(("train", "val"), given.values(), strict=True)
        if len(x)
    }


def _values(curve: dict[int, float | None]) -> np.ndarray:
    return np.array([curve[epoch] for epoch in sorted(curve)], np.float64)


def _numbered(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1, len(curve) + 1), curve
