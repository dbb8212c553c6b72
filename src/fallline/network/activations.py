"""Names of activations, as Keras functions; a network that uses them saves as a plain Keras model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from fallline.network.cheap import mish as cheap_mish

__all__ = ["UNIT_TARGETS", "activation", "apply_activation", "apply_output_unit"]

# (output unit, target values) -> what the unit is to reach for a label that is absent, and for one that is present.
# LeCun et al. 1998, Efficient BackProp, section 4.5: at the asymptotes the weights grow for ever and the unit no longer
# learns; targets belong where the second derivative is largest, which for 1.7159 tanh(2x/3) is at -1 and +1.
UNIT_TARGETS: dict[tuple[str, str], tuple[float, float]] = {
    ("sigmoid", "inside"): (0.1, 0.9),
    ("sigmoid", "asymptotes"): (0.0, 1.0),
    ("lecun_tanh", "inside"): (-1.0, 1.0),
    ("lecun_tanh", "asymptotes"): (-1.7159, 1.7159),
}


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


def apply_output_unit(output: str, values: str, x: Any, *, softmax: bool) -> Any:
    """Apply a bounded output unit by stock layers and read its place between its two targets as a probability.

    Args:
        output: ``sigmoid`` or ``lecun_tanh``.
        values: ``inside`` or ``asymptotes``, see `UNIT_TARGETS`.
        x: (..., k) what goes into the units.
        softmax: the labels exclude each other: the k probabilities are divided by their sum.
    """
    low, high = UNIT_TARGETS[output, values]
    reached = apply_activation(output, x, layer_name="output_unit")
    share = keras.layers.Rescaling(1.0 / (high - low), offset=-low / (high - low), name="share_of_targets")(reached)
    # No probability of exactly 0 or 1: a unit may overshoot its target.
    p = keras.ops.clip(share, 1e-7, 1.0 - 1e-7)
    return keras.ops.divide(p, keras.ops.sum(p, axis=-1, keepdims=True)) if softmax else p
