"""Members of which no weight stays at its first value, the model exported of them, and what NumPy says of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fallline.data import Preparation
from fallline.network.export import Finish, export_model
from fallline.types import NetworkRecipe
from tests.network import forward


def stirred(network: Any, k: int, by: float) -> list[list[np.ndarray]]:
    """Weights of k members; zeros and ones of the first weights would hide mistakes."""
    rng = np.random.default_rng(7)
    members = []
    for seed in range(k):
        trainable, fixed = network.initial(seed)
        trainable = [w + by * rng.normal(size=w.shape).astype(np.float32) for w in trainable]
        fixed = [w + rng.uniform(0.1, 1.0, w.shape).astype(np.float32) if w.dtype == np.float32 else w for w in fixed]
        members.append([*trainable, *fixed])
    return members


def exported(
    network: Any, recipe: NetworkRecipe, weights: list[list[np.ndarray]], fitted: Preparation, raw: np.ndarray,
    finish: Finish,
) -> tuple[keras.Model, np.ndarray]:  # fmt: skip
    """Return (the exported model, what NumPy predicts for the raw rows)."""
    stacked = [np.stack(values) for values in zip(*weights, strict=True)]
    count = len(network.model.trainable_variables)
    model = export_model(network, stacked[:count], stacked[count:], fitted, raw.shape[1], finish)
    paths = [v.path for v in (*network.model.trainable_variables, *network.model.non_trainable_variables)]
    z = forward.features(fitted, raw)
    outs = [forward.member(dict(zip(paths, own, strict=True)), recipe, z, fitted.n_numeric) for own in weights]
    return model, forward.finish(np.stack(outs), finish.kind, finish)
