"""The trace as a Parquet table."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from fallline.errors import RunFolderError
from fallline.types import Trace

__all__ = ["trace_from_parquet", "trace_to_parquet"]

# What a reader without fallline finds in the file's schema.
_METADATA = {
    "format": "fallline trace 1",
    "about": "what was seen during training, one row per value",
    "member": "index of the network in its population",
    "epoch": "completed epochs, from 1; 0: before the first step",
    "layer": "layer name; empty for the whole network",
    "quantity": "loss, val_loss, running_loss, accuracy, learning_rate ...",
    "value": "float64; NaN is a value, not a gap",
}
# A few bytes of run-length code can stand for very many rows.
_MAX_ROWS = 200_000_000


def _schema() -> Any:
    import pyarrow as pa

    columns = [
        ("member", pa.int32()),
        ("epoch", pa.int32()),
        ("layer", pa.string()),
        ("quantity", pa.string()),
        ("value", pa.float64()),
    ]
    return pa.schema(columns, metadata={f"fallline.{key}": text for key, text in _METADATA.items()})


def trace_to_parquet(trace: Trace) -> bytes:
    """Return a trace as a Parquet file, compressed with zstd; equal traces give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    arrays = [
        pa.array(
            getattr(trace, field.name).tolist() if field.type == pa.string() else getattr(trace, field.name), field.type
        )
        for field in schema
    ]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out, compression="zstd")
    return out.getvalue()


def _texts(column: Any) -> np.ndarray:
    """Return a column of texts as an array of objects; few different ones, very often, are made once each."""
    import pyarrow as pa

    coded = column.combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    words: np.ndarray = np.array([*coded.dictionary.to_pylist(), None], object)[:-1]
    found: np.ndarray = words[coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)]
    return found


def trace_from_parquet(data: bytes, what: str = "trace.parquet") -> Trace:
    """Return the trace that `trace_to_parquet` wrote.

    Raises:
        RunFolderError: the file is something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        schema = _schema()
        if file.schema_arrow.remove_metadata() != schema.remove_metadata() or file.metadata.num_rows > _MAX_ROWS:
            raise RunFolderError(f"{what} is not a trace: it needs the columns {', '.join(schema.names)}.")
        table = file.read()
        if any(column.null_count for column in table.columns):
            raise RunFolderError(f"{what} is not a trace: it has empty cells.")
    except (pa.ArrowException, OSError) as error:
        raise RunFolderError(f"Cannot read {what}: {error}. It is damaged, or was not written by fallline.") from error
    columns = {
        name: _texts(table[name])
        if name in ("layer", "quantity")
        else table[name].to_numpy().copy()
        for name in schema.names
    }
    return Trace.from_columns(columns)
