"""Layer-sequential unit variance: a start that looks at the data.

Source: Mishkin & Matas, All you need is a good init, arXiv 1511.06422, algorithm 1: orthonormal weights, then, layer by
layer from the input, the weights divided by the standard deviation of the layer's outputs until it is 1. With biases
of 0 the outputs are linear in the weights, so that one division does what the paper iterates.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fallline.errors import InputError
from fallline.network.initialise import initial_kernel

__all__ = ["lsuv", "scaled_to_unit_variance"]


def _kernel_layers(model: keras.Model) -> list[Any]:
    """The layers with a kernel and a symbolic place in the graph, in forward order; skip paths that start at 0 not."""
    return [layer for layer in model.layers if getattr(layer, "kernel", None) is not None and layer.name != "skip"]


def scaled_to_unit_variance(
    model: keras.Model, trainable: list[np.ndarray], fixed: list[np.ndarray], x: np.ndarray
) -> list[np.ndarray]:
    """Return the trainable weights with every kernel scaled so that its layer's outputs have variance 1 on ``x``.

    Args:
        model: a network whose layers with kernels are linear (their activation is a layer of its own).
        trainable: its weights, in its order; biases 0.
        fixed: its non-trainable weights.
        x: (n, ...) rows to look at.
    """
    layers = _kernel_layers(model)
    out = keras.Model(model.input, [layer.output for layer in layers])
    place = {v.path: i for i, v in enumerate(model.trainable_variables)}
    order = [place[v.path] for v in out.trainable_variables]
    fixed_place = {v.path: i for i, v in enumerate(model.non_trainable_variables)}
    others = [fixed[fixed_place[v.path]] for v in out.non_trainable_variables]
    trainable = list(trainable)
    for index, layer in enumerate(layers):
        values = out.stateless_call([trainable[i] for i in order], others, x, training=False)[0]
        values = values if isinstance(values, (list, tuple)) else [values]
        at = place[layer.kernel.path]
        trainable[at] = trainable[at] / _spread(np.asarray(values[index]), layer.name)
    return trainable


def _spread(values: np.ndarray, name: str) -> np.float32:
    sd = float(values.std(dtype=np.float64))
    if not np.isfinite(sd) or sd == 0.0:
        raise InputError(
            f"LSUV cannot scale the layer {name!r}: its outputs have the standard deviation {sd:g} on these rows. Give "
            "rows that vary and are finite (scale the inputs), or choose another initialiser."
        )
    return np.float32(sd)


def lsuv(model: keras.Model, x: Any, *, seed: int = 0, rows: int = 2048) -> keras.Model:
    """Start a Keras model by layer-sequential unit variance; its weights are changed in place.

    Args:
        model: Sequential or Functional, built; every layer with a ``kernel`` (dense, convolution) is set, biases to 0.
        x: (n, ...) training inputs, prepared as they will be in training.
        seed: of the orthonormal weights and of the rows.
        rows: how many of the rows are looked at.

    Returns:
        the model.

    Raises:
        InputError: a model without layers that can be set, or rows that do not vary.

    Source: Mishkin & Matas, arXiv 1511.06422, algorithm 1.

    >>> import keras, numpy as np
    >>> dense = keras.layers.Dense
    >>> model = keras.Sequential([keras.Input((5,)), dense(40, "relu"), dense(40, "relu"), dense(1)])
    >>> x = np.random.default_rng(0).normal(size=(500, 5))
    >>> round(float(np.asarray(lsuv(model, x)(x)).std()), 3)
    1.0
    """
    if not hasattr(model, "inputs") or not getattr(model, "built", False):
        raise InputError(
            "LSUV goes through a model layer by layer: give a built Sequential or Functional model (one with an Input)."
        )
    layers = _kernel_layers(model)
    if not layers:
        raise InputError(f"The model {model.name!r} has no layer with a kernel: there is nothing to initialise.")
    rng = np.random.default_rng(seed)
    x = np.asarray(x)
    x = x[rng.permutation(len(x))[:rows]]
    for layer in layers:
        layer.kernel.assign(initial_kernel("orthogonal", rng, tuple(layer.kernel.shape)))
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(np.zeros(layer.bias.shape))
        spread = _spread(np.asarray(_linear_output(model, layer, x)), layer.name)
        layer.kernel.assign(np.asarray(layer.kernel.value) / spread)
    return model


def _linear_output(model: keras.Model, layer: Any, x: np.ndarray) -> Any:
    """What comes out of a layer before its own activation, in evaluation mode."""
    before = x if layer.input is model.inputs[0] else keras.Model(model.inputs, layer.input)([x], training=False)
    own = getattr(layer, "activation", None)
    if own is None:
        return layer(before)
    try:
        layer.activation = keras.activations.linear
        return layer(before)
    finally:
        layer.activation = own
