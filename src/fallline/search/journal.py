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

__all__ = ["Journal", "JsonLines", "key_of", "read_json_lines"]

_FORMAT = 1


def key_of(proposal: Proposal) -> str:
    """Return what tells two candidates apart."""
    return json.dumps([sorted(proposal.point.items()), proposal.epochs])


class JsonLines:
    """A file of JSON lines that only grows: a head that says what it belongs to, then one entry a line.

    Each line is written and synchronised as one; a line that was cut off by a crash is left out and written over.

    Args:
        path: the file; it is made where there is none.
        what: whose it is, one word.
        about: plain values that it belongs to: a file about something else is refused.

    Raises:
        InputError: the file is something else, or belongs to another ``about``.
    """

    def __init__(self, path: Any, what: str, about: Mapping[str, Any]) -> None:
        self.path = Path(path)
        head = json.dumps({"fallline": what, "format": _FORMAT, "about": about}, sort_keys=True)
        content = self.path.read_bytes() if self.path.exists() else b""
        *lines, torn = content.split(b"\n")
        begun = (lines or [torn])[0].decode("utf-8", "replace")
        if begun != head and (lines or not head.startswith(begun)):
            raise InputError(
                f"{self.path} holds {_other(what, begun, about)}. Name another file, or repeat that {what} exactly."
            )
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        self.entries: list[dict[str, Any]] = [json.loads(line) for line in lines[1:]]
        if not lines:
            self._append(head)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append one entry of plain values."""
        self.entries.append(dict(entry))
        self._append(json.dumps(entry))

    def _append(self, line: str) -> None:
        try:
            with self.path.open("ab") as file:
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror or error}.") from None


def read_json_lines(path: Any, *, most_bytes: int | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the head of such a file and its entries, while somebody may be writing it.

    Args:
        path: the file; a line that is not finished is left out.
        most_bytes: a larger file is refused.

    Raises:
        InputError: it cannot be read, is too large, or was written by something else.
    """
    path = Path(path)
    try:
        if most_bytes is not None and path.stat().st_size > most_bytes:
            raise InputError(f"{path} is larger than {most_bytes / 2**20:.0f} MB.")
        *lines, _ = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        head, *entries = [json.loads(line) for line in lines]
        if not isinstance(head["fallline"], str) or head["format"] != _FORMAT or not isinstance(head["about"], dict):
            raise ValueError
        if not all(isinstance(entry, dict) for entry in entries):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is no file of fallline's experiments, or of another version.") from None
    return head, entries


def _other(what: str, line: str, about: Mapping[str, Any]) -> str:
    try:
        found = json.loads(line)
        known, named = found["about"], found["fallline"] == what
    except (ValueError, KeyError, TypeError):
        named = False
    if not named:
        return f"something else than what a {what} remembers"
    differs = [name for name in about if known.get(name) != json.loads(json.dumps(about[name]))]
    return f"what another {what} remembers ({', '.join(differs) or 'format'} differs)"


class Journal:
    """Figures of finished candidates, in memory and, with a path, in a file of JSON lines.

    Args:
        path: the file; None: in memory alone.
        about: what the search is: a journal of another search is refused.

    Raises:
        InputError: the file is something else, or belongs to another search.
    """

    def __init__(self, path: Any, about: Mapping[str, Any]) -> None:
        self.known: dict[str, Measured] = {}
        self._lines = None if path is None else JsonLines(path, "search", about)
        for entry in self._lines.entries if self._lines is not None else []:
            values = {name: np.asarray(table, np.float64) for name, table in entry["values"].items()}
            self.known[entry["key"]] = Measured(values, entry["diverged"])

    def add(self, proposal: Proposal, measured: Measured) -> None:
        """Remember a finished candidate."""
        key = key_of(proposal)
        self.known[key] = measured
        if self._lines is not None:
            values = {name: table.tolist() for name, table in measured.values.items()}
            self._lines.add({"key": key, "values": values, "diverged": measured.diverged})
