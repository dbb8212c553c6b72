"""Second-order optimizers: full batch, for small networks; each step looks at the whole loss, not at its slope alone.

L-BFGS and the line search are Optax'. The others are a few lines each around products with the curvature. Optimistix
has them too, but a solver's state there holds compiled functions: it cannot be kept in a checkpoint, nor stacked for
the members of a population.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from fallline.errors import InputError
from fallline.optimize.curvature import dense, gauss_newton_matrix, hessian_product
from fallline.types import Evaluations, Objective

__all__ = ["DENSE", "MOST_DENSE_PARAMETERS", "SECOND_ORDER", "SearchState", "bfgs_inverse", "second_order"]

Tree = Any
Numbers = Mapping[str, jax.Array]
Loss = Callable[[jax.Array], jax.Array]

# A matrix of parameters x parameters in float32 has 64 MiB here, and a step holds some four of them a network.
MOST_DENSE_PARAMETERS = 4_096
# Optax' own default; more than a few are needed only where the loss is not smooth.
_MOST_SEARCH_STEPS = 20
# Nocedal & Wright, Numerical Optimization (2006), section 3.1: c2 of the Wolfe conditions.
_NEWTON_SLOPE, _CONJUGATE_SLOPE = 0.9, 0.1
_MEMORY = 10  # pairs that L-BFGS keeps; Nocedal & Wright, section 7.2: 3 to 20
_MOST_TRIALS = 12  # of the damping in one step of Levenberg-Marquardt; the last one is 2^78 times the first


class Step(NamedTuple):
    """What a method is given: all vectors are (p,)."""

    weights: jax.Array
    grad: jax.Array
    value: jax.Array
    loss: Loss
    objective: Objective
    unravel: Callable[[jax.Array], Tree]
    numbers: Numbers
    rate: jax.Array  # learning rate times the schedule's factor: the share of the full step that is tried first


class Method(NamedTuple):
    """A method on flat vectors.

    ``begin``: (weights) -> memory; ``step``: (Step, memory) -> (weights, memory, what was evaluated beyond the gradient
    that came with the step).
    """

    begin: Callable[[jax.Array], Tree]
    step: Callable[[Step, Tree], tuple[jax.Array, Tree, Evaluations]]


def _search(at: Step, direction: jax.Array, slope: float = _NEWTON_SLOPE) -> tuple[jax.Array, jax.Array]:
    """Go along a direction, 1 times at first, until the strong Wolfe conditions hold; return (weights, gradients seen).

    A direction that does not descend is replaced by the gradient's. Source: Nocedal & Wright (2006), algorithms 3.5
    and 3.6, as Optax has them.
    """
    descends = jnp.vdot(direction, at.grad) < 0.0
    direction = jnp.where(descends, direction, -at.grad * _cautious(at.grad))
    unseen = _eps(direction) * jnp.abs(at.value)  # changes of the loss that it cannot show
    search = optax.scale_by_zoom_linesearch(
        _MOST_SEARCH_STEPS, tol=unseen, curv_rtol=slope, initial_guess_strategy="one"
    )
    found, state = search.update(
        direction, search.init(at.weights), at.weights, value=at.value, grad=at.grad, value_fn=at.loss
    )
    return at.weights + found, state.info.num_linesearch_steps.astype(jnp.int32)


def _eps(like: jax.Array) -> float:
    """The smallest relative change that numbers of this kind can show."""
    return float(np.finfo(like.dtype).eps)


def _cautious(grad: jax.Array) -> jax.Array:
    """A factor on a first step of which only the direction is known: no longer than 1."""
    return jnp.minimum(1.0, 1.0 / (jnp.linalg.norm(grad) + 1e-30))


def _counts(losses: Any = 0, gradients: Any = 0, products: Any = 0) -> Evaluations:
    return Evaluations(*(jnp.asarray(n, jnp.int32) for n in (losses, gradients, products)))


def _along_eigenvectors(matrix: jax.Array, grad: jax.Array, floor: jax.Array) -> jax.Array:
    """-|M|^-1 g, eigenvalues below ``floor`` times the largest raised to that."""
    values, vectors = jnp.linalg.eigh(matrix)
    size = jnp.abs(values)
    size = jnp.maximum(size, jnp.maximum(floor * jnp.max(size), 1e-30))
    step: jax.Array = -vectors @ ((vectors.T @ grad) / size)
    return step


def _newton() -> Method:
    """W <- w - a |H|^-1 g with the eigenvalues of the Hessian H made positive, so that saddles repel; a by line search.

    On a convex quadratic the first step is the last. ``damping``: the smallest eigenvalue, as a share of the largest.
    Source: Nocedal & Wright (2006), section 3.4; Dauphin et al., arXiv 1406.2572, algorithm 1.
    """

    def step(at: Step, memory: Tree) -> tuple[jax.Array, Tree, Evaluations]:
        p = at.weights.size
        hessian = dense(hessian_product(at.loss, at.weights), p, at.weights.dtype)
        weights, seen = _search(at, at.rate * _along_eigenvectors(hessian, at.grad, at.numbers["damping"]))
        return weights, memory, _counts(gradients=seen, products=p)

    return Method(lambda weights: (), step)


def _gauss_newton() -> Method:
    """W <- w - a (J' C J)^-1 g, the Hessian without the second derivatives of the network; a by line search.

    ``damping``: the smallest eigenvalue, as a share of the largest. Source: Nocedal & Wright (2006), section 10.3;
    for losses other than squares Schraudolph, Neural Computation 14, 2002.
    """

    def step(at: Step, memory: Tree) -> tuple[jax.Array, Tree, Evaluations]:
        matrix, gradients, products = gauss_newton_matrix(at.objective, at.weights, at.unravel)
        weights, seen = _search(at, at.rate * _along_eigenvectors(matrix, at.grad, at.numbers["damping"]))
        return weights, memory, _counts(gradients=gradients + seen, products=products)

    return Method(lambda weights: (), step)


class _Damping(NamedTuple):
    """What Levenberg-Marquardt remembers."""

    mu: jax.Array  # () damping of the next step; below 0: none was chosen yet
    growth: jax.Array  # () factor at the next failure


class _Trial(NamedTuple):
    tries: jax.Array
    going: jax.Array
    weights: jax.Array
    damping: _Damping


def _levenberg_marquardt() -> Method:
    """W <- w - (G + mu I)^-1 g, G the Gauss-Newton matrix; mu falls where the loss does as predicted, else it grows.

    A step tries at most 12 values of mu until the loss falls; where it does not, the weights stay. ``damping``: the
    first mu, as a share of the largest diagonal element. Source: Marquardt, SIAM J. Appl. Math. 11, 1963; the rule for
    mu is Nielsen's: Madsen, Nielsen & Tingleff, Methods for non-linear least squares problems (2004), algorithm 3.16.
    """

    def begin(weights: jax.Array) -> _Damping:
        return _Damping(jnp.full((), -1.0, weights.dtype), jnp.full((), 2.0, weights.dtype))

    def step(at: Step, memory: _Damping) -> tuple[jax.Array, Tree, Evaluations]:
        p, dtype = at.weights.size, at.weights.dtype
        matrix, gradients, products = gauss_newton_matrix(at.objective, at.weights, at.unravel)
        largest, eps = jnp.maximum(jnp.max(jnp.diag(matrix)), 1e-30), _eps(at.weights)

        def attempt(trial: _Trial) -> _Trial:
            mu, growth = trial.damping
            factor = jax.scipy.linalg.cho_factor(matrix + mu * jnp.eye(p, dtype=dtype))
            move = -at.rate * jax.scipy.linalg.cho_solve(factor, at.grad)
            gained = at.value - at.loss(at.weights + move)
            predicted = -(jnp.vdot(at.grad, move) + 0.5 * jnp.vdot(move, matrix @ move))
            ratio = gained / predicted
            better = jnp.isfinite(ratio) & (gained > 0.0)
            calmer = mu * jnp.maximum(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0) ** 3)
            damping = _Damping(
                jnp.clip(jnp.where(better, calmer, mu * growth), eps * largest, largest / eps),
                jnp.where(better, 2.0, jnp.minimum(2.0 * growth, 1.0 / eps)).astype(dtype),
            )
            # Where less is promised than the loss can show, the minimum is reached as well as it can be.
            promising = ~(predicted <= eps * jnp.abs(at.value))
            weights = jnp.where(better, at.weights + move, at.weights)
            return _Trial(trial.tries + 1, ~better & promising, weights, damping)

        first = memory._replace(mu=jnp.where(memory.mu < 0.0, at.numbers["damping"] * largest, memory.mu).astype(dtype))
        start = _Trial(jnp.zeros((), jnp.int32), jnp.asarray(True), at.weights, first)
        end = jax.lax.while_loop(lambda t: t.going & (t.tries < _MOST_TRIALS), attempt, start)
        # A gradient that is not a number is rejected in every trial; it must not pass for a minimum.
        weights = jnp.where(jnp.all(jnp.isfinite(at.grad)), end.weights, jnp.nan)
        return weights, end.damping, _counts(losses=end.tries, gradients=gradients, products=products)

    return Method(begin, step)


class _Last(NamedTuple):
    """The step before: where it began, and what BFGS or conjugate gradients made of it."""

    steps: jax.Array  # () int32
    weights: jax.Array
    grad: jax.Array
    made: jax.Array  # bfgs: (p, p) inverse Hessian; cg: (p,) direction


def _bfgs() -> Method:
    """W <- w - a B g, B the inverse Hessian as the gradients of all steps so far suggest it; a by line search.

    Source: Nocedal & Wright (2006), algorithm 6.1 with eq. 6.17, the first B scaled by eq. 6.20.
    """

    def begin(weights: jax.Array) -> _Last:
        zeros = jnp.zeros_like(weights)
        return _Last(jnp.zeros((), jnp.int32), zeros, zeros, jnp.eye(weights.size, dtype=weights.dtype))

    def step(at: Step, last: _Last) -> tuple[jax.Array, Tree, Evaluations]:
        inverse = bfgs_inverse(last.made, at.weights - last.weights, at.grad - last.grad, last.steps)
        cautious = jnp.where(last.steps == 0, _cautious(at.grad), 1.0)
        direction = -at.rate * cautious * (inverse @ at.grad)
        # A matrix that has lost its meaning begins again.
        inverse = jnp.where(jnp.vdot(direction, at.grad) < 0.0, inverse, jnp.eye(at.weights.size, dtype=inverse.dtype))
        weights, seen = _search(at, direction)
        return weights, _Last(last.steps + 1, at.weights, at.grad, inverse), _counts(gradients=seen)

    return Method(begin, step)


def bfgs_inverse(inverse: jax.Array, s: jax.Array, y: jax.Array, steps: jax.Array) -> jax.Array:
    """(I - r s y') B (I - r y s') + r s s' with r = 1 / s'y; B as it was where s'y is not clearly positive."""
    sy, yy = jnp.vdot(s, y), jnp.vdot(y, y)
    usable = (steps > 0) & (sy > _eps(s) * jnp.sqrt(jnp.vdot(s, s) * yy))
    scaled = jnp.where(steps == 1, sy / jnp.where(yy > 0.0, yy, 1.0), 1.0) * inverse
    r = 1.0 / jnp.where(usable, sy, 1.0)
    by = scaled @ y
    after = scaled - r * (jnp.outer(s, by) + jnp.outer(by, s)) + (r * r * jnp.vdot(y, by) + r) * jnp.outer(s, s)
    return jnp.where(usable, after, inverse)


def _lbfgs() -> Method:
    """As BFGS, but B is never formed: the last 10 steps and gradients stand for it (Optax).

    Source: Nocedal & Wright (2006), algorithms 7.4 and 7.5; Liu & Nocedal, Mathematical Programming 45, 1989.
    """
    memory = optax.scale_by_lbfgs(_MEMORY)

    def step(at: Step, state: Tree) -> tuple[jax.Array, Tree, Evaluations]:
        direction, state = memory.update(at.grad, state, at.weights)
        weights, seen = _search(at, -at.rate * direction)
        return weights, state, _counts(gradients=seen)

    return Method(memory.init, step)


def _conjugate_gradients() -> Method:
    """W <- w + a d, d <- -g + max(0, g'(g - g_old) / g_old'g_old) d: directions that do not undo one another.

    The length that is tried first is that of Newton's step along d, so that a quadratic of p weights is solved in p
    steps. Source: Polak & Ribiere (1969); Nocedal & Wright (2006), algorithm 5.4 with eq. 5.44 and 5.45.
    """

    def begin(weights: jax.Array) -> _Last:
        zeros = jnp.zeros_like(weights)
        return _Last(jnp.zeros((), jnp.int32), zeros, zeros, zeros)

    def step(at: Step, last: _Last) -> tuple[jax.Array, Tree, Evaluations]:
        before = jnp.vdot(last.grad, last.grad)
        turn = jnp.vdot(at.grad, at.grad - last.grad) / jnp.where(before > 0.0, before, 1.0)
        direction = -at.grad + jnp.maximum(turn, 0.0) * last.made
        direction = jnp.where(jnp.vdot(direction, at.grad) < 0.0, direction, -at.grad)
        curved = jnp.vdot(direction, hessian_product(at.loss, at.weights)(direction))
        newton = -jnp.vdot(direction, at.grad) / jnp.where(curved > 0.0, curved, 1.0)
        length = jnp.where(curved > 0.0, newton, _cautious(direction))
        weights, seen = _search(at, at.rate * length * direction, _CONJUGATE_SLOPE)
        return weights, _Last(last.steps + 1, at.weights, at.grad, direction), _counts(gradients=seen, products=1)

    return Method(begin, step)


SECOND_ORDER: dict[str, Callable[[], Method]] = {
    "newton": _newton,
    "gauss_newton": _gauss_newton,
    "lm": _levenberg_marquardt,
    "bfgs": _bfgs,
    "lbfgs": _lbfgs,
    "cg": _conjugate_gradients,
}
# Those that keep a matrix of parameters x parameters.
DENSE = ("newton", "gauss_newton", "lm", "bfgs")


class SearchState(NamedTuple):
    """State of a second-order optimizer."""

    memory: Tree
    counts: Evaluations


def second_order(name: str) -> tuple[Callable[[Tree], SearchState], Callable[..., tuple[Tree, SearchState]]]:
    """Return (init, update) of a method of `SECOND_ORDER`, on trees of weights.

    Raises:
        InputError: from ``init``, when a matrix of the network's parameters would not fit.
    """
    method = SECOND_ORDER[name]()

    def init(params: Tree) -> SearchState:
        flat, _ = ravel_pytree(params)
        if name in DENSE and flat.size > MOST_DENSE_PARAMETERS:
            raise InputError(
                f"The network has {flat.size:,} parameters, and {name} keeps a matrix of parameters x parameters: it "
                f'takes at most {MOST_DENSE_PARAMETERS:,}. Use optimizer.name = "lbfgs" or "cg", or a smaller network.'
            )
        return SearchState(method.begin(flat), _counts())

    def update(
        grads: Tree, state: SearchState, params: Tree, numbers: Numbers, rate: jax.Array, *, objective: Objective
    ) -> tuple[Tree, SearchState]:
        flat, unravel = ravel_pytree(params)
        at = Step(
            flat,
            ravel_pytree(grads)[0],
            objective.value,
            lambda w: objective.loss(unravel(w)),
            objective,
            unravel,
            numbers,
            numbers["learning_rate"] * rate,
        )
        moved, memory, more = method.step(at, state.memory)
        more = more._replace(gradients=more.gradients + 1)
        return unravel(moved), SearchState(memory, jax.tree.map(jnp.add, state.counts, more))

    return init, update
