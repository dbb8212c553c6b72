"""Reading a run folder, at any time: whole states only, every byte checked against the manifest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallline.errors import RunFolderError
from fallline.store import atomic
from fallline.store.manifest import MANIFEST_NAME, Entry, Manifest, Status, check_name, read_manifest

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MAX_FILE_BYTES", "ReadableFolder"]

MAX_FILE_BYTES = 8 << 30
_MAX_TEXT_BYTES = 64 << 20
_TEXT_ENDINGS = (".json", ".toml", ".html", ".txt", ".csv")
# A reader may meet a writer between two of its steps; the next look finds them done.
_READ_TRIES = 5


class ReadableFolder:
    """What can be read of a run folder without its lock."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def manifest(self) -> Manifest:
        """The current manifest."""
        return read_manifest(self.path)

    @property
    def status(self) -> Status:
        """``training``, ``finished`` or ``interrupted``; a killed training still says ``training``."""
        return self.manifest.status

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the run's files, sorted, checkpoints included."""
        return tuple(sorted(self.manifest.files))

    def read(self, name: str) -> bytes:
        """Return a file's content after checking its size and sha256 against the manifest.

        Raises:
            RunFolderError: there is no such file, or it is damaged; the message names it.
        """
        check_name(name)
        return self._read(lambda manifest: name)[1]

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], Any] | None:
        """Return the arrays and the description of the last checkpoint; None when there is none.

        Raises:
            RunFolderError: it is damaged; the message names the file.
        """
        from fallline.store.arrays import unpack

        if not self.manifest.checkpoint:
            return None
        name, data = self._read(lambda manifest: manifest.checkpoint)
        return unpack(data, str(self.path / name))

    def verify(self) -> list[str]:
        """Return what is wrong with the folder, one sentence per file, each beginning with its name."""
        try:
            manifest = self.manifest
        except RunFolderError as error:
            return [f"{MANIFEST_NAME}: {error}"]
        problems = []
        for name in sorted(manifest.files):
            try:
                self.read(name)
            except RunFolderError as error:
                problems.append(f"{name}: {error}")
        return problems

    def _read(self, choose: Callable[[Manifest], str]) -> tuple[str, bytes]:
        """Return (name, checked content) of the file that ``choose(manifest)`` names."""
        manifest = self.manifest
        for _ in range(_READ_TRIES):
            name = choose(manifest)
            if name not in manifest.files:
                listed = ", ".join(sorted(manifest.files)) or "no files"
                raise RunFolderError(f"The run folder {self.path} has no {name or 'checkpoint'}; it has {listed}.")
            data, problem = self._attempt(name, manifest.files[name])
            if data is not None:
                return name, data
            newer = self.manifest
            if newer.generation == manifest.generation:
                break
            manifest = newer
        raise RunFolderError(f"{self.path / name} {problem}. Restore it from a copy, or train again.")

    def _attempt(self, name: str, entry: Entry) -> tuple[bytes | None, str]:
        limit = _MAX_TEXT_BYTES if name.endswith(_TEXT_ENDINGS) else MAX_FILE_BYTES
        if entry.size > limit:
            raise RunFolderError(f"{self.path / name} has {entry.size:,} bytes; at most {limit:,} are allowed there.")
        data = None
        for place in filter(None, (entry.staged, name)):
            try:
                data = atomic.read_capped(self.path / place, limit)
                break
            except FileNotFoundError:
                continue
            except OSError as error:
                raise atomic.explain(error, self.path / name, "read") from error
        if data is None:
            return None, "is missing"
        if len(data) != entry.size:
            return None, f"is damaged: it has {len(data):,} bytes instead of {entry.size:,}"
        if atomic.sha256(data) != entry.sha256:
            return None, "is damaged: its sha256 is not the one in the manifest"
        return data, ""
