"""A trained population as one plain Keras model: raw table in, probabilities or quantities out, stock layers only.

The members stay apart in one axis of `EinsumDense` layers, k below, so that an ensemble of forty networks is as few
layers as one. A single network is written with ordinary `Dense` layers. Nothing here needs fallline to be loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from fallline.network.activations import apply_activation, apply_output_unit
from fallline.network.builders import radial_weights
from fallline.network.lenet5 import FILTERS, KERNEL
from fallline.network.member import MemberNetwork
from fallline.types import NetworkRecipe, ProblemKind

__all__ = ["Tables", "export_model"]

Weights = Mapping[str, np.ndarray]  # path of the member's variable -> (k, ...)


class Tables(Protocol):
    """What the exporter reads from a fitted preparation (see `fallline.data.Preparation`)."""

    @property
    def numeric_index(self) -> Any:
        """(m,) columns of the raw table that are numbers."""

    @property
    def numeric_fill(self) -> Any:
        """(m,) what stands for a missing number."""

    @property
    def numeric_center(self) -> Any:
        """(m,) subtracted from the numbers, before ..."""

    @property
    def numeric_scale(self) -> Any:
        """(m,) they are multiplied."""

    @property
    def clip(self) -> float:
        """Bound of the smooth clipping; 0: off."""

    @property
    def whiten_center(self) -> Any:
        """(m,) subtracted from the clipped numbers, before ..."""

    @property
    def whiten_matrix(self) -> Any:
        """(m, m) they are multiplied with it; both empty: not whitened."""

    @property
    def indicator_index(self) -> Any:
        """(q,) columns of the raw table with an indicator of missing values."""

    @property
    def category_blocks(self) -> Any:
        """Blocks with ``raw_index``, ``n_levels`` and ``binary``, in the order of the features."""


@dataclass(frozen=True)
class Finish:
    """What happens behind the members' outputs.

    Args:
        kind: of the problem.
        temperature: probabilities p become p^(1/T), normalised (Guo et al., arXiv 1706.04599, on the averaged
            probabilities).
        center: (k,) added to, after ...
        scale: (k,) multiplied with standardised quantities.
        low: (k,) smallest target seen in training; predictions of quantities do not leave the range.
        high: (k,) largest.
        output: the recipe's ``network.output``.
        target_values: the recipe's ``training.target_values``.
    """

    kind: ProblemKind
    temperature: float = 1.0
    center: np.ndarray | None = None
    scale: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    output: str = "plain"
    target_values: str = "inside"


def _floats(values: Any) -> list[float]:
    return [float(np.float32(v)) for v in np.asarray(values).ravel()]


def _by_column(x: Any, *, scale: Any = 1.0, offset: Any = 0.0) -> Any:
    """X * scale + offset with one constant per column; a stock layer keeps constants, an operation cannot."""
    return keras.layers.Rescaling(
        scale if np.isscalar(scale) else _floats(scale), offset=offset if np.isscalar(offset) else _floats(offset)
    )(x)


def _prepare(table: Any, p: Tables, build: _Members) -> Any:
    """The preparation's formula by stock layers and `keras.ops`: (B, raw columns) -> (B, features)."""
    parts = []
    if len(p.numeric_index):
        x = ops.take(table, [int(i) for i in p.numeric_index], axis=1)
        missing = ops.isnan(x)
        x = ops.add(ops.where(missing, 0.0, x), _by_column(ops.cast(missing, "float32"), scale=p.numeric_fill))
        # First the difference, then the factor: x * scale - center * scale would cancel for large, narrow columns.
        z = _by_column(_by_column(x, offset=-np.asarray(p.numeric_center)), scale=p.numeric_scale)
        if p.clip > 0.0:
            z = ops.divide(z, ops.sqrt(ops.add(ops.square(ops.divide(z, float(p.clip))), 1.0)))
        if len(p.whiten_matrix):
            matrix = np.asarray(p.whiten_matrix, np.float32)
            build.weights["whiten"] = [matrix]
            z = keras.layers.Dense(len(matrix), use_bias=False, trainable=False, name="whiten")(
                _by_column(z, offset=-np.asarray(p.whiten_center))
            )
        parts.append(z)
    if len(p.indicator_index):
        parts.append(ops.cast(ops.isnan(ops.take(table, [int(i) for i in p.indicator_index], axis=1)), "float32"))
    parts += _categories(table, p)
    return ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def _categories(table: Any, p: Tables) -> list[Any]:
    """One column per level, or one of -1/+1 where there are two; runs of equal treatment are done at once."""
    parts: list[Any] = []
    blocks = list(p.category_blocks)
    start = 0
    while start < len(blocks):
        end = start
        while end < len(blocks) and bool(blocks[end].binary) == bool(blocks[start].binary):
            end += 1
        run = blocks[start:end]
        if run[0].binary:
            codes = ops.take(table, [int(b.raw_index) for b in run], axis=1)
            parts.append(
                ops.subtract(ops.cast(ops.equal(codes, 2.0), "float32"), ops.cast(ops.equal(codes, 1.0), "float32"))
            )
        else:
            where = [int(b.raw_index) for b in run for _ in range(b.n_levels)]
            level = [float(v) for b in run for v in range(1, b.n_levels + 1)]
            distance = _by_column(ops.take(table, where, axis=1), offset=-np.asarray(level))
            parts.append(ops.cast(ops.equal(distance, 0.0), "float32"))
        start = end
    return parts


