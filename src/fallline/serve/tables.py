"""The files that a training may be started on: those below the folders given at the start, and no others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from fallline.errors import InputError
from fallline.store.manifest import MANIFEST_NAME

__all__ = ["Tables"]

ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".npz")
MOST_FILES = 500
_MOST_DEPTH = 4
_MOST_LOOKED_AT = 20_000
# Of a table, to show its columns: larger ones are left to the training, which reads them anyway.
_MOST_PREVIEW_BYTES = 32 << 20


class Tables:
    """The tables below some folders.

    Args:
        roots: folders, or single files.

    Raises:
        InputError: one of them does not exist.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        found = []
        for root in roots:
            try:
                found.append(root.resolve(strict=True))
            except OSError as error:
                raise InputError(f"There is no folder or file {root} to take tables from ({error.strerror}).") from None
        self.roots = tuple(dict.fromkeys(found))

    def paths(self) -> list[str]:
        """Return the paths of the tables, at most 500, not too deep down; hidden folders and links are passed over."""
        found: dict[str, None] = {}
        for root in self.roots:
            for path in [root] if root.is_file() else _walk(root):
                if path.name.lower().endswith(ENDINGS):
                    found[str(path)] = None
                if len(found) >= MOST_FILES:
                    return list(found)
        return list(found)

    def resolve(self, given: str) -> Path:
        """Return the real path of a table that may be read.

        Links are followed before the path is judged, so that none leads out.

        Raises:
            InputError: it does not exist, is no plain file, or lies elsewhere.
        """
        try:
            path = Path(given).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            raise InputError(f"There is no table {given!r}.") from None
        if not any(path == root or root in path.parents for root in self.roots):
            allowed = ", ".join(map(str, self.roots))
            raise InputError(
                f"{path} lies outside of what this page may read ({allowed}). End the page and start it with "
                f"`fallline serve --data {path.parent}`."
            )
        if not path.is_file():
            raise InputError(f"{path} is not a plain file.")
        return path

    def columns(self, given: str) -> list[str]:
        """Return the names of a table's columns; none for a very large one.

        Raises:
            InputError: as `resolve`, or it is no table.
        """
        from fallline.data import read_table

        path = self.resolve(given)
        return [] if path.stat().st_size > _MOST_PREVIEW_BYTES else [str(name) for name in read_table(path).columns]


def _walk(root: Path) -> Iterator[Path]:
    looked_at = 0
    for folder, inner, names in os.walk(root):
        if MANIFEST_NAME in names:  # a run's own files are no tables to train on
            inner.clear()
            continue
        depth = len(Path(folder).relative_to(root).parts)
        kept = sorted(name for name in inner if not name.startswith((".", "__")))
        inner[:] = kept if depth < _MOST_DEPTH else []
        for name in sorted(names):
            looked_at += 1
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path
        if looked_at > _MOST_LOOKED_AT:
            return
