"""Recipe to Keras model: the multilayer perceptron for tables, and the autoencoder that it becomes when mirrored."""

from __future__ import annotations

from typing import Any

import keras

from fallline.network.activations import activation
from fallline.network.layers import MaskDropout, PeriodicEmbedding, PiecewiseEmbedding, Scale, WhiteNoise
from fallline.network.member import MemberNetwork
from fallline.types import NetworkRecipe

__all__ = ["build_mlp", "hidden_layer", "noisy_inputs", "outputs_with_skip", "widths_of"]


def widths_of(recipe: NetworkRecipe) -> tuple[int, ...]:
    """Return the units of each dense hidden layer: an autoencoder's are mirrored behind the last of the recipe's.

    >>> widths_of(NetworkRecipe(kind="autoencoder", hidden=(32, 8)))
    (32, 8, 32)
    """
    assert recipe.hidden != "auto"
    return (*recipe.hidden, *recipe.hidden[-2::-1]) if recipe.kind == "autoencoder" else recipe.hidden


def noisy_inputs(recipe: NetworkRecipe, x: Any) -> Any:
    """Apply what disturbs the prepared inputs in training."""
    if recipe.input_noise > 0.0:
        x = WhiteNoise(recipe.input_noise, name="input_noise")(x)
    if recipe.input_dropout > 0.0:
        x = MaskDropout(recipe.input_dropout, name="input_dropout")(x)
    return x


def normalise(recipe: NetworkRecipe, x: Any, name: str) -> Any:
    """Apply the recipe's normalisation; for (B, h, w, c) batch and group normalisation are per channel."""
    if recipe.normalization == "batch":
        return keras.layers.BatchNormalization(name=name)(x)
    if recipe.normalization == "layer":
        return keras.layers.LayerNormalization(axis=list(range(1, len(x.shape))), name=name)(x)
    if recipe.normalization == "group":
        return keras.layers.GroupNormalization(recipe.groups, name=name)(x)
    return x


def disturb(recipe: NetworkRecipe, x: Any, name: str) -> Any:
    """Apply what disturbs a hidden layer's outputs in training: dropout, then Gaussian noise."""
    if recipe.dropout != "auto" and recipe.dropout > 0.0:
        x = MaskDropout(recipe.dropout, name=f"dropout_{name}")(x)
    if recipe.hidden_noise > 0.0:
        x = WhiteNoise(recipe.hidden_noise, name=f"noise_{name}")(x)
    return x


def hidden_layer(recipe: NetworkRecipe, x: Any, units: int, name: str) -> Any:
    """Apply one dense hidden layer: product, normalisation, activation, disturbance."""
    x = keras.layers.Dense(units, kernel_initializer="zeros", name=f"hidden_{name}")(x)
    x = normalise(recipe, x, f"norm_{name}")
    x = keras.layers.Activation(activation(recipe.activation), name=f"activation_{name}")(x)
    return disturb(recipe, x, name)


def outputs_with_skip(recipe: NetworkRecipe, x: Any, start: Any, outputs: int, *, skip: bool) -> Any:
    """Apply the output layer, and the linear path from the inputs beside it."""
    out = keras.layers.Dense(outputs, kernel_initializer="zeros", name="output")(x)
    if not skip:
        return out
    straight = keras.layers.Dense(outputs, use_bias=False, kernel_initializer="zeros", name="skip")(start)
    return keras.layers.Add(name="deep_and_linear")([out, straight])


def build_mlp(recipe: NetworkRecipe, *, features: int, numbers: int, outputs: int) -> MemberNetwork:
    """Build one member's multilayer perceptron from a resolved recipe.

    Args:
        recipe: no entry is "auto".
        features: d, prepared features.
        numbers: m <= d, how many of them are scaled numbers (they come first).
        outputs: width of the output layer (linear).
    """
    inputs = keras.Input((features,), name="features")
    x = start = noisy_inputs(recipe, inputs)
    if recipe.embedding in ("periodic", "both") and numbers:
        x = PeriodicEmbedding(numbers, name="embedding")(x)
    if recipe.embedding in ("piecewise", "both") and numbers:
        x = PiecewiseEmbedding(numbers, name="piecewise")(x)
    widths = widths_of(recipe)
    if recipe.input_scale and widths:
        x = Scale(name="scale")(x)
    for i, units in enumerate(widths):
        x = hidden_layer(recipe, x, units, str(i + 1))
    # A path around an autoencoder's narrow layer would leave that layer nothing to learn.
    skip = recipe.skip and bool(widths) and recipe.kind != "autoencoder"
    out = outputs_with_skip(recipe, x, start, outputs, skip=skip)
    return MemberNetwork(keras.Model(inputs, out, name="member"), recipe, features, numbers, outputs, widths)
