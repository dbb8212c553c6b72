"""The curves of a training while it goes on: lines appended to one file, for whoever looks on from another process.

They are for the eye alone: checkpoints and the manifest know nothing of them, resuming never reads them, and the file
goes when the training's trace is saved. Each line carries its own checksum, so that a torn or damaged one is told.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fallline.errors import RunFolderError
from fallline.store import atomic
from fallline.types import Progress

__all__ = ["LIVE_NAME", "Live", "LiveWriter", "read_live"]

LIVE_NAME = ".fallline-live.jsonl"

# Of one event: a small network runs thousands of epochs between two, and an eye cannot tell them apart.
_MOST_EPOCHS = 20
_MAX_LIVE_BYTES = 64 << 20
_DIGITS = 7


@dataclass
class Live:
    """What was read of a training's curves so far.

    Args:
        phase: of the last event, as in `fallline.types.Progress`.
        epoch, epochs, active, members, seconds: of the last event.
        curves: quantity -> {epoch: mean over the members}; None where it is not a finite number.
        damaged: lines whose checksum is wrong.
        offset: bytes read.
    """

    phase: str = ""
    epoch: int = 0
    epochs: int = 0
    active: int = 0
    members: int = 0
    seconds: float = 0.0
    curves: dict[str, dict[int, float | None]] = field(default_factory=dict)
    damaged: int = 0
    offset: int = 0


class LiveWriter:
    """Appends the events of one training to the file in its run folder.

    Args:
        folder: the run folder, which this process has locked.
        go_on: keep what is there, for a resumed training; a torn last line is taken away.
    """

    def __init__(self, folder: Path, *, go_on: bool = False) -> None:
        self._folder, self._go_on = folder, go_on
        self._begun = False

    def append(self, event: Progress) -> None:
        """Add one event.

        Raises:
            RunFolderError: the disk refuses.
        """
        body = json.dumps(_event(event), separators=(",", ":"), allow_nan=False).encode("ascii")
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        try:
            if not self._begun:
                self._begin()
            self._write(line, os.O_APPEND)
        except OSError as error:
            raise atomic.explain(error, self._folder) from error

    def remove(self) -> None:
        """Delete the file: what it said is in the trace now."""
        with contextlib.suppress(OSError):
            atomic.remove(self._folder, LIVE_NAME)

    def _begin(self) -> None:
        kept = b""
        if self._go_on:
            with contextlib.suppress(FileNotFoundError, RunFolderError):
                found = atomic.read_capped(self._folder / LIVE_NAME, _MAX_LIVE_BYTES)
                kept = found[: found.rfind(b"\n") + 1]
        atomic.remove(self._folder, LIVE_NAME)  # a reader that has the old file open keeps it whole
        self._write(kept, os.O_EXCL)
        self._begun = True

    def _write(self, data: bytes, how: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | how | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self._folder / LIVE_NAME, flags, 0o644)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)


def _event(event: Progress) -> dict[str, Any]:
    body: dict[str, Any] = {
        "phase": event.phase, "epoch": event.epoch, "epochs": event.epochs, "active": event.active,
        "members": event.members, "seconds": round(event.seconds, 2),
    }  # fmt: skip
    length = max((len(curve) for curve in event.curves.values()), default=0)
    if length:
        step = -(-length // _MOST_EPOCHS)
        chosen = list(range((length - 1) % step, length, step))  # the last one is always among them
        body["at"] = [event.epoch - length + 1 + i for i in chosen]
        body["curves"] = {name: [_short(curve[i]) for i in chosen] for name, curve in event.curves.items()}
    return body


def _short(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if abs(value) < float("inf") else None


def read_live(folder: Path, before: Live | None = None) -> Live | None:
    """Return what a training has shown so far; None where no training shows anything.

    Args:
        folder: the run folder.
        before: what was read earlier; only what came since is read, and added to it.

    Raises:
        RunFolderError: the file is no plain file, or larger than any that fallline writes.
        OSError: as the system reports it.
    """
    live = before or Live()
    try:
        data = atomic.read_capped(folder / LIVE_NAME, _MAX_LIVE_BYTES, start=live.offset)
    except FileNotFoundError:
        return None
    whole = data[: data.rfind(b"\n") + 1]  # the writer may be in the middle of a line
    for line in whole.splitlines():
        _take(live, line)
    live.offset += len(whole)
    return live


def _take(live: Live, line: bytes) -> None:
    digest, _, body = line.partition(b" ")
    try:
        if int(digest, 16) != zlib.crc32(body):
            raise ValueError("the checksum is wrong")
        event = json.loads(body)
        live.phase, live.seconds = str(event["phase"]), float(event["seconds"])
        live.epoch, live.epochs = int(event["epoch"]), int(event["epochs"])
        live.active, live.members = int(event["active"]), int(event["members"])
        for name, values in _curves(event).items():
            # A resumed training repeats the epochs since its checkpoint, with the same values.
            live.curves.setdefault(name, {}).update(zip(event["at"], values, strict=True))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        live.damaged += 1


def _curves(event: Mapping[str, Any]) -> dict[str, list[float | None]]:
    found = event.get("curves", {})
    for epoch in event["at"] if found else ():
        if not isinstance(epoch, int) or epoch < 1:
            raise ValueError(f"{epoch!r} is no epoch")
    return {
        str(name): [None if value is None else float(value) for value in values] for name, values in found.items()
    }
