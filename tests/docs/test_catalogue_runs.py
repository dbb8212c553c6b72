"""What the catalogue says switches a row on is done once: each line of Python; a recipe where no line says the same."""

from __future__ import annotations

import copy
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import fallline as fl
from docs.catalogue import Row, rows
from fallline.recipe import from_toml, override
from fallline.train import train_problem
from fallline.types import Recipe

pytestmark = [pytest.mark.slow, pytest.mark.long]

N = 24
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(
    y=X[:, 0] - X[:, 1], label=np.where(np.arange(N) % 3, "no", "yes"),
    patient=np.arange(N) // 2, day=pd.date_range("2024-01-01", periods=N),
)  # fmt: skip


class Quick:
    """The public names, trainings of one epoch, unwatched, where nothing else is asked for."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(fl, name)
        if name not in ("train", "train_many"):
            return found
        seldom = {"watch": False} if name == "train" else {}
        return lambda *given, **more: found(*given, **{"epochs": 1, "verbose": 0, **seldom, **more})


def model() -> keras.Model:
    dense = keras.layers.Dense
    made = keras.Sequential([keras.Input((3,)), dense(4, "sigmoid"), dense(1)])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("row", [row for row in rows() if row.python], ids=lambda row: row.id)
def test_the_lines_of_python_run(row: Row, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    FRAME.drop(columns=["label"]).rename(columns={"y": "price"}).to_csv("houses.csv", index=False)
    FRAME.drop(columns=["label"]).to_csv("data.csv", index=False)
    problem = fl.make_problem(FRAME.drop(columns=["label"]), target="y", group="patient")
    for line in row.python:
        if "tensorboard" in line:
            pytest.importorskip("tensorboard")
        # Without PyTorch the two are an error that says so; improving takes minutes, and has its own tests.
        if line in ("fl.watch.torch", "fl.watch.lightning") or "fl.improve(" in line:
            continue
        known = {"fl": Quick(), "model": model(), "x": X, "y": FRAME["y"].to_numpy()[:, None], "problem": problem}
        frame = FRAME.drop(columns=["y" if "label" in line else "label", "day", "patient"])
        exec(line, {**known, "frame": frame, "recipe": fl.default_recipe("simple")})


def small(snippet: str) -> Recipe:
    """The recipe, with a small network where the row is not about it."""
    changes = ["training.epochs=1"]
    changes += [] if "[network]" in snippet else ["network.hidden=[4]", "embedding=none", "normalization=none"]
    changes += [] if "[ensemble]" in snippet or "folds" in snippet else ["ensemble.members=1"]
    return override(from_toml(snippet), changes)


def changed(row: Row) -> bool:
    return any('default_recipe("simple", ' in line for line in row.python)


@pytest.mark.parametrize("row", [row for row in rows() if row.recipe and not changed(row)], ids=lambda row: row.id)
def test_the_first_recipe_trains(row: Row) -> None:
    recipe = small(row.recipe[0])
    quantity = recipe.training.loss in ("mae", "huber")
    frame = FRAME.drop(columns=["label" if quantity else "y"])
    if recipe.network.image:
        frame = pd.DataFrame(RNG.normal(size=(N, int(np.prod(recipe.network.image))))).assign(label=FRAME["label"])
    if recipe.network.kind == "autoencoder":
        run = fl.train(recipe, FRAME[["a", "b", "c"]], verbose=0, watch=False)
    else:
        problem = fl.make_problem(copy.copy(frame), target="y" if quantity else "label")
        run = train_problem(problem, recipe, diagnosed=False)
    assert run.outcome in ("completed", "stopped_early")
