"""A run folder on disk: one writer, many readers, and at every moment a whole state.

How a change becomes visible: its files are written under temporary names and made durable; then the manifest, which
lists them, is replaced in one step: that is the commit. Only then do the files get their final names and those that
are no longer part of the run get deleted. Whoever dies on the way leaves a manifest that tells the next writer what
remains to be done, and a reader where each file lies.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fallline.errors import RunFolderError
from fallline.store import atomic
from fallline.store.live import LIVE_NAME
from fallline.store.lock import LOCK_NAME, FolderLock
from fallline.store.manifest import MANIFEST_NAME, STATUSES, Entry, Manifest, Status, check_name, read_manifest
from fallline.store.reading import MAX_FILE_BYTES, ReadableFolder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["RunFolder", "free_name"]


class RunFolder(ReadableFolder):
    """A run folder, for reading at any time and for writing while its lock is held.

    >>> import tempfile
    >>> with RunFolder.create(tempfile.mkdtemp() + "/iris-1") as folder:
    ...     folder.write("report.html", b"<p>")
    ...     folder.set_status("finished")
    >>> RunFolder.open(folder.path).read("report.html")
    b'<p>'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._lock = FolderLock(self.path)
        self._manifest: Manifest | None = None
        # False while an overwriting writer has not made its first change: the old run still stands on the disk.
        self._begun = True

    # ------------------------------------------------------------------------------------------ open and close

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, overwrite: bool = False) -> RunFolder:
        """Make a new run folder and lock it; leave it by ``close()`` or at the end of a ``with`` block.

        Args:
            path: the folder; missing parents are made. An empty folder is taken as it is.
            overwrite: replace the run that lies there. The old run's files are deleted when the new run first saves
                something, and only those that its manifest lists.

        Raises:
            RunFolderError: something lies there already, another process writes there, or the disk refuses.
        """
        folder = cls(path)
        folder._refuse_occupied(overwrite)
        fresh = not os.path.lexists(folder.path)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise atomic.explain(error, folder.path) from error
        folder._lock.acquire()
        try:
            old = folder._refuse_occupied(overwrite)
            created = datetime.now(UTC).isoformat(timespec="seconds")
            if old is None:
                folder._clean(Manifest("training", created))
                folder._manifest = Manifest("training", created, generation=0)
                folder._change()
            else:
                folder._recover(old)
                discard = {**old.discard, **{name: entry.sha256 for name, entry in old.files.items()}}
                folder._manifest = Manifest("training", created, old.generation, {}, discard)
                folder._begun = False
        except BaseException:
            folder._lock.release()
            if fresh:
                with contextlib.suppress(OSError):
                    folder.path.rmdir()
            raise
        return folder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open an existing run folder for reading; a ``with`` block takes the lock for writing.

        Raises:
            RunFolderError: it is missing, damaged, of another version, or not fallline's.
        """
        folder = cls(path)
        read_manifest(folder.path)
        return folder

    def __enter__(self) -> Self:
        if not self._lock.held:
            self._lock.acquire()
            try:
                self._manifest = read_manifest(self.path)
                self._recover(self._manifest)
            except BaseException as error:
                self._lock.release()
                if isinstance(error, OSError):
                    raise atomic.explain(error, self.path) from error
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back; closing twice is no error."""
        if not self._lock.held:
            return
        try:
            if self._begun and self._manifest is not None and _untidy(self._manifest):
                # Everything is saved already: this only shortens the manifest, so a full disk does not matter here.
                with contextlib.suppress(OSError, RunFolderError):
                    self._change()
        finally:
            self._lock.release()
            self._manifest = None

    @property
    def manifest(self) -> Manifest:
        """The current manifest."""
        if self._lock.held and self._manifest is not None:
            return self._manifest
        return super().manifest

    @property
    def replaces(self) -> bool:
        """Whether an older run lies here that is kept until this one first saves something."""
        return not self._begun

    # -------------------------------------------------------------------------------------------------- write

    def write(self, name: str, data: bytes) -> None:
        """Save one file.

        Args:
            name: the file name, without a path.
            data: its whole content.

        Raises:
            RunFolderError: the name is not allowed, a file of that name is not fallline's, the folder is not locked
                by this process, or the disk refuses; what was saved before is intact then.
        """
        self.write_all({name: data})

    def write_all(
        self,
        files: Mapping[str, bytes],
        *,
        status: Status | None = None,
        drop: Sequence[str] = (),
        keep_checkpoints: bool = True,
    ) -> None:
        """Save several files in one step: a reader finds all the new ones or all the old ones.

        Args:
            files: name -> content.
            status: the new status, in the same step.
            drop: files to delete, in the same step.
            keep_checkpoints: False deletes the checkpoints, in the same step.
        """
        for name in files:
            check_name(name)
        unwanted = tuple(n for n in self._owned().files if n in drop or (_is_checkpoint(n) and not keep_checkpoints))
        self._change(files, drop=unwanted, status=status)

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray], meta: Any = None) -> None:
        """Save a checkpoint; the previous one is kept until this one is safe.

        Args:
            arrays: name -> array of booleans, integers or floats.
            meta: plain values, see `fallline.store.plain`.
        """
        from fallline.store.arrays import pack

        manifest = self._owned()
        name = f"checkpoint-{manifest.generation + 1:08d}.npz"
        drop = tuple(old for old in manifest.files if _is_checkpoint(old))
        self._change({name: pack(arrays, meta)}, drop=drop, checkpoint=name)

    def drop_checkpoints(self) -> None:
        """Delete the checkpoints."""
        self._change(drop=tuple(name for name in self._owned().files if _is_checkpoint(name)))

    def set_status(self, status: Status) -> None:
        """Change the status: ``training``, ``finished`` or ``interrupted``."""
        self._change(status=status)

    # -------------------------------------------------------------------------------------------------- steps

    def _owned(self) -> Manifest:
        if not self._lock.held or self._manifest is None:
            raise RunFolderError(
                f"{self.path} is open for reading only: write inside `with RunFolder.open(path) as folder:`."
            )
        return self._manifest

    def _change(
        self,
        files: Mapping[str, bytes] | None = None,
        *,
        drop: tuple[str, ...] = (),
        status: Status | None = None,
        checkpoint: str | None = None,
    ) -> None:
        """Stage, commit, settle: the only way a run folder changes."""
        old, files = self._owned(), files or {}
        if status is not None and status not in STATUSES:
            raise RunFolderError(f"{status!r} is no status of a run: allowed are {', '.join(STATUSES)}.")
        self._refuse_foreign(files, old)
        kept = {name: self._placed(e) for name, e in old.files.items() if name not in drop}
        discard = {name: digest for name, digest in old.discard.items() if os.path.lexists(self.path / name)}
        discard |= {name: old.files[name].sha256 for name in drop}
        try:
            for name, data in files.items():
                kept[name] = Entry(atomic.sha256(data), len(data), atomic.stage(self.path, name, data))
            chosen = old.checkpoint if checkpoint is None else checkpoint
            new = Manifest(
                status=status or old.status,
                created=old.created,
                generation=old.generation + 1,
                files=kept,
                discard={name: digest for name, digest in discard.items() if name not in kept},
                checkpoint=chosen if chosen in kept else "",
            )
            atomic.put(self.path, MANIFEST_NAME, new.encode())
            self._manifest, self._begun = new, True
            self._settle(new)
        except BaseException as error:
            self._reconcile(old)
            if isinstance(error, OSError):
                raise atomic.explain(error, self.path) from error
            raise

    def _placed(self, entry: Entry) -> Entry:
        # After a failed rename the content still lies under its temporary name, and must go on being found there.
        lies_there = entry.staged and os.path.lexists(self.path / entry.staged)
        return entry if lies_there else replace(entry, staged="")

    def _settle(self, manifest: Manifest) -> None:
        """Do what a committed manifest leaves to be done; doing it twice is harmless."""
        moved = False
        for name, entry in manifest.files.items():
            if entry.staged:
                with contextlib.suppress(FileNotFoundError):
                    atomic.replace(self.path, entry.staged, name)
                    moved = True
        if moved:
            atomic.sync_folder(self.path)
        for name in manifest.discard:
            atomic.remove(self.path, name)

    def _reconcile(self, old: Manifest) -> None:
        """After a failure: believe the disk, and remove the temporary files that it does not know."""
        current = old
        with contextlib.suppress(OSError, RunFolderError):
            found = read_manifest(self.path)
            if found.generation == old.generation + 1:
                current, self._begun = found, True
        self._manifest = current
        # While the old run still stands on the disk, its own manifest says which temporary files are its.
        with contextlib.suppress(OSError, RunFolderError):
            self._clean(current if self._begun else read_manifest(self.path))

    def _recover(self, manifest: Manifest) -> None:
        """Finish what a killed writer left undone."""
        try:
            for name, entry in manifest.files.items():
                if entry.staged:
                    with contextlib.suppress(FileNotFoundError):
                        atomic.replace(self.path, entry.staged, name)
            for name, digest in manifest.discard.items():
                # Time may have passed: a file that the user has put there since is not ours.
                with contextlib.suppress(FileNotFoundError, RunFolderError):
                    if atomic.sha256(atomic.read_capped(self.path / name, MAX_FILE_BYTES)) == digest:
                        atomic.remove(self.path, name)
            self._clean(manifest)
        except OSError as error:
            raise atomic.explain(error, self.path) from error

    def _clean(self, manifest: Manifest) -> None:
        wanted = {entry.staged for entry in manifest.files.values()}
        for name in os.listdir(self.path):
            if _is_temporary(name) and name not in wanted:
                atomic.remove(self.path, name)

    def _refuse_foreign(self, files: Mapping[str, bytes], manifest: Manifest) -> None:
        for name in files:
            if name not in manifest.files and name not in manifest.discard and os.path.lexists(self.path / name):
                raise RunFolderError(
                    f"{self.path / name} was not written by fallline and is not replaced. Move it away and try again."
                )

    def _refuse_occupied(self, overwrite: bool) -> Manifest | None:
        """Return the manifest of the run to overwrite, None where there is nothing; raise where nothing may be made."""
        try:
            if not os.path.lexists(self.path):
                return None
            present = [n for n in os.listdir(self.path) if n not in (LOCK_NAME, LIVE_NAME) and not _is_temporary(n)]
        except NotADirectoryError:
            raise RunFolderError(f"{self.path} is a file, not a folder. Choose another name for the run.") from None
        except OSError as error:
            raise atomic.explain(error, self.path, "read") from error
        if not present:
            return None
        free = self.path.parent / free_name(self.path.parent, self.path.name)
        if MANIFEST_NAME not in present:
            raise RunFolderError(
                f"{self.path} exists, is not empty and is not a run folder of fallline, so nothing is written there. "
                f"Choose another folder, for example {free}."
            )
        if not overwrite:
            raise RunFolderError(
                f"The run folder {self.path} exists already. Choose another name, for example {free}, "
                "or replace it with --overwrite (in Python: overwrite=True)."
            )
        return read_manifest(self.path)


def free_name(root: str | os.PathLike[str], stem: str) -> str:
    """Return the first of ``stem-1``, ``stem-2`` ... that does not exist in ``root``, without reserving it."""
    base = re.sub(r"-\d+$", "", stem) or "run"
    number = 1
    while os.path.lexists(Path(root) / f"{base}-{number}"):
        number += 1
    return f"{base}-{number}"


def _is_checkpoint(name: str) -> bool:
    return name.startswith("checkpoint-")


def _is_temporary(name: str) -> bool:
    return name.startswith(atomic.TEMPORARY_PREFIX) and name.endswith(atomic.TEMPORARY_SUFFIX)


def _untidy(manifest: Manifest) -> bool:
    return bool(manifest.discard) or any(entry.staged for entry in manifest.files.values())
