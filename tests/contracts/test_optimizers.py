"""The contract of every optimizer, as one table.

Each finds the minimum of a quadratic and of Rosenbrock's function within a stated number of steps, learns make_circles,
keeps its state's structure, compiles nothing for other numbers, works in a population, and resumes bit for bit.
A new optimizer is a new row; a test fails where the recipe names one that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import make_circles

import fallline as fl
from fallline.engine import Population, Stopping
from fallline.optimize import Optimizer, make_optimizer, rate_factors
from fallline.recipe import default, override
from fallline.train import loop
from fallline.train.beginning import begin_optimizer
from fallline.train.fitted import Fitted
from fallline.train.loop import fit_population
from fallline.train.orders import Member, Plan
from fallline.types import FULL_BATCH, OPTIMIZER_NUMBERS, Objective
from tests.engine import toy

Budget = tuple[float, int]  # learning rate, steps: about twice those that it takes


@dataclass(frozen=True)
class Row:
    """One optimizer of the table.

    Args:
        quadratic: rate and steps to the minimum of `quadratic`.
        rosenbrock: the same for Rosenbrock's function.
        circles: learning rate of a network with 2 x 16 hidden units; without a gradient or with all rows, of one layer.
        name: in the recipe; default: the row's.
        options: of `make_optimizer`.
        numbers: for the functions, where they are not `USUAL`.
        near: distance to the minima that counts as found (quadratic, Rosenbrock).
        rates: of the three members of a population.
        entries: of the recipe that learns make_circles.
        schedule: for the functions.
        accuracy: on make_circles.
    """

    quadratic: Budget
    rosenbrock: Budget
    circles: float
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    near: tuple[float, float] = (1e-4, 0.01)
    rates: tuple[float, float, float] = (0.003, 0.01, 0.03)
    entries: tuple[str, ...] = ()
    schedule: str = "cosine"
    accuracy: float = 0.95


def full_batch(quadratic: int, rosenbrock: int, **others: Any) -> Row:
    """A row of an optimizer that takes all rows at every step, and tries its own full step first."""
    return Row(
        (1.0, quadratic),
        (1.0, rosenbrock),
        1.0,
        rates=(1.0, 1.0, 1.0),
        entries=("network.hidden=[8]", "batch_size=auto", "epochs=20"),
        schedule="constant",
        **others,
    )


USUAL = {"momentum": 0.9, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.0, "damping": 1e-5, "average_after": 0.0}
TABLE: dict[str, Row] = {
    "sgd": Row((0.03, 1000), (0.002, 2000), 0.03),
    "adam": Row((0.1, 300), (0.1, 2000), 0.01),
    "adamw": Row((0.1, 300), (0.1, 2000), 0.01),
    "nadam": Row((0.1, 300), (0.1, 2000), 0.01),
    "rmsprop": Row((0.03, 300), (0.01, 5000), 0.01, numbers={"momentum": 0.0, "beta_2": 0.9}),
    "adagrad": Row((1.0, 300), (1.0, 20000), 0.1),
    "adadelta": Row((1.0, 2000), (1.0, 10000), 1.0, numbers={"beta_2": 0.95}),
    "lion": Row((0.03, 1000), (0.01, 2000), 0.003),
    # The mean over the last half: with a falling rate it is behind the weights, but near enough.
    "sgd, averaged": Row(
        (0.03, 2000),
        (0.002, 8000),
        0.03,
        name="sgd",
        options={"averaged": True},
        numbers={"average_after": 1000.0},
        entries=("average_from=0.5",),
    ),
    "sgd, rates by fan-in": Row(
        (0.03, 1000),
        (0.002, 4000),
        0.1,
        name="sgd",
        options={"factors": [1.0, 0.5]},
        entries=("rate_by_fan_in=true",),
    ),
    "diagonal_lm": Row((0.5, 100), (0.7, 20000), 0.05, numbers={"beta_2": 0.5}, rates=(0.001, 0.003, 0.01)),
    # Without a gradient even two weights take thousands of looks, and a network is learned roughly.
    "guess": Row(
        (3.0, 20000),
        (1.0, 20000),
        3.0,
        near=(0.1, 0.1),
        rates=(0.5, 0.7, 1.0),
        entries=("network.hidden=[3]", "epochs=2000", "batch_size=400"),
        schedule="constant",
        accuracy=0.6,
    ),
    "evolution": Row(
        (0.3, 200),
        (0.1, 2000),
        0.1,
        rates=(0.03, 0.1, 0.3),
        entries=("batch_size=400", "epochs=400"),
        schedule="constant",
    ),
    "newton": full_batch(5, 60),
    "gauss_newton": full_batch(5, 40),
    "lm": full_batch(20, 60, numbers={"damping": 1e-3}),
    "bfgs": full_batch(20, 80),
    "lbfgs": full_batch(20, 80),
    "cg": full_batch(20, 200),
}


def test_every_optimizer_of_the_recipe_has_a_row() -> None:
    assert {row.name or name for name, row in TABLE.items()} == set(OPTIMIZER_NUMBERS)


def make(name: str) -> Optimizer:
    row = TABLE[name]
    return make_optimizer(row.name or name, **row.options)


# ------------------------------------------------------------------------------------------------- functions

START = (-1.2, 1.0)  # Rosenbrock's own, The Computer Journal 3, 1960


def quadratic(w: Any) -> Any:
    """Residuals of 0.5 (10 w0^2 + 0.5 (w1 - 3)^2): condition number 20, minimum at (0, 3)."""
    return jnp.stack([jnp.sqrt(5.0) * w[0], 0.5 * (w[1] - 3.0)])


def rosenbrock(w: Any) -> Any:
    """Residuals of (1 - w0)^2 + 100 (w1 - w0^2)^2: a bent valley, minimum at (1, 1)."""
    return jnp.stack([1.0 - w[0], 10.0 * (w[1] - w[0] ** 2)])


def objective(bent: Any, w: Any) -> Objective:
    """The sum of the squared residuals, each of them a row; ``bent``: Rosenbrock's."""

    def residuals(w: Any) -> Any:
        return jnp.where(bent, rosenbrock(w), quadratic(w))

    def cost(out: Any) -> Any:
        return jnp.sum(out**2)

    def loss(w: Any) -> Any:
        return cost(residuals(w))

    return Objective(loss(w), loss, residuals, cost, lambda w: jnp.zeros(()))


