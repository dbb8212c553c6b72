"""Keras model files from anywhere, without running what they may carry.

A ``.keras`` file can name any class that Keras can import, and some of those run code or read files. So the archive is
taken apart first: three members by exact name, sizes capped; the configuration is walked and every class in it must be
on a list of stock layers, operations, initialisers, regularisers, constraints and types; the weights must be plain
numeric HDF5 without links, filters or external storage. Keras then gets a clean archive, rebuilt from what was checked.
"""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import RunFolderError
from fallline.keras_config import without_tensorflow
from fallline.store import atomic
from fallline.store.model_classes import ACTIVATIONS, DTYPES, STOCK_CLASSES

__all__ = ["check_model", "compile_config", "load_model", "load_model_bytes", "model_bytes"]

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MEMBERS = (_CONFIG, _METADATA, _WEIGHTS)
_MAX_MODEL_BYTES = 8 << 30
_MAX_CONFIG_BYTES = 64 << 20
_MAX_METADATA_BYTES = 1 << 16
# The end of central directory of an archive that Keras writes, with room to spare.
_MAX_MEMBERS = 16
_MAX_H5_OBJECTS = 1_000_000
_MAX_DEPTH = 200
# Small variables, such as random states, need not be among the weights.
_SLACK_BYTES = 1 << 20
_NUMPY_NAME = {"bfloat16": "float16"}
_OBJECT_KEYS = frozenset({"class_name", "registered_name", "module", "spec_name"})
_WRAPPER_KEYS = frozenset(
    {
        "module",
        "class_name",
        "config",
        "registered_name",
        "build_config",
        "name",
        "inbound_nodes",
        "compile_config",
        "shared_object_id",
    }
)
# What reading an archive that is none, or its JSON, may raise.
_DAMAGED = (
    zipfile.BadZipFile, ValueError, KeyError, NotImplementedError, EOFError, RuntimeError, RecursionError, IndexError,
    AttributeError,
)  # fmt: skip
_HDF5_KINDS = "biufV"  # V: Keras stores bfloat16 as two opaque bytes


def model_bytes(model: Any) -> bytes:
    """Return a Keras model as the bytes of a ``.keras`` file.

    Raises:
        RunFolderError: the disk that holds temporary files refuses.
    """
    with tempfile.TemporaryDirectory(prefix="fallline-") as folder:
        path = Path(folder) / "model.keras"
        try:
            with without_tensorflow():
                model.save(str(path))
            return path.read_bytes()
        except OSError as error:
            raise atomic.explain(error, path) from error


