"""The members' networks and everything around them in float64 NumPy, written from the documents alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "lecun_tanh": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
}
EPSILON = 1e-3  # Keras' own, in both normalisations


def features(p: Any, raw: np.ndarray) -> np.ndarray:
    """Fitted preparation: (n, raw columns) -> (n, d)."""
    raw = raw.astype(np.float64)
    x = raw[:, p.numeric_index]
    x = (np.where(np.isnan(x), p.numeric_fill, x) - p.numeric_center) * p.numeric_scale
    if p.clip:
        x = x / np.sqrt(1 + (x / p.clip) ** 2)
    if len(p.whiten_matrix):
        x = (x - p.whiten_center) @ p.whiten_matrix
    parts = [x, np.isnan(raw[:, p.indicator_index]).astype(float)]
    for block in p.category_blocks:
        code = raw[:, block.raw_index]
        if block.binary:
            parts.append(((code == 2) * 1.0 - (code == 1) * 1.0)[:, None])
        else:
            parts.append((code[:, None] == np.arange(1, block.n_levels + 1)).astype(float))
    return np.concatenate(parts, axis=1)


def member(w: dict[str, np.ndarray], recipe: Any, z: np.ndarray, numbers: int) -> np.ndarray:
    """One member: (n, d) -> (n, outputs), logits or standardised quantities."""
    w = {path: np.asarray(value, np.float64) for path, value in w.items()}
    if recipe.kind == "lenet5":
        return lenet5(w, recipe, z)
    x = z
    if recipe.kind == "rbf":
        scaled = x * w["scale/scale"] if "scale/scale" in w else x
        distance = np.square(scaled[:, None] - w["centres/centre"]).sum(axis=-1)
        out = np.exp(-distance / (2 * np.exp(w["centres/log_width"]) ** 2)) @ w["output/kernel"] + w["output/bias"]
        return out + z @ w["skip/kernel"] if "skip/kernel" in w else out
    if "embedding/frequency" in w:
        turns = z[:, :numbers, None] * w["embedding/frequency"] + w["embedding/phase"]
        new = np.einsum("nmf,mfr->nmr", np.cos(2 * np.pi * turns), w["embedding/mix"]) + w["embedding/offset"]
        x = np.concatenate([x, new.reshape(len(z), -1)], axis=1)
    if "piecewise/start" in w:
        gone = np.clip((z[:, :numbers, None] - w["piecewise/start"]) * w["piecewise/inverse"], 0, 1)
        new = np.einsum("nmb,mbr->nmr", gone, w["piecewise/mix"]) + w["piecewise/offset"]
        x = np.concatenate([x, new.reshape(len(z), -1)], axis=1)
    if "scale/scale" in w:
        x = x * w["scale/scale"]
    layers = sum(path.startswith("hidden_") and path.endswith("kernel") for path in w)
    for i in range(1, layers + 1):
        x = x @ w[f"hidden_{i}/kernel"] + w[f"hidden_{i}/bias"]
        if recipe.normalization == "batch":
            spread = np.sqrt(w[f"norm_{i}/moving_variance"] + EPSILON)
            x = (x - w[f"norm_{i}/moving_mean"]) / spread * w[f"norm_{i}/gamma"] + w[f"norm_{i}/beta"]
        elif recipe.normalization == "layer":
            x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + EPSILON)
            x = x * w[f"norm_{i}/gamma"] + w[f"norm_{i}/beta"]
        elif recipe.normalization == "group":
            x = grouped(x, recipe.groups) * w[f"norm_{i}/gamma"] + w[f"norm_{i}/beta"]
        x = ACTIVATIONS[recipe.activation](x)
    out = x @ w["output/kernel"] + w["output/bias"]
    return out + z @ w["skip/kernel"] if "skip/kernel" in w else out


def grouped(x: np.ndarray, groups: int) -> np.ndarray:
    """Each row's groups of channels (the last axis) with mean 0 and variance 1."""
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    parts = parts - parts.mean(axis=(1, 3), keepdims=True)
    result: np.ndarray = (parts / np.sqrt(parts.var(axis=(1, 3), keepdims=True) + EPSILON)).reshape(x.shape)
    return result


def lenet5(w: dict[str, np.ndarray], recipe: Any, z: np.ndarray) -> np.ndarray:
    """LeNet-5 by sums over windows: (n, h w c) -> (n, outputs)."""

    def behind(x: np.ndarray, name: str) -> np.ndarray:
        if recipe.normalization == "batch":
            x = (x - w[f"norm_{name}/moving_mean"]) / np.sqrt(w[f"norm_{name}/moving_variance"] + EPSILON)
        elif recipe.normalization == "layer":
            axes = tuple(range(1, x.ndim))
            x = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + EPSILON)
        elif recipe.normalization == "group":
            x = grouped(x, recipe.groups)
        if recipe.normalization != "none":
            x = x * w[f"norm_{name}/gamma"] + w[f"norm_{name}/beta"]
        return ACTIVATIONS[recipe.activation](x)

    x = z.reshape(-1, *recipe.image)
    for i in (1, 2):
        if i == 1:
            x = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))
        x = np.einsum("nijcuv,uvco->nijo", windows, w[f"convolution_{i}/kernel"]) + w[f"convolution_{i}/bias"]
        x = behind(x, f"c{i}")
        x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
        x = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    x = x.reshape(len(x), -1)
    for i in (1, 2):
        x = behind(x @ w[f"hidden_{i}/kernel"] + w[f"hidden_{i}/bias"], str(i))
    return x @ w["output/kernel"] + w["output/bias"]


def bounded(out: np.ndarray, kind: str, f: Any) -> np.ndarray:
    """Members' outputs (k, n, o) behind a bounded unit -> probabilities by its place between its targets."""
    low, high = {
        ("sigmoid", "inside"): (0.1, 0.9),
        ("sigmoid", "asymptotes"): (0.0, 1.0),
        ("lecun_tanh", "inside"): (-1.0, 1.0),
        ("lecun_tanh", "asymptotes"): (-1.7159, 1.7159),
    }[f.output, f.target_values]
    p = np.clip((ACTIVATIONS[f.output](out) - low) / (high - low), 1e-7, 1 - 1e-7)
    return (p / p.sum(axis=-1, keepdims=True) if kind == "multiclass" else p).mean(axis=0)


def finish(out: np.ndarray, kind: str, f: Any) -> np.ndarray:
    """Members' outputs (k, n, o) -> averaged probabilities or quantities in the target's units (n, o)."""
    if kind in ("regression", "multioutput"):
        y = out.mean(axis=0) * f.scale + f.center
        return y if f.low is None else np.clip(y, f.low, f.high)
    if f.output != "plain":
        p = bounded(out, kind, f)
        q, rest = p ** (1 / f.temperature), (1 - p) ** (1 / f.temperature)
        result: np.ndarray = q / (q.sum(axis=-1, keepdims=True) if kind == "multiclass" else q + rest)
        return result
    if kind == "multiclass":
        e = np.exp(out - out.max(axis=-1, keepdims=True))
        p = (e / e.sum(axis=-1, keepdims=True)).mean(axis=0)
        q = p ** (1 / f.temperature)
        return q / q.sum(axis=-1, keepdims=True)
    p = (1 / (1 + np.exp(-out))).mean(axis=0)
    a, b = p ** (1 / f.temperature), (1 - p) ** (1 / f.temperature)
    return a / (a + b)
