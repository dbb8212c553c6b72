"""G8: when to stop early: patience and Prechelt's three criteria, fast and slow, on five tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import datasets

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row, measure
from fallline.plot import COLOURS, SERIES, figure

__all__ = ["show"]

TABLES = ("breast_cancer", "diabetes", "digits", "iris", "wine")
# Each a fast and a slow one; Prechelt, Early stopping - but when? (1998), section 4, compares these families.
CRITERIA: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "patience": ({"patience": 5}, {"patience": 40}),
    "GL": ({"criterion": "gl", "alpha": 1.0}, {"criterion": "gl", "alpha": 20.0}),
    "PQ": ({"criterion": "pq", "alpha": 0.5}, {"criterion": "pq", "alpha": 3.0}),
    "UP": ({"criterion": "up", "successive": 2}, {"criterion": "up", "successive": 8}),
}
LOSSES = ("log_loss", "rmse")


def show(*, quick: bool = False) -> Exhibit:
    """Train each table with each criterion, and compare the test loss and the epochs with the longest training's."""
    tables = TABLES[3:4] if quick else TABLES
    chosen = dict(list(CRITERIA.items())[:2]) if quick else CRITERIA
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, pair in chosen.items():
        for speed, entries in zip(("fast", "slow"), pair, strict=True):
            seen = [_trained(table, entries, quick) for table in tables]
            found[f"{name}, {speed}"] = np.array([loss for loss, _ in seen]), np.array([epochs for _, epochs in seen])
    best = np.min([loss for loss, _ in found.values()], axis=0)
    shortest = np.min([epochs for _, epochs in found.values()], axis=0)

    made, axes = figure(size=(7.4, 4.6))
    rows = []
    ax = axes[0, 0]
    for i, name in enumerate(chosen):
        places = []
        for speed, mark in (("fast", "o"), ("slow", "s")):
            loss, epochs = found[f"{name}, {speed}"]
            worse, longer = 100 * (loss / best - 1), epochs / shortest
            places.append((np.exp(np.log(longer).mean()), worse.mean()))
            ax.plot(*places[-1], mark, color=SERIES[i], markersize=9, markeredgecolor="white")
            rows.append(Row(f"test loss above the table's best in %, {name}, {speed}", measure(worse)))
            rows.append(Row(f"epochs, {name}, {speed}", measure(epochs)))
        ax.plot(*np.array(places).T, color=SERIES[i], linewidth=1)
        ax.annotate(name, places[1], xytext=(7, 5), textcoords="offset points", color=SERIES[i], fontsize=10)
    ax.plot([], [], "o", color=COLOURS["soft"], label="fast")
    ax.plot([], [], "s", color=COLOURS["soft"], label="slow")
    ax.set(
        xlabel="epochs, as a multiple of the table's shortest training", ylabel="test loss above the table's best, %"
    )
    ax.set_xscale("log", base=2)
    ax.legend(frameon=False)
    fast, slow = (np.array([found[f"{name}, {speed}"][0] for name in chosen]) for speed in ("fast", "slow"))
    quickly, slowly = (np.array([found[f"{name}, {speed}"][1] for name in chosen]) for speed in ("fast", "slow"))
    gain = measure(100 * (1 - slow / fast).mean(axis=0))
    rows.insert(0, Row("slow criteria: lower test loss, %", gain, "about 4"))
    rows.insert(1, Row("slow criteria: times the epochs", measure((slowly / quickly).mean(axis=0)), "about 4"))
    remark = (
        f"What the slow criteria gain {'is' if gain.low > 0 else 'is not'} beyond the spread of these tables. "
        "Intervals over the tables; each table's figure is a mean over seeds and folds. Published: Prechelt (1998), on "
        "twelve problems and 24 networks."
    )
    return Exhibit("When to stop early", tuple(rows), made, remark)


def _trained(table: str, entries: dict[str, Any], quick: bool) -> tuple[float, float]:
    """Return the mean test loss and the mean number of epochs of a table over folds and seeds."""
    data = getattr(datasets, f"load_{table}")()
    seeds, folds, epochs = (range(1), 2, 30) if quick else (range(3), 5, 600)
    runs = fl.train_many(
        "simple", data.data, data.target, seeds=seeds, folds=folds, epochs=epochs,
        kind="regression" if table == "diabetes" else None, early_stopping=entries, verbose=0,
    )  # fmt: skip
    loss = [score.value for run in runs for score in run.scores if score.metric in LOSSES and score.who == "model"]
    return float(np.mean(loss)), float(np.mean([run.trace.n_epochs for run in runs]))
