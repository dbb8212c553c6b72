"""The journal of a search: one line a finished trial, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import InputError
from fallline.search.measure import Measured
from fallline.search.strategy import Proposal

__all__ = ["Journal", "key_of"]

_FORMAT = 1


def key_of(proposal: Proposal) -> str:
    """Return what tells two candidates apart."""
    return json.dumps([sorted(proposal.point.items()), proposal.epochs])


class Journal:
    """Figures of finished candidates, in memory and, with a path, in a file of JSON lines.

    Each line is written and synchronised as one; a line that was cut off by a crash is left out and written over.

    Args:
        path: the file; None: in memory alone.
        about: what the search is: a journal of another search is refused.

    Raises:
        InputError: the file is something else, or belongs to another search.
    """

    def __init__(self, path: Any, about: Mapping[str, Any]) -> None:
        self.known: dict[str, Measured] = {}
        self._path = None if path is None else Path(path)
        if self._path is None:
            return
        head = json.dumps({"fallline": "search", "format": _FORMAT, "about": about}, sort_keys=True)
        content = self._path.read_bytes() if self._path.exists() else b""
        *lines, torn = content.split(b"\n")
        if torn:
            with self._path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        if not lines:
            self._append(head)
            return
        if lines[0].decode("utf-8", "replace") != head:
            raise InputError(
                f"{self._path} holds {self._other(lines[0], about)}. Name another file, or repeat that search exactly."
            )
        for line in lines[1:]:
            entry = json.loads(line)
            values = {name: np.asarray(table, np.float64) for name, table in entry["values"].items()}
            self.known[entry["key"]] = Measured(values, entry["diverged"])

    @staticmethod
    def _other(line: bytes, about: Mapping[str, Any]) -> str:
        try:
            found = json.loads(line)["about"]
        except (ValueError, KeyError, TypeError):
            return "something else than the journal of a search"
        differs = [name for name in about if found.get(name) != json.loads(json.dumps(about[name]))]
        return f"the journal of another search ({', '.join(differs) or 'format'} differs)"

    def _append(self, line: str) -> None:
        assert self._path is not None
        try:
            with self._path.open("ab") as file:
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"The journal {self._path} cannot be written: {error.strerror or error}.") from None

    def add(self, proposal: Proposal, measured: Measured) -> None:
        """Remember a finished candidate."""
        key = key_of(proposal)
        self.known[key] = measured
        if self._path is not None:
            values = {name: table.tolist() for name, table in measured.values.items()}
            self._append(json.dumps({"key": key, "values": values, "diverged": measured.diverged}))
