"""TensorBoard event files made on the spot, without TensorFlow or PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def write_events(folder: Path, scalars: Mapping[str, Sequence[tuple[int, float]]], *, as_tensor: bool = False) -> Path:
    """Write tag -> (step, value) pairs as one event file; TensorFlow 2 writes tensors, all others simple values."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for tag, values in scalars.items():
        for step, value in values:
            if as_tensor:
                one = Summary.Value(tag=tag, tensor=TensorProto(dtype=1, float_val=[value]))
                one.metadata.plugin_data.plugin_name = "scalars"
            else:
                one = Summary.Value(tag=tag, simple_value=value)
            writer.add_event(Event(wall_time=1000.0 + step, step=step, summary=Summary(value=[one])))
    writer.close()
    return next(folder.glob("*tfevents*"))
