"""The trace as Parquet tables: ``trace.parquet`` (the curves) and ``inside.parquet`` (what happened in the layers).

Both are in long format, one row per value: (member, epoch, layer, quantity or statistic, value), see docs/trace.md.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from fallline.errors import InputError, RunFolderError
from fallline.types import Inside, Trace

__all__ = ["inside_from_parquet", "inside_to_parquet", "trace_from_parquet", "trace_to_parquet"]

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
_INSIDE_METADATA = {
    "format": "fallline inside 1",
    "about": "what happened inside the network during training, one row per value",
    "member": "index of the network in its population",
    "epoch": "completed epochs; 0: before the first step",
    "layer": "layer name, outer/inner in nested models; empty for the whole network",
    "statistic": "weight_sd, gradient_norm, update_ratio, activation_mean, dead_share ...",
    "value": "float32; a layer that has no such thing has no row",
}
# What the rows alone do not say, as JSON in the file's schema.
_LAYERS = b"fallline.layers"
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

    schema = _schema()
    arrays = [
        pa.array(
            getattr(trace, field.name).tolist() if field.type == pa.string() else getattr(trace, field.name), field.type
        )
        for field in schema
    ]
    return _parquet(pa.Table.from_arrays(arrays, schema=schema))


def _parquet(table: Any) -> bytes:
    """Return a table as Parquet; without the least and largest value, which leave NaN out.

    DuckDB takes a column with these two for one without NaN, and its ``isnan`` is then false for every row.
    """
    import pyarrow.parquet as pq

    out = io.BytesIO()
    kept = [name for name in table.column_names if name != "value"]
    pq.write_table(table, out, compression="zstd", write_statistics=kept)
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
        name: _texts(table[name]) if name in ("layer", "quantity") else table[name].to_numpy().copy()
        for name in schema.names
    }
    return Trace.from_columns(columns)


def _inside_schema() -> Any:
    import pyarrow as pa

    columns = [
        ("member", pa.int32()),
        ("epoch", pa.int32()),
        ("layer", pa.string()),
        ("statistic", pa.string()),
        ("value", pa.float32()),
    ]
    return pa.schema(columns, metadata={f"fallline.{key}": text for key, text in _INSIDE_METADATA.items()})


def inside_to_parquet(inside: Inside) -> bytes:
    """Return the inside of a run as a Parquet file, compressed with zstd; equal ones give equal bytes."""
    import pyarrow as pa

    about = {
        "layers": inside.layers,
        "kinds": inside.kinds,
        "activations": inside.activations,
        "output": inside.output,
        "epochs": inside.epochs.tolist(),
        "members": inside.members,
        "statistics": list(inside.values),
        "network": list(inside.network),
        "reason": inside.reason,
    }
    schema = _inside_schema()
    schema = schema.with_metadata({**schema.metadata, _LAYERS: json.dumps(about).encode()})
    columns = inside.to_columns()
    arrays = [pa.array(columns[f.name].tolist() if f.type == pa.string() else columns[f.name], f.type) for f in schema]
    return _parquet(pa.Table.from_arrays(arrays, schema=schema))


def inside_from_parquet(data: bytes, what: str = "inside.parquet") -> Inside:
    """Return the inside that `inside_to_parquet` wrote.

    Raises:
        RunFolderError: the file is something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        schema = _inside_schema()
        about = (file.schema_arrow.metadata or {}).get(_LAYERS)
        known = file.schema_arrow.remove_metadata() == schema.remove_metadata() and about is not None
        if not known or file.metadata.num_rows > _MAX_ROWS:
            raise RunFolderError(f"{what} is not the inside of a run: it needs the columns {', '.join(schema.names)}.")
        table = file.read()
        columns = {
            name: np.array(table[name].to_pylist(), object)
            if name in ("layer", "statistic")
            else table[name].to_numpy().copy()
            for name in schema.names
        }
        return Inside.from_columns(columns, **json.loads(about or b""))
    except (pa.ArrowException, OSError) as error:
        raise RunFolderError(f"Cannot read {what}: {error}. It is damaged, or was not written by fallline.") from error
    except (ValueError, TypeError, KeyError, IndexError, InputError) as error:
        raise RunFolderError(f"{what} is not the inside of a run ({type(error).__name__}: {error}).") from error
