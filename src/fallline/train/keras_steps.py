"""How some of Keras' layers compute in fallline's training steps and evaluations: the same, or the same distribution.

- Batch normalisation keeps padded rows out of its statistics, so that a smaller last batch needs no program of its own.
- Maximum pooling over windows that do not overlap compares strided views: XLA's gradient of a window costs 9 ms for
  256 x 28 x 28 x 6, this 2 ms. Equal values give the gradient to the first, as there.
- A convolution of few channels is products with banded matrices (see `fallline.network.banded`): LeNet-5's two take 16
  ms a step instead of 35 (batch 256, 32 x 32 x 3).
- Dropout and Gaussian noise draw by a cheap hash of Keras' own seed state instead of threefry, whose mask of 32 x 64
  costs 68 us on a CPU, more than the step of a small network.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras

from fallline.network import banded
from fallline.network.random import keep_mask, standard_normal

__all__ = ["as_evaluated", "as_trained", "replaced"]

Call = Callable[..., Any]


def _key(layer: Any) -> jax.Array:
    """Keras' seed state is [seed, calls], just what the cheap generator takes; reading it counts the call."""
    return jnp.asarray(layer.seed_generator.next(), jnp.uint32)


def _dropout(layer: Any, original: Call) -> Call:
    def call(inputs: Any, training: bool = False) -> Any:
        if not training or not 0.0 < layer.rate < 1.0:
            return original(inputs, training=training)
        shape = tuple(inputs.shape)
        if layer.noise_shape is not None:
            shape = tuple(n if wanted is None else wanted for n, wanted in zip(shape, layer.noise_shape, strict=True))
        keep = keep_mask(_key(layer), layer.rate, shape)
        return inputs * jnp.where(keep, 1.0 / (1.0 - layer.rate), 0.0).astype(inputs.dtype)

    return call


def _noise(layer: Any, original: Call) -> Call:
    def call(inputs: Any, training: bool = False) -> Any:
        if not training or not layer.stddev > 0:
            return original(inputs, training=training)
        drawn = layer.stddev * standard_normal(_key(layer), tuple(inputs.shape))
        return inputs + drawn.astype(layer.compute_dtype)

    return call


def _normalisation(layer: Any, original: Call, valid: jax.Array | None) -> Call:
    def call(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and layer.trainable) or mask is not None:
            return original(inputs, training=training, mask=mask)
        plain = not (getattr(layer, "renorm", False) or layer.synchronized) and inputs.dtype == jnp.float32
        if len(inputs.shape) == 2 and plain:
            return _normalised(layer, inputs, valid)
        if valid is None:
            return original(inputs, training=training)
        rows = valid.reshape(-1, *[1] * (len(inputs.shape) - 2))
        return original(inputs, training=training, mask=jnp.broadcast_to(rows, inputs.shape[:-1]))

    return call


def _normalised(layer: Any, x: jax.Array, valid: jax.Array | None) -> jax.Array:
    """Normalise (b, d) over its real rows and move the moving statistics, as Keras does.

    Each column's factor is computed once: XLA would else take the root anew for every element, which doubles the cost
    of the layer (32 x 64, two layers: 38 us a step before, 31 after, of which the rest of the network takes 22).
    Source: Ioffe & Szegedy, arXiv 1502.03167, algorithm 1.
    """
    if valid is None:
        mean = jnp.mean(x, axis=0)
        moved = x - mean
        variance = jnp.mean(jnp.square(moved), axis=0)
    else:
        share = (valid / jnp.sum(valid))[:, None]
        mean = jnp.sum(x * share, axis=0)
        moved = x - mean
        variance = jnp.sum(jnp.square(moved) * share, axis=0)
    momentum = layer.momentum
    layer.moving_mean.assign(layer.moving_mean.value * momentum + mean * (1.0 - momentum))
    layer.moving_variance.assign(layer.moving_variance.value * momentum + variance * (1.0 - momentum))
    factor = jax.lax.rsqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * layer.gamma.value
    out: jax.Array = moved * jax.lax.optimization_barrier(factor)
    return out + layer.beta.value if layer.center else out


