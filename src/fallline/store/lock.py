"""One writer per run folder: an advisory lock that the system itself releases when its holder dies."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from fallline.errors import RunFolderError
from fallline.store import atomic

__all__ = ["LOCK_NAME", "FolderLock", "Writer", "read_writer"]

LOCK_NAME = ".fallline.lock"

_MAX_LOCK_BYTES = 4096
# A lock may have no living holder for a moment: its file is not signed yet, or vanishes as its holder finishes, or a
# child that was forked from a killed holder has not closed its copy yet.
_TRIES = 100
_PAUSE = 0.02  # seconds


@dataclass(frozen=True)
class Writer:
    """Who writes a run folder, as its lock file says.

    Args:
        pid: the process, 0 when unknown.
        host: the machine's name.
        started: when the lock was taken, ISO 8601 in UTC.
        born: the process' start in the system's ticks, to tell a reused pid; 0 when unknown.
    """

    pid: int = 0
    host: str = ""
    started: str = ""
    born: int = 0

    @property
    def alive(self) -> bool:
        """True when the process runs on this machine, or cannot be judged because it runs on another."""
        if self.pid <= 0:
            return False
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return not self.born or _born(self.pid) in (0, self.born)

    def __str__(self) -> str:
        return f"process {self.pid or '(unknown)'} on {self.host or 'this machine'} since {self.started or '(unknown)'}"


def read_writer(folder: Path) -> Writer | None:
    """Return who wrote, or writes, according to the lock file; None without one."""
    try:
        given = json.loads(atomic.read_capped(folder / LOCK_NAME, _MAX_LOCK_BYTES))
        return Writer(int(given["pid"]), str(given["host"]), str(given["started"]), int(given["born"]))
    except FileNotFoundError:
        return None
    except (OSError, RunFolderError, ValueError, KeyError, TypeError, RecursionError):
        return Writer()


class FolderLock:
    """The exclusive right to write one folder.

    The file stays only while the lock is held, or after its holder was killed; then it is not locked any more, and
    the next writer takes it over. A forked child does not keep the lock alive.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1
        self._owner = 0

    @property
    def held(self) -> bool:
        """True in the process that acquired the lock and has not released it."""
        return self._descriptor >= 0 and self._owner == os.getpid()

    def acquire(self) -> None:
        """Take the lock at once.

        Raises:
            RunFolderError: another writer holds it (the message names its process), or locks do not work here.
        """
        fcntl = _fcntl()
        path = self._folder / LOCK_NAME
        try:
            for _ in range(_TRIES):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _same_file(descriptor, path):
                        break
                except BlockingIOError:
                    writer = read_writer(self._folder)
                    if writer is not None and writer.alive:
                        os.close(descriptor)
                        raise self._busy(writer) from None
                    time.sleep(_PAUSE)
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)
            else:
                raise self._busy(read_writer(self._folder) or Writer())
        except OSError as error:
            raise atomic.explain(error, self._folder) from error
        self._descriptor, self._owner = descriptor, os.getpid()
        _held.add(self)
        self._sign()

    def release(self) -> None:
        """Give the lock back; releasing twice is no error."""
        if not self.held:
            return
        # The name goes first, while the lock is still held: nobody can have locked a newer file of this name.
        with contextlib.suppress(OSError):
            os.unlink(self._folder / LOCK_NAME)
        self._drop()

    def _busy(self, writer: Writer) -> RunFolderError:
        return RunFolderError(
            f"{self._folder} is being written by {writer}. "
            "Wait until it has finished, stop it, or choose another run folder."
        )

    def _sign(self) -> None:
        """Say who holds the lock; a full disk must not prevent the work, so the note may be missing."""
        pid = os.getpid()
        note = {
            "pid": pid,
            "host": socket.gethostname(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "born": _born(pid),
        }
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(note).encode(), 0)

    def _drop(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        _held.discard(self)
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)


_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _after_fork() -> None:
    # A child's copy of the descriptor would keep the lock after the parent's death.
    for lock in list(_held):
        lock._drop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _fcntl() -> ModuleType:
    try:
        import fcntl
    except ImportError:
        raise RunFolderError(
            "Run folders need POSIX file locks, which this system lacks. Use Linux, macOS or WSL."
        ) from None
    return fcntl


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _born(pid: int) -> int:
    """Return a process' start in clock ticks since boot, 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
