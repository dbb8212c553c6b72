"""Files of tables — CSV, TSV, Parquet, .npz — read into a pandas frame or refused with one clear error."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fallline.data.frames import array_names, check_names, shown
from fallline.data.text import parse_text
from fallline.errors import DataError, nearest

__all__ = ["MAX_UNPACKED_BYTES", "MAX_UNPACK_RATIO", "read_table"]

# A compressed file may hold a thousand times its size. Text tables pack about 3 to 20 times; what unpacks to more than
# this many times its size (and is not small anyway), or to more than 4 GiB, is taken for a bomb.
MAX_UNPACK_RATIO = 200
SMALL_ENOUGH_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 4 * 2**30

# First bytes of files that are no tables, with what to say.
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook; save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file; save the sheet as CSV"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x93NUMPY", "a single NumPy array; save x and y together with numpy.savez(path, x=x, y=y)"),
    (b"SQLite format 3", "an SQLite database; export one table as CSV"),
    (b"\x7fELF", "a program"),
    (b"\x89HDF", "an HDF5 file; save the table as CSV or Parquet"),
    (b"ARROW1", "an Arrow file; save it as Parquet"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
)


def read_table(
    path: Any, *, delimiter: str | None = None, encoding: str | None = None, decimal: str | None = None
) -> pd.DataFrame:
    """Read a file into a pandas frame, one column per named column of the file.

    What was guessed or repaired on the way (encoding, decimal comma) stands in ``frame.attrs["notes"]``. Columns of
    text
    whose cells are all numbers become numbers; the words for missing values become missing; nothing else is changed.

    Args:
        path: a CSV or TSV file (``.gz`` too), a Parquet file, or an ``.npz`` with the arrays ``x`` (n, p) and ``y``.
        delimiter: one character; default: found out among comma, semicolon, tab and bar.
        encoding: e.g. ``"utf-8"``; default: byte-order mark, else UTF-8, else Windows-1252.
        decimal: ``"."`` or ``","``; default: found out.

    Raises:
        DataError: no such file, a folder, an empty file, no rows, not a table, rows of unequal length, empty or
            repeated
            names, infinite values, a file that unpacks to too much.
    """
    source = _existing_file(Path(path))
    _check_options(delimiter, decimal)
    try:
        with source.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror or error}.") from error
    if not head:
        raise DataError(f"{source} is empty: a table needs a header row and at least one row of data.")
    if head.startswith(b"PAR1"):
        frame = _read_parquet(source)
    elif head.startswith((b"PK\x03\x04", b"PK\x05\x06")) and source.suffix.lower() == ".npz":
        frame = _read_npz(source)
    else:
        content = _unpack(source) if head.startswith(b"\x1f\x8b") else source.read_bytes()
        if not content:
            raise DataError(f"{source} is empty: a table needs a header row and at least one row of data.")
        _refuse_foreign(content, source)
        frame = parse_text(
            content,
            str(source),
            delimiter=delimiter,
            encoding=encoding,
            decimal=decimal,
            prefer_tab=".tsv" in source.suffixes or ".tab" in source.suffixes,
        )
    if not len(frame):
        raise DataError(f"{source} has a header but no rows: at least one row of data is needed.")
    return frame


def _check_options(delimiter: str | None, decimal: str | None) -> None:
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\n\r' or not delimiter.isascii()):
        raise DataError(f"delimiter is {delimiter!r}; it must be one character, such as ',' ';' '|' or a tab.")
    if decimal not in (None, ".", ","):
        raise DataError(f"decimal is {decimal!r}; it must be '.' or ','.")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _existing_file(path: Path) -> Path:
    if path.is_dir():
        tables = sorted(
            item.name for item in path.iterdir() if item.suffix in (".csv", ".tsv", ".parquet", ".npz", ".gz")
        )
        hint = f" It holds {shown(tables)}: name one of them." if tables else ""
        raise DataError(f"{path} is a folder, not a file.{hint}")
    if not path.exists():
        folder = path.parent
        if not folder.is_dir():
            raise DataError(f"There is no file {path}: the folder {folder} does not exist.")
        names = [item.name for item in folder.iterdir() if item.is_file()]
        raise DataError(f"There is no file {path}.{nearest(path.name, names)}")
    if not path.is_file():
        raise DataError(f"{path} is not a regular file; give a CSV, TSV, Parquet or .npz file.")
    return path


def _refuse_foreign(content: bytes, source: Path) -> None:
    for magic, what in _FOREIGN:
        if content.startswith(magic):
            raise DataError(
                f"{source} is not a table that can be read: it looks like {what}. Give CSV, TSV, Parquet or .npz."
            )


def _allowed(packed: int) -> int:
    return min(MAX_UNPACKED_BYTES, max(SMALL_ENOUGH_BYTES, MAX_UNPACK_RATIO * packed))


def _unpack(source: Path) -> bytes:
    """Return the content of a gzip file, never holding more than the cap in memory."""
    packed = source.read_bytes()
    cap, parts, total = _allowed(len(packed)), [], 0
    try:
        rest = packed
        while rest:
            unpacker = zlib.decompressobj(wbits=31)
            parts.append(unpacker.decompress(rest, cap - total + 1))
            total += len(parts[-1])
            if total > cap:
                raise DataError(
                    f"{source} unpacks to more than {cap / 2**20:,.0f} MiB from {len(packed) / 2**20:,.2f} MiB: "
                    f"that is no "
                    "table but a decompression bomb, or a table too large to read at once. Unpack it yourself to "
                    "look at it."
                )
            if not unpacker.eof:
                raise DataError(f"{source} is a truncated gzip file: it ends before its content does. Copy it again.")
            rest = unpacker.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise DataError(f"{source} is a damaged gzip file ({error}). Copy it again.") from error
    return b"".join(parts)


def _read_parquet(source: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # partitioning=None: a folder called "x=1" on the way must not become a column.
        with pq.ParquetFile(source) as file:
            names = file.schema_arrow.names
            size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
            size = max(size, 8 * file.metadata.num_rows * len(names))
            if size > MAX_UNPACKED_BYTES:
                raise DataError(
                    f"{source} unpacks to {size / 2**30:.1f} GiB; at most {MAX_UNPACKED_BYTES / 2**30:.0f} GiB can "
                    f"be read at once."
                )
            check_names(names, str(source))
            frame = file.read().to_pandas(date_as_object=False, ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{source} is a damaged or unsupported Parquet file ({_brief(error)}).") from error
    frame.columns = [str(name) for name in frame.columns]
    return frame


def _read_npz(source: Path) -> pd.DataFrame:
    try:
        arrays = _load_arrays(source)
    except DataError:
        raise
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
        SyntaxError,
        OverflowError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        tokenize.TokenError,
    ) as error:
        raise DataError(
            f"{source} is damaged or holds Python objects, which are never loaded ({_brief(error)}). "
            "Save plain numbers or text with numpy.savez(path, x=x, y=y)."
        ) from error
    x, y = arrays["x"], arrays["y"]
    if x.ndim != 2:
        raise DataError(f"{source}: the array x has {x.ndim} dimension(s); it must have 2 (rows x columns).")
    if y.ndim not in (1, 2) or len(y) != len(x):
        raise DataError(
            f"{source}: y has the shape {y.shape}; it must have one row for each of the {len(x)} rows of x."
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    names = array_names(x.shape[1]) + (["target"] if y.ndim == 1 else [f"target{i}" for i in range(y.shape[1])])
    columns = [*x.T, *([y] if y.ndim == 1 else y.T)]
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def _load_arrays(source: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(source) as archive:
        size = sum(item.file_size for item in archive.infolist())
    cap = _allowed(source.stat().st_size)
    if size > cap:
        raise DataError(
            f"{source} unpacks to {size / 2**20:,.0f} MiB; at most {cap / 2**20:,.0f} MiB are read from a file of "
            f"its size."
        )
    with np.load(source, allow_pickle=False) as stored:
        found = list(stored.files)
        for pair in (("x", "y"), ("X", "y"), ("X", "Y")):
            if all(name in found for name in pair):
                arrays = {"x": stored[pair[0]], "y": stored[pair[1]]}
                if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                    raise ValueError("a member is no array")
                return arrays
    raise DataError(f"{source} holds the arrays {shown(found)}; it must hold x (rows x columns) and y (rows).")
