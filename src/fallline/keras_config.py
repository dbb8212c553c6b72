"""A Keras model as data, its config, without what Keras does for it and need not do; Keras itself is not imported."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["settle", "without_tensorflow"]


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
