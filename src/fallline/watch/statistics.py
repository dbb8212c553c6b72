"""The statistics of one layer and of a whole network, from plain arrays, in float64.

The definitions are those of `fallline.types.inside`; what is computed on a device during a training is tested against
these. Every function takes arrays as NumPy sees them and returns plain floats, NaN where a layer has no such thing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

__all__ = [
    "ASYMPTOTES",
    "GRADIENT_PARTS",
    "GRADIENT_ROWS",
    "RELU_FAMILY",
    "activation_statistics",
    "gradient_statistics",
    "is_bias",
    "network_statistics",
    "noise_scale",
    "norm",
    "twin_share",
    "update_statistics",
    "weight_statistics",
]

NAN = float("nan")
# An output this share of the range away from an asymptote is saturated (fallline.types.inside).
SATURATED_WITHIN = 0.01
# Rows of the watch batch whose gradients are watched, a usual batch's, and the equal parts of them that give the noise
# scale: a gradient costs three times what the outputs of the same rows cost.
GRADIENT_ROWS, GRADIENT_PARTS = 128, 2
# Equal weights that were moved by equal gradients differ by rounding; as a share of the largest unit's norm.
TWIN_TOLERANCE = 1e-6
# Activations that flatten out at both ends: name -> the two asymptotes.
ASYMPTOTES: Mapping[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "lecun_tanh": (-1.7159, 1.7159),
}
# Activations that are flat, or nearly so, for negative inputs: a unit can die there.
RELU_FAMILY = frozenset(
    {
        "relu",
        "relu6",
        "leaky_relu",
        "prelu",
        "elu",
        "celu",
        "selu",
        "gelu",
        "silu",
        "swish",
        "mish",
        "hard_silu",
        "hard_swish",
        "squareplus",
    }
)
# What a diverged network holds overflows; the result then says so.
_quiet = np.errstate(all="ignore")
# Outputs are widened to float64 in blocks of about this many, so that a batch of images needs no second copy.
_BLOCK = 1 << 22


def is_bias(name: str) -> bool:
    """True when a trainable tensor of this name (in its layer) shifts and does not scale.

    >>> [is_bias(name) for name in ("kernel", "bias", "beta", "bias_ih_l0", "in_proj_bias", "gamma")]
    [False, True, True, True, True, False]
    """
    last = name.rpartition("/")[2]
    return last == "beta" or "bias" in last


def _flat(tensors: Sequence[np.ndarray]) -> np.ndarray:
    parts = [np.asarray(t, np.float64).reshape(-1) for t in tensors]
    return np.concatenate(parts) if parts else np.zeros(0)


@_quiet
def norm(tensors: Sequence[np.ndarray]) -> float:
    """Return the Euclidean norm over all entries of some tensors.

    >>> norm([np.array([3.0]), np.array([[4.0]])])
    5.0
    """
    return math.sqrt(sum(float(np.sum(np.square(np.asarray(t, np.float64)))) for t in tensors))


@_quiet
def weight_statistics(tensors: Sequence[np.ndarray]) -> dict[str, float]:
    """Return mean, sd and norm over all entries of a layer's weights (no biases among them).

    >>> weight_statistics([np.array([[1.0, 3.0]])])
    {'weight_mean': 2.0, 'weight_sd': 1.0, 'weight_norm': 3.1622776601683795}
    """
    flat = _flat(tensors)
    if not flat.size:
        return dict.fromkeys(("weight_mean", "weight_sd", "weight_norm"), NAN)
    return {
        "weight_mean": float(flat.mean()),
        "weight_sd": float(flat.std()),
        "weight_norm": float(np.linalg.norm(flat)),
    }


@_quiet
def gradient_statistics(tensors: Sequence[np.ndarray]) -> dict[str, float]:
    """Return mean, sd, norm and largest magnitude over the loss's gradient by a layer's weights."""
    flat = _flat(tensors)
    if not flat.size:
        return dict.fromkeys(("gradient_mean", "gradient_sd", "gradient_norm", "gradient_max"), NAN)
    return {
        "gradient_mean": float(flat.mean()),
        "gradient_sd": float(flat.std()),
        "gradient_norm": float(np.linalg.norm(flat)),
        "gradient_max": float(np.abs(flat).max()),
    }


@_quiet
def update_statistics(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> dict[str, float]:
    """Return how far one optimizer step moved a layer's weights, and that as a share of their norm before it.

    >>> update_statistics([np.array([2.0])], [np.array([1.5])])
    {'update_norm': 0.5, 'update_ratio': 0.25}
    """
    start, end = _flat(before), _flat(after)
    if not start.size:
        return {"update_norm": NAN, "update_ratio": NAN}
    moved, size = float(np.linalg.norm(end - start)), float(np.linalg.norm(start))
    return {"update_norm": moved, "update_ratio": moved / size if size > 0 else NAN}


@_quiet
def twin_share(kernel: np.ndarray, unit_axis: int = -1) -> float:
    """Return the share of units whose incoming weights equal another unit's, but for rounding.

    Args:
        kernel: two axes or more; of fewer there are no incoming weights, which is NaN.
        unit_axis: the axis of the units: the last one in Keras, the first in PyTorch.

    >>> twin_share(np.array([[1.0, 1.0, 2.0, 0.0]]))
    0.5
    """
    if np.ndim(kernel) < 2:
        return NAN
    units = np.moveaxis(np.asarray(kernel), unit_axis, 0)
    units = units.reshape(len(units), -1)
    if not units.size:
        return NAN
    units = units.astype(np.float64)
    # Equal units have equal projections: sorting brings them together, and only neighbours need be compared.
    units = units[np.argsort(units @ np.random.default_rng(0).standard_normal(units.shape[1]), kind="stable")]
    near = np.abs(np.diff(units, axis=0)).max(axis=1) <= TWIN_TOLERANCE * np.sqrt(np.square(units).sum(axis=1)).max()
    return float(np.mean(np.append(near, False) | np.append(False, near)))


@_quiet
def activation_statistics(
    outputs: Sequence[np.ndarray],
    activation: str = "",
    *,
    unit_axis: int = -1,
    preactivations: Sequence[np.ndarray] = (),
) -> dict[str, float]:
    """Return the statistics of a layer's output.

    Args:
        outputs: one array for each time the layer was called, (rows, ..., units); they are taken together.
        activation: the layer's activation function; it decides whether an output can be saturated or a unit dead.
        unit_axis: the axis of the units (the channels); of an array with one axis all entries are one unit's.
        preactivations: what the activation function was given, where that is known.

    A unit is dead or constant over all rows and all positions. Shares are NaN when an output is not finite.

    >>> found = activation_statistics([np.array([[0.0, 2.0], [0.0, 1.0]])], "relu")
    >>> found["zero_share"], found["dead_share"], found["constant_share"], found["activation_mean"]
    (0.5, 0.5, 0.5, 0.75)
    """
    tables = [_table(np.asarray(output), unit_axis) for output in outputs]
    tables = [table for table in tables if table.size]
    if not tables or len({table.shape[1] for table in tables}) > 1:
        return {}
    blocks = [block for table in tables for block in _blocks(table)]
    count = sum(table.size for table in tables)
    mean = sum(float(block.sum(dtype=np.float64)) for block in blocks) / count
    spread = sum(float(np.square(block.astype(np.float64) - mean).sum()) for block in blocks)
    sd = math.sqrt(spread / count) if math.isfinite(spread) else NAN
    found = {"activation_mean": mean, "activation_sd": sd, "activation_rms": math.hypot(mean, sd)}
    given = [np.asarray(p) for p in preactivations]
    found["preactivation_sd"] = float(_flat(given).std()) if given else NAN
    if not math.isfinite(spread):
        return found | dict.fromkeys(("saturated_share", "zero_share", "dead_share", "constant_share"), NAN)
    low = np.min([block.min(axis=0) for block in blocks], axis=0)
    high = np.max([block.max(axis=0) for block in blocks], axis=0)
    found["zero_share"] = sum(int((block == 0).sum()) for block in blocks) / count
    found["constant_share"] = float(np.mean(low == high))
    found["dead_share"] = float(np.mean(high <= 0)) if activation in RELU_FAMILY else NAN
    found["saturated_share"] = NAN
    if activation in ASYMPTOTES:
        bottom, top = ASYMPTOTES[activation]
        within = SATURATED_WITHIN * (top - bottom)
        flat = sum(int(((block < bottom + within) | (block > top - within)).sum()) for block in blocks)
        found["saturated_share"] = flat / count
    return found


def _table(output: np.ndarray, unit_axis: int) -> np.ndarray:
    """Return an output as (rows and positions, units)."""
    if output.ndim < 2:
        return output.reshape(-1, 1)
    last = np.moveaxis(output, unit_axis, -1)
    return last.reshape(-1, last.shape[-1])


def _blocks(table: np.ndarray) -> list[np.ndarray]:
    rows = max(1, _BLOCK // max(1, table.shape[1]))
    return [table[at : at + rows] for at in range(0, len(table), rows)]


@_quiet
def network_statistics(
    weights: Sequence[np.ndarray],
    start: Sequence[np.ndarray],
    gradients: Sequence[np.ndarray] = (),
    after: Sequence[np.ndarray] = (),
) -> dict[str, float]:
    """Return what is known of the whole network.

    Args:
        weights: all trainable tensors, biases too.
        start: the same before the first step.
        gradients: the loss's gradient by them, if known.
        after: the same tensors after one optimizer step, if known.
    """
    found = {"weight_norm": norm(weights)}
    found["distance_from_start"] = norm([np.asarray(w, np.float64) - s for w, s in zip(weights, start, strict=True)])
    if gradients:
        found["gradient_norm"] = norm(gradients)
    if after:
        moved = norm([np.asarray(a, np.float64) - w for w, a in zip(weights, after, strict=True)])
        found["update_ratio"] = moved / found["weight_norm"] if found["weight_norm"] > 0 else NAN
    return found


@_quiet
def noise_scale(parts: Sequence[Sequence[np.ndarray]], rows: int) -> float:
    """Return the simple gradient noise scale tr(Sigma) / |G|^2, in examples.

    Args:
        parts: the gradient (a sequence of tensors) of each of k >= 2 equal parts of a batch, each a mean over its rows.
        rows: rows in each part.

    The two norms are the unbiased estimates from batches of b and k b rows of S. McCandlish, J. Kaplan, D. Amodei et
    al., "An Empirical Model of Large-Batch Training" (2018, arXiv 1812.06162), equations A.2 and A.3; NaN where noise
    hides the gradient (an estimate of |G|^2 that is not positive).
    """
    flat = [_flat(part) for part in parts]
    if len(flat) < 2 or not flat[0].size:
        return NAN
    big = rows * len(flat)
    small_square = float(np.mean([part @ part for part in flat]))
    mean = np.mean(flat, axis=0)
    big_square = float(mean @ mean)
    gradient = (big * big_square - rows * small_square) / (big - rows)
    trace = (small_square - big_square) / (1 / rows - 1 / big)
    return trace / gradient if gradient > 0 else NAN
