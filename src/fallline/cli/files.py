"""Single files that a command writes for the user: whole or not at all, and never in the place of another unasked."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from fallline.errors import InputError, RunFolderError
from fallline.store import atomic

__all__ = ["put_new"]


def put_new(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file in one step.

    Args:
        path: where; its folder exists.
        content: the whole file.
        overwrite: replace what lies there.

    Raises:
        InputError: something lies there, and ``overwrite`` is not set.
        RunFolderError: the disk refuses.
    """
    folder, name = path.parent, path.name
    try:
        temporary = atomic.stage(folder, name, content)
        try:
            if overwrite:
                atomic.replace(folder, temporary, name)
            else:
                # A link, unlike a renaming, fails where another file appeared in the meantime.
                os.link(folder / temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder / temporary)
        atomic.sync_folder(folder)
    except FileExistsError:
        raise InputError(f"{path} exists already. Choose another name, or replace it with --overwrite.") from None
    except OSError as error:
        raise _explain(error, path) from error


def _explain(error: OSError, path: Path) -> RunFolderError:
    return RunFolderError(
        f"Cannot write {path}: {error.strerror or error}. Check the permissions and the space, or choose another place."
    )
