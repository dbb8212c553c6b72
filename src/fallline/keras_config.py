"""A Keras model as data, its config, without what Keras does for it and need not do; Keras itself is not imported."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = [
    "anew",
    "cloned",
    "compile_like",
    "copied",
    "fills_gaps",
    "loss_weights",
    "own_functions",
    "settle",
    "without_tensorflow",
]

# Rows with gaps that a model is tried on.
_TRIED_ROWS = 32


@contextlib.contextmanager
def without_tensorflow() -> Iterator[None]:
    """A ``with`` block in which Keras writes a model's config without importing TensorFlow for it.

    Keras asks of each value in a config whether it is one of TensorFlow's, and imports TensorFlow, where it is
    installed, to ask: seconds, and lines of its log on the terminal. Where nobody has imported TensorFlow no value can
    be one of its own, so that the answer is known. Keras keeps its knowledge in a module of its own that is not
    public; where that has changed, nothing is done here, and the answer only takes longer.

    >>> import keras
    >>> with without_tensorflow():
    ...     config = keras.saving.serialize_keras_object(keras.layers.Dense(3))
    """
    lazy: Any = None
    if "tensorflow" not in sys.modules:
        with contextlib.suppress(ImportError):
            from keras.src.utils import module_utils

            lazy = getattr(module_utils, "tensorflow", None)
    if getattr(lazy, "_available", True) is not None:  # known already, or kept otherwise than we know
        yield
        return
    lazy._available = False
    try:
        yield
    finally:
        lazy._available = None


def settle(model: Any) -> None:
    """Let the layers of a Keras model that keep constants of their weights make them anew, as Keras does after loading.

    A Normalization that was adapted scales by such constants: a copy that is only given the weights scales by nothing.

    >>> import keras, numpy as np
    >>> scale = keras.layers.Normalization()
    >>> scale.adapt(np.array([[4.0], [8.0]]))
    >>> copy = keras.Sequential([keras.Input((1,)), keras.layers.Normalization()])
    >>> copy.set_weights(scale.get_weights())
    >>> settle(copy)
    >>> np.asarray(copy(np.array([[8.0]]))).round(3).tolist()
    [[1.0]]
    """
    for layer in model._flatten_layers():
        again = getattr(layer, "finalize_state", None)
        if again is not None and getattr(layer, "built", False):
            again()


def own_functions(model: Any) -> dict[str, Any]:
    """Return name -> functions that are the user's and not Keras' own: loss, metrics, activations of layers.

    A config only names them; `keras.saving.custom_object_scope` lets Keras find them by these names.
    """
    import keras

    metrics = getattr(getattr(model, "_compile_metrics", None), "_user_metrics", None)
    given = [getattr(layer, "activation", None) for layer in model._flatten_layers(include_self=False)]
    given += keras.tree.flatten([getattr(model, "loss", None), metrics])
    own = [one for one in given if inspect.isfunction(one) and not one.__module__.startswith("keras.")]
    return {one.__name__: one for one in own}


def cloned(model: Any) -> Any:
    """Return a Sequential or Functional model of the same layers with weights of its own, not compiled.

    ``keras.models.clone_model`` also compiles by a config, which fails where the loss is a function of the user's own.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss=lambda y, p: (y - p) ** 2)
    >>> cloned(model).compiled, model.compiled
    (False, True)
    """
    import keras

    compiled, model.compiled = model.compiled, False
    try:
        with without_tensorflow(), keras.saving.custom_object_scope(own_functions(model)):
            return keras.models.clone_model(model)
    finally:
        model.compiled = compiled


def copied(model: Any) -> Any:
    """Return what `cloned` does, with the weights that the model has, if it has any."""
    copy = cloned(model)
    if model.built and model.weights:
        if not copy.built:
            copy.build(model.input_shape)
        copy.set_weights(model.get_weights())
        settle(copy)
    return copy


def anew(one: Any) -> Any:
    """Return an optimizer or a metric of the same settings that has seen nothing yet."""
    return type(one).from_config(one.get_config())


def compile_like(copy: Any, model: Any) -> None:
    """Compile a copy of a model with what the model was compiled with; optimizer and metrics become its own."""
    import keras

    if type(model).compile is not keras.Model.compile:  # its own way of compiling, and of telling it
        copy.compile_from_config(model.get_compile_config())
        return

    def fresh(one: Any) -> Any:
        return anew(one) if isinstance(one, (keras.optimizers.Optimizer, keras.metrics.Metric)) else one

    given = model._compile_config.config
    with without_tensorflow(), keras.saving.custom_object_scope(own_functions(model)):
        copy.compile(**{name: keras.tree.map_structure(fresh, value) for name, value in given.items()})


def loss_weights(model: Any) -> Any:
    """Return the weights of the outputs' losses that a model was compiled with; None: none, or it is not compiled."""
    given = getattr(model, "_compile_config", None)
    return None if given is None else given.config.get("loss_weights")


def fills_gaps(model: Any, x: Any) -> bool:
    """Return whether a Keras model's outputs are finite where its inputs have gaps; true, too, where they have none.

    Args:
        model: a built one; of another nothing is known, and it is taken not to.
        x: (n, ...) inputs, or a list or dict of them, NaN in the gaps.

    >>> import keras
    >>> layer, x = keras.layers.Dense(1), np.array([[1.0], [np.nan]])
    >>> fills_gaps(keras.Sequential([keras.Input((1,)), layer]), x)
    False
    >>> fill = keras.layers.Lambda(keras.ops.nan_to_num)
    >>> fills_gaps(keras.Sequential([keras.Input((1,)), fill, layer]), x)
    True
    """
    import keras

    arrays = [a for a in keras.tree.flatten(x) if np.asarray(a).dtype.kind == "f"]
    holed = [np.argwhere(np.isnan(a))[:, 0] for a in arrays if np.ndim(a)]
    rows = np.unique(np.concatenate(holed))[:_TRIED_ROWS] if holed else np.zeros(0, int)
    if not len(rows):
        return True
    one_length = len({len(a) for a in keras.tree.flatten(x)}) == 1
    if not getattr(model, "built", False) or not one_length:
        return False
    outputs = model(keras.tree.map_structure(lambda a: np.asarray(a)[rows], x), training=False)
    return all(bool(np.isfinite(keras.ops.convert_to_numpy(out)).all()) for out in keras.tree.flatten(outputs))
