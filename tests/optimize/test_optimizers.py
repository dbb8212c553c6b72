"""Every optimizer against its formula in float64 NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fallline.errors import InputError
from fallline.optimize import make_optimizer
from fallline.optimize.optimizers import OPTIMIZERS

STEPS = 6
SHAPES = {"kernel": (3, 4), "bias": (4,)}
NUMBERS = {
    "learning_rate": 0.03,
    "momentum": 0.8,
    "beta_1": 0.85,
    "beta_2": 0.97,
    "weight_decay": 0.2,
    "clip_norm": 1.5,
}
Tensors = dict[str, np.ndarray]


def start() -> Tensors:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def gradients() -> list[Tensors]:
    rng = np.random.default_rng(2)
    return [{name: rng.normal(size=shape) for name, shape in SHAPES.items()} for _ in range(STEPS)]


def ours(name: str, rates: np.ndarray, **options: Any) -> Tensors:
    optimizer = make_optimizer(name, **options)
    numbers = {key: jnp.asarray(NUMBERS[key], jnp.float32) for key in optimizer.numbers}
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), start())
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for g, rate in zip(gradients(), rates, strict=True):
        before = jax.tree.structure(state)
        params, state = update(jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), g), state, params, numbers, rate)
        assert jax.tree.structure(state) == before
    return {key: np.asarray(value) for key, value in params.items()}


Rule = Callable[[dict[str, np.ndarray], np.ndarray, int], np.ndarray]


def by_hand(
    rule: Rule, rates: np.ndarray, *, decay: float = 0.0, factors: dict[str, float] | None = None, clip: float = 0.0
) -> Tensors:
    params = start()
    slots: dict[str, dict[str, np.ndarray]] = {key: {} for key in params}
    for t, g in enumerate(gradients(), start=1):
        if clip:
            norm = np.sqrt(sum((v**2).sum() for v in g.values()))
            g = {key: v * min(1.0, clip / norm) for key, v in g.items()}
        for key, w in params.items():
            step = rule(slots[key], g[key], t)
            if key == "kernel":
                step = step + decay * w
            params[key] = w - NUMBERS["learning_rate"] * rates[t - 1] * (factors or {}).get(key, 1.0) * step
    return params


def sgd(slot: dict[str, np.ndarray], g: np.ndarray, t: int) -> np.ndarray:
    slot["z"] = NUMBERS["momentum"] * slot.get("z", 0.0) + g
    return slot["z"]


def nesterov(slot: dict[str, np.ndarray], g: np.ndarray, t: int) -> np.ndarray:
    return g + NUMBERS["momentum"] * sgd(slot, g, t)


def adam(slot: dict[str, np.ndarray], g: np.ndarray, t: int) -> np.ndarray:
    b1, b2 = NUMBERS["beta_1"], NUMBERS["beta_2"]
    slot["m"] = b1 * slot.get("m", 0.0) + (1 - b1) * g
    slot["v"] = b2 * slot.get("v", 0.0) + (1 - b2) * g**2
    return (slot["m"] / (1 - b1**t)) / (np.sqrt(slot["v"] / (1 - b2**t)) + 1e-8)


RATES = np.linspace(1.0, 0.2, STEPS)
CASES: dict[str, tuple[str, dict[str, Any], Rule, dict[str, Any]]] = {
    "sgd with momentum": ("sgd", {}, sgd, {}),
    "nesterov": ("sgd", {"nesterov": True}, nesterov, {}),
    "adam": ("adam", {}, adam, {}),
    "adamw decays kernels": ("adamw", {}, adam, {"decay": 0.2}),
    "clipped": ("sgd", {"clip": True}, sgd, {"clip": 1.5}),
    "own rates": (
        "adamw",
        {"factors": {"kernel": 0.5, "bias": 2.0}},
        adam,
        {"decay": 0.2, "factors": {"kernel": 0.5, "bias": 2.0}},
    ),
    "no tensor decays": ("adamw", {"decayed": {"kernel": False, "bias": False}}, adam, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_formula(name: str) -> None:
    optimizer, options, rule, keywords = CASES[name]
    found, expected = ours(optimizer, RATES, **options), by_hand(rule, RATES, **keywords)
    for key in SHAPES:
        np.testing.assert_allclose(found[key], expected[key], rtol=2e-5, atol=2e-6)


def test_every_optimizer_has_a_case() -> None:
    assert {case[0] for case in CASES.values()} == set(OPTIMIZERS)


def test_a_short_gradient_is_not_stretched() -> None:
    optimizer = make_optimizer("sgd", clip=True)
    params, g = [jnp.zeros(2)], [jnp.asarray([0.3, -0.4])]
    numbers = {"learning_rate": jnp.asarray(1.0), "momentum": jnp.asarray(0.0), "clip_norm": jnp.asarray(1.0)}
    moved, _ = optimizer.update(g, optimizer.init(params), params, numbers, 1.0)
    np.testing.assert_allclose(np.asarray(moved[0]), [-0.3, 0.4], rtol=1e-6)


def test_numbers_need_no_new_program() -> None:
    optimizer = make_optimizer("adamw", clip=True)
    params = [jnp.ones((2, 2))]
    traced = 0

    def step(numbers: Any) -> Any:
        nonlocal traced
        traced += 1
        return optimizer.update(params, optimizer.init(params), params, numbers, 1.0)

    program = jax.jit(step)
    for scale in (1.0, 0.5, 0.1):
        program({key: jnp.asarray(NUMBERS[key] * scale) for key in optimizer.numbers})
    assert traced == 1


def test_an_unknown_name_is_answered() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'adamw'.*Allowed: sgd, adam, adamw"):
        make_optimizer("adamww")
