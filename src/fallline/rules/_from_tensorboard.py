"""Learning curves from a folder of TensorBoard event files, whoever wrote them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from fallline.errors import DataError, InputError, optional
from fallline.rules._from_curves import ALIASES, plain_name
from fallline.rules._from_steps import Points, curves_by_step

__all__ = ["curves_from_tensorboard", "is_tensorboard"]

# Keras writes one folder each for training and validation, PyTorch's add_scalars one for each line of a chart.
_TRAIN = re.compile(r"(?:^|(?<=[_/]))(train|training)$")
_HELD = re.compile(r"(?:^|.*[_/])(val|valid|validation|dev|eval|test)$")
_EVENTS = "*tfevents*"

Scalars = dict[str, list[tuple[float, int, float]]]  # tag -> (wall time, step, value)


def is_tensorboard(folder: Path) -> bool:
    """True when there is an event file of TensorBoard in a folder or below it."""
    return next(folder.rglob(_EVENTS), None) is not None


def curves_from_tensorboard(folder: Path) -> dict[str, np.ndarray]:
    """Return the known curves in the event files of one run, each (epochs,).

    Args:
        folder: of one run; the subfolders ``train`` and ``validation`` of Keras belong to it.

    Raises:
        InputError: several runs lie in the folder, or no training loss does.
        MissingPackageError: the package tensorboard is not installed.
    """
    runs = _scalars(folder)
    merged: Scalars = defaultdict(list)
    homes: dict[str, set[str]] = defaultdict(set)
    for where, scalars in sorted(runs.items()):
        for tag, values in scalars.items():
            name = _ours(tag, where)
            merged[name] += values
            homes[name].add(_TRAIN.sub("", where).rstrip("/"))
    if len(homes.get("loss", ())) > 1:
        found = ", ".join(repr(str(folder / where)) for where in sorted(homes["loss"])[:9])
        raise InputError(f"{str(folder)!r} holds the logs of {len(homes['loss'])} runs: {found}. Give one of them.")
    curves = {name: _latest(values) for name, values in merged.items() if name in ALIASES.values()}
    if "loss" not in curves:
        tags = sorted({tag for scalars in runs.values() for tag in scalars})
        raise InputError(
            f"There is no training loss among the scalars {', '.join(map(repr, tags)) or '(none)'} of "
            f"{str(folder)!r}. Log it as 'loss' or 'train_loss' (and the validation loss as 'val_loss')."
        )
    epoch = _latest(merged["epoch"]) if "epoch" in merged else None
    return curves_by_step(curves, epoch)


def _ours(tag: str, where: str) -> str:
    """Return our name of a scalar, or its own in plain letters; the folder may say that it is a validation's."""
    name = plain_name(tag)
    name = name.removeprefix("epoch_") if name != "epoch" else name  # Keras: epoch_loss, epoch_accuracy
    if _HELD.match(where) and not name.startswith(("val_", "epoch")):
        name = f"val_{name}"
    if name in ("train_epoch", "train_epochs"):
        return "epoch"
    return ALIASES.get(name, name)


def _latest(values: list[tuple[float, int, float]]) -> Points:
    """Return steps and values; where a step was written twice (a resumed training), the later one."""
    kept = {step: value for _, step, value in sorted(values, key=lambda v: v[0])}
    return np.array(list(kept), np.float64), np.array(list(kept.values()), np.float64)


def _scalars(folder: Path) -> dict[str, Scalars]:
    """Return the scalars of all event files: folder relative to the given one ("" for itself) -> tag -> values."""
    runs: dict[str, Scalars] = defaultdict(lambda: defaultdict(list))
    for file in sorted(folder.rglob(_EVENTS)):
        relative = PurePosixPath(file.parent.relative_to(folder).as_posix())
        where = "" if str(relative) == "." else str(relative)
        for tag, wall, step, value in _events(file):
            runs[where][tag].append((wall, step, value))
    return runs


def _events(file: Path) -> Iterator[tuple[str, float, int, float]]:
    """Yield (tag, wall time, step, value) of an event file; a torn end, as of a training that still runs, is left out.

    tensorboard's own EventAccumulator would import TensorFlow wherever it is installed, for seconds.
    """
    what = "Reading TensorBoard logs"
    reader = optional("tensorboard.compat.tensorflow_stub.pywrap_tensorflow", "tensorboard", what)
    errors = optional("tensorboard.compat.tensorflow_stub.errors", "tensorboard", what)
    event_pb2 = optional("tensorboard.compat.proto.event_pb2", "tensorboard", what)
    tensor_util = optional("tensorboard.util.tensor_util", "tensorboard", what)
    records = reader.PyRecordReader_New(str(file))
    while True:
        try:
            records.GetNext()
        except (errors.OutOfRangeError, errors.DataLossError):
            return
        try:
            event = event_pb2.Event.FromString(records.record())
        except Exception as broken:  # noqa: BLE001 - protobuf's DecodeError, wherever it lives in this version
            raise DataError(f"{str(file)!r} is not an event file of TensorBoard ({broken}).") from None
        for value in event.summary.value:
            if value.HasField("simple_value"):
                yield value.tag, event.wall_time, event.step, float(value.simple_value)
            elif value.HasField("tensor") and value.metadata.plugin_data.plugin_name in ("scalars", ""):
                number = np.asarray(tensor_util.make_ndarray(value.tensor))
                if number.size == 1 and number.dtype.kind in "fiu":
                    yield value.tag, event.wall_time, event.step, float(number.reshape(()))
