"""Second-order optimizers against their formulas in float64 NumPy, SciPy, and functions with known minima."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from fallline.errors import InputError
from fallline.optimize import curvature, make_optimizer
from fallline.optimize.curvature import dense, gauss_newton_matrix, gauss_newton_product, hessian_product
from fallline.optimize.second_order import DENSE, MOST_DENSE_PARAMETERS, SECOND_ORDER, bfgs_inverse
from fallline.types import FULL_BATCH, Objective

# A curve of four weights, y = a tanh(b x + c) + d, and its residuals.
X = np.linspace(-2.0, 2.0, 9)
Y = np.sin(X) + 0.3
CURVE = np.array([0.7, 0.5, 0.2, -0.1])


def curve(w: Any, np_: Any = jnp) -> Any:
    return w[0] * np_.tanh(w[1] * X + w[2]) + w[3]


def jacobian(w: np.ndarray) -> np.ndarray:
    t = np.tanh(w[1] * X + w[2])
    bend = w[0] * (1.0 - t**2)
    return np.stack([t, bend * X, bend, np.ones_like(X)], axis=1)


def squares(w: Any) -> Objective:
    """Mean squared error of the curve with an l2 penalty of 0.1."""
    cost: Callable[[Any], Any] = lambda out: jnp.mean((out - Y) ** 2)  # noqa: E731
    penalty: Callable[[Any], Any] = lambda w: 0.05 * jnp.sum(w**2)  # noqa: E731
    loss: Callable[[Any], Any] = lambda w: cost(curve(w)) + penalty(w)  # noqa: E731
    return Objective(loss(w), loss, curve, cost, penalty)


def rosenbrock(w: Any) -> Objective:
    """Its minimum is 0 at (1, 1); least squares with the residuals 10 (w1 - w0^2) and 1 - w0."""

    def outputs(w: Any) -> Any:
        return jnp.stack([10.0 * (w[1] - w[0] ** 2), 1.0 - w[0]])

    def loss(w: Any) -> Any:
        return jnp.sum(outputs(w) ** 2)

    return Objective(loss(w), loss, outputs, lambda out: jnp.sum(out**2), lambda w: jnp.zeros(()))


SIX = np.random.default_rng(0).normal(size=(6, 6)) @ np.diag([1, 1, 1, 1, 1, 2.0])
SIX = SIX @ SIX.T + 0.5 * np.eye(6)
SOLUTION = np.linalg.solve(SIX, np.ones(6))


def quadratic(w: Any) -> Objective:
    """0.5 w'Aw - sum(w), A of six weights, as least squares of L'w - L^-1 1."""
    root = np.linalg.cholesky(SIX)
    shift = np.linalg.solve(root, np.ones(6))

    def outputs(w: Any) -> Any:
        return root.T.astype(w.dtype) @ w - shift.astype(w.dtype)

    def loss(w: Any) -> Any:
        return 0.5 * jnp.sum(outputs(w) ** 2)

    return Objective(loss(w), loss, outputs, lambda out: 0.5 * jnp.sum(out**2), lambda w: jnp.zeros(()))


def run(
    name: str, problem: Callable[[Any], Objective], begin: np.ndarray, steps: int, *, damping: float | None = None
) -> tuple[np.ndarray, Any]:
    """Return the weights before each step and behind the last, and the last state."""
    optimizer = make_optimizer(name)
    usual = 1e-3 if name == "lm" else 1e-5
    numbers = {"learning_rate": jnp.ones(()), "damping": jnp.asarray(usual if damping is None else damping)}

    @jax.jit
    def step(w: Any, state: Any) -> Any:
        return optimizer.update(jax.grad(problem(w).loss)(w), state, w, numbers, 1.0, objective=problem(w))

    w = jnp.asarray(begin)
    state, path = optimizer.init(w), [np.asarray(w)]
    for _ in range(steps):
        w, state = step(w, state)
        path.append(np.asarray(w))
    return np.array(path), state


@pytest.fixture
def doubles() -> Any:
    with jax.enable_x64(True):
        yield


# ------------------------------------------------------------------------------------------------- curvature


def test_gauss_newton_matrix_is_that_of_the_residuals(doubles: Any) -> None:
    w = jnp.asarray(CURVE)
    found = dense(gauss_newton_product(squares(w), w, lambda v: v), 4, w.dtype)
    j = jacobian(CURVE)
    np.testing.assert_allclose(found, 2.0 / len(X) * j.T @ j + 0.1 * np.eye(4), rtol=1e-12)


def test_gauss_newton_matrix_of_a_cross_entropy(doubles: Any) -> None:
    rng = np.random.default_rng(0)
    x, labels, w = rng.normal(size=(5, 2)), np.array([0, 2, 1, 1, 0]), rng.normal(size=6)

    def outputs(w: Any) -> Any:
        return x @ w.reshape(2, 3)

    def cost(out: Any) -> Any:
        return -jnp.mean(jax.nn.log_softmax(out)[np.arange(5), labels])

    objective = Objective(0.0, lambda w: cost(outputs(w)), outputs, cost, lambda w: jnp.zeros(()))
    found = dense(gauss_newton_product(objective, jnp.asarray(w), lambda v: v), 6, jnp.float64)
    expected = np.zeros((6, 6))
    for row in x:
        e = np.exp(row @ w.reshape(2, 3))
        p = e / e.sum()
        j = np.kron(row[:, None], np.eye(3)).T  # outputs by weights
        expected += j.T @ (np.diag(p) - np.outer(p, p)) @ j / 5
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("block", [10**9, 24, 1])  # all rows at once, two and a rest, one by one
def test_the_matrix_from_the_jacobian_is_that_of_the_products(
    doubles: Any, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curvature, "_NUMBERS", block)
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(5, 3)), jnp.asarray(rng.normal(size=6))

    def outputs(w: Any, rows: Any = x) -> Any:
        return jnp.tanh(rows @ w.reshape(3, 2))

    def cost(out: Any) -> Any:
        return jnp.mean(jnp.arange(1.0, 6.0)[:, None] * (out[:, :1] - 2 * out[:, 1:]) ** 2)

    parts = (outputs, cost, lambda w: jnp.sum(w**2) ** 2)
    objective = Objective(0.0, lambda w: 0.0, *parts, lambda w, i: outputs(w, jnp.asarray(x)[i][None])[0])
    found, gradients, products = gauss_newton_matrix(objective, w, lambda v: v)
    expected = dense(gauss_newton_product(objective, w, lambda v: v), 6, jnp.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert (gradients, products) == (2, 0)
    assert gauss_newton_matrix(Objective(0.0, lambda w: 0.0, *parts), w, lambda v: v)[1:] == (0, 6)


def test_hessian_against_central_differences(doubles: Any) -> None:
    found = dense(hessian_product(lambda w: squares(w).loss(w), jnp.asarray(CURVE)), 4, jnp.float64)
    gradient, h = jax.grad(lambda w: squares(w).loss(w)), 1e-5
    expected = [(gradient(jnp.asarray(CURVE + e)) - gradient(jnp.asarray(CURVE - e))) / (2 * h) for e in h * np.eye(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_a_loss_that_cannot_be_taken_apart_is_refused() -> None:
    def whole(w: Any) -> Objective:
        return Objective(jnp.sum(w**2), lambda w: jnp.sum(w**2))

    for name in ("gauss_newton", "lm"):
        with pytest.raises(InputError, match=r'compute_loss.*Use optimizer.name = "newton"'):
            run(name, whole, np.ones(2, np.float32), 1)
    path, _ = run("newton", whole, np.ones(2, np.float32), 1)
    np.testing.assert_allclose(path[1], 0.0, atol=1e-6)


# -------------------------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize("name", ["newton", "gauss_newton"])
def test_a_quadratic_is_solved_in_one_step(name: str, doubles: Any) -> None:
    path, _ = run(name, quadratic, np.full(6, 3.0), 1, damping=0.0)
    np.testing.assert_allclose(path[1], SOLUTION, rtol=1e-10)


def test_newton_leaves_a_saddle_downwards(doubles: Any) -> None:
    def saddle(w: Any) -> Objective:
        return Objective(w[0] ** 2 - w[1] ** 2 + w[1] ** 4, lambda w: w[0] ** 2 - w[1] ** 2 + w[1] ** 4)

    path, _ = run("newton", saddle, np.array([1.0, 0.01]), 12)
    np.testing.assert_allclose(path[-1], [0.0, np.sqrt(0.5)], atol=1e-6)


def test_levenberg_marquardt_solves_the_damped_normal_equations(doubles: Any) -> None:
    path, state = run("lm", squares, CURVE, 1, damping=0.01)
    j = jacobian(CURVE)
    g = 2.0 / len(X) * j.T @ (curve(CURVE, np) - Y) + 0.1 * CURVE
    matrix = 2.0 / len(X) * j.T @ j + 0.1 * np.eye(4)
    mu = 0.01 * np.diag(matrix).max()
    move = -np.linalg.solve(matrix + mu * np.eye(4), g)
    np.testing.assert_allclose(path[1], CURVE + move, rtol=1e-10)

    def loss(w: np.ndarray) -> float:
        return float(np.mean((curve(w, np) - Y) ** 2) + 0.05 * np.sum(w**2))

    ratio = (loss(CURVE) - loss(CURVE + move)) / -(g @ move + 0.5 * move @ matrix @ move)
    np.testing.assert_allclose(state.memory.mu, mu * max(1 / 3, 1 - (2 * ratio - 1) ** 3), rtol=1e-8)
    assert state.counts._asdict() == {"losses": 1, "gradients": 1, "products": 4}


def test_levenberg_marquardt_never_goes_up(doubles: Any) -> None:
    path, state = run("lm", rosenbrock, np.array([-1.2, 1.0]), 40, damping=1e-8)  # bold: it must fail at first
    losses = [float(rosenbrock(jnp.asarray(w)).value) for w in path]
    assert np.all(np.diff(losses) <= 0.0)
    assert losses[-1] < 1e-20
    assert int(state.counts.losses) > int(state.counts.gradients)


def test_levenberg_marquardt_finds_what_scipy_finds(doubles: Any) -> None:
    path, _ = run("lm", squares, CURVE, 200)
    found = scipy.optimize.minimize(lambda w: float(squares(jnp.asarray(w)).value), CURVE, tol=1e-14)
    np.testing.assert_allclose(float(squares(jnp.asarray(path[-1])).value), found.fun, rtol=1e-9)


def test_bfgs_update_against_scipy(doubles: Any) -> None:
    rng = np.random.default_rng(3)
    ours, theirs = np.eye(4), scipy.optimize.BFGS(init_scale=1.0)
    theirs.initialize(4, "inv_hess")
    for step in range(5):
        s = rng.normal(size=4)
        y = np.diag([1.0, 2.0, 3.0, 4.0]) @ s
        theirs.update(s, y)
        # Both scale the first matrix by the first pair: SciPy where it is told to, ours always.
        ours = np.asarray(bfgs_inverse(jnp.asarray(ours), jnp.asarray(s), jnp.asarray(y), jnp.asarray(step + 2)))
    np.testing.assert_allclose(ours, theirs.get_matrix(), rtol=1e-10)


def test_bfgs_scales_its_first_matrix_by_the_first_pair(doubles: Any) -> None:
    s, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    found = bfgs_inverse(jnp.eye(2), jnp.asarray(s), jnp.asarray(y), jnp.asarray(1))
    theirs = scipy.optimize.BFGS(init_scale="auto")
    theirs.initialize(2, "inv_hess")
    theirs.update(s, y)
    np.testing.assert_allclose(found, theirs.get_matrix(), rtol=1e-12)


@pytest.mark.parametrize(
    ("s", "y", "steps"), [([1.0, 0.0], [-1.0, 0.0], 3), ([0.0, 0.0], [0.0, 0.0], 3), ([1.0, 1.0], [1.0, 1.0], 0)]
)
def test_bfgs_keeps_its_matrix_where_a_pair_says_nothing(s: list[float], y: list[float], steps: int) -> None:
    old = jnp.asarray([[2.0, 1.0], [1.0, 3.0]])
    np.testing.assert_array_equal(bfgs_inverse(old, jnp.asarray(s), jnp.asarray(y), jnp.asarray(steps)), old)


def test_conjugate_gradients_solve_a_quadratic_in_as_many_steps_as_weights(doubles: Any) -> None:
    path, _ = run("cg", quadratic, np.full(6, 3.0), 6)
    np.testing.assert_allclose(path[-1], SOLUTION, rtol=1e-6)
    assert np.abs(path[4] - SOLUTION).max() > 1e-4
    # Their directions do not undo one another: d_i' A d_j = 0.
    moves = np.diff(path, axis=0)
    crossed = moves @ SIX @ moves.T
    size = np.sqrt(np.diag(crossed))
    np.testing.assert_allclose(crossed / np.outer(size, size), np.eye(6), atol=1e-6)


# ----------------------------------------------------------------------------------------------- the contract


# Steps to the minimum of Rosenbrock's function from (-1.2, 1) in float32; a few more than it takes.
ROSENBROCK = {"newton": 25, "gauss_newton": 16, "lm": 16, "bfgs": 45, "lbfgs": 45, "cg": 35}


def test_all_full_batch_optimizers_are_here() -> None:
    assert set(ROSENBROCK) == set(SECOND_ORDER)
    assert set(SECOND_ORDER) <= set(FULL_BATCH)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_rosenbrock(name: str) -> None:
    path, state = run(name, rosenbrock, np.array([-1.2, 1.0], np.float32), ROSENBROCK[name])
    np.testing.assert_allclose(path[-1], 1.0, atol=1e-3)
    assert np.abs(path[len(path) // 4] - 1.0).max() > 0.1
    assert int(state.counts.gradients) >= ROSENBROCK[name]


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_the_minimum_is_not_left(name: str) -> None:
    path, _ = run(name, quadratic, SOLUTION.astype(np.float32), 5)
    np.testing.assert_allclose(path, np.broadcast_to(SOLUTION, path.shape), atol=1e-5)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_a_weight_without_a_gradient_stays(name: str) -> None:
    def flat(w: Any) -> Objective:
        return Objective(jnp.zeros(()), lambda w: 0.0 * jnp.sum(w), lambda w: 0.0 * w, jnp.sum, lambda w: jnp.zeros(()))

    path, _ = run(name, flat, np.ones(3, np.float32), 3)
    np.testing.assert_array_equal(path, 1.0)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_a_gradient_that_is_not_a_number_does_not_pass_unseen(name: str) -> None:
    optimizer, w = make_optimizer(name), jnp.ones(6)
    numbers = {"learning_rate": jnp.ones(()), "damping": jnp.ones(())}
    grad = jnp.asarray([np.nan, *[1.0] * 5])
    moved, _ = optimizer.update(grad, optimizer.init(w), w, numbers, 1.0, objective=quadratic(w))
    assert np.isnan(moved).any()


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_a_loss_that_overflows_on_the_way_is_stepped_back_from(name: str) -> None:
    def steep(w: Any) -> Objective:  # exp(100 w) is infinite in float32 from 0.89 on
        def outputs(w: Any) -> Any:
            return jnp.exp(100.0 * w) - 1.0

        def loss(w: Any) -> Any:
            return jnp.sum(outputs(w) ** 2)

        return Objective(loss(w), loss, outputs, lambda out: jnp.sum(out**2), lambda w: jnp.zeros(()))

    path, _ = run(name, steep, np.full(2, -0.05, np.float32), 30)
    assert np.isfinite(path).all()
    assert float(steep(jnp.asarray(path[-1])).value) < 0.1 * float(steep(jnp.asarray(path[0])).value)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_numbers_need_no_new_program_and_trees_are_as_good_as_vectors(name: str) -> None:
    optimizer, traced = make_optimizer(name), 0

    def loss(w: Any) -> Any:
        return quadratic(jnp.concatenate([w["a"].ravel(), w["b"]])).value

    def outputs(w: Any) -> Any:
        return (quadratic(jnp.zeros(6)).outputs or loss)(jnp.concatenate([w["a"].ravel(), w["b"]]))

    def step(w: Any, state: Any, numbers: Any) -> Any:
        nonlocal traced
        traced += 1
        half = Objective(loss(w), loss, outputs, lambda out: 0.5 * jnp.sum(out**2), lambda w: jnp.zeros(()))
        return optimizer.update(jax.grad(loss)(w), state, w, numbers, 1.0, objective=half)

    program, w = jax.jit(step), {"a": jnp.ones((2, 2)), "b": jnp.ones(2)}
    state = optimizer.init(w)
    before = jax.tree.map(lambda a: (a.shape, a.dtype), state)
    for scale in (1.0, 0.5, 0.25):
        numbers = {key: jnp.asarray(scale * 0.1 if key == "damping" else scale) for key in optimizer.numbers}
        w, state = program(w, state, numbers)
    assert traced == 1
    assert jax.tree.map(lambda a: (a.shape, a.dtype), state) == before
    assert loss(w) < loss({"a": jnp.ones((2, 2)), "b": jnp.ones(2)})


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_a_large_network_is_refused_where_a_matrix_is_kept(name: str) -> None:
    optimizer = make_optimizer(name)
    large = [jnp.zeros((MOST_DENSE_PARAMETERS, 1)), jnp.zeros(1)]
    if name in DENSE:
        with pytest.raises(InputError, match=r"4,097 parameters.*at most 4,096.*lbfgs.*cg"):
            optimizer.init(large)
        large = [jnp.zeros(8)]
    assert optimizer.init(large).counts.gradients == 0
