"""Arrays for a Keras model from a file that the command line is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fallline.errors import DataError, InputError, nearest

__all__ = ["model_arrays"]


def model_arrays(path: str, target: str, rows: int | None) -> tuple[Any, Any]:
    """Return (x, y): of the arrays beside the target one is x itself, and several are a dict by their names."""
    if Path(path).suffix.lower() != ".npz":
        from fallline.data import read_table

        frame = read_table(path).iloc[:rows]
        if target not in frame.columns:
            raise InputError(f"{path} has no column {target!r}.{nearest(target, map(str, frame.columns))}")
        try:
            return frame.drop(columns=target).to_numpy("float32"), frame[[target]].to_numpy("float32")
        except (TypeError, ValueError) as error:
            raise DataError(f"{path} holds more than numbers ({error}); a Keras model takes numbers.") from error
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: opened[name][:rows] for name in opened.files}
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} cannot be read as arrays: {error}") from error
    if target not in arrays or len(arrays) < 2:
        names = ", ".join(arrays)
        raise InputError(f"{path} holds {names}; it takes {target!r} and at least one more.{nearest(target, arrays)}")
    y = arrays.pop(target)
    return (next(iter(arrays.values())) if len(arrays) == 1 else arrays), y
