"""Averaging, rates by fan-in, the diagonal Gauss-Newton matrix, and the two optimizers that take no gradient."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fallline.errors import InputError, RecipeError
from fallline.optimize import fan_in_factors, make_optimizer
from fallline.optimize.diagonal import EVERY, diagonal_gauss_newton
from fallline.recipe import default, override
from fallline.types import Objective

RNG = np.random.default_rng(3)
X, LABELS = RNG.normal(size=(6, 3)), np.array([0, 2, 1, 1, 0, 2])
KERNEL = RNG.normal(size=(3, 3))


def softmax(weight: np.ndarray | None = None) -> Objective:
    """Cross-entropy of three classes, linear in the inputs."""
    own = np.ones(6) if weight is None else weight

    def outputs(w: Any) -> Any:
        return X @ w

    def cost(out: Any) -> Any:
        return -jnp.mean(own * jax.nn.log_softmax(out)[np.arange(6), LABELS])

    return Objective(cost(outputs(KERNEL)), lambda w: cost(outputs(w)), outputs, cost, lambda w: jnp.zeros(()))


def diagonal_by_hand(own: np.ndarray) -> np.ndarray:
    """Mean over the rows of x_i^2 p_c (1 - p_c): J' (diag p - p p') J of a softmax."""
    p = np.exp(X @ KERNEL)
    p /= p.sum(axis=1, keepdims=True)
    return np.einsum("b,bi,bc->ic", own, X**2, p * (1 - p)) / len(X)


@pytest.mark.parametrize("own", [np.ones(6), np.array([2.0, 0.5, 1.0, 0.0, 1.5, 1.0])], ids=["alike", "weighted"])
def test_the_estimate_is_the_diagonal_of_the_gauss_newton_matrix_on_average(own: np.ndarray) -> None:
    keys = jax.random.split(jax.random.PRNGKey(0), 20_000)
    found = jax.jit(jax.vmap(lambda key: diagonal_gauss_newton(softmax(own), jnp.asarray(KERNEL, jnp.float32), key)))(
        keys
    )
    found = np.asarray(found)
    assert (found >= 0).all()
    expected, error = diagonal_by_hand(own), found.std(axis=0) / np.sqrt(len(keys))
    # Its mean, within four standard errors and a share of float32's own.
    assert (np.abs(found.mean(axis=0) - expected) < 4 * error + 1e-4 * expected).all()


def test_one_row_and_one_output_have_no_chance_in_them() -> None:
    one = Objective(0.0, lambda w: 0.0, lambda w: (X[:1] @ w)[:, None], lambda out: 1.5 * jnp.mean(out**2))
    found = diagonal_gauss_newton(one, jnp.asarray([0.1, 0.2, 0.3]), jax.random.PRNGKey(7))
    np.testing.assert_allclose(found, 3.0 * X[0] ** 2, rtol=1e-5)  # the second derivative of 1.5 (x w)^2


def test_each_weight_has_its_own_rate() -> None:
    optimizer = make_optimizer("diagonal_lm")
    own = np.array([4.0, 0.25])

    def outputs(w: Any) -> Any:
        return (jnp.asarray(own) * w)[:, None]  # a row for each weight: curvature own^2 / 2

    def cost(out: Any) -> Any:
        return 0.5 * jnp.mean(out**2)

    w, numbers = jnp.asarray([1.0, 1.0]), {"learning_rate": 0.1, "beta_2": 0.9, "damping": 0.05}
    seen = Objective(0.0, lambda w: cost(outputs(w)), outputs, cost)
    grads = jax.grad(seen.loss)(w)
    state = optimizer.init(w, seed=1)
    for _ in range(EVERY + 1):  # the curvature is the same at every look, and so is its running mean
        moved, state = optimizer.update(grads, state, w, numbers, 0.5, objective=seen)
        np.testing.assert_allclose(moved, 1.0 - 0.05 * (own**2 / 2) / (own**2 / 2 + 0.05), rtol=1e-5)
    assert optimizer.evaluated is not None
    assert [int(count) for count in optimizer.evaluated(state)] == [0, EVERY + 1, 2]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Objective(0.0, lambda w: jnp.sum(w)), "makes its own"),
        (Objective(0.0, jnp.sum, lambda w: (w, w), lambda out: jnp.sum(out[0])), "one output"),
        (Objective(0.0, jnp.sum, lambda w: jnp.zeros((2, 300)) + w[0], jnp.sum), "at most 256"),
    ],
)
def test_what_the_diagonal_cannot_do_is_said(seen: Objective, words: str) -> None:
    with pytest.raises(InputError, match=words):
        diagonal_gauss_newton(seen, jnp.ones(2), jax.random.PRNGKey(0))


@pytest.mark.parametrize("after", [0, 3])
def test_the_average_is_that_of_the_weights_behind_t0(after: int) -> None:
    optimizer = make_optimizer("sgd", averaged=True)
    numbers = {
        "learning_rate": jnp.asarray(0.1),
        "momentum": jnp.asarray(0.9),
        "average_after": jnp.asarray(float(after)),
    }
    w, path = jnp.asarray([1.0, -2.0]), []
    state = optimizer.init(w)
    assert optimizer.used is not None
    np.testing.assert_array_equal(optimizer.used(w, state), w)
    for _ in range(8):
        w, state = optimizer.update(w, state, w, numbers, 1.0)  # 0.5 w^2
        path.append(np.asarray(w, np.float64))
        expected = np.mean(path[after:] if len(path) > after else path[-1:], axis=0)
        np.testing.assert_allclose(optimizer.used(w, state), expected, rtol=1e-5, atol=1e-6)
    plain, single = jnp.asarray([1.0, -2.0]), make_optimizer("sgd")
    inner = single.init(plain)
    for _ in range(8):
        plain, inner = single.update(plain, inner, plain, numbers, 1.0)
    np.testing.assert_array_equal(w, plain)  # the weights move as they would without it


def test_factors_of_shared_weights_and_biases() -> None:
    paths = ["conv/kernel", "conv/bias", "dense/kernel", "dense/bias", "norm/gamma"]
    shapes = [(5, 5, 4, 8), (8,), (400, 10), (10,), (400,)]
    found = fan_in_factors(paths, shapes)
    np.testing.assert_allclose(found, [0.5, 0.5, 1.0, 1.0, 0.05])


def test_a_guess_is_kept_where_it_is_better() -> None:
    optimizer = make_optimizer("guess")
    w, numbers = jnp.asarray([3.0, 3.0]), {"learning_rate": jnp.asarray(1.0)}
    state, best, kept = optimizer.init(w, seed=5), [], 0
    for _ in range(200):
        seen = Objective(jnp.sum(w**2), lambda w: jnp.sum(w**2))
        before = w
        w, state = optimizer.update(None, state, w, numbers, 1.0, objective=seen)
        kept += bool((w != before).any())
        best.append(float(jnp.sum(w**2)))
    assert best == sorted(best, reverse=True)
    assert 3 <= kept <= 20  # records among 200 draws are about ln 200
    assert optimizer.evaluated is not None
    assert int(optimizer.evaluated(state).losses) == 400


def test_the_strategy_takes_larger_steps_on_a_slope_and_smaller_ones_in_a_hole() -> None:
    optimizer = make_optimizer("evolution")
    numbers = {"learning_rate": jnp.asarray(0.1)}
    factors = []
    for function in (lambda w: jnp.sum(w), lambda w: jnp.sum(w**2)):
        w, state = jnp.zeros(10), optimizer.init(jnp.zeros(10), seed=2)
        for _ in range(60):
            w, state = optimizer.update(None, state, w, numbers, 1.0, objective=Objective(function(w), function))
        factors.append(float(state.factor))
    assert factors[0] > 5
    assert factors[1] < 0.5


def test_losses_that_are_not_numbers_are_the_worst() -> None:
    optimizer = make_optimizer("evolution")

    def function(w: Any) -> Any:
        return jnp.where(w[0] < 0, jnp.nan, jnp.sum(w**2))

    w = jnp.asarray([1.0, 1.0])
    state = optimizer.init(w, seed=2)
    for _ in range(100):
        w, state = optimizer.update(
            None, state, w, {"learning_rate": jnp.asarray(0.5)}, 1.0, objective=Objective(function(w), function)
        )
    assert np.isfinite(np.asarray(w)).all()
    assert float(function(w)) < 0.01


@pytest.mark.parametrize("name", ["guess", "evolution", "diagonal_lm"])
def test_other_seeds_draw_other_numbers(name: str) -> None:
    optimizer = make_optimizer(name)
    assert optimizer.random
    keys = {tuple(np.asarray(optimizer.init(jnp.ones(2), seed=seed).key).tolist()) for seed in (0, 1, 2**32 - 1)}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["optimizer.name=guess", "average_from=0.5"], "average_from belongs to steps along a gradient"),
        (["optimizer.name=lm", "rate_by_fan_in=true", "rate_per_layer=false"], "rate_by_fan_in belongs to steps"),
        (["optimizer.name=evolution", "clip_norm=1"], "clip_norm = 1 shortens gradients"),
        (["rate_by_fan_in=true"], "rate_per_layer lowers it"),
        (["optimizer.name=guess", "momentum=0.5"], "optimizer.momentum = 0.5 belongs to sgd, rmsprop"),
    ],
)
def test_contradictions(changes: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        override(default(), changes)
