"""Named arrays and their description in one ``.npz`` file, written and read without pickle."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.errors import RunFolderError
from fallline.store.plain import dumps, loads

__all__ = ["pack", "unpack"]

_HEADER = "header.json"
_DTYPES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
)
# The machine-learning types have no NumPy format of their own: they travel as integers of the same width.
_CARRIERS = {"bfloat16": "uint16"}
_MAX_ARRAYS = 100_000
_MAX_HEADER_BYTES = 64 << 20
_MAX_BYTES = 8 << 30
# Fixed, so that equal content gives equal bytes.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def pack(arrays: Mapping[str, np.ndarray], meta: Any = None) -> bytes:
    """Return arrays and their description as the bytes of an ``.npz`` file.

    Member ``header.json`` holds the names (any text), types, shapes and ``meta``; array i is member ``i.npy``, so that
    no name reaches the archive. Equal content gives equal bytes.

    Args:
        arrays: name -> array of booleans, integers or floats, any shape.
        meta: anything that `fallline.store.plain.dumps` writes.

    >>> arrays, meta = unpack(pack({"w": np.ones(2)}, {"epoch": 3}))
    >>> arrays["w"].tolist(), meta
    ([1.0, 1.0], {'epoch': 3})

    Raises:
        RunFolderError: an array's type is not allowed.
    """
    described = []
    bodies = []
    for name, given in arrays.items():
        array = np.asarray(given)
        dtype = array.dtype.name
        if dtype in _CARRIERS:
            array = array.view(_CARRIERS[dtype])
        elif dtype not in _DTYPES:
            raise RunFolderError(
                f"Array {name!r} has type {array.dtype}; allowed are {', '.join([*_DTYPES, *_CARRIERS])}."
            )
        described.append({"name": str(name), "dtype": dtype, "shape": list(array.shape)})
        body = io.BytesIO()
        # Neither the byte order of the machine nor the memory layout may change the bytes.
        little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        np.lib.format.write_array(body, little, version=(1, 0), allow_pickle=False)
        bodies.append(body.getvalue())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_HEADER, _ZIP_TIME), dumps({"arrays": described, "meta": meta}))
        for i, content in enumerate(bodies):
            archive.writestr(zipfile.ZipInfo(f"{i}.npy", _ZIP_TIME), content)
    return out.getvalue()


def unpack(data: bytes, what: str = "the file") -> tuple[dict[str, np.ndarray], Any]:
    """Return what `pack` was given; members are read by exact name, and sizes are checked before memory is taken.

    Args:
        data: the bytes of the file.
        what: how messages name it.

    Raises:
        RunFolderError: the bytes are not what `pack` writes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data) for info in infos):
                raise ValueError("a member is compressed")
            if sum(info.file_size for info in infos) > min(_MAX_BYTES, len(data)) or len(infos) > _MAX_ARRAYS + 1:
                raise ValueError("its members are too large or too many")
            if infos[0].filename != _HEADER or infos[0].file_size > _MAX_HEADER_BYTES:
                raise ValueError("its first member is not the header")
            header = loads(archive.read(infos[0]))
            described = header["arrays"]
            if [info.filename for info in infos[1:]] != [f"{i}.npy" for i in range(len(described))]:
                raise ValueError("its members are not those that its header lists")
            out = {str(d["name"]): _array(archive.read(info), d) for d, info in zip(described, infos[1:], strict=True)}
            if len(out) != len(described):
                raise ValueError("two arrays have one name")
            return out, header["meta"]
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        RuntimeError,
    ) as error:
        raise RunFolderError(f"Cannot read {what}: {error}. It is damaged, or was not written by fallline.") from error


def _array(body: bytes, described: Mapping[str, Any]) -> np.ndarray:
    dtype, shape = described["dtype"], tuple(described["shape"])
    if dtype not in _DTYPES and dtype not in _CARRIERS:
        raise ValueError(f"type {dtype!r} is not allowed")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"shape {shape!r} is not allowed")
    stored = np.dtype(_CARRIERS.get(dtype, dtype)).newbyteorder("<")
    stream = io.BytesIO(body)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array has another format version")
    found_shape, fortran, found = np.lib.format.read_array_header_1_0(stream)
    count = math.prod(shape)
    if found_shape != shape or found != stored or fortran or len(body) - stream.tell() != count * stored.itemsize:
        raise ValueError("an array is not what the header says")
    array = np.frombuffer(body, stored, count, stream.tell()).reshape(shape).astype(stored.newbyteorder("="))
    if dtype in _CARRIERS:
        import ml_dtypes

        return array.view(getattr(ml_dtypes, dtype))
    return array
