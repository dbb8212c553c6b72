"""Rows for the unseen programs: small tables, images, series and texts as people bring them."""

from __future__ import annotations

import numpy as np
from sklearn import datasets

__all__ = [
    "blobs", "counts", "cut", "diabetes", "digits", "fraud", "iris", "moons", "passengers", "scaled", "sines",
    "texts", "waves", "xor",
]  # fmt: skip

Arrays = tuple[np.ndarray, np.ndarray]


def cut(x: np.ndarray, y: np.ndarray, part: float = 0.25) -> tuple[Arrays, Arrays]:
    """Return (x, y) of the first rows and of the last, as Keras' ``validation_split`` takes them."""
    at = len(x) - int(part * len(x))
    return (x[:at], y[:at]), (x[at:], y[at:])


def scaled(x: np.ndarray) -> np.ndarray:
    """Return every column with mean 0 and sd 1."""
    return ((x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)).astype(np.float32)


def digits(rng: np.random.Generator, rows: int = 800, classes: int = 10, images: bool = False) -> Arrays:
    """Return (n, 64) or (n, 8, 8, 1) in 0..1 and labels from 0."""
    x, y = datasets.load_digits(return_X_y=True)
    kept = np.flatnonzero(y < classes)
    kept = rng.permutation(kept)[:rows]
    x = (x[kept] / 16).astype(np.float32)
    return (x.reshape(-1, 8, 8, 1) if images else x), y[kept].astype(np.int32)


def iris(rng: np.random.Generator) -> Arrays:
    """Return (150, 4) in cm and three classes, in random order."""
    x, y = datasets.load_iris(return_X_y=True)
    order = rng.permutation(len(x))
    return x[order].astype(np.float32), y[order].astype(np.int32)


def diabetes(rng: np.random.Generator) -> Arrays:
    """Return (442, 10) standardised and the progress, 25..346."""
    x, y = datasets.load_diabetes(return_X_y=True)
    order = rng.permutation(len(x))
    return scaled(x[order]), y[order].astype(np.float32)


def moons(rng: np.random.Generator, rows: int = 600, noise: float = 0.15) -> Arrays:
    """Return two half-circles, standardised."""
    x, y = datasets.make_moons(rows, noise=noise, random_state=int(rng.integers(2**31)))
    return scaled(x), y.astype(np.int32)


def blobs(rng: np.random.Generator, rows: int = 600, classes: int = 3, columns: int = 8, spread: float = 2.0) -> Arrays:
    """Return clouds of points, standardised."""
    x, y = datasets.make_blobs(
        rows, columns, centers=classes, cluster_std=spread, random_state=int(rng.integers(2**31))
    )
    return scaled(x), y.astype(np.int32)


def waves(rng: np.random.Generator, rows: int = 600) -> Arrays:
    """Return (n, 6) standardised and a curved function of them with some noise, mean 0 and sd 1."""
    x = rng.normal(size=(rows, 6))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] ** 2 + 0.1 * rng.normal(size=rows)
    return scaled(x), scaled(y[:, None])[:, 0]


def passengers(rng: np.random.Generator, months: int = 400, window: int = 12) -> Arrays:
    """Return windows (n, window, 1) of a growing series of some hundreds, and the month after."""
    t = np.arange(months)
    series = (120 + t) * (1 + 0.2 * np.sin(2 * np.pi * t / 12)) + rng.normal(0, 6, months)
    windows = np.lib.stride_tricks.sliding_window_view(series, window + 1).astype(np.float32)
    return windows[:, :window, None], windows[:, window]


def sines(rng: np.random.Generator, rows: int = 500, window: int = 20) -> Arrays:
    """Return windows (n, window, 1) of sines of many phases and lengths, and the next value, within -1..1."""
    phase, step = rng.uniform(0, 2 * np.pi, (rows, 1)), rng.uniform(0.2, 0.5, (rows, 1))
    values = np.sin(phase + step * np.arange(window + 1)) + rng.normal(0, 0.02, (rows, window + 1))
    return values[:, :window, None].astype(np.float32), values[:, window].astype(np.float32)


def texts(rng: np.random.Generator, rows: int = 600, length: int = 12, words: int = 50) -> Arrays:
    """Return word numbers (n, length) and whether more good words (2..9) than bad ones (10..17) stand in the text."""
    x = rng.integers(18, words, (rows, length))
    y = np.arange(rows) % 2
    rng.shuffle(y)
    for text, good in zip(x, y, strict=True):
        places = rng.permutation(length)[:3]
        text[places] = rng.integers(2, 10, 3) if good else rng.integers(10, 18, 3)
    return x.astype(np.int32), y.astype(np.int32)


def fraud(rng: np.random.Generator, rows: int = 2000, few: int = 20) -> Arrays:
    """Return (n, 10) standardised, and one row in a hundred of the other class, near the first."""
    y = np.zeros(rows, np.int32)
    y[rng.permutation(rows)[:few]] = 1
    x = rng.normal(size=(rows, 10))
    x[:, :3] += 1.2 * y[:, None]
    return scaled(x), y


def counts(rng: np.random.Generator, rows: int = 600) -> Arrays:
    """Return (n, 4) standardised and counts whose logarithmic mean is linear in them."""
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    return x, rng.poisson(np.exp(0.8 + x @ np.array([0.5, -0.4, 0.3, 0.0]))).astype(np.float32)


def xor() -> Arrays:
    """Return the four rows."""
    return np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0], np.int32)
