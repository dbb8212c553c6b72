"""Statistics from a Keras model and its data, read by the attributes Keras models have; Keras is not imported."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.errors import DataError
from fallline.keras_config import without_tensorflow
from fallline.rules._from_data import (
    label_statistics,
    order_correlation,
    relation_statistics,
    table_statistics,
    validation_statistics,
)
from fallline.rules._statistics import (
    CROSS_ENTROPIES,
    QUANTITY_LOSSES,
    canonical_loss,
    constant_prediction_loss,
    input_statistics,
    target_statistics,
)
from fallline.rules._structure import flat_layers, kind_of, layer_activation, layer_facts

__all__ = [
    "compiled_statistics",
    "data_statistics",
    "loss_statistics",
    "model_statistics",
    "optimizer_statistics",
    "output_shape",
    "output_statistics",
    "seen_inputs",
    "static_statistics",
    "trained_model_statistics",
]

# Rows enough for a mean to 1 % of an sd; more would only cost time.
SAMPLE = 10_000
# Distinct whole-number targets up to which they may be class labels when the loss does not say.
MOST_CLASSES = 100

# Keras' own, for an optimizer that is given by its name.
DEFAULT_RATES = dict.fromkeys(("adam", "adamw", "adamax", "nadam", "rmsprop", "adagrad", "adadelta", "ftrl"), 0.001) | {
    "sgd": 0.01,
    "lion": 0.001,
}

_SHAPERS = ("Flatten", "Reshape", "Permute")
_SCALERS = ("Normalization", "Rescaling")
_PASSED = (
    "InputLayer",
    "Dropout",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
)
_STANDARDISERS = ("BatchNormalization", "LayerNormalization")
_AFTER_OUTPUT = ("Dropout", "Reshape", "Flatten", "Identity")


def _is_chain(model: Any) -> bool:
    return kind_of(model) == "Sequential"


def _output_layer(model: Any) -> Any:
    """Return the layer that makes the model's only output, or None when it cannot be told."""
    if _is_chain(model):
        chain = [layer for layer in flat_layers(model.layers) if kind_of(layer) not in _AFTER_OUTPUT]
        return chain[-1] if chain else None
    try:
        outputs = model.outputs
    except (AttributeError, ValueError):
        return None
    if not isinstance(outputs, (list, tuple)) or len(outputs) != 1:
        return None
    history = getattr(outputs[0], "_keras_history", None)
    made_by = getattr(history, "operation", None)
    if made_by is not None and getattr(made_by, "layers", None):
        return _output_layer(made_by)
    return made_by


def model_statistics(model: Any, x: Any = None) -> dict[str, Any]:
    """Return the output's activation and width and the list of layers, as far as the model shows them.

    Args:
        model: a Keras model. A subclassed model shows its layers, but not which of them makes the output.
        x: inputs, for the width of a subclassed model's output.
    """
    found = output_statistics(model, x)
    layers = getattr(model, "layers", None)
    if layers:
        found["layers"] = layer_facts(model)
    return found


def output_statistics(model: Any, x: Any = None) -> dict[str, Any]:
    """Return the output's activation and width; the arguments are those of `model_statistics`."""
    found: dict[str, Any] = {}
    output = _output_layer(model)
    activation = layer_activation(output) if output is not None else None
    if activation is None and hasattr(output, "kernel_initializer"):
        activation = "linear"
    if activation is not None:
        found["output_activation"] = activation
    shape = output_shape(model, x)
    units = shape[-1] if shape is not None else getattr(output, "units", None)
    if isinstance(units, (int, np.integer)):
        found["output_units"] = int(units)
    return found


def trained_model_statistics(model: Any) -> dict[str, Any]:
    """Return the same of a model after its training, whose weights say nothing of how they were drawn."""
    found = model_statistics(model)
    if "layers" in found:
        found["layers"] = [replace(layer, kernel_sd=math.nan) for layer in found["layers"]]
    return found


def output_shape(model: Any, x: Any = None) -> tuple[int | None, ...] | None:
    """Return the shape (rows, ..., units) of a model's only output; None for several, and where it cannot be told.

    Args:
        model: a Keras model.
        x: inputs, (n, ...); a subclassed model that is built is asked what it makes of them.
    """
    shape: Any = None
    with contextlib.suppress(AttributeError, ValueError):  # not built yet, or subclassed
        shape = model.output_shape
    table = _array(x)
    if shape is None and table is not None and table.ndim > 1 and getattr(model, "built", False):
        import keras

        with contextlib.suppress(Exception):  # a person's own `call`: whatever it raises, its shape is not known
            shape = model.compute_output_spec(keras.KerasTensor((None, *table.shape[1:]), "float32")).shape
    if not isinstance(shape, tuple) or len(shape) < 2 or any(isinstance(one, (tuple, list)) for one in shape):
        return None
    return shape


def loss_statistics(loss: Any) -> dict[str, Any]:
    """Return ``loss_name`` and ``from_logits`` of a Keras loss given as name, object or function; {} if neither."""
    if loss is None or isinstance(loss, (Mapping, list, tuple)):
        return {}
    if isinstance(loss, str):
        name, config = loss, {}
    elif hasattr(loss, "get_config"):
        name, config = type(loss).__name__, dict(loss.get_config())
    elif hasattr(loss, "__name__"):
        name, config = loss.__name__, {}
    else:
        return {}
    spelled = canonical_loss(name)
    found: dict[str, Any] = {"loss_name": spelled}
    if spelled in CROSS_ENTROPIES:
        found["from_logits"] = bool(config.get("from_logits", False))
    return found


