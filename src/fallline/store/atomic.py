"""Files that are either wholly old or wholly new: temporary name, fsync, rename, fsync of the folder.

All system calls go through ``os.*`` looked up at the call, in small steps, so that a test can interrupt each of them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import stat
from pathlib import Path

from fallline.errors import RunFolderError

__all__ = [
    "TEMPORARY_PREFIX",
    "TEMPORARY_SUFFIX",
    "explain",
    "put",
    "read_capped",
    "remove",
    "replace",
    "sha256",
    "stage",
    "sync_folder",
]

TEMPORARY_PREFIX = ".fallline-"
TEMPORARY_SUFFIX = ".tmp"

_READ_CHUNK = 1 << 22
_counter = itertools.count()

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# Windows has none of these; everywhere else a name must not lead out of the folder or block on a pipe.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_BLOCK = getattr(os, "O_NONBLOCK", 0)


def sha256(data: bytes) -> str:
    """Return the SHA-256 digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def stage(folder: Path, name: str, data: bytes) -> str:
    """Write a durable temporary file beside its later place.

    Args:
        folder: the folder that will hold the file.
        name: the later file name, without a path.
        data: the whole content.

    Returns:
        The temporary file's name in ``folder``.

    Raises:
        OSError: as the system reports it; nothing is left behind then.
    """
    while True:
        temporary = f"{TEMPORARY_PREFIX}{name}-{os.getpid()}-{next(_counter)}{TEMPORARY_SUFFIX}"
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(folder / temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o644)
            break
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(folder / temporary)
        raise
    return temporary


def replace(folder: Path, temporary: str, name: str) -> None:
    """Give a staged file its final name, replacing what stood there."""
    os.replace(folder / temporary, folder / name)


def put(folder: Path, name: str, data: bytes) -> None:
    """Write one file so that a reader, or a crash, sees the old content or the new, never a mixture."""
    temporary = stage(folder, name, data)
    try:
        replace(folder, temporary, name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(folder / temporary)
        raise
    sync_folder(folder)


def remove(folder: Path, name: str) -> None:
    """Delete a file; one that is already gone is no error."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder / name)


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in a folder survive a power cut."""
    if os.name == "nt":  # Windows cannot open folders; its renames are journalled.
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_capped(path: Path, limit: int, *, start: int = 0) -> bytes:
    """Read a regular file that has at most ``limit`` bytes; links and pipes are refused.

    Args:
        path: the file.
        limit: most bytes that it may have.
        start: bytes to leave out at the beginning; a file that is shorter gives nothing.

    Raises:
        FileNotFoundError: there is no such file.
        RunFolderError: it is no regular file, or too large.
        OSError: as the system reports it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW | _NO_BLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise RunFolderError(f"{path} is a link; a run folder holds plain files only.") from error
        raise
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise RunFolderError(f"{path} is not a plain file; a run folder holds plain files only.")
        if found.st_size > limit:
            raise RunFolderError(f"{path} has {found.st_size:,} bytes; at most {limit:,} are allowed there.")
        parts: list[bytes] = []
        total = file.seek(start)
        while chunk := file.read(_READ_CHUNK):
            total += len(chunk)
            if total > limit:
                raise RunFolderError(f"{path} grew beyond {limit:,} bytes while it was read.")
            parts.append(chunk)
    return b"".join(parts)


def explain(error: OSError, folder: Path, what: str = "write") -> RunFolderError:
    """Turn an error of the system into one that says what to do.

    Args:
        error: what the system reported.
        folder: the run folder.
        what: ``write`` or ``read``.
    """
    reason = error.strerror or str(error)
    safe = " What was saved there before is intact." if what == "write" else ""
    if error.errno in _FULL:
        advice = "The disk or quota is full: free some space, or choose a folder on another disk."
    elif error.errno in _FORBIDDEN:
        advice = (
            "Check the permissions, or choose a folder that you may write to."
            if what == "write"
            else "Check the permissions."
        )
    elif error.errno == errno.EIO:
        advice = "The disk reports a fault: copy what you need and choose a folder on another disk."
    else:
        advice = "Check the folder, or choose another one."
    return RunFolderError(f"Cannot {what} {folder}: {reason}. {advice}{safe}")