def _pooling(layer: Any, original: Call) -> Call:
    rows, columns = layer.pool_size

    def first(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where((a >= b) | jnp.isnan(a), a, b)

    def call(inputs: Any) -> Any:
        height, width = inputs.shape[1] // rows * rows, inputs.shape[2] // columns * columns
        views = [inputs[:, i:height:rows, j:width:columns] for i in range(rows) for j in range(columns)]
        return functools.reduce(first, views)

    return call


def _convolution(layer: Any, original: Call) -> Call:
    def call(inputs: Any) -> Any:
        kernel, same = layer.kernel.value, layer.padding == "same"
        columns = inputs.shape[2] - (0 if same else kernel.shape[1] - 1)
        if not banded.pays(columns, kernel.shape[2], layer.filters):
            return original(inputs)
        out = banded.convolution(inputs, kernel, layer.padding)
        if layer.use_bias:
            out = out + layer.bias.value
        return layer.activation(out) if layer.activation is not None else out

    return call


def _plain_pooling(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.MaxPooling2D
        and layer.data_format == "channels_last"
        and layer.padding == "valid"
        and tuple(layer.strides) == tuple(layer.pool_size)
    )


def _plain_convolution(layer: Any) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.data_format == "channels_last"
        and tuple(layer.strides) == tuple(layer.dilation_rate) == (1, 1)
        and layer.groups == 1
        and layer.compute_dtype == "float32"
        and getattr(layer, "lora_enabled", False) is False
    )


@contextlib.contextmanager
def replaced(calls: list[tuple[Any, str, Call]]) -> Iterator[None]:
    """Give (object, method name, function) for a while; what an object had of its own comes back."""
    before = [(thing, name, vars(thing).get(name)) for thing, name, _ in calls]
    try:
        for thing, name, call in calls:
            object.__setattr__(thing, name, call)
        yield
    finally:
        for thing, name, own in before:
            if own is None:
                object.__delattr__(thing, name)
            else:
                object.__setattr__(thing, name, own)


def as_trained(model: keras.Model, valid: jax.Array | None = None) -> contextlib.AbstractContextManager[None]:
    """Let the layers of a model compute as said above, while a training step or an evaluation is traced.

    Args:
        model: of the user; it is the same afterwards.
        valid: (b,) 1 for real rows and 0 for padding, which batch normalisation then leaves out; None: no padding.
    """
    calls: list[tuple[Any, str, Call]] = []
    for layer in model._flatten_layers(include_self=False):
        if type(layer) is keras.layers.Dropout:
            calls.append((layer, "call", _dropout(layer, layer.call)))
        elif type(layer) is keras.layers.GaussianNoise:
            calls.append((layer, "call", _noise(layer, layer.call)))
        elif _plain_pooling(layer):
            calls.append((layer, "call", _pooling(layer, layer.call)))
        elif jax.default_backend() == "cpu" and _plain_convolution(layer):
            calls.append((layer, "call", _convolution(layer, layer.call)))
        elif type(layer) is keras.layers.BatchNormalization:
            calls.append((layer, "call", _normalisation(layer, layer.call, valid)))
    return replaced(calls)


def as_evaluated(model: keras.Model, valid: jax.Array) -> contextlib.AbstractContextManager[None]:
    """Let the model's unweighted metrics leave padding out, while an evaluation is traced.

    Args:
        model: of the user, whose metrics take weights (see `keras_support.pads_evaluation`).
        valid: (b,) 1 for real rows and 0 for padding.
    """

    def weighted(original: Call) -> Call:
        return lambda y, out, sample_weight=None: original(y, out, sample_weight=valid)

    lists = [one for one in getattr(model._compile_metrics, "_flat_metrics", ()) if one is not None]
    return replaced([(one, "update_state", weighted(one.update_state)) for one in lists])
