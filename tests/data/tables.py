"""Small tables made on the spot, for the tests of this folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

import fallline
from fallline.data import make_problem
from fallline.types import Problem

__all__ = ["labels_problem", "mixed_frame", "mixed_problem", "subprocess_environment"]


def mixed_frame(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Return a table with every kind of column, with gaps in each, and a target ``price``."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(100, 20, n),
            "rooms": rng.integers(1, 7, n),
            "built": pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 5000, n), unit="D"),
            "colour": rng.choice(["red", "green", "blue"], n, p=[0.6, 0.3, 0.1]),
            "heated": rng.choice(["yes", "no"], n),
            "sold": rng.random(n) < 0.4,
            "price": rng.normal(10, 2, n),
        }
    )
    frame["sold"] = frame["sold"].astype(object)
    for at, name in enumerate(("size", "built", "colour", "sold")):
        frame.loc[frame.index[at::11], name] = None
    return frame


def mixed_problem(n: int = 60, seed: int = 0) -> Problem:
    """Return the mixed table as a regression problem."""
    return make_problem(mixed_frame(n, seed), target="price")


def labels_problem(counts: dict[str, int], seed: int = 0, **more: object) -> Problem:
    """Return a classification problem with so many rows of each class, in random order."""
    labels = np.repeat(list(counts), list(counts.values()))
    rng = np.random.default_rng(seed)
    rng.shuffle(labels)
    x = pd.DataFrame({"a": rng.normal(size=len(labels)), "b": rng.normal(size=len(labels)), **more})
    return make_problem(x, labels)


def subprocess_environment() -> dict[str, str]:
    """Return an environment in which another Python finds the package and these tests."""
    root = Path(fallline.__file__).parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)]), "PYTHONHASHSEED": "123"}
