"""The circles of G6 to G8, and how their curves are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from sklearn.datasets import make_circles

from fallline.plot import COLOURS, figure
from fallline.types import Run

__all__ = ["TO_THE_END", "circles", "curves_of", "network"]

# No early end; every epoch is evaluated, for the best is kept.
TO_THE_END: Mapping[str, Any] = {"criterion": "none"}

Data = tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]


def circles(rows: int, training: int) -> Data:
    """Return (x, y, validation) of two circles; the first rows train, as in the published experiments."""
    x, y = make_circles(rows, noise=0.1, random_state=1)
    x, y = x.astype(np.float32), y.astype(np.float32)[:, None]
    return x[:training], y[:training], (x[training:], y[training:])


def network(units: int, *, norm: bool = False, noise: float = 0.0, l2: float = 0.0) -> keras.Model:
    """2 - units - 1 with ReLU and He's weights; l2: Keras' penalty l2 * sum of squares on the hidden kernel."""
    layers: list[Any] = [keras.Input((2,)), *([keras.layers.GaussianNoise(noise)] if noise else [])]
    penalty = keras.regularizers.L2(l2) if l2 else None
    layers.append(keras.layers.Dense(units, kernel_initializer="he_uniform", kernel_regularizer=penalty))
    layers += [
        *([keras.layers.BatchNormalization()] if norm else []),
        keras.layers.ReLU(),
        keras.layers.Dense(1, "sigmoid"),
    ]
    model = keras.Sequential(layers)
    # Beside the loss, which holds the penalty, the log-loss without it.
    metrics = ["accuracy", keras.metrics.BinaryCrossentropy(name="log_loss")]
    model.compile(keras.optimizers.Adam(), loss="binary_crossentropy", metrics=metrics)
    return model


def curves_of(groups: Mapping[str, Sequence[Run]], quantity: str, *, log: bool = False) -> Any:
    """Draw training and validation curves of groups of runs side by side: the seeds' median, and their 10 % to 90 %."""
    made, axes = figure(1, len(groups), size=(3.3 * len(groups), 3.6), sharey=True)
    for ax, (name, runs) in zip(axes[0], groups.items(), strict=True):
        for which, colour, dash, word in (
            (quantity, "train", "-", "training"),
            (f"val_{quantity}", "val", "--", "validation"),
        ):
            seen = [run.trace.curve(which) for run in runs]
            seen = [curve[: min(map(len, seen))] for curve in seen]
            epochs = np.arange(1, len(seen[0]) + 1)
            low, middle, high = np.quantile(seen, [0.1, 0.5, 0.9], axis=0)
            ax.fill_between(epochs, low, high, color=COLOURS[colour], alpha=0.15, linewidth=0)
            ax.plot(epochs, middle, dash, color=COLOURS[colour], label=word, linewidth=1.4)
        ax.set(title=name, xlabel="epoch", **({"yscale": "log"} if log else {}))
    axes[0, 0].set_ylabel(quantity.replace("log_loss", "log-loss"))
    axes[0, -1].legend(frameon=False)
    return made