def compiled_statistics(model: Any) -> dict[str, Any]:
    """Return loss, metrics and optimizer of a compiled model; {} when it is not compiled."""
    found = loss_statistics(getattr(model, "loss", None))
    # As given to compile(): the public get_compile_config() would serialise every object, and fails on homemade ones.
    given = getattr(getattr(model, "_compile_config", None), "config", None)
    metrics = (given.get("metrics") if isinstance(given, Mapping) else None) or ()
    if isinstance(metrics, (list, tuple)):
        names = (m if isinstance(m, str) else getattr(m, "name", getattr(m, "__name__", None)) for m in metrics)
        found["metric_names"] = [str(name) for name in names if name]
    optimizer = getattr(model, "optimizer", None)
    return found | optimizer_statistics(optimizer)


def optimizer_statistics(optimizer: Any) -> dict[str, Any]:
    """Return the name and, where it is one number, the learning rate of a Keras optimizer or its name."""
    if optimizer is None:
        return {}
    if isinstance(optimizer, str):
        name = optimizer.lower()
        return {"optimizer_name": name} | ({"first_rate": DEFAULT_RATES[name]} if name in DEFAULT_RATES else {})
    found: dict[str, Any] = {"optimizer_name": type(optimizer).__name__.lower()}
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        found["momentum"] = float(optimizer.momentum)
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        rate = optimizer.learning_rate
        found["first_rate"] = float(rate)
        found["rate_is_scheduled"] = not isinstance(getattr(optimizer, "_learning_rate", rate), type(rate))
    return found


def _sample(x: np.ndarray) -> np.ndarray:
    return x if len(x) <= SAMPLE else x[np.linspace(0, len(x) - 1, SAMPLE).astype(int)]


def seen_inputs(model: Any, x: np.ndarray) -> np.ndarray | None:
    """Return a sample of x as the first trainable layer sees it, or None when that cannot be told.

    Shape-changing and fixed scaling layers in front are run; batch and layer normalisation there are computed from the
    sample. A model that is not one chain of layers is followed only if nothing in it scales.
    """
    if x.dtype.kind not in "biuf":
        return None
    x = _sample(x).astype(np.float32 if x.dtype.kind != "f" else x.dtype, copy=False)
    layers = list(flat_layers(getattr(model, "layers", None) or ()))
    inputs = [layer for layer in layers if kind_of(layer) == "InputLayer"]
    if len(inputs) > 1:
        return None
    if not _is_chain(model) and _output_layer(model) is None:
        scales = any(kind_of(layer) in (*_SCALERS, *_STANDARDISERS) for layer in layers)
        return None if scales else x
    for layer in layers:
        kind = kind_of(layer)
        if kind in _PASSED:
            continue
        if kind in _SHAPERS or (kind in _SCALERS and (kind != "Normalization" or getattr(layer, "built", False))):
            x = np.asarray(layer(x))
        elif kind == "Normalization":
            continue  # not adapted: Keras starts it as the identity
        elif kind in _STANDARDISERS:
            axes = tuple(range(x.ndim - 1)) if kind == "BatchNormalization" else (-1,)
            sd = np.sqrt(x.var(axis=axes, keepdims=True) + 1e-3)  # Keras' default epsilon
            x = (x - x.mean(axis=axes, keepdims=True)) / sd
        elif kind == "Embedding":
            return None  # sees numbers of categories, for which size means nothing
        else:
            break
    return x


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
    table, seen = _array(x), None
    if table is not None and table.ndim >= 1 and len(table):
        table = table[:, None] if table.ndim == 1 else table  # Keras, too, reads a vector as a column
        found |= {"n_train": len(table), "n_features": int(np.prod(table.shape[1:]))}
        seen = seen_inputs(model, table)
        if seen is not None:
            found |= table_statistics(table, names)
        if seen is not None:
            # a pixel is one input; the steps of a sequence and the pixels of an image share their channel's scale
            flat = seen.reshape(-1, seen.shape[-1]) if seen.ndim > 2 else seen
            found |= input_statistics(flat)
            if names is not None and flat.shape[1] == len(names):
                found["input_names"] = names
    targets = _array(y)
    if targets is not None and len(targets):
        if table is not None and len(table) != len(targets):
            raise DataError(f"x has {len(table)} rows and y has {len(targets)}. Give one target per row.")
        cells = _by_cell(targets, output_shape(model, x))
        found |= _target_facts(targets if cells is None else cells, loss_name, metrics)
        whole = seen is not None and table is not None and np.isfinite(_sample(table).astype(np.float64)).all()
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
    other_x, other_y = _array(validation[0]), _array(validation[1])
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


def _array(values: Any) -> np.ndarray | None:
    if values is None or isinstance(values, Mapping):
        return None
    if isinstance(values, (list, tuple)) and any(np.ndim(v) > 1 for v in values):
        return None  # several inputs
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.dtype.kind == "O":
        with contextlib.suppress(TypeError, ValueError):  # labels in words stay as they are
            array = array.astype(np.float64)
    return array if array.ndim >= 1 else None


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
        return {"problem_kind": kind, "class_counts": dict(zip(labels.tolist(), counts.tolist(), strict=True))}
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
    return found


def _built_copy(model: Any, x: Any) -> Any:
    if getattr(model, "built", True) or kind_of(model) not in ("Sequential", "Functional"):
        return model
    table = _array(x)
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
