"""The clinic's data sets: bundled with scikit-learn or made, scaled, split, and assigned to one half."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn import datasets

__all__ = ["CALIBRATION", "TABLES", "TEST", "Table", "halves"]

CALIBRATION, TEST = "calibration", "test"
_ROWS = 700
_VALIDATION = 0.3


@dataclass(frozen=True)
class Table:
    """A data set that a small network learns.

    Args:
        half: `CALIBRATION` or `TEST`; thresholds are chosen on the former only.
        kind: ``binary``, ``multiclass`` or ``regression``.
        curved: a linear model does clearly worse.
        read: rng -> (x, y), (n, p) and (n,).
        epochs: enough to learn it, not enough to overfit it.
    """

    half: str
    kind: str
    curved: bool
    read: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
    epochs: int = 30

    def arrays(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return x, y of the training rows and x, y of the validation rows; standardised by the training rows."""
        rng = np.random.default_rng(seed)
        x, y = self.read(rng)
        chosen = rng.permutation(len(x))[:_ROWS]
        x, y = np.asarray(x[chosen], np.float32), y[chosen]
        cut = int(len(x) * (1 - _VALIDATION))
        x = (x - x[:cut].mean(axis=0)) / np.maximum(x[:cut].std(axis=0), 1e-6)
        if self.kind == "regression":
            y = ((y - y[:cut].mean()) / y[:cut].std()).astype(np.float32)
        else:
            y = y.astype(np.int32)
        return x[:cut], y[:cut], x[cut:], y[cut:]


def _bundled(load: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    def read(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        del rng  # the same rows for every seed; the split differs
        x, y = load(return_X_y=True)
        return x, y

    return read


def _made(make: Callable[..., tuple[np.ndarray, np.ndarray]], **settings: object) -> Callable[..., tuple]:
    def read(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, y = make(n_samples=_ROWS, random_state=int(rng.integers(2**31)), **settings)
        return x, y

    return read


TABLES: Mapping[str, Table] = {
    "cancer": Table(CALIBRATION, "binary", False, _bundled(datasets.load_breast_cancer), 12),
    "digits": Table(CALIBRATION, "multiclass", False, _bundled(datasets.load_digits), 20),
    "circles": Table(CALIBRATION, "binary", True, _made(datasets.make_circles, noise=0.12, factor=0.5), 40),
    "friedman1": Table(CALIBRATION, "regression", True, _made(datasets.make_friedman1, noise=0.5), 50),
    "wine": Table(TEST, "multiclass", False, _bundled(datasets.load_wine), 25),
    "moons": Table(TEST, "binary", True, _made(datasets.make_moons, noise=0.2), 50),
    "quantiles": Table(
        TEST, "multiclass", True, _made(datasets.make_gaussian_quantiles, n_features=3, n_classes=3), 50
    ),
    "friedman2": Table(TEST, "regression", True, _made(datasets.make_friedman2, noise=20.0), 50),
}


def halves() -> dict[str, tuple[str, ...]]:
    """Return half -> names of its data sets."""
    return {half: tuple(n for n, t in TABLES.items() if t.half == half) for half in (CALIBRATION, TEST)}
