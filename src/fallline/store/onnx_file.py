"""A run's model as ONNX, for runtimes that know no Keras."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fallline.errors import InputError, RunFolderError, optional
from fallline.store import atomic
from fallline.types import Run

__all__ = ["write_onnx"]

_WHAT = "Writing ONNX"


def write_onnx(run: Run, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a run's model as an ONNX file; the number of rows stays open.

    Keras writes it (``model.export``), on the JAX backend by way of jax2onnx. Of a run on a table the input is the
    matrix that ``run.preparation.raw(frame)`` makes, missing numbers as NaN: scaling and encoding are in the file.

    Args:
        run: the run; its model has been trained, and so has an input shape.
        path: the file.
        overwrite: replace what lies there.

    Returns:
        The file.

    Raises:
        MissingPackageError: jax2onnx is not installed (``pip install fallline[onnx]``).
        InputError: something lies there, or the model holds what ONNX or its converter has not.
        RunFolderError: the disk refuses.
    """
    import keras

    target = Path(path)
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists already. Choose another name, or give overwrite=True.")
    if keras.backend.backend() == "jax":
        optional("jax2onnx", "onnx", _WHAT)
    with tempfile.TemporaryDirectory(prefix="fallline-") as folder:
        written = Path(folder) / "model.onnx"
        with _quietly():
            _export(run.model, written)
        data = written.read_bytes()
    try:
        atomic.put(target.parent, target.name, data)
    except OSError as error:
        raise RunFolderError(f"Cannot write {target}: {error.strerror or error}.") from error
    return target


def _export(model: Any, path: Path) -> None:
    import numpy as np

    # Keras wants a model that has been called. One row of zeros of every input is enough.
    rows = [np.zeros((1, *given.shape[1:]), given.dtype) for given in model.inputs]
    try:
        model(rows[0] if len(rows) == 1 else rows)
        model.export(str(path), format="onnx", verbose=False)
    except Exception as refused:  # a converter raises whatever its parts raise
        raise InputError(
            f"The model cannot be written as ONNX: {type(refused).__name__}: {refused} The Keras file, run.save(...), "
            "holds it whole."
        ) from refused


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the converter's remarks about its own work from the terminal."""
    import warnings

    loggers = [logging.getLogger(name) for name in ("onnx_ir", "jax2onnx", "onnxscript")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