@cache
def walker(name: str) -> Callable[..., tuple[Any, Any]]:
    """Return the program of an optimizer: one for both functions and any number of steps."""
    optimizer = make(name)

    def walk(bent: Any, steps: Any, rates: Any, numbers: Any, w: Any) -> tuple[Any, Any]:
        def step(i: Any, carry: Any) -> Any:
            w, state = carry
            seen = objective(bent, w)
            extra = {"objective": seen} if optimizer.searches else {}
            return optimizer.update(jax.grad(seen.loss)(w), state, w, numbers, rates[i], **extra)

        # The loop fails unless the state keeps its structure, its shapes and its types.
        return jax.lax.fori_loop(0, steps, step, (w, optimizer.init(w)))

    return jax.jit(walk)


def descend(name: str, bent: bool, budget: Budget) -> np.ndarray:
    """Return where the optimizer gets to from `START`."""
    (learning_rate, steps), row, optimizer = budget, TABLE[name], make(name)
    known = USUAL | dict(row.numbers) | {"learning_rate": learning_rate}
    numbers = {key: jnp.asarray(known[key], jnp.float32) for key in optimizer.numbers}
    rates = np.zeros(max(row.quadratic[1], row.rosenbrock[1]), np.float32)
    rates[:steps] = rate_factors(row.schedule, np.arange(steps), steps)
    begin = [jnp.asarray([value], jnp.float32) for value in START]
    w, state = walker(name)(bent, steps, rates, numbers, begin)
    used = w if optimizer.used is None else optimizer.used(w, state)
    return np.concatenate([np.asarray(tensor) for tensor in used])


@pytest.mark.parametrize("name", TABLE)
def test_quadratic(name: str) -> None:
    row = TABLE[name]
    np.testing.assert_allclose(descend(name, False, row.quadratic), [0.0, 3.0], atol=row.near[0])


@pytest.mark.parametrize("name", TABLE)
def test_rosenbrock(name: str) -> None:
    row = TABLE[name]
    np.testing.assert_allclose(descend(name, True, row.rosenbrock), [1.0, 1.0], atol=row.near[1])


