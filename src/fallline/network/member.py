"""One member's network: the Keras model that is trained, how its weights begin, and how each of them is treated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from fallline.network.initialise import initial_kernel
from fallline.network.knots import bin_starts
from fallline.types import NetworkRecipe

__all__ = ["MemberNetwork"]

# RealMLP trains in NTK parametrisation, w = v / sqrt(fan_in): for Adam, whose steps ignore the gradient's size, this is
# a rate of 1 / sqrt(fan_in) on w. The rate that a recipe names is the one of a layer with this fan-in.
_REFERENCE_FAN_IN = 256.0
_SCALE_FACTOR = 6.0  # RealMLP: rate of the scaling layer
_BIAS_FACTOR = 0.1  # RealMLP: rate of the biases, times the reference below
_BIAS_REFERENCE = 16.0  # = sqrt(_REFERENCE_FAN_IN): biases are not divided by sqrt(fan_in)
_EMBEDDING_FACTOR = 0.1  # RealMLP: rate of the embedding's frequencies
# Rows that a data-dependent start looks at: means and variances are then known to some 3 %.
_LOOKED_AT = 2048


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _random_rate(path: str, recipe: NetworkRecipe) -> float:
    """The rate of a random layer, by its name."""
    layer = path.rpartition("/")[0].rpartition("/")[2]
    own = {"input_noise": recipe.input_noise, "input_dropout": recipe.input_dropout}
    inner = recipe.hidden_noise if layer.startswith("noise_") else recipe.dropout
    return float(own.get(layer, inner))


@dataclass(frozen=True)
class MemberNetwork:
    """One member's network and how its weights begin.

    Args:
        model: Keras model (B, features) -> (B, outputs), logits or standardised quantities.
        recipe: the resolved network recipe.
        features: d, inputs of the network (prepared features).
        numbers: m, how many of them are scaled numbers.
        outputs: width of the output.
        hidden: units of each dense hidden layer.
    """

    model: keras.Model
    recipe: NetworkRecipe
    features: int
    numbers: int
    outputs: int
    hidden: tuple[int, ...]

    @property
    def needs_data(self) -> bool:
        """Whether the weights begin by what the training rows are."""
        bends = self.recipe.embedding in ("piecewise", "both") and self.numbers > 0
        return self.recipe.kind == "rbf" or self.recipe.initializer == "lsuv" or bends

    def initial(
        self,
        seed: int,
        x: np.ndarray | None = None,
        rates: NetworkRecipe | None = None,
        labels: np.ndarray | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return (trainable, non-trainable) initial weights of the member with this seed, in the model's order.

        Args:
            seed: of the member.
            x: (n, features) its training rows; needed where `needs_data`.
            rates: its rates of dropout and noise, which are numbers among its weights, and its first frequencies'
                spread; None: those of the network.
            labels: (n,) the classes of these rows, where there are any.
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
        numbers = rates or self.recipe
        trainable = [self._draw(v, rng, numbers) for v in self.model.trainable_variables]
        fixed = []
        for index, v in enumerate(self.model.non_trainable_variables):
            value = np.asarray(v.value)
            if v.path.endswith("/key"):
                value = np.array([rng.integers(0, 2**32), index], np.uint32)
            elif v.path.endswith("/rate"):
                value = np.asarray(_random_rate(v.path, numbers), np.float32)
            fixed.append(value)
        if self.needs_data and x is not None:
            self._set_bins(fixed, x, seed, labels)
            trainable = self._from_data(trainable, fixed, x, rng, seed)
        return trainable, fixed

    def _set_bins(self, fixed: list[np.ndarray], x: np.ndarray, seed: int, labels: np.ndarray | None) -> None:
        """Put the bins of a piecewise embedding among the non-trainable weights."""
        paths = [v.path for v in self.model.non_trainable_variables]
        if "piecewise/start" in paths:
            places = [paths.index(f"piecewise/{name}") for name in ("start", "inverse")]
            rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
            found = bin_starts(x[:, : self.numbers], fixed[places[0]].shape[1], rng, labels)
            for place, value in zip(places, found, strict=True):
                fixed[place] = value

    def _from_data(
        self, trainable: list[np.ndarray], fixed: list[np.ndarray], x: np.ndarray, rng: np.random.Generator, seed: int
    ) -> list[np.ndarray]:
        paths = [v.path for v in self.model.trainable_variables]
        if self.recipe.kind == "rbf":
            from fallline.network.rbf import centres_and_widths

            centres, widths = centres_and_widths(x, self.hidden[0], seed)
            trainable[paths.index("centres/centre")] = centres
            trainable[paths.index("centres/log_width")] = np.log(widths)
        if self.recipe.initializer == "lsuv":
            from fallline.network.lsuv import scaled_to_unit_variance

            rows = rng.permutation(len(x))[:_LOOKED_AT]
            trainable = scaled_to_unit_variance(self.model, trainable, fixed, x[rows])
        return trainable

    def _draw(self, v: Any, rng: np.random.Generator, numbers: NetworkRecipe) -> np.ndarray:
        layer, _, weight = v.path.rpartition("/")
        shape = tuple(v.shape)
        if weight == "frequency":
            return (rng.standard_normal(shape) * numbers.embedding_spread).astype(np.float32)
        if weight == "phase":
            return rng.uniform(-0.5, 0.5, shape).astype(np.float32)  # of a turn
        if weight == "mix":
            return (rng.standard_normal(shape) / math.sqrt(shape[1])).astype(np.float32)
        if weight == "kernel":
            if layer == "skip":
                return np.zeros(shape, np.float32)  # the linear path starts silent: at first only the deep one speaks
            name = self.recipe.initializer
            chosen = "lecun_normal" if layer == "output" and name != "lsuv" else name
            return initial_kernel(chosen, rng, shape, self.recipe.initializer_scale)
        return np.asarray(v.value)  # zeros, or ones for scales

    def rate_factors(self) -> list[float]:
        """Return each trainable tensor's factor on the learning rate, in the model's order."""
        factors = []
        for v in self.model.trainable_variables:
            weight = _last(v.path)
            if weight == "kernel":
                factors.append(float(np.sqrt(_REFERENCE_FAN_IN / math.prod(v.shape[:-1]))))
            elif weight == "scale":
                factors.append(_SCALE_FACTOR * _BIAS_REFERENCE)
            elif weight in ("frequency", "phase"):
                factors.append(_EMBEDDING_FACTOR * _BIAS_REFERENCE)
            elif weight == "mix":
                factors.append(float(np.sqrt(_REFERENCE_FAN_IN / v.shape[1])))
            else:
                factors.append(_BIAS_FACTOR * _BIAS_REFERENCE)
        return factors

    def decayed(self, factors: Sequence[float] = ()) -> list[float]:
        """Return how much of the weight penalties each trainable tensor feels: kernels all of it, others nothing.

        Args:
            factors: one per layer with a kernel, in forward order, the linear path beside them counted with the
                output; empty: 1 for all.
        """
        kernels = [v for v in self.model.trainable_variables if _last(v.path) == "kernel"]
        own = [v.path for v in kernels if not v.path.startswith("skip/")]
        share = dict(zip(own, factors, strict=True)) if factors else dict.fromkeys(own, 1.0)
        share["skip/kernel"] = share["output/kernel"]
        return [float(share.get(v.path, 0.0)) for v in self.model.trainable_variables]

    @cached_property
    def inside(self) -> keras.Model:
        """The same network with its hidden outputs beside its own: x -> [output, hidden 1, hidden 2, ...]."""
        hidden = [
            layer.output
            for layer in self.model.layers
            if layer.name.startswith("activation_") or layer.name == "centres"
        ]
        return keras.Model(self.model.input, [*self.model.outputs, *hidden], name="inside")