def load_model(path: str | os.PathLike[str], *, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Load a ``.keras`` file that may come from anyone.

    Args:
        path: the file.
        custom_objects: your own classes by the name under which they were saved; these are let through.

    Returns:
        The Keras model, not compiled.

    Raises:
        RunFolderError: it is missing, damaged, or holds what is not allowed.
    """
    return load_model_bytes(_bytes_of(path), str(Path(path)), custom_objects=custom_objects)


def compile_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a ``.keras`` file says of its compilation, as it stands there; {}: nothing.

    Raises:
        RunFolderError: it is missing or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(_bytes_of(path))) as archive:
            found = json.loads(_members(archive)[_CONFIG].decode("utf-8")).get("compile_config")
    except _DAMAGED as error:
        raise RunFolderError(f"{path} is refused: {error}.") from error
    return found if isinstance(found, dict) else {}


def _bytes_of(path: str | os.PathLike[str]) -> bytes:
    where = Path(path)
    if where.suffix != ".keras":
        raise RunFolderError(
            f"{where} is refused: only .keras files are loaded. "
            "If you trust it, load it with Keras and save it as .keras."
        )
    try:
        return atomic.read_capped(where, _MAX_MODEL_BYTES)
    except FileNotFoundError:
        raise RunFolderError(f"There is no file {where}.") from None
    except OSError as error:
        raise atomic.explain(error, where, "read") from error


def load_model_bytes(data: bytes, what: str = "model.keras", *, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Load the bytes of a ``.keras`` file; `load_model` has the details."""
    config, weights = check_model(data, what, custom_objects=custom_objects)
    import keras

    with tempfile.TemporaryDirectory(prefix="fallline-") as folder:
        clean = Path(folder) / "model.keras"
        try:
            with zipfile.ZipFile(clean, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(_METADATA, "{}")
                archive.writestr(_CONFIG, json.dumps(config))
                archive.writestr(_WEIGHTS, weights)
        except OSError as error:
            raise atomic.explain(error, clean) from error
        try:
            _check_memory(keras, config, len(weights), custom_objects)
            return keras.saving.load_model(
                clean, custom_objects=dict(custom_objects or {}), compile=False, safe_mode=True
            )
        except RunFolderError as error:
            raise RunFolderError(f"{what} is refused: {error}") from None
        except Exception as error:  # Keras raises whatever its layers raise; the caller needs one kind
            raise RunFolderError(f"Keras cannot load {what}: {error}") from error


def _check_memory(keras: Any, config: dict[str, Any], available: int, custom_objects: Mapping[str, Any] | None) -> None:
    """Refuse a model whose variables are larger than its weights file, before any memory is taken for them."""
    from keras.src.backend.common import global_state

    waiting = "uninitialized_variables"
    before = list(global_state.get_global_attribute(waiting) or [])
    try:
        # In this scope Keras notes the variables' shapes and does not allocate them.
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(
                config, custom_objects=dict(custom_objects or {}), safe_mode=True
            )
        needed = sum(math.prod(v.shape) * np.dtype(_NUMPY_NAME.get(v.dtype, v.dtype)).itemsize for v in model.variables)
    finally:
        global_state.set_global_attribute(waiting, before)
    if needed > 2 * available + _SLACK_BYTES:
        raise RunFolderError(f"its layers ask for {needed:,} bytes of variables, but its weights have {available:,}.")


def check_model(
    data: bytes, what: str = "model.keras", *, custom_objects: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], bytes]:
    """Check the bytes of a ``.keras`` file without importing Keras.

    Returns:
        The model's configuration without its compile part, and the bytes of its weights.

    Raises:
        RunFolderError: with the reason.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _members(archive)
            config = json.loads(members[_CONFIG].decode("utf-8"))
    except _DAMAGED as error:
        raise RunFolderError(f"{what} is refused: {error}.") from error
    try:
        if not isinstance(config, dict) or "class_name" not in config:
            raise ValueError("its configuration is not a model")
        _check(config, frozenset(custom_objects or ()), 0)
    except ValueError as error:
        raise RunFolderError(
            f"{what} is refused: {error}. Only stock Keras layers and operations are loaded unasked; "
            "for classes of your own pass custom_objects={name: class}."
        ) from error
    try:
        _check_weights(members[_WEIGHTS])
    except ValueError as error:
        raise RunFolderError(f"{what} is refused: {error}.") from error
    return config, members[_WEIGHTS]


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(names) > _MAX_MEMBERS or sorted(names) != sorted(_MEMBERS):
        shown = ", ".join(repr(name[:60]) for name in names[:6])
        raise ValueError(f"its members must be exactly {', '.join(_MEMBERS)}, but it has {shown or 'none'}")
    limits = {_CONFIG: _MAX_CONFIG_BYTES, _METADATA: _MAX_METADATA_BYTES, _WEIGHTS: _MAX_MODEL_BYTES}
    out = {}
    for info in infos:
        # Keras stores its members uncompressed; anything else can only serve to fill the memory.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
            raise ValueError(f"its member {info.filename} is compressed or encrypted")
        if info.file_size > limits[info.filename]:
            raise ValueError(
                f"its member {info.filename} has {info.file_size:,} bytes, more than {limits[info.filename]:,}"
            )
        out[info.filename] = archive.read(info)
    return out


def _check(value: Any, allowed: frozenset[str], depth: int) -> None:
    """Walk the configuration: every object in it must be a stock one."""
    if depth > _MAX_DEPTH:
        raise ValueError("its configuration is nested too deeply")
    if isinstance(value, list):
        for item in value:
            _check(item, allowed, depth + 1)
    elif isinstance(value, dict):
        if "class_name" in value:
            _check_object(value, allowed)
        elif found := _OBJECT_KEYS & value.keys():
            raise ValueError(f"its configuration has {sorted(found)} without a class_name")
        for item in value.values():
            _check(item, allowed, depth + 1)
    elif isinstance(value, str) and ">" in value and value not in allowed and "->" not in value:
        # Keras looks such text up among the registered classes of this process.
        raise ValueError(f"its configuration names the registered object {value[:80]!r}")


def _check_object(value: dict[str, Any], allowed: frozenset[str]) -> None:
    name, module, registered = value["class_name"], value.get("module"), value.get("registered_name")
    inner = value.get("config")
    if (
        not isinstance(name, str)
        or not isinstance(module, (str, type(None)))
        or not isinstance(registered, (str, type(None)))
    ):
        raise ValueError("its configuration has an object whose name is not text")
    if name in _TENSORS:
        if value.keys() - {"class_name", "config"}:
            raise ValueError(f"its {name} has unknown entries")
        _check_tensor(name, inner)
        return
    # Nothing here needs optimizers and losses; inner models carry them too.
    value.pop("compile_config", None)
    if registered in allowed or (name in allowed and module not in STOCK_CLASSES):
        return
    if name == "function":
        # Only as Keras writes its own activations: by their plain name.
        if module != "builtins" or inner not in ACTIVATIONS or registered not in (None, "function", inner):
            raise ValueError(f"its configuration names the function {str(inner)[:80]!r} of {module!r}")
        return
    if name not in STOCK_CLASSES.get(module or "", ()):
        raise ValueError(
            f"its configuration names {name[:80]!r} of {str(module)[:80]!r}, "
            "which is not a stock Keras layer, operation or setting"
        )
    if registered not in (None, name):
        raise ValueError(f"its {name} carries the registered name {registered[:80]!r}")
    if not isinstance(inner, dict):
        raise ValueError(f"its {name} has no configuration")
    if unknown := value.keys() - _WRAPPER_KEYS:
        raise ValueError(f"its {name} has unknown entries {sorted(unknown)[:5]}")


_TENSORS = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__"})


def _check_tensor(name: str, inner: Any) -> None:
    if name == "__ellipsis__":
        return
    if not isinstance(inner, dict):
        raise ValueError(f"its {name} has no configuration")
    if name == "__keras_tensor__" and inner.keys() != {"shape", "dtype", "keras_history"}:
        raise ValueError(f"its {name} is not what Keras writes")
    if name != "__slice__" and inner.get("dtype") not in DTYPES:
        raise ValueError(f"its {name} has type {str(inner.get('dtype'))[:40]!r}")


def _check_weights(data: bytes) -> None:
    """Refuse HDF5 that is more than plain numeric arrays in groups."""
    import h5py

    total = 0
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            seen = 0
            todo: list[Any] = [file]
            visited: set[Any] = set()
            while todo:
                group = todo.pop()
                address = h5py.h5o.get_info(group.id).addr
                if address in visited:
                    raise ValueError("its weights have a group that contains itself")
                visited.add(address)
                for key in group:
                    seen += 1
                    if seen > _MAX_H5_OBJECTS:
                        raise ValueError("its weights have too many entries")
                    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                        raise ValueError("its weights hold a link")
                    kind = group.get(key, getclass=True)
                    if kind is h5py.Group:
                        todo.append(group[key])
                    elif kind is h5py.Dataset:
                        total += _check_dataset(group[key])
                    else:
                        raise ValueError("its weights hold something that is no array")
            # Datasets may share their bytes by hard links: their sum is what Keras will read.
            if total > len(data):
                raise ValueError("its weights declare more numbers than the file holds")
    except (OSError, RuntimeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"its weights cannot be read ({error})") from error


def _check_dataset(dataset: Any) -> int:
    settings = dataset.id.get_create_plist()
    if dataset.external or dataset.is_virtual or settings.get_nfilters():
        raise ValueError("its weights use external, virtual or filtered storage")
    if dataset.dtype.kind not in _HDF5_KINDS or (
        dataset.dtype.kind == "V" and (dataset.dtype.itemsize != 2 or dataset.dtype.names)
    ):
        raise ValueError(f"its weights have an array of {dataset.dtype}")
    size = int(dataset.dtype.itemsize)
    for length in dataset.shape or ():
        size *= int(length)
    if size > dataset.id.get_storage_size():
        raise ValueError("its weights declare more numbers than the file holds")
    return size
