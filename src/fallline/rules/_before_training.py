"""All that is known of a Keras model and its data before the training; Keras is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.errors import DataError
from fallline.keras_config import fills_gaps, without_tensorflow
from fallline.rules._from_data import (
    input_shift,
    label_statistics,
    order_correlation,
    relation_statistics,
    table_statistics,
    validation_statistics,
)
from fallline.rules._from_model import (
    as_array,
    compiled_statistics,
    loss_statistics,
    model_statistics,
    optimizer_statistics,
    output_shape,
    sample_of,
    seen_inputs,
)
from fallline.rules._statistics import (
    CROSS_ENTROPIES,
    QUANTITY_LOSSES,
    constant_prediction_loss,
    input_statistics,
    target_statistics,
)
from fallline.rules._structure import kind_of

__all__ = ["data_statistics", "static_statistics"]

# Distinct whole-number targets up to which they may be class labels when the loss does not say.
MOST_CLASSES = 100


def static_statistics(
    model: Any,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    optimizer: Any = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    validation_data: Any = None,
    shuffle: bool | None = None,
) -> dict[str, Any]:
    """Return all that is known of a Keras model and its data before the training; the model stays as it is.

    The arguments are those of `fallline.check`. A model that is not built yet is built as a copy, to see its layers'
    sizes and how its weights will be drawn.
    """
    found = compiled_statistics(model)
    found |= loss_statistics(loss) | optimizer_statistics(optimizer)
    if "optimizer_name" not in found:
        found |= optimizer_statistics("rmsprop")  # what Keras' compile takes where none is given
    if batch_size is not None:
        found["batch_size"] = int(batch_size)
    if epochs is not None:
        found["planned_epochs"] = int(epochs)
    if shuffle is not None:
        found["shuffle"] = bool(shuffle)
    shown = _built_copy(model, x)
    validation = None
    if isinstance(validation_data, (tuple, list)) and len(validation_data) >= 2:
        validation = (validation_data[0], validation_data[1])
    found |= data_statistics(shown, x, y, found.get("loss_name"), found.get("metric_names", []), validation)
    found |= model_statistics(shown, x)
    if y is not None and found.get("loss_name"):
        reference = constant_prediction_loss(
            found["loss_name"], found.get("class_counts"), found.get("target_sd"), found.get("target_mean")
        )
        if reference is not None:
            found["reference_loss"] = reference
    elif y is not None:
        reference = _reference_of_outputs(loss, y)
        if reference is not None:
            found["reference_loss"] = reference
    return found


def _reference_of_outputs(losses: Any, y: Any) -> float | None:
    """Return the sum of the outputs' losses of the best constant predictions; None where one is not known.

    Args:
        losses: output -> Keras loss, or a list of them.
        y: output -> targets, or a list of them.
    """
    if isinstance(losses, (list, tuple)) and isinstance(y, (list, tuple)):
        losses, y = dict(enumerate(losses)), dict(enumerate(y))
    if not isinstance(losses, Mapping) or not isinstance(y, Mapping) or losses.keys() != y.keys():
        return None
    total = 0.0
    for output, targets in y.items():
        table, name = as_array(targets), loss_statistics(losses[output]).get("loss_name")
        if table is None or not len(table) or name is None:
            return None
        facts = _target_facts(table, name, [])
        one = constant_prediction_loss(
            name, facts.get("class_counts"), facts.get("target_sd"), facts.get("target_mean")
        )
        if one is None:
            return None
        total += one
    return total if total > 0 else None


def _built_copy(model: Any, x: Any) -> Any:
    if getattr(model, "built", True) or kind_of(model) not in ("Sequential", "Functional"):
        return model
    table = as_array(x)
    if table is None or not table.ndim or table.dtype.kind not in "biuf":
        return model
    table = table[:, None] if table.ndim == 1 else table
    try:
        with without_tensorflow():
            copy = type(model).from_config(model.get_config())
        copy.build((None, *table.shape[1:]))
    except (TypeError, ValueError, AttributeError, NotImplementedError):  # layers of the user's own without a config
        return model
    return copy


def data_statistics(
    model: Any, x: Any, y: Any, loss_name: str | None, metrics: list[str], validation: tuple[Any, Any] | None = None
) -> dict[str, Any]:
    """Return the statistics of inputs as the model's first trainable layer sees them, and of targets.

    Args:
        model: the Keras model.
        x: inputs, (n, ...) array or frame; anything else (several inputs) leaves the inputs unexamined.
        y: targets, (n,) or (n, k) array, frame or series.
        loss_name: canonical name of the loss, or None.
        metrics: names of the compiled metrics: "accuracy" says that classes are meant.
        validation: (x, y) of the validation rows, if there are any.
    """
    found: dict[str, Any] = {}
    names = [str(c) for c in x.columns] if hasattr(x, "columns") else None
    table, seen = as_array(x), None
    if table is not None and table.ndim >= 1 and len(table):
        table = table[:, None] if table.ndim == 1 else table  # Keras, too, reads a vector as a column
        found |= {"n_train": len(table), "n_features": int(np.prod(table.shape[1:]))}
        seen = seen_inputs(model, table)
        if seen is not None:
            found |= table_statistics(table, names)
            if found["missing_inputs"] and not np.isinf(table).any() and fills_gaps(model, table):
                found |= {"missing_inputs": 0, "rows_with_missing": 0, "inputs_with_missing": []}
            # a pixel is one input; the steps of a sequence and the pixels of an image share their channel's scale
            flat = seen.reshape(-1, seen.shape[-1]) if seen.ndim > 2 else seen
            found |= input_statistics(flat)
            if names is not None and flat.shape[1] == len(names):
                found["input_names"] = names
    other = as_array(validation[0]) if validation is not None else None
    if table is not None and other is not None and table.dtype.kind in "biuf" and other.dtype.kind in "biuf":
        found |= input_shift(table, other[:, None] if other.ndim == 1 else other)
    targets = as_array(y)
    if targets is not None and len(targets):
        if table is not None and len(table) != len(targets):
            raise DataError(f"x has {len(table)} rows and y has {len(targets)}. Give one target per row.")
        cells = _by_cell(targets, output_shape(model, x))
        found |= _target_facts(targets if cells is None else cells, loss_name, metrics)
        whole = seen is not None and table is not None and np.isfinite(sample_of(table).astype(np.float64)).all()
        if cells is None and whole and table is not None:
            found |= _pair_statistics(table, targets, found.get("problem_kind"), names, validation)
    return found


def _pair_statistics(
    x: np.ndarray, y: np.ndarray, kind: str | None, names: list[str] | None, validation: tuple[Any, Any] | None
) -> dict[str, Any]:
    """Return what inputs and targets say of each other, where there is one target a row."""
    labels = kind in ("binary", "multiclass")
    if not labels and kind != "regression":
        return {}
    codes = _one_column(y)
    if codes is None:
        return {}
    found = {"order_correlation": order_correlation(codes, labels=labels)}
    found |= relation_statistics(x, codes, labels=labels, names=names)
    if labels:
        found |= label_statistics(x, codes)
    if validation is None:
        return found
    other_x, other_y = as_array(validation[0]), as_array(validation[1])
    if other_x is None or other_y is None or len(other_x) != len(other_y) or not len(other_x):
        return found
    other = _one_column(other_y)
    if other is not None and other_x.dtype.kind in "biuf" and other.dtype.kind == codes.dtype.kind:
        other_x = other_x[:, None] if other_x.ndim == 1 else other_x
        found |= validation_statistics(x, codes, other_x, other, labels=labels)
    return found


def _one_column(y: np.ndarray) -> np.ndarray | None:
    if y.ndim > 2 or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        column: np.ndarray = y.argmax(axis=1)
        return column
    return y.reshape(-1)


def _by_cell(y: np.ndarray, output: tuple[int | None, ...] | None) -> np.ndarray | None:
    """Return the targets as (n * cells, k) where there is one for every step or cell of a row; None where there is not.

    Args:
        y: (n, ...).
        output: shape of the model's output.
    """
    if output is None or len(output) < 3 or not len(output) - 1 <= y.ndim <= len(output):
        return None
    return y.reshape(-1, y.shape[-1] if y.ndim == len(output) else 1)


def _target_facts(y: np.ndarray, loss_name: str | None, metrics: list[str]) -> dict[str, Any]:
    if y.dtype.kind not in "biuf":
        labels, counts = np.unique(y.reshape(-1).astype(str), return_counts=True)
        kind = "binary" if len(labels) == 2 else "multiclass"
        counted = dict(zip(labels.tolist(), counts.tolist(), strict=True))
        return {"problem_kind": kind, "class_counts": counted, "target_word": next(iter(counted))}
    found = target_statistics(y)
    if y.ndim > 2:
        found.pop("target_width")
        found.pop("target_is_one_hot", None)
        return found
    guess = _problem_kind(found, y, loss_name, metrics)
    if guess is not None:
        found["problem_kind"] = guess
    if guess in ("binary", "multiclass"):
        flat = y.reshape(-1)
        labels = y.argmax(axis=1) if found["target_width"] > 1 else flat[np.isfinite(flat.astype(np.float64))]
        values, counts = np.unique(labels, return_counts=True)
        found["class_counts"] = {f"{v:g}": int(n) for v, n in zip(values.tolist(), counts.tolist(), strict=True)}
    return found


def _problem_kind(found: Mapping[str, Any], y: np.ndarray, loss_name: str | None, metrics: list[str]) -> str | None:
    """Return the kind of problem the targets speak of; the loss decides only where they could be both."""
    if "target_min" not in found:
        return None
    zero_one = found["target_is_whole"] and found["target_min"] >= 0 and found["target_max"] <= 1
    if found["target_width"] > 1:
        if found["target_is_one_hot"]:
            return "multiclass"
        return "multilabel" if zero_one else "multioutput"
    if zero_one:
        return "binary"
    classes = found["target_is_whole"] and found["target_max"] - found["target_min"] < MOST_CLASSES
    meant = loss_name in CROSS_ENTROPIES or any("accuracy" in m or m == "acc" for m in metrics)
    if classes and (meant or (loss_name not in QUANTITY_LOSSES and y.dtype.kind in "biu")):
        return "binary" if len(np.unique(y)) == 2 else "multiclass"
    return "regression"
