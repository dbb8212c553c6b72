"""Every optimizer finds the minimum of a quadratic and of Rosenbrock's function within a stated number of steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fallline.optimize import make_optimizer, rate_factors
from fallline.optimize.optimizers import OPTIMIZERS

START = (-1.2, 1.0)  # Rosenbrock's own, The Computer Journal 3, 1960
USUAL = {"momentum": 0.9, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.0}
OWN = {"rmsprop": {"momentum": 0.0, "beta_2": 0.9}, "adadelta": {"beta_2": 0.95}}

# name -> (learning rate, steps) for the quadratic, and for Rosenbrock's function; about twice the steps that it takes.
BUDGET: dict[str, tuple[tuple[float, int], tuple[float, int]]] = {
    "sgd": ((0.03, 1000), (0.002, 2000)),
    "adam": ((0.1, 300), (0.1, 2000)),
    "adamw": ((0.1, 300), (0.1, 2000)),
    "nadam": ((0.1, 300), (0.1, 2000)),
    "rmsprop": ((0.03, 300), (0.01, 5000)),
    "adagrad": ((1.0, 300), (1.0, 20000)),
    "adadelta": ((1.0, 2000), (1.0, 10000)),
    "lion": ((0.03, 1000), (0.01, 2000)),
}


def quadratic(w: Any) -> Any:
    """Condition number 20, minimum at (0, 3)."""
    return 0.5 * (10.0 * w[0][0] ** 2 + 0.5 * (w[1][0] - 3.0) ** 2)


def rosenbrock(w: Any) -> Any:
    """A bent valley, minimum at (1, 1)."""
    return (1.0 - w[0][0]) ** 2 + 100.0 * (w[1][0] - w[0][0] ** 2) ** 2


def descend(name: str, function: Any, learning_rate: float, steps: int) -> np.ndarray:
    optimizer = make_optimizer(name)
    known = USUAL | OWN.get(name, {}) | {"learning_rate": learning_rate}
    numbers = {key: jnp.asarray(known[key], jnp.float32) for key in optimizer.numbers}
    rates = jnp.asarray(rate_factors("cosine", np.arange(steps), steps))

    def step(carry: Any, rate: Any) -> Any:
        w, state = carry
        return optimizer.update(jax.grad(function)(w), state, w, numbers, rate), None

    begin = [jnp.asarray([value], jnp.float32) for value in START]
    # The scan fails unless the state keeps its structure, its shapes and its types.
    (w, _), _ = jax.jit(lambda w: jax.lax.scan(step, (w, optimizer.init(w)), rates))(begin)
    return np.concatenate([np.asarray(tensor) for tensor in w])


def test_every_optimizer_has_a_budget() -> None:
    assert set(BUDGET) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", BUDGET)
def test_quadratic(name: str) -> None:
    np.testing.assert_allclose(descend(name, quadratic, *BUDGET[name][0]), [0.0, 3.0], atol=1e-4)


@pytest.mark.parametrize("name", BUDGET)
def test_rosenbrock(name: str) -> None:
    np.testing.assert_allclose(descend(name, rosenbrock, *BUDGET[name][1]), [1.0, 1.0], atol=0.01)


@pytest.mark.parametrize("name", BUDGET)
def test_a_hundredth_of_the_steps_is_not_enough(name: str) -> None:
    learning_rate, steps = BUDGET[name][1]
    assert np.abs(descend(name, rosenbrock, learning_rate, steps // 100) - 1.0).max() > 0.1
