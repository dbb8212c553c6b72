"""Statistics from a Keras model and its data, read by the attributes Keras models have; Keras is not imported."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.rules._statistics import (
    CROSS_ENTROPIES,
    canonical_loss,
)
from fallline.rules._structure import flat_layers, kind_of, layer_activation, layer_facts

__all__ = [
    "as_array",
    "compiled_statistics",
    "loss_statistics",
    "model_statistics",
    "optimizer_statistics",
    "output_shape",
    "output_statistics",
    "sample_of",
    "seen_inputs",
    "trained_model_statistics",
]

# Rows enough for a mean to 1 % of an sd; more would only cost time.
SAMPLE = 10_000
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
    table = as_array(x)
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


def sample_of(x: np.ndarray) -> np.ndarray:
    """Return rows enough for a mean, spread evenly over all."""
    return x if len(x) <= SAMPLE else x[np.linspace(0, len(x) - 1, SAMPLE).astype(int)]


def seen_inputs(model: Any, x: np.ndarray) -> np.ndarray | None:
    """Return a sample of x as the first trainable layer sees it, or None when that cannot be told.

    Shape-changing and fixed scaling layers in front are run; batch and layer normalisation there are computed from the
    sample. A model that is not one chain of layers is followed only if nothing in it scales.
    """
    if x.dtype.kind not in "biuf":
        return None
    x = sample_of(x).astype(np.float32 if x.dtype.kind != "f" else x.dtype, copy=False)
    layers = list(flat_layers(getattr(model, "layers", None) or ()))
    inputs = [layer for layer in layers if kind_of(layer) == "InputLayer"]
    if len(inputs) > 1:
        return None
    if not _is_chain(model) and _output_layer(model) is None:
        scales = any(kind_of(layer) in (*_SCALERS, *_STANDARDISERS) for layer in layers)
        return None if scales or _numbers_of_words(model, x) else x
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
        elif kind == "Embedding" or _numbers_of_words(layer, x):
            return None  # sees numbers of categories, for which size means nothing
        else:
            break
    return x


def _numbers_of_words(part: Any, x: np.ndarray) -> bool:
    """Return whether x (n, steps) holds numbers of words, or of categories, for an Embedding inside of a part.

    Args:
        part: a layer or model of somebody's own: which of its layers takes the inputs is not known.
        x: whole numbers from 0 on, each a row of the Embedding, are taken for such.
    """
    inner = getattr(part, "_flatten_layers", None)
    rows = [layer.input_dim for layer in inner() if kind_of(layer) == "Embedding"] if inner is not None else []
    if not rows or x.ndim > 2:
        return False
    return bool(((x >= 0) & (x < max(rows)) & (x == np.trunc(x))).all())


def as_array(values: Any) -> np.ndarray | None:
    """Return what was given as one array; None where it is none, or several inputs."""
    if values is None or isinstance(values, Mapping):
        return None
    if isinstance(values, (list, tuple)) and any(np.ndim(v) > 1 for v in values):
        return None  # several inputs
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.dtype.kind == "O":
        with contextlib.suppress(TypeError, ValueError):  # labels in words stay as they are
            array = array.astype(np.float64)
    return array if array.ndim >= 1 else None
