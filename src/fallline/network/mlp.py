"""Recipe to Keras model: the multilayer perceptron for tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fallline.network.activations import activation
from fallline.network.initialise import initial_kernel
from fallline.network.layers import MaskDropout, PeriodicEmbedding, Scale, WhiteNoise
from fallline.types import NetworkRecipe

__all__ = ["MemberNetwork", "build_mlp"]

# Spread of the first frequencies; small, so that the embedding starts smooth (RealMLP, arXiv 2407.04491, table A.1).
_FREQUENCY_SD = 0.1
# RealMLP trains in NTK parametrisation, w = v / sqrt(fan_in): for Adam, whose steps ignore the gradient's size, this is
# a rate of 1 / sqrt(fan_in) on w. The rate that a recipe names is the one of a layer with this fan-in.
_REFERENCE_FAN_IN = 256.0
_SCALE_FACTOR = 6.0  # RealMLP: rate of the scaling layer
_BIAS_FACTOR = 0.1  # RealMLP: rate of the biases, times the reference below
_BIAS_REFERENCE = 16.0  # = sqrt(_REFERENCE_FAN_IN): biases are not divided by sqrt(fan_in)
_EMBEDDING_FACTOR = 0.1  # RealMLP: rate of the embedding's frequencies


@dataclass(frozen=True)
class MemberNetwork:
    """One member's network and how its weights begin.

    Args:
        model: Keras model (B, features) -> (B, outputs), logits or standardised quantities.
        recipe: the resolved network recipe.
        features: d, inputs of the network (prepared features).
        numbers: m, how many of them are scaled numbers.
        outputs: width of the output.
    """

    model: keras.Model
    recipe: NetworkRecipe
    features: int
    numbers: int
    outputs: int

    def initial(self, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return (trainable, non-trainable) initial weights of the member with this seed, in the model's order."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
        trainable = [self._draw(v, rng, self.recipe.initializer) for v in self.model.trainable_variables]
        fixed = []
        for index, v in enumerate(self.model.non_trainable_variables):
            value = np.asarray(v.value)
            if v.path.endswith("/key"):
                value = np.array([rng.integers(0, 2**32), index], np.uint32)
            fixed.append(value)
        return trainable, fixed

    def _draw(self, v: Any, rng: np.random.Generator, name: str) -> np.ndarray:
        layer, _, weight = v.path.rpartition("/")
        shape = tuple(v.shape)
        if weight == "frequency":
            return (rng.standard_normal(shape) * _FREQUENCY_SD).astype(np.float32)
        if weight == "phase":
            return rng.uniform(-0.5, 0.5, shape).astype(np.float32)  # of a turn
        if weight == "mix":
            return (rng.standard_normal(shape) / math.sqrt(shape[1])).astype(np.float32)
        if weight == "kernel":
            if layer == "skip":
                return np.zeros(shape, np.float32)  # the linear path starts silent: at first only the deep one speaks
            return initial_kernel("lecun_normal" if layer == "output" else name, rng, (shape[0], shape[1]))
        return np.asarray(v.value)  # zeros, or ones for scales

    def rate_factors(self) -> list[float]:
        """Return each trainable tensor's factor on the learning rate, in the model's order."""
        factors = []
        for v in self.model.trainable_variables:
            weight = v.path.rpartition("/")[2]
            if weight == "kernel":
                factors.append(float(np.sqrt(_REFERENCE_FAN_IN / v.shape[0])))
            elif weight == "scale":
                factors.append(_SCALE_FACTOR * _BIAS_REFERENCE)
            elif weight in ("frequency", "phase"):
                factors.append(_EMBEDDING_FACTOR * _BIAS_REFERENCE)
            elif weight == "mix":
                factors.append(float(np.sqrt(_REFERENCE_FAN_IN / v.shape[1])))
            else:
                factors.append(_BIAS_FACTOR * _BIAS_REFERENCE)
        return factors

    def decayed(self) -> list[bool]:
        """Return which trainable tensors weight decay shrinks: kernels."""
        return [v.path.rpartition("/")[2] == "kernel" for v in self.model.trainable_variables]


def build_mlp(recipe: NetworkRecipe, *, features: int, numbers: int, outputs: int) -> MemberNetwork:
    """Build one member's network from a resolved recipe.

    Args:
        recipe: no entry is "auto".
        features: d, prepared features.
        numbers: m <= d, how many of them are scaled numbers (they come first).
        outputs: width of the output layer (linear).
    """
    inputs = keras.Input((features,), name="features")
    x = inputs
    if recipe.input_noise > 0.0:
        x = WhiteNoise(recipe.input_noise, name="input_noise")(x)
    start = x
    if recipe.embedding == "periodic" and numbers:
        x = PeriodicEmbedding(numbers, name="embedding")(x)
    if recipe.input_scale and recipe.hidden:
        x = Scale(name="scale")(x)
    assert recipe.hidden != "auto"
    for i, units in enumerate(recipe.hidden):
        x = keras.layers.Dense(units, kernel_initializer="zeros", name=f"hidden_{i + 1}")(x)
        if recipe.normalization == "batch":
            x = keras.layers.BatchNormalization(name=f"norm_{i + 1}")(x)
        elif recipe.normalization == "layer":
            x = keras.layers.LayerNormalization(name=f"norm_{i + 1}")(x)
        x = keras.layers.Activation(activation(recipe.activation), name=f"activation_{i + 1}")(x)
        if recipe.dropout != "auto" and recipe.dropout > 0.0:
            x = MaskDropout(recipe.dropout, name=f"dropout_{i + 1}")(x)
    out = keras.layers.Dense(outputs, kernel_initializer="zeros", name="output")(x)
    if recipe.skip and recipe.hidden:
        out = keras.layers.Add(name="deep_and_linear")(
            [out, keras.layers.Dense(outputs, use_bias=False, kernel_initializer="zeros", name="skip")(start)]
        )
    model = keras.Model(inputs, out, name="member")
    return MemberNetwork(model, recipe, features, numbers, outputs)