class _Members:
    """Builds layers for k members, `EinsumDense` over a member axis, or `Dense` for one; gathers their weights."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.weights: dict[str, list[np.ndarray]] = {}

    def dense(self, x: Any, kernel: np.ndarray, bias: np.ndarray | None, name: str) -> Any:
        """(B, [k,] i) -> (B, [k,] h); kernel (k, i, h), bias (k, h)."""
        values = [kernel] if bias is None else [kernel, bias]
        if self.k == 1:
            self.weights[name] = [v[0] for v in values]
            return keras.layers.Dense(
                kernel.shape[2], use_bias=bias is not None, kernel_initializer="zeros", name=name
            )(x)
        self.weights[name] = values
        inputs = "bki" if len(x.shape) == 3 else "bi"
        return keras.layers.EinsumDense(
            f"{inputs},kih->bkh",
            output_shape=(self.k, kernel.shape[2]),
            bias_axes=None if bias is None else "kh",
            kernel_initializer="zeros",
            name=name,
        )(x)

    def einsum(self, x: Any, equation: str, kernel: np.ndarray, bias: np.ndarray, name: str) -> Any:
        """Any other product with weights; the bias has all axes but the batch."""
        axes = equation.rpartition("->")[2]
        self.weights[name] = [kernel, bias]
        return keras.layers.EinsumDense(
            equation, output_shape=bias.shape, bias_axes=axes[1:], kernel_initializer="zeros", name=name
        )(x)

    def fill(self, model: keras.Model) -> None:
        """Set the weights of the built model."""
        for name, values in self.weights.items():
            model.get_layer(name).set_weights(values)


def _embed(build: _Members, z: Any, network: MemberNetwork, w: Weights) -> Any:
    """`PeriodicEmbedding` and `PiecewiseEmbedding` by two products each: (B, d) -> (B, [k,] d + m r)."""
    k, m = build.k, network.numbers
    one = k == 1
    numbers = z if m == network.features else z[:, :m]
    parts = [z if one else keras.layers.RepeatVector(k, name="members")(z)]

    def expanded(kernel: np.ndarray, bias: np.ndarray, bend: Any, layer: str, inner: str, outer: str) -> Any:
        mix, offset = w[f"{layer}/mix"], w[f"{layer}/offset"]
        width = m * int(mix.shape[-1])
        if one:
            kernel, bias, mix, offset = kernel[0], bias[0], mix[0], offset[0]
        x = bend(build.einsum(numbers, "bm,mf->bmf" if one else "bm,kmf->bkmf", kernel, bias, inner))
        new = build.einsum(x, "bmf,mfr->bmr" if one else "bkmf,kmfr->bkmr", mix, offset, outer)
        return keras.layers.Reshape((width,) if one else (k, width), name=layer)(new)

    if "embedding/frequency" in w:
        turn = np.float32(2.0 * np.pi)
        frequency, phase = turn * w["embedding/frequency"], turn * w["embedding/phase"]
        parts.append(expanded(frequency, phase, ops.cos, "embedding", "frequencies", "periodic"))
    if "piecewise/inverse" in w:
        inverse = w["piecewise/inverse"]
        starts = -w["piecewise/start"] * inverse
        parts.append(expanded(inverse, starts, lambda x: ops.clip(x, 0.0, 1.0), "piecewise", "bins", "pieces"))
    return keras.layers.Concatenate(name="inputs_and_embedding")(parts)


def _hidden(build: _Members, x: Any, network: MemberNetwork, w: Weights) -> Any:
    recipe = network.recipe
    for i in range(1, len(network.hidden) + 1):
        kernel, bias = w[f"hidden_{i}/kernel"], w[f"hidden_{i}/bias"]
        if i == 1 and "scale/scale" in w:
            kernel = kernel * w["scale/scale"][:, :, None]
        if recipe.normalization == "batch":
            gain = w[f"norm_{i}/gamma"] / np.sqrt(w[f"norm_{i}/moving_variance"] + 1e-3)  # Keras' epsilon
            kernel, bias = kernel * gain[:, None, :], (bias - w[f"norm_{i}/moving_mean"]) * gain + w[f"norm_{i}/beta"]
        x = build.dense(x, kernel, bias, f"hidden_{i}")
        if recipe.normalization in ("layer", "group"):
            x = _normalised(x, recipe, i)
            gamma, beta = w[f"norm_{i}/gamma"], w[f"norm_{i}/beta"]
            if build.k == 1:
                x = build.einsum(x, "bh,h->bh", gamma[0], beta[0], f"norm_{i}_scale")
            else:
                x = build.einsum(x, "bkh,kh->bkh", gamma, beta, f"norm_{i}_scale")
        x = apply_activation(recipe.activation, x, layer_name=f"activation_{i}")
    return x


def _normalised(x: Any, recipe: NetworkRecipe, i: int) -> Any:
    """(B, [k,] h) with mean 0 and variance 1 over each row's h units, or over each group of them."""
    norm = keras.layers.LayerNormalization(center=False, scale=False, name=f"norm_{i}")
    if recipe.normalization == "layer":
        return norm(x)
    shape = tuple(x.shape[1:])
    parts = (*shape[:-1], recipe.groups, shape[-1] // recipe.groups)
    grouped = norm(keras.layers.Reshape(parts, name=f"groups_{i}")(x))
    return keras.layers.Reshape(shape, name=f"joined_{i}")(grouped)


def _radial(build: _Members, z: Any, w: Weights) -> Any:
    """`RadialUnits` by one product per unit and input: (B, d) -> (B, [k,] h)."""
    pairs = [radial_weights(c, np.exp(s)) for c, s in zip(w["centres/centre"], w["centres/log_width"], strict=True)]
    kernel, bias = (np.stack(values) for values in zip(*pairs, strict=True))
    if "scale/scale" in w:
        kernel = kernel * w["scale/scale"][:, :, None]
    if build.k == 1:
        x = build.einsum(z, "bd,dh->bhd", kernel[0], bias[0], "distances")
    else:
        x = build.einsum(z, "bd,kdh->bkhd", kernel, bias, "distances")
    return ops.exp(ops.multiply(ops.sum(ops.square(x), axis=-1), -0.5))


def _images(build: _Members, z: Any, network: MemberNetwork, w: Weights) -> Any:
    """LeNet-5 up to its last hidden layer, member by member: (B, h w c) -> (B, [k,] units)."""
    recipe, members = network.recipe, []
    image = keras.layers.Reshape(recipe.image, name="image")(z)

    def set_later(layer: Any, path: str, i: int, names: Sequence[str]) -> Any:
        build.weights[layer.name] = [w[f"{path}/{name}"][i] for name in names]
        return layer

    def behind(x: Any, name: str, mark: str, i: int) -> Any:
        if recipe.normalization != "none":
            layer = _NORMS[recipe.normalization](recipe, x, f"norm_{name}{mark}")
            names = ["gamma", "beta", *(["moving_mean", "moving_variance"] * (recipe.normalization == "batch"))]
            x = set_later(layer, f"norm_{name}", i, names)(x)
        return apply_activation(recipe.activation, x, layer_name=f"activation_{name}{mark}")

    for i in range(build.k):
        x, mark = image, "" if build.k == 1 else f"_{i + 1}"
        for j, filters in enumerate(FILTERS, 1):
            name = f"convolution_{j}"
            conv = keras.layers.Conv2D(
                filters, KERNEL, padding="same" if j == 1 else "valid", kernel_initializer="zeros", name=name + mark
            )
            x = behind(set_later(conv, name, i, ["kernel", "bias"])(x), f"c{j}", mark, i)
            x = keras.layers.AveragePooling2D(2, name=f"pool_{j}{mark}")(x)
        x = keras.layers.Flatten(name=f"flat{mark}")(x)
        for j, units in enumerate(network.hidden, 1):
            dense = keras.layers.Dense(units, kernel_initializer="zeros", name=f"hidden_{j}{mark}")
            x = behind(set_later(dense, f"hidden_{j}", i, ["kernel", "bias"])(x), str(j), mark, i)
        members.append(x)
    return members[0] if build.k == 1 else ops.stack(members, axis=1)


_NORMS: Mapping[str, Callable[[NetworkRecipe, Any, str], Any]] = {
    "batch": lambda recipe, x, name: keras.layers.BatchNormalization(name=name),
    "layer": lambda recipe, x, name: keras.layers.LayerNormalization(axis=list(range(1, len(x.shape))), name=name),
    "group": lambda recipe, x, name: keras.layers.GroupNormalization(recipe.groups, name=name),
}


def _finish(out: Any, k: int, finish: Finish) -> Any:
    """Members' outputs -> averaged probabilities, or quantities in the target's units."""
    mean = keras.layers.GlobalAveragePooling1D(name="ensemble") if k > 1 else (lambda x: x)
    if finish.kind in ("regression", "multioutput"):
        y = mean(out)
        scale, center = np.asarray(finish.scale, float), np.asarray(finish.center, float)
        if finish.low is None or finish.high is None:
            return keras.layers.Rescaling(_floats(scale), offset=_floats(center), name="target_units")(y)
        # Clipped as a share of the range seen in training, because `clip` takes one bound for all columns.
        low, span = (
            np.asarray(finish.low, float),
            np.maximum(np.asarray(finish.high, float) - np.asarray(finish.low, float), 1e-30),
        )
        share = keras.layers.Rescaling(
            _floats(scale / span), offset=_floats((center - low) / span), name="share_of_range"
        )(y)
        return keras.layers.Rescaling(_floats(span), offset=_floats(low), name="target_units")(
            ops.clip(share, 0.0, 1.0)
        )
    softmax = finish.kind == "multiclass"
    if finish.output == "plain":
        p = mean(keras.layers.Activation("softmax" if softmax else "sigmoid", name="probability")(out))
    else:
        p = mean(apply_output_unit(finish.output, finish.target_values, out, softmax=softmax))
    if finish.temperature == 1.0:
        return p
    power = 1.0 / finish.temperature
    a = ops.power(p, power)
    total = ops.sum(a, axis=-1, keepdims=True) if softmax else ops.add(a, ops.power(ops.subtract(1.0, p), power))
    return ops.divide(a, total)


def export_model(
    network: MemberNetwork,
    weights: Sequence[np.ndarray],
    fixed: Sequence[np.ndarray],
    preparation: Tables,
    raw_columns: int,
    finish: Finish,
) -> keras.Model:
    """Return the ensemble as one plain Keras model.

    Args:
        network: the members' network.
        weights: trainable weights, leaves (k, ...), in the order of ``network.model``.
        fixed: non-trainable weights, likewise.
        preparation: fitted on the training rows.
        raw_columns: width of the raw table.
        finish: what follows the members.

    Returns:
        (B, raw_columns) float32, NaN for missing numbers -> (B, outputs): probabilities (binary: of class 1), or
        quantities in the target's units.
    """
    pairs = [
        *zip(network.model.trainable_variables, weights, strict=True),
        *zip(network.model.non_trainable_variables, fixed, strict=True),
    ]
    w = {v.path: np.asarray(value) for v, value in pairs}
    k = len(weights[0])
    build = _Members(k)
    table = keras.Input((raw_columns,), name="table")
    z = _prepare(table, preparation, build)
    if network.recipe.kind == "lenet5":
        x = _images(build, z, network, w)
    elif network.recipe.kind == "rbf":
        x = _radial(build, z, w)
    else:
        expanded = "embedding/mix" in w or "piecewise/mix" in w
        x = _hidden(build, _embed(build, z, network, w) if expanded else z, network, w)
    out = build.dense(x, w["output/kernel"], w["output/bias"], "output")
    if "skip/kernel" in w:
        out = keras.layers.Add(name="deep_and_linear")([out, build.dense(z, w["skip/kernel"], None, "skip")])
    model = keras.Model(table, _finish(out, k, finish), name="fallline_ensemble" if k > 1 else "fallline_network")
    build.fill(model)
    return model
