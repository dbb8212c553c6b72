"""The data of the real programs, made from the words that describe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import datasets

__all__ = ["MAKERS", "make"]

Rows = tuple[np.ndarray, np.ndarray]
Maker = Callable[[Mapping[str, Any], np.random.Generator], Rows]
# Enough of the largest sets for every symptom to show.
_MOST_ROWS = 20_000


def make(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    """Return x (n, ...) and y of a case's ``data``; KeyError: its ``kind`` is unknown."""
    x, y = MAKERS[data["kind"]](data, rng)
    x, y = np.asarray(x, np.float32), np.asarray(y)
    if data.get("shape") and x.ndim == 2:
        x = x.reshape(-1, *data["shape"])
    return x, y.astype(np.float32) if y.dtype.kind == "f" else y


def _one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[y]


def _average(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    pair = rng.integers(0, 100, (data["n_samples"], 2))
    return pair / 100.0, pair.mean(axis=1) / 100.0


def _digits(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x, y = datasets.load_digits(return_X_y=True)
    return (x * 255 / 16 if "raw" in data["scaling"] else x / 16), _one_hot(y, 10)


def _few_digits(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x, y = datasets.load_digits(return_X_y=True)
    chosen = rng.permutation(len(x))[: data["n_samples"]]
    x, y, wrong = x[chosen] / 16, y[chosen].copy(), rng.random(len(chosen)) < 0.1
    y[wrong] = rng.integers(0, 10, wrong.sum())
    return x, y


def _blobs(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x, y = datasets.make_blobs(n_samples=data["n_samples"], centers=3, n_features=2, cluster_std=2, random_state=2)
    return x, _one_hot(y, 3)


def _life(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    board = (rng.random((data["n_samples"], 3, 3)) < 0.5).astype(float)
    padded = np.pad(board, ((0, 0), (1, 1), (1, 1)), mode="wrap")
    neighbours = sum(padded[:, i : i + 3, j : j + 3] for i in range(3) for j in range(3)) - board
    alive = (neighbours == 3) | ((board == 1) & (neighbours == 2))
    return padded[..., None], alive.astype(float)[..., None]


def _permutation(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    bits = np.array([[int(b) for b in f"{i:08b}"] for i in range(256)], float)
    return bits, bits[rng.permutation(256)]


def _ramp(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    t = np.arange(100.0)
    return np.column_stack([t, np.ones(100)]), 2 * t + 4 + 10 * rng.random(100)


def _line8(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x = rng.uniform(-8, 8, 8)
    slope, level = rng.uniform(-8, 8, 2)
    return x[:, None], slope * x + level + rng.uniform(-1, 1, 8)


def _quadratic(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x = np.arange(0, 5, 0.1)
    return x[:, None], 5 * x**2 + rng.normal(size=50) ** 3


def _ones(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x = np.concatenate([np.ones((10_000, 128)), np.zeros((10_000, 128))])
    return x, (np.arange(20_000) < 10_000).astype(int)


def _multilabel(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    rows = min(_MOST_ROWS, data["n_samples"])
    one = data["kind"].endswith("_1")
    classes = 1 if one else 3
    x, y = datasets.make_multilabel_classification(
        n_samples=rows, n_features=data["n_features"], n_classes=classes, random_state=0
    )
    return x, y[:, 0] if one else y


def _sequences(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x = rng.normal(size=(data["n_samples"], 10, 4))
    return x, (x[:, :, 0].mean(axis=1) > -0.1).astype(int)


def _iris(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x, y = datasets.load_iris(return_X_y=True)
    order = rng.permutation(len(x))
    x, y = x[order], y[order]
    if data["scaling"].startswith("standard"):
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    return x, _one_hot(y, 3)


def _sum_sign(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x = rng.normal(size=(data["n_samples"], 12))
    y = (x.sum(axis=1) > 0).astype(int)
    return x, _one_hot(y, 2) if "one-hot" in data["how"] else y


def _chances(log_odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _one_hot((rng.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(int), 2)


def _titanic(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    n = data["n_samples"]
    sex, cabin, age = rng.integers(0, 2, n), rng.integers(1, 4, n), rng.uniform(0.4, 80, n)
    fare = np.minimum(rng.lognormal(3, 1, n), 512)
    ids = [rng.integers(0, most, n) for most in (1307, 9, 7, 929, 187, 4)]
    x = np.column_stack([cabin, ids[0], sex, age, ids[1], ids[2], ids[3], fare, ids[4], ids[5]])
    return x, _chances(2.6 * (sex == 0) - 0.9 * (cabin - 2) - 0.03 * (age - 30) - 1, rng)


def _higgs(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    n = data["n_samples"]
    z = rng.normal(size=(n, 31))
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * z[:, :5].sum(axis=1)))).astype(int)
    x = z * rng.uniform(1, 300, 31) + rng.uniform(-300, 300, 31)
    x[:, 30] = rng.uniform(0.001, 7, n)
    for column in range(20, 28):
        x[rng.random(n) < rng.uniform(0.2, 0.7), column] = -999
    return x, y


def _adult(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    n = data["n_samples"]
    age, education, hours = rng.uniform(17, 90, n), rng.integers(1, 17, n), rng.uniform(1, 99, n)
    gain = np.where(rng.random(n) < 0.92, 0, rng.uniform(0, 99_999, n))
    loss = np.where(rng.random(n) < 0.95, 0, rng.uniform(0, 4356, n))
    weight = np.exp(rng.uniform(np.log(1e4), np.log(1.5e6), n))
    ids = [rng.integers(0, 7, n) for _ in range(5)]
    work, school, country = (rng.integers(0, most, n) for most in (9, 16, 42))
    x = np.column_stack([age, work, weight, school, education, *ids, gain, loss, hours, country])
    odds = 0.35 * (education - 10) + 0.04 * (age - 38) + 0.03 * (hours - 40) + 0.0002 * gain - 1.6
    return x, _chances(odds, rng)


def _power(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    x = np.arange(-100, 100, 0.5)
    y = x**4
    if "standard" in data["scaling"]:
        x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    return x[:, None], y


def _multiples(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    n = rng.integers(26, 489, data["n_samples"]).astype(float)
    return np.column_stack([n, 2 * n]), 4 * n


def _small_targets(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    n = data["n_samples"]
    return rng.normal(0.8, 0.9, (n, 2)), np.clip(rng.normal(0.8, 0.9, n), -1.1, 2.7)


def _line(low: float, high: float, slope: float, level: float) -> Maker:
    def maker(data: Mapping[str, Any], rng: np.random.Generator) -> Rows:
        x = np.linspace(low, high, data["n_samples"])
        return x[:, None], slope * x + level

    return maker


MAKERS: Mapping[str, Maker] = {
    "average_of_two": _average,
    "digits": _digits,
    "digits_few": _few_digits,
    "four_points": lambda data, rng: (np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float), np.array([0, 0, 1, 1])),
    "make_blobs": _blobs,
    "make_circles": lambda data, rng: datasets.make_circles(n_samples=1000, noise=0.1, random_state=1),
    "game_of_life": _life,
    "binary_permutation": _permutation,
    "ramp100": _ramp,
    "line8": _line8,
    "quadratic_noise": _quadratic,
    "linear_small": _line(1, 2, 5, 0),
    "linear_ramp": _line(0, 1, 100, 0.01),
    "line7": _line(-1, 5, 2, -1),
    "multiples": _multiples,
    "ones_vs_zeros": _ones,
    "make_multilabel": _multilabel,
    "make_multilabel_1": _multilabel,
    "sequences_10x4": _sequences,
    "negative_targets_small": _small_targets,
    "iris": _iris,
    "sum_sign": _sum_sign,
    "titanic_like": _titanic,
    "higgs_like": _higgs,
    "adult_like": _adult,
    "x_pow_4": _power,
}
