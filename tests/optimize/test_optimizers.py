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
from fallline.optimize.gradient_free import GRADIENT_FREE
from fallline.optimize.optimizers import OPTIMIZERS
from fallline.optimize.second_order import SECOND_ORDER
from fallline.recipe.schema import entries
from fallline.types import OPTIMIZER_NUMBERS

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


def nadam(slot: dict[str, np.ndarray], g: np.ndarray, t: int) -> np.ndarray:
    adam(slot, g, t)
    b1, b2 = NUMBERS["beta_1"], NUMBERS["beta_2"]
    ahead = b1 * slot["m"] / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
    return ahead / (np.sqrt(slot["v"] / (1 - b2**t)) + 1e-8)


def rmsprop(slot: dict[str, np.ndarray], g: np.ndarray, t: int) -> np.ndarray:
    slot["v"] = NUMBERS["beta_2"] * slot.get("v", 0.0) + (1 - NUMBERS["beta_2"]) * g**2
    slot["z"] = NUMBERS["momentum"] * slot.get("z", 0.0) + g / (np.sqrt(slot["v"]) + 1e-8)
    return slot["z"]


def adagrad(slot: dict[str, np.ndarray], g: np.ndarray, t: int) -> np.ndarray:
    slot["s"] = slot.get("s", 0.0) + g**2
    return g / np.sqrt(slot["s"])


def adadelta(slot: dict[str, np.ndarray], g: np.ndarray, t: int) -> np.ndarray:
    rho = NUMBERS["beta_2"]
    slot["v"] = rho * slot.get("v", 0.0) + (1 - rho) * g**2
    step = np.sqrt(slot.get("x", 0.0) + 1e-6) / np.sqrt(slot["v"] + 1e-6) * g
    slot["x"] = rho * slot.get("x", 0.0) + (1 - rho) * step**2
    return step


def lion(slot: dict[str, np.ndarray], g: np.ndarray, t: int) -> np.ndarray:
    b1, b2, m = NUMBERS["beta_1"], NUMBERS["beta_2"], slot.get("m", np.zeros(()))
    slot["m"] = b2 * m + (1 - b2) * g
    return np.sign(b1 * m + (1 - b1) * g)


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
    "nadam": ("nadam", {}, nadam, {}),
    "rmsprop with momentum": ("rmsprop", {}, rmsprop, {}),
    "adagrad": ("adagrad", {}, adagrad, {}),
    "adadelta": ("adadelta", {}, adadelta, {}),
    "lion decays kernels": ("lion", {}, lion, {"decay": 0.2}),
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


@pytest.mark.parametrize("name", ["adam", "nadam", "rmsprop", "adagrad", "lion"])
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_steps_do_not_depend_on_the_scale_of_the_loss(name: str, scale: float) -> None:
    optimizer = make_optimizer(name, decayed={"kernel": False, "bias": False})
    numbers = {key: jnp.asarray(NUMBERS[key]) for key in optimizer.numbers}
    found = []
    for factor in (1.0, scale):
        params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), start())
        state = optimizer.init(params)
        for g in gradients():
            scaled = {key: jnp.asarray(factor * value, jnp.float32) for key, value in g.items()}
            params, state = optimizer.update(scaled, state, params, numbers, 1.0)
        found.append(params)
    for key in SHAPES:
        np.testing.assert_allclose(found[0][key], found[1][key], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_weight_without_a_gradient_stays(name: str) -> None:
    optimizer = make_optimizer(name)
    numbers = {key: jnp.asarray(value) for key, value in NUMBERS.items()}
    params = [jnp.ones(3)]
    state = optimizer.init(params)
    for _ in range(3):
        params, state = optimizer.update([jnp.zeros(3)], state, params, numbers, 1.0)
    np.testing.assert_array_equal(params[0], np.ones(3))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_that_is_not_a_number_does_not_pass_unseen(name: str) -> None:
    optimizer = make_optimizer(name)
    numbers = {key: jnp.asarray(value) for key, value in NUMBERS.items()}
    params = [jnp.ones(2)]
    moved, _ = optimizer.update([jnp.asarray([np.nan, 1.0])], optimizer.init(params), params, numbers, 1.0)
    assert np.isnan(moved[0]).tolist() == [True, False]


def test_a_short_gradient_is_not_stretched() -> None:
    optimizer = make_optimizer("sgd", clip=True)
    params, g = [jnp.zeros(2)], [jnp.asarray([0.3, -0.4])]
    numbers = {"learning_rate": jnp.asarray(1.0), "momentum": jnp.asarray(0.0), "clip_norm": jnp.asarray(1.0)}
    moved, _ = optimizer.update(g, optimizer.init(params), params, numbers, 1.0)
    np.testing.assert_allclose(np.asarray(moved[0]), [-0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_recipe_names_the_numbers_that_an_optimizer_reads(name: str) -> None:
    class Asked(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            read.add(key)
            return super().__getitem__(key)

    optimizer = make_optimizer(name)
    numbers, read = Asked({key: jnp.asarray(value) for key, value in NUMBERS.items()}), set()
    params = [jnp.ones((2, 2))]
    optimizer.update(params, optimizer.init(params), params, numbers, 1.0)
    assert read == set(optimizer.numbers) == {"learning_rate", *OPTIMIZER_NUMBERS[name]}


def test_the_recipe_names_every_optimizer() -> None:
    assert list(OPTIMIZER_NUMBERS) == [*OPTIMIZERS, "diagonal_lm", *GRADIENT_FREE, *SECOND_ORDER]
    assert entries()["optimizer.name"].choices == ("auto", *OPTIMIZER_NUMBERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_numbers_need_no_new_program(name: str) -> None:
    optimizer = make_optimizer(name, clip=True)
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
