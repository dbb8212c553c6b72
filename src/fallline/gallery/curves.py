"""G9: the shapes of learning curves: one real training for each of the first six symptoms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, make_circles, make_moons

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row
from fallline.plot import figure
from fallline.types import Run

__all__ = ["show"]


def _fit(model: Any, x: Any, y: Any, val: tuple[Any, Any], epochs: int, rate: float = 1e-3, batch: int = 32) -> Run:
    import keras

    model.compile(keras.optimizers.Adam(rate), loss="binary_crossentropy", metrics=["accuracy"])
    return fl.train(model, x, y, validation_data=val, epochs=epochs, batch_size=batch, early_stopping=False, verbose=0)


def _circles(n: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = make_circles(n, factor=0.5, noise=noise, random_state=seed)
    return x.astype(np.float32), y.astype(np.float32)


def _net(*hidden: int) -> Any:
    return fl.networks.mlp(2, 1, hidden=hidden, output="sigmoid", seed=1)


def flat() -> Run:
    """A straight line cannot part two circles."""
    return _fit(_net(), *_circles(400, 0.1, 0), _circles(400, 0.1, 1), 60, 0.01)


def stopped_early() -> Run:
    """The loss still falls when the training ends."""
    return _fit(_net(32), *_circles(400, 0.1, 0), _circles(400, 0.1, 1), 25, 0.001)


def overfitted() -> Run:
    """Five hundred units learn thirty points by heart."""
    x, y = make_moons(130, noise=0.35, random_state=0)
    x, y = x.astype(np.float32), y.astype(np.float32)
    return _fit(_net(500), x[:30], y[:30], (x[30:], y[30:]), 600, 0.003)


def good() -> Run:
    """Enough points, enough units, enough epochs."""
    return _fit(_net(32), *_circles(1000, 0.1, 0), _circles(1000, 0.1, 1), 60, 0.01)


def few_rows() -> Run:
    """Blurred digits 3 and 8 from 30 examples: both curves get better, and a wide gap stays."""
    data = load_digits()
    kept = np.isin(data.target, (3, 8))
    x, y = data.data[kept] / 16.0, (data.target[kept] == 8).astype(np.float32)
    x = (x + np.random.default_rng(0).normal(0, 0.6, x.shape)).astype(np.float32)
    net = fl.networks.mlp(64, 1, hidden=(), output="sigmoid", seed=1)
    return _fit(net, x[:30], y[:30], (x[30:], y[30:]), 40, 0.01)


def few_validation_rows() -> Run:
    """Twelve rows cannot judge."""
    return _fit(_net(32), *_circles(400, 0.2, 0), _circles(12, 0.2, 5), 80, 0.01, 8)


# Catalogue id -> the training that has it.
SIX: dict[str, Callable[[], Run]] = {
    "S1": flat,
    "S2": stopped_early,
    "S3": overfitted,
    "S4": good,
    "S5": few_rows,
    "S6": few_validation_rows,
}
WORDS = {
    "S1": "underfit: flat",
    "S2": "underfit: stopped too early",
    "S3": "overfit",
    "S4": "good fit",
    "S5": "training rows unrepresentative",
    "S6": "validation rows unrepresentative",
}


def show(*, quick: bool = False) -> Exhibit:
    """Train six networks, draw their curves, and ask what is wrong with each."""
    chosen = {key: SIX[key] for key in (("S1", "S4") if quick else SIX)}
    columns = min(3, len(chosen))
    made, axes = figure(-(-len(chosen) // columns), columns, size=(3.5 * columns, 3.0 * -(-len(chosen) // columns)))
    rows = []
    for ax, (key, make) in zip(axes.ravel(), chosen.items(), strict=True):
        run = make()
        run.plot(ax=ax, findings=False)
        ax.set_title(f"{key} {WORDS[key]}", fontsize=10)
        ax.get_legend().remove()
        found = [f"{finding.id} {finding.symptom}" for finding in run.diagnosis]
        rows.append(Row(f"{key} {WORDS[key]}", ", ".join(found) or "nothing", key))
    axes[0, 0].legend(frameon=False, fontsize=8)
    remark = "Ours: what the diagnosis says of each run; published: the symptom that it was made to have."
    return Exhibit("The shapes of learning curves", tuple(rows), made, remark)
