"""A trace as TensorBoard's event files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fallline.errors import RunFolderError, optional
from fallline.types import Trace

__all__ = ["write_tensorboard"]

_WHAT = "Writing TensorBoard logs"


def write_tensorboard(trace: Trace, path: str | os.PathLike[str]) -> Path:
    """Write a trace as event files that TensorBoard shows: curves and, layer by layer, what happened inside.

    The tags are the quantity's name (``loss``, ``val_loss`` ...), ``statistic/layer`` and ``network/statistic``; the
    step is the epoch. Of several networks each has a folder of its own, ``member_0`` ...

    Args:
        trace: the trace.
        path: a folder; it is made where it is missing.

    Returns:
        The folder.

    Raises:
        MissingPackageError: the package tensorboard is not installed (``pip install fallline[tensorboard]``).
        RunFolderError: the folder holds event files already, or the disk refuses.
    """
    optional("tensorboard.summary.writer.record_writer", "tensorboard", _WHAT)
    folder = Path(path)
    inside = trace.inside
    members = sorted({*trace.members, *range(inside.members if inside is not None else 0)})
    try:
        if folder.is_dir() and next(folder.rglob("*tfevents*"), None) is not None:
            raise RunFolderError(
                f"{folder} holds event files already; TensorBoard would mix the two. Give a new folder."
            )
        for member in members:
            own = folder / f"member_{member}" if len(members) > 1 else folder
            own.mkdir(parents=True, exist_ok=True)
            _write(own, [*_curves(trace, member), *_inside(trace, member)])
    except OSError as error:
        raise RunFolderError(f"Cannot write TensorBoard logs into {folder}: {error.strerror or error}.") from error
    return folder


def _curves(trace: Trace, member: int) -> Iterator[tuple[str, int, float]]:
    chosen = trace.member == member
    columns = (trace.quantity, trace.layer, trace.epoch, trace.value)
    for quantity, layer, epoch, value in zip(*(column[chosen].tolist() for column in columns), strict=True):
        yield (f"{quantity}/{layer}" if layer else quantity), epoch, value


def _inside(trace: Trace, member: int) -> Iterator[tuple[str, int, float]]:
    if trace.inside is None:
        return
    columns = trace.inside.to_columns()
    chosen = columns["member"] == member
    names = ("statistic", "layer", "epoch", "value")
    for statistic, layer, epoch, value in zip(*(columns[name][chosen].tolist() for name in names), strict=True):
        yield (f"{statistic}/{layer}" if layer else f"network/{statistic}"), epoch, value


def _write(folder: Path, values: list[tuple[str, int, float]]) -> None:
    """Write one event file; its name is TensorBoard's, its times are those of the writing."""
    writer = optional("tensorboard.summary.writer.record_writer", "tensorboard", _WHAT)
    event_pb2 = optional("tensorboard.compat.proto.event_pb2", "tensorboard", _WHAT)
    now = time.time()
    with (folder / f"events.out.tfevents.{int(now)}.fallline").open("wb") as file:
        records = writer.RecordWriter(file)
        records.write(event_pb2.Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        steps = np.array([step for _, step, _ in values], np.int64)
        for i in np.argsort(steps, kind="stable").tolist():
            tag, step, value = values[i]
            event = event_pb2.Event(wall_time=now, step=step)
            event.summary.value.add(tag=tag, simple_value=value)
            records.write(event.SerializeToString())
