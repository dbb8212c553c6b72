"""Arrays for a Keras model from a file that the command line is given, and whether they fit the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fallline.errors import DataError, InputError, nearest

__all__ = ["model_arrays", "require_fitting"]


def model_arrays(path: str, target: str, rows: int | None, reading: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """Return (x, y): of the arrays beside the target one is x itself, and several are a dict by their names.

    Args:
        path: an ``.npz``, or a table of numbers.
        target: name of the array or column.
        rows: how many at most; None: all.
        reading: how a text table is written, as in `fallline.read_table`.
    """
    if Path(path).suffix.lower() != ".npz":
        return _of_table(path, target, rows, reading or {})
    import numpy as np

    if given := [name for name, value in (reading or {}).items() if value is not None]:
        raise InputError(f"--{given[0]} says how a text table is written; {path} holds arrays. Leave it out.")
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


def _of_table(path: str, target: str, rows: int | None, reading: Mapping[str, Any]) -> tuple[Any, Any]:
    from fallline.data import read_table

    frame = read_table(path, **reading).iloc[:rows]
    if target not in frame.columns:
        raise InputError(f"{path} has no column {target!r}.{nearest(target, map(str, frame.columns))}")
    # Whole numbers may be classes, and stay what they are.
    kind = "int32" if frame[target].dtype.kind in "iu" and not frame[target].hasnans else "float32"
    try:
        return frame.drop(columns=target).to_numpy("float32"), frame[[target]].to_numpy(kind)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} holds more than numbers ({error}); a Keras model takes numbers.") from error


def require_fitting(model: Any, x: Any, y: Any, path: str, target: str, *, indices: bool) -> None:
    """Raise where arrays have other shapes than a Keras model's inputs and its one output.

    Args:
        model: built.
        x: (n, ...) inputs, or a dict of them.
        y: (n, ...) targets.
        path: of the data, for the message.
        target: its name there.
        indices: the loss takes the number of a class rather than a value for each.

    Raises:
        InputError: with both shapes.
    """
    inputs, outputs = model.inputs, model.outputs
    if len(outputs) != 1:
        raise InputError(
            f"The model has {len(outputs)} outputs, and the command line takes models of one. In Python: "
            "fl.improve(model, x, [y1, y2, ...])."
        )
    names = [one.name for one in inputs]
    if isinstance(x, dict) or len(inputs) > 1:
        _named_inputs(names, x, path, target)
    for name, one in zip(names, inputs, strict=True):
        array = x[name] if isinstance(x, dict) else x
        # Keras makes (n, 1) of (n,) by itself.
        if not _fits(one.shape, array.shape) and not (array.ndim == 1 and tuple(one.shape[1:]) == (1,)):
            what = f"its input {name!r}" if len(inputs) > 1 else "the model"
            raise InputError(
                f"{what[0].upper()}{what[1:]} takes rows of the shape {_row(one.shape)}, but beside {target!r} {path} "
                f"holds rows of the shape {_row(array.shape)}. Give the data that the model was made for."
            )
    wanted, given = tuple(outputs[0].shape), tuple(y.shape)
    bare = _bare(wanted[:-1] if indices else wanted)
    if not _fits(bare, _bare(given)):
        takes = "class numbers" if indices else "targets"
        hint = " Class numbers go with --loss sparse_categorical_crossentropy." if (
            not indices and _fits(_bare(wanted[:-1]), _bare(given))
        ) else ""  # fmt: skip
        raise InputError(
            f"The model gives {_row(wanted)} values a row, and its loss takes {takes} of the shape "
            f"{_row(bare)}, but {target!r} in {path} has rows of the shape {_row(given)}.{hint}"
        )


def _named_inputs(names: list[str], x: Any, path: str, target: str) -> None:
    held = sorted(x) if isinstance(x, dict) else []
    if held != sorted(names):
        shown = ", ".join(held) if held else "one array"
        wanted = f"the inputs {', '.join(names)}" if len(names) > 1 else "one input"
        raise InputError(f"The model takes {wanted}, but beside {target!r} {path} holds {shown}. Name them alike.")


def _fits(wanted: Sequence[int | None], given: Sequence[int]) -> bool:
    same = len(wanted) == len(given)
    return same and all(a is None or a == b for a, b in zip(wanted[1:], given[1:], strict=True))


def _bare(shape: Sequence[Any]) -> tuple[Any, ...]:
    """Return a shape without a last axis of 1, which a loss takes or leaves."""
    return tuple(shape[:-1]) if len(shape) > 1 and shape[-1] == 1 else tuple(shape)


def _row(shape: Sequence[Any]) -> str:
    return f"({', '.join('any' if one is None else str(one) for one in shape[1:])})"
