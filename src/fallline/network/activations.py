"""Names of activations, as Keras functions; a network that uses them saves as a plain Keras model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from fallline.network.cheap import mish as cheap_mish

__all__ = ["activation", "apply_activation"]


def lecun_tanh(x: Any) -> Any:
    """1.7159 tanh(2 x / 3): f(+-1) = +-1, largest second derivative near 1.

    Source: LeCun et al. 1998, Efficient BackProp, section 4.4.
    """
    return 1.7159 * keras.ops.tanh(x * (2.0 / 3.0))


def activation(name: str) -> Callable[[Any], Any]:
    """Return the activation function of this name."""
    if name == "lecun_tanh":
        return lecun_tanh
    if name == "mish":
        return cheap_mish
    found: Callable[[Any], Any] = keras.activations.get(name)
    return found


def apply_activation(name: str, x: Any, *, layer_name: str) -> Any:
    """Apply an activation to a symbolic Keras tensor by stock layers only."""
    if name == "lecun_tanh":
        inner = keras.layers.Rescaling(2.0 / 3.0, name=f"{layer_name}_in")(x)
        return keras.layers.Rescaling(1.7159, name=f"{layer_name}_out")(
            keras.layers.Activation("tanh", name=layer_name)(inner)
        )
    return keras.layers.Activation(name, name=layer_name)(x)