@pytest.mark.parametrize("name", [name for name in TABLE if name != "guess"])  # which may be lucky at once
def test_a_small_part_of_the_steps_is_not_enough(name: str) -> None:
    rate, steps = TABLE[name].rosenbrock
    assert np.abs(descend(name, True, (rate, max(1, steps // 100))) - 1.0).max() > 0.1


# ----------------------------------------------------------------------------------------------- populations

# What differs between three members, beside their rates.
NUMBERS = [
    {"momentum": momentum, "beta_1": 0.9, "beta_2": beta_2, "weight_decay": decay, "damping": damping}
    | {"average_after": after}
    for momentum, beta_2, decay, damping, after in (
        (0.0, 0.9, 0.0, 0.003, 2.0),
        (0.5, 0.95, 0.1, 0.01, 3.0),
        (0.9, 0.99, 0.2, 0.03, 5.0),
    )
]
PLAN = Plan(epochs=4, batch_size=5, schedule="step", warmup=0.1)


class Trained:
    """A task of the toy network under the optimizer of a row, which counts how often it is traced."""

    def __init__(self, name: str) -> None:
        row = TABLE[name]
        options = {**row.options, **({"factors": [1.0, 0.5, 0.7, 1.0]} if "factors" in row.options else {})}
        self.optimizer, self.traces = make_optimizer(row.name or name, **options), 0
        self.rates, self.programs = row.rates, {}
        # That a program for one member trains it alike is no matter of the optimizer, but of whether it searches.
        self.own_program = name in ("sgd", "lm")
        # All 16 rows at once, and the full step first, whatever the member's rate.
        self.plan = replace(PLAN, batch_size=16, schedule="constant", warmup=0.0) if name in FULL_BATCH else PLAN

    def loss(self, *given: Any, **keywords: Any) -> Any:
        self.traces += 1
        return toy.task().loss(*given, **keywords)

    def fit(self, members: list[int], **keywords: Any) -> Fitted:
        """Train the chosen of three members."""
        made, p = self.optimizer, len(members) if self.own_program else 3
        if p not in self.programs:
            task = replace(toy.task(), loss=self.loss, update=made.update, searches=made.searches, used=made.used)
            self.programs[p] = Population(task, Stopping(), p, validated=True)
        known = [NUMBERS[i] | {"learning_rate": self.rates[i]} for i in members]
        people = [
            Member(i + 1, np.arange(16), np.arange(16, 24), {key: float(own[key]) for key in made.numbers})
            for i, own in zip(members, known, strict=True)
        ]
        begin = toy.begin([i + 1 for i in members])
        state = begin_optimizer(made, begin.params, [i + 1 for i in members])
        start = (begin.params, begin.aux, state)
        return fit_population(self.programs[p], people, self.plan, toy.data(), *start, **keywords)


@pytest.fixture(scope="module")
def trained() -> Callable[[str], Trained]:
    made: dict[str, Trained] = {}
    return lambda name: made.setdefault(name, Trained(name))


@pytest.mark.parametrize("name", TABLE)
def test_a_population_of_three_is_three_networks_and_one_program(name: str, trained: Callable[[str], Trained]) -> None:
    network = trained(name)
    together = network.fit([0, 1, 2])
    alone = network.fit([0])
    traces = network.traces
    others = [network.fit([1]), network.fit([2])]
    assert network.traces == traces  # other numbers, no other program
    for i, single in enumerate([alone, *others]):
        for mine, own in zip(jax.tree.leaves(together.used), jax.tree.leaves(single.used), strict=True):
            np.testing.assert_allclose(np.asarray(mine)[i], np.asarray(own)[0], rtol=1e-4, atol=1e-5)
    assert (together.seen[:, -1, 1] < together.seen[:, 0, 0]).all()  # the loss falls
    assert len(np.unique(together.seen[:, -1, 1])) == 3


@pytest.mark.parametrize("name", TABLE)
def test_a_resumed_training_is_the_uninterrupted_one(
    name: str, trained: Callable[[str], Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = trained(name)
    whole = network.fit([0, 1, 2])
    monkeypatch.setattr(loop, "_WATCHED_SECONDS", 0.0)  # chunks of one epoch
    saved: list[Any] = []
    part = network.fit([0, 1, 2], on_progress=lambda e: e.epoch >= 2, checkpoint=lambda *kept: saved.append(kept))
    assert part.interrupted
    arrays, meta = saved[-1]
    resumed = network.fit([0, 1, 2], resume=({k: np.array(a) for k, a in arrays.items()}, meta))
    for mine, other in zip(jax.tree.leaves(resumed.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_array_equal(mine, other)


# --------------------------------------------------------------------------------------------------- circles

TINY = [
    "network.hidden=[16,16]", "network.activation=tanh", "network.embedding=none", "network.dropout=0",
    "network.skip=false", "network.rate_per_layer=false", "ensemble.members=1", "split.folds=1", "split.test=0.25",
    "training.epochs=60", "training.batch_size=16", "stopping.criterion=none",
]  # fmt: skip


# What they do not share with one of the others, their step, is in the tests above and in tests/optimize.
ALIKE = ("adamw", "nadam", "rmsprop", "adagrad", "adadelta", "gauss_newton", "bfgs", "cg")


@pytest.mark.slow  # all together
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in ALIKE else name for name in TABLE]
)
def test_circles_are_learned(name: str) -> None:
    row = TABLE[name]
    changes = [f"optimizer.name={row.name or name}", f"learning_rate={row.circles}"]
    keys = {entry.partition("=")[0].rpartition(".")[2] for entry in row.entries}
    tiny = [entry for entry in TINY if entry.partition("=")[0].rpartition(".")[2] not in keys]
    recipe = override(default(), [*tiny, *changes, *row.entries])
    run = fl.train(recipe, *make_circles(400, noise=0.1, factor=0.4, random_state=0), verbose=0, watch=False)
    accuracy = next(s.value for s in run.scores if s.who == "model" and s.metric == "accuracy")
    assert run.outcome == "completed"
    assert accuracy >= row.accuracy
