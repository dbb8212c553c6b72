"""Optimizers from recipes: which programs are shared, which numbers an open entry means, what a Keras model takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import make_circles

import fallline as fl
from fallline.data import make_problem
from fallline.optimize import rate_factors
from fallline.recipe import default, override
from fallline.train.keras_settings import recipe_optimizer
from fallline.train.prepared import prepare
from fallline.train.programs import program_key
from fallline.train.table_task import table_program
from fallline.types import Recipe

TINY = [
    "network.hidden=[16,16]", "network.activation=tanh", "network.embedding=none", "network.dropout=0",
    "network.skip=false", "network.rate_per_layer=false", "ensemble.members=1", "split.folds=1", "split.test=0.25",
    "training.epochs=60", "training.batch_size=16", "stopping.criterion=none",
]  # fmt: skip


def tiny(*changes: str) -> Recipe:
    return override(default(), [*TINY, *changes])


def circles() -> tuple[np.ndarray, np.ndarray]:
    x, y = make_circles(400, noise=0.1, factor=0.4, random_state=0)
    return x, y


def test_tables_that_differ_in_numbers_alone_share_a_program() -> None:
    problem = make_problem(*circles())

    def program(*changes: str) -> Any:
        return table_program(program_key(prepare(problem, tiny(*changes)), problem))

    first = program("optimizer.name=rmsprop")
    assert program("optimizer.name=rmsprop", "momentum=0.5", "beta_2=0.8", "learning_rate=0.1") is first
    assert program("optimizer.name=rmsprop", "schedule=step", "schedule_end=0.1", "schedule_drops=3") is first
    assert program("optimizer.name=rmsprop", "batch_doublings=[0.5]", "training.order=classes") is first
    assert program("optimizer.name=adagrad") is not first


def test_the_rate_that_is_shown_is_the_one_of_the_schedule() -> None:
    changes = ["optimizer.learning_rate=0.5", "schedule=step", "schedule_end=0.25", "schedule_drops=1", "epochs=4"]
    run = fl.train(override(tiny(), changes), *circles(), verbose=0, watch=False)
    assert run.history["learning_rate"].tolist() == [0.5, 0.5, 0.125, 0.125]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "weight_decay": 0.01}),
        ("sgd", {"learning_rate": 1e-3, "momentum": 0.9}),
        ("adam", {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999}),
        ("rmsprop", {"learning_rate": 1e-3, "momentum": 0.0, "beta_2": 0.9}),
        ("adagrad", {"learning_rate": 0.01}),
        ("adadelta", {"learning_rate": 1.0, "beta_2": 0.95}),
        ("lion", {"learning_rate": 3e-4, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.1}),
        ("lm", {"learning_rate": 1.0, "damping": 1e-3}),
        ("newton", {"learning_rate": 1.0, "damping": 1e-5}),
        ("cg", {"learning_rate": 1.0}),
    ],
)
def test_numbers_for_a_keras_model_where_the_recipe_leaves_them_open(name: str, expected: dict[str, float]) -> None:
    assert recipe_optimizer(override(default(), [f"optimizer.name={name}"]))[1] == expected


@pytest.mark.parametrize("name", ["rmsprop", "lion"])
def test_a_keras_model_takes_the_recipes_optimizer_and_schedule(name: str) -> None:
    x, y = circles()
    x, y = x[:64].astype(np.float32), y[:64].astype(np.float32)[:, None]
    build = keras.initializers.GlorotUniform(seed=1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer=build)])
    w, b = (np.asarray(v, np.float64) for v in model.get_weights())
    recipe = override(
        default(),
        [f"optimizer.name={name}", "learning_rate=0.1", "schedule=exponential", "schedule_end=0.1", "shuffle=false"],
    )
    model.compile(loss="mse")
    fl.train(model, x, y, recipe=recipe, epochs=2, batch_size=32, early_stopping=False, verbose=0, watch=False)
    slots: list[np.ndarray] = [np.zeros(1), np.zeros(1)]
    for k, rate in enumerate(rate_factors("exponential", np.arange(4), 4, numbers={"schedule_end": 0.1})):
        part = slice(32 * (k % 2), 32 * (k % 2) + 32)
        error = 2.0 * (x[part] @ w + b - y[part]) / 32
        grads = [x[part].T @ error, error.sum(axis=0)]
        steps = []
        for i, g in enumerate(grads):
            if name == "rmsprop":  # momentum 0, decay 0.9
                slots[i] = 0.9 * slots[i] + 0.1 * g**2
                steps.append(g / np.sqrt(slots[i]))
            else:  # 0.9, 0.99, and decay 0.1 of the kernel
                steps.append(np.sign(0.9 * slots[i] + 0.1 * g) + (0.1 * w if i == 0 else 0.0))
                slots[i] = 0.99 * slots[i] + 0.01 * g
        w, b = w - 0.1 * rate * steps[0], b - 0.1 * rate * steps[1]
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-4, atol=1e-6)
