"""Keras layers that exist only while fallline trains; the saved model is made of stock layers (see `export`).

Random layers keep a counter and a rate as non-trainable weights: every member of a population has its own stream and
its own rate, and none of them needs a new compilation.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import keras

from fallline.network.cheap import cosine_of_turns
from fallline.network.random import keep_mask, standard_normal

__all__ = [
    "MaskDropout",
    "PeriodicEmbedding",
    "PiecewiseEmbedding",
    "RadialUnits",
    "RandomLayer",
    "Scale",
    "WhiteNoise",
]


class RandomLayer(keras.layers.Layer):
    """A layer that draws cheap random numbers: weights ``key`` (2,) uint32 [stream, calls] and ``rate`` () float32."""

    def __init__(self, rate: float, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.initial_rate = rate

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the stream and the rate."""
        self.key = self.add_weight(shape=(2,), dtype="uint32", initializer="zeros", trainable=False, name="key")
        self.rate = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(self.initial_rate), trainable=False, name="rate"
        )

    def draw(self) -> Any:
        """Return the key of this call and step the counter."""
        key = self.key.value
        self.key.assign(key + jnp.asarray([0, 1], jnp.uint32))
        return key


class MaskDropout(RandomLayer):
    """Dropout: silence units with probability ``rate`` in training, scale the others by 1/(1 - rate).

    Source: Srivastava et al. 2014.
    """

    def call(self, x: Any, training: bool = False) -> Any:
        """Apply to (B, ...) in training; pass through otherwise."""
        if not training:
            return x
        keep = keep_mask(self.draw(), self.rate.value, x.shape)
        return x * jnp.where(keep, 1.0 / (1.0 - self.rate.value), 0.0)


class WhiteNoise(RandomLayer):
    """Add Gaussian noise of standard deviation ``rate`` in training."""

    def call(self, x: Any, training: bool = False) -> Any:
        """Apply to (B, ...) in training; pass through otherwise."""
        return x + self.rate.value * standard_normal(self.draw(), x.shape) if training else x


class Scale(keras.layers.Layer):
    """One learned factor per input (B, d): the network can mute what does not help (RealMLP's scaling layer)."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the factors, 1 at the start."""
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        """Return x * scale."""
        return x * self.scale


class PeriodicEmbedding(keras.layers.Layer):
    """Expand each of the first m inputs by learned periodic features.

    e_j = V_j cos(2 pi (w_j x_j + b_j)) + c_j with w_j (k,), V_j (k, r); the inputs themselves stay beside the result.

    Args:
        numbers: m, how many of the inputs (the first ones) are expanded.
        frequencies: k.
        width: r, new features per input.

    Source: Gorishniy et al., arXiv 2203.05556; RealMLP's form PBLD.
    """

    FREQUENCIES = 16  # RealMLP's default

    def __init__(self, numbers: int, frequencies: int = FREQUENCIES, width: int = 3, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.numbers, self.frequencies, self.width = numbers, frequencies, width

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create frequencies, phases, and the linear map per input."""
        m, k, r = self.numbers, self.frequencies, self.width
        self.frequency = self.add_weight(shape=(m, k), initializer="zeros", name="frequency")
        self.phase = self.add_weight(shape=(m, k), initializer="zeros", name="phase")
        self.mix = self.add_weight(shape=(m, k, r), initializer="zeros", name="mix")
        self.offset = self.add_weight(shape=(m, r), initializer="zeros", name="offset")

    def call(self, x: Any) -> Any:
        """(B, d) -> (B, d + m r)."""
        waves = cosine_of_turns(x[:, : self.numbers, None] * self.frequency.value + self.phase.value)
        new = jnp.einsum("bmk,mkr->bmr", waves, self.mix.value) + self.offset.value
        return jnp.concatenate([x, new.reshape(x.shape[0], -1)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, d + m r)."""
        return (*input_shape[:-1], int(input_shape[-1] or 0) + self.numbers * self.width)


class PiecewiseEmbedding(keras.layers.Layer):
    """Expand each of the first m inputs by learned piecewise linear functions, which bend where the data say.

    t_jb = min(1, max(0, (x_j - a_jb) / width_jb)) says how far x_j has gone through bin b, and e_j = V_j t_j + c_j with
    V_j (bins, r); the inputs themselves stay beside the result. ``start`` and ``inverse`` (m, bins) are a_jb and
    1 / width_jb, set from the training rows before the training (`fallline.network.knots`).

    Args:
        numbers: m, how many of the inputs (the first ones) are expanded.
        bins: at most.
        width: r, new features per input.

    Source: Gorishniy, Rubachev & Babenko, arXiv 2203.05556, eq. 1 (piecewise linear encoding) and section 3.4.
    """

    BINS = 24  # 48 learn rows by heart (benchmarks/README.md)

    def __init__(self, numbers: int, bins: int = BINS, width: int = 4, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.numbers, self.bins, self.width = numbers, bins, width

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the bins, and the linear map per input."""
        m, k, r = self.numbers, self.bins, self.width
        self.start = self.add_weight(shape=(m, k), initializer="zeros", trainable=False, name="start")
        self.inverse = self.add_weight(shape=(m, k), initializer="zeros", trainable=False, name="inverse")
        self.mix = self.add_weight(shape=(m, k, r), initializer="zeros", name="mix")
        self.offset = self.add_weight(shape=(m, r), initializer="zeros", name="offset")

    def call(self, x: Any) -> Any:
        """(B, d) -> (B, d + m r)."""
        inverse = self.inverse.value
        # As the saved model computes it: one product and one sum.
        gone = jnp.clip(x[:, : self.numbers, None] * inverse - self.start.value * inverse, 0.0, 1.0)
        new = jnp.einsum("bmk,mkr->bmr", gone, self.mix.value) + self.offset.value
        return jnp.concatenate([x, new.reshape(x.shape[0], -1)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, d + m r)."""
        return (*input_shape[:-1], int(input_shape[-1] or 0) + self.numbers * self.width)


class RadialUnits(keras.layers.Layer):
    """(B, d) -> (B, h): exp(-|x - c_j|^2 / (2 s_j^2)), with weights ``centre`` (h, d) and ``log_width`` (h,), log s_j.

    Args:
        units: h.
    """

    def __init__(self, units: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create centres at 0 and widths of 1; the data say where they begin."""
        self.centre = self.add_weight(shape=(self.units, input_shape[-1]), initializer="zeros", name="centre")
        # The logarithm, because no step may make a width negative.
        self.log_width = self.add_weight(shape=(self.units,), initializer="zeros", name="log_width")

    def call(self, x: Any) -> Any:
        """Answer by the differences themselves: |x|^2 - 2 x c + |c|^2 would cancel near a centre."""
        scaled = (x[:, None, :] - self.centre.value) * jnp.exp(-self.log_width.value)[:, None]
        return jnp.exp(-0.5 * jnp.sum(jnp.square(scaled), axis=-1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, h)."""
        return (*input_shape[:-1], self.units)
