"""Gradients that second-order optimizers and Adam take to the same loss: `python -m benchmarks.second_order`.

Two problems, ten networks each: the line through the seven points of the gallery (G1), and a 1-8-1 network on a sine.
The cost is counted, not timed, so that a busy machine does not matter: a gradient is 1, a loss alone is 1 (it is less),
a product of the curvature with a vector is 2, and the Jacobian of the one output is 1: one backward pass for each row,
as a gradient is. What is done with the numbers afterwards is no gradient. The largest of it is the product of the
Jacobian with itself, n p^2 multiplications where a gradient takes 3 n p: `adam_over_arithmetic` adds these p / 3
gradients a step.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.results_file import describe_versions
from fallline.optimize import make_optimizer
from fallline.types import Objective

SEEDS, STEPS, ADAM_STEPS = 10, 500, 500_000  # behind 500 steps Levenberg-Marquardt rests at what float32 shows
ADAM_RATES = (0.001, 0.003, 0.01, 0.03)  # the best of them for each network and loss is taken
NAMES = ("lm", "gauss_newton", "newton", "bfgs", "lbfgs", "cg")
SLACK = 1.0001  # a loss counts as reached within this share of it: float32 shows little less
NUMBERS = {"learning_rate": 1.0, "damping": 1e-5, "beta_1": 0.9, "beta_2": 0.999}

POINTS = (np.array([2.4, 2.8, 3.2, 3.6, 4.0, 4.2, 5.0]), np.array([1.7, 1.85, 1.79, 1.95, 2.1, 2.0, 2.7]))
SINE = (np.linspace(-np.pi, np.pi, 100), np.sin(np.linspace(-np.pi, np.pi, 100)))


def begin(problem: str, seed: int) -> list[np.ndarray]:
    """Glorot-uniform kernels and zero biases."""
    sizes = {"line": (1, 1), "sine": (1, 8, 1)}[problem]
    rng, weights = np.random.default_rng(seed), []
    for fan_in, fan_out in pairwise(sizes):
        limit = np.sqrt(6 / (fan_in + fan_out))
        weights += [rng.uniform(-limit, limit, (fan_in, fan_out)), np.zeros(fan_out)]
    return [w.astype(np.float32) for w in weights]


def objective(problem: str, w: Any) -> Objective:
    """The mean squared error of a network of tanh units on all points."""
    x, y = (np.asarray(a, np.float32)[:, None] for a in (POINTS if problem == "line" else SINE))

    def outputs(w: Any, hidden: Any = x) -> Any:
        for i in range(0, len(w) - 2, 2):
            hidden = jnp.tanh(hidden @ w[i] + w[i + 1])
        return hidden @ w[-2] + w[-1]

    def cost(out: Any) -> Any:
        return jnp.mean((out - y) ** 2)

    def row(w: Any, i: Any) -> Any:
        return outputs(w, jnp.asarray(x)[i][None])[0]

    return Objective(cost(outputs(w)), lambda w: cost(outputs(w)), outputs, cost, lambda w: jnp.zeros(()), row)


def train(problem: str, name: str, steps: int, **numbers: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest loss so far and the cost so far before each step, (seeds, steps)."""
    optimizer = make_optimizer(name)
    values = {key: jnp.float32({**NUMBERS, **numbers}[key]) for key in optimizer.numbers}

    def one(w: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            w, state, spent, lowest = carry
            now = objective(problem, w)
            extra = {"objective": now} if optimizer.searches else {}
            w, state = optimizer.update(jax.grad(now.loss)(w), state, w, values, 1.0, **extra)
            lowest = jnp.minimum(lowest, now.value)
            seen = (lowest, spent)
            counts = optimizer.evaluated(state) if optimizer.evaluated else None
            spent = counts.losses + counts.gradients + 2 * counts.products if counts else spent + 1
            return (w, state, spent, lowest), seen

        start = (w, optimizer.init(w), jnp.int32(0), jnp.float32(np.inf))
        return jax.lax.scan(step, start, None, length=steps)[1]

    starts = [jnp.asarray(np.stack(leaves)) for leaves in zip(*(begin(problem, s) for s in range(SEEDS)), strict=True)]
    lowest, spent = jax.jit(jax.vmap(one))(starts)
    return np.asarray(lowest), np.asarray(spent)


def interval(values: Any) -> dict[str, Any]:
    """Geometric mean with a 95 % bootstrap interval over the seeds."""
    logs = np.log(np.maximum(np.asarray(values, float), 1e-30))
    means = np.random.default_rng(0).choice(logs, (2000, len(logs))).mean(axis=1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    values = [float(value) for value in values]
    return {"mean": float(np.exp(logs.mean())), "low": float(low), "high": float(high), "values": values}


def compare(problem: str) -> dict[str, Any]:
    """Every optimizer's loss and cost, and what Adam needs for as low a loss with the best of its rates."""
    adam = [train(problem, "adam", ADAM_STEPS, learning_rate=rate)[0] for rate in ADAM_RATES]
    rows: dict[str, Any] = {"adam_loss": interval(np.min([curves[:, -1] for curves in adam], axis=0))}
    for name in NAMES:
        lowest, spent = train(problem, name, STEPS, damping=1e-3 if name == "lm" else 1e-5)
        costs, arithmetic, needs, reached = [], [], [], 0
        weights = sum(w.size for w in begin(problem, 0)) if name in ("lm", "gauss_newton") else 0
        for seed in range(SEEDS):
            goal = lowest[seed, -1] * SLACK
            steps = int(np.argmax(lowest[seed] <= goal))
            costs.append(int(spent[seed, steps]))
            arithmetic.append(costs[-1] + steps * weights / 3)
            found = [int(np.argmax(curves[seed] <= goal)) for curves in adam if curves[seed, -1] <= goal]
            needs.append(min(found, default=ADAM_STEPS))
            reached += bool(found)
        rows[name] = {
            "loss": interval(lowest[:, -1]),
            "cost": interval(costs),
            "adam_over_cost": interval(np.array(needs) / costs),  # where Adam never came so low: at least this
            "adam_over_arithmetic": interval(np.array(needs) / arithmetic),
            "adam_reached": reached,
        }
    return rows


def main() -> None:
    """Measure, print and write the result."""
    problems = {problem: compare(problem) for problem in ("line", "sine")}
    result = {
        "work": "second_order",
        "title": "gradients to the loss that a second-order optimizer reaches, over ten networks",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "steps": STEPS,
        "adam_steps": ADAM_STEPS,
        "adam_rates": ADAM_RATES,
        "versions": describe_versions(),
        "problems": problems,
    }
    path = Path(__file__).parent / "results" / "second-order.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    for problem, rows in problems.items():
        print(f"{problem}: Adam's lowest loss in {ADAM_STEPS:,} steps {rows['adam_loss']['mean']:.3g}")
        for name in NAMES:
            row, ratio = rows[name], rows[name]["adam_over_cost"]
            print(
                f"  {name:13} loss {row['loss']['mean']:.3g}, cost {row['cost']['mean']:.0f}; Adam needs "
                f"{ratio['mean']:.3g} times as much ({ratio['low']:.3g} to {ratio['high']:.3g}; with matrix products "
                f"{row['adam_over_arithmetic']['mean']:.3g}), and came so low in "
                f"{row['adam_reached']} of {SEEDS}"
            )


if __name__ == "__main__":
    main()
