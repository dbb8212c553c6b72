"""The contract of every optimizer in training: populations, resumes, no compiling for numbers, a problem learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from sklearn.datasets import make_circles

import fallline as fl
from fallline.data import make_problem
from fallline.engine import Population, Stopping
from fallline.optimize import make_optimizer, rate_factors
from fallline.recipe import default, override
from fallline.train import loop
from fallline.train.keras_model import _recipe_optimizer
from fallline.train.loop import Fitted, fit_population
from fallline.train.orders import Member, Plan
from fallline.train.prepared import prepare
from fallline.train.table import _program
from fallline.types import FULL_BATCH, OPTIMIZER_NUMBERS, Recipe
from tests.engine import toy

# Three learning rates and what else differs between the members.
NUMBERS = [
    {"learning_rate": rate, "momentum": momentum, "beta_1": 0.9, "beta_2": beta_2, "weight_decay": decay}
    | {"damping": rate}
    for rate, momentum, beta_2, decay in ((0.003, 0.0, 0.9, 0.0), (0.01, 0.5, 0.95, 0.1), (0.03, 0.9, 0.99, 0.2))
]
PLAN = Plan(epochs=4, batch_size=5, schedule="step", warmup=0.1)


class Trained:
    """A task of the toy network under the named optimizer, which counts how often it is traced."""

    def __init__(self, name: str) -> None:
        self.optimizer, self.traces = make_optimizer(name), 0
        self.programs: dict[int, Population] = {}
        self.own = {"learning_rate": 1.0} if name in FULL_BATCH else {}
        # All 16 rows at once, and the full step first, whatever the member's rate.
        self.plan = replace(PLAN, batch_size=16, schedule="constant", warmup=0.0) if name in FULL_BATCH else PLAN

    def loss(self, *given: Any) -> Any:
        self.traces += 1
        return toy.task().loss(*given)

    def fit(self, numbers: list[dict[str, float]], seeds: list[int], **keywords: Any) -> Fitted:
        p = len(seeds)
        if p not in self.programs:
            searches = self.optimizer.searches
            task = replace(toy.task(), loss=self.loss, update=self.optimizer.update, searches=searches)
            self.programs[p] = Population(task, Stopping(), p, validated=True)
        members = [
            Member(seed, np.arange(16), np.arange(16, 24), {key: n[key] for key in self.optimizer.numbers} | self.own)
            for seed, n in zip(seeds, numbers, strict=True)
        ]
        begin = toy.begin(seeds)
        one = self.optimizer.init([jnp.asarray(a[0]) for a in begin.params])
        state = jax.tree.map(lambda a: np.repeat(np.asarray(a)[None], p, axis=0), one)
        start = (begin.params, begin.aux, state)
        return fit_population(self.programs[p], members, self.plan, toy.data(), *start, **keywords)


@pytest.fixture(scope="module")
def trained() -> Callable[[str], Trained]:
    made: dict[str, Trained] = {}
    return lambda name: made.setdefault(name, Trained(name))


@pytest.mark.parametrize("name", OPTIMIZER_NUMBERS)
def test_a_population_of_three_rates_is_three_networks_and_one_program(
    name: str, trained: Callable[[str], Trained]
) -> None:
    network = trained(name)
    together = network.fit(NUMBERS, [1, 2, 3])
    alone = network.fit(NUMBERS[:1], [1])
    traces = network.traces
    others = [network.fit(NUMBERS[i : i + 1], [i + 1]) for i in (1, 2)]
    assert network.traces == traces  # other numbers, no other program
    for i, single in enumerate([alone, *others]):
        for mine, own in zip(jax.tree.leaves(together.state.params), jax.tree.leaves(single.state.params), strict=True):
            np.testing.assert_allclose(np.asarray(mine)[i], np.asarray(own)[0], rtol=1e-4, atol=1e-5)
    assert (together.seen[:, -1, 1] < together.seen[:, 0, 0]).all()  # the loss falls
    assert len(np.unique(together.seen[:, -1, 1])) == 3


@pytest.mark.parametrize("name", OPTIMIZER_NUMBERS)
def test_a_resumed_training_is_the_uninterrupted_one(
    name: str, trained: Callable[[str], Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = trained(name)
    whole = network.fit(NUMBERS, [1, 2, 3])
    monkeypatch.setattr(loop, "_WATCHED_SECONDS", 0.0)  # chunks of one epoch
    saved: list[Any] = []
    part = network.fit(
        NUMBERS, [1, 2, 3], on_progress=lambda e: e.epoch >= 2, checkpoint=lambda *kept: saved.append(kept)
    )
    assert part.interrupted
    arrays, meta = saved[-1]
    resumed = network.fit(NUMBERS, [1, 2, 3], resume=({k: np.array(a) for k, a in arrays.items()}, meta))
    for mine, other in zip(jax.tree.leaves(resumed.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_array_equal(mine, other)


# Rates for 60 epochs of a network with 2 x 16 hidden units; what "auto" gives is meant for the default network.
RATES = {
    "sgd": 0.03, "adam": 0.01, "adamw": 0.01, "nadam": 0.01, "rmsprop": 0.01, "adagrad": 0.1, "adadelta": 1.0,
    "lion": 0.003, **dict.fromkeys(FULL_BATCH, 1.0),
}  # fmt: skip
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


@pytest.mark.slow  # all together
@pytest.mark.parametrize("name", OPTIMIZER_NUMBERS)
def test_circles_are_learned(name: str) -> None:
    whole = ["batch_size=auto"] if name in FULL_BATCH else []
    recipe = override(tiny(), [f"optimizer.name={name}", f"learning_rate={RATES[name]}", *whole])
    run = fl.train(recipe, *circles(), verbose=0)
    accuracy = next(s.value for s in run.scores if s.who == "model" and s.metric == "accuracy")
    assert run.outcome == "completed"
    assert accuracy >= 0.95


def test_tables_that_differ_in_numbers_alone_share_a_program() -> None:
    problem = make_problem(*circles())

    def program(*changes: str) -> Any:
        return _program(prepare(problem, tiny(*changes)), problem)

    first = program("optimizer.name=rmsprop")
    assert program("optimizer.name=rmsprop", "momentum=0.5", "beta_2=0.8", "learning_rate=0.1") is first
    assert program("optimizer.name=rmsprop", "schedule=step", "schedule_end=0.1", "schedule_drops=3") is first
    assert program("optimizer.name=adagrad") is not first


def test_the_rate_that_is_shown_is_the_one_of_the_schedule() -> None:
    changes = ["optimizer.learning_rate=0.5", "schedule=step", "schedule_end=0.25", "schedule_drops=1", "epochs=4"]
    run = fl.train(override(tiny(), changes), *circles(), verbose=0)
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
    assert _recipe_optimizer(override(default(), [f"optimizer.name={name}"]))[1] == expected


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
    fl.train(model, x, y, recipe=recipe, epochs=2, batch_size=32, early_stopping=False, verbose=0)
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
