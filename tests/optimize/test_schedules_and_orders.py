"""Learning rates by their formulas; orders of examples as permutations that can be repeated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.errors import InputError
from fallline.optimize import SCHEDULES, OrderStream, epoch_orders, rate_factors
from fallline.recipe.schema import entries
from fallline.types import SCHEDULE_NUMBERS

FORMULAS = {
    "constant": lambda t: 1.0,
    "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
    "flat_cosine": lambda t: 1.0 if t < 0.5 else (1 + math.cos(math.pi * (2 * t - 1))) / 2,
    "one_cycle": lambda t: (
        0.04 + 0.48 * (1 - math.cos(math.pi * t / 0.3)) if t < 0.3 else (1 + math.cos(math.pi * (t - 0.3) / 0.7)) / 2
    ),
    "linear": lambda t: 1 - t,
    "step": lambda t: 1.0 if t < 0.25 else 0.02 ** (1 / 3) if t < 0.5 else 0.02 ** (2 / 3) if t < 0.75 else 0.02,
    "exponential": lambda t: math.exp(math.log(0.02) * t),
    "inverse_time": lambda t: 1 / (1 + t / (0.02 / 0.98)),
    "coslog4": lambda t: (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t))) / 2,
    "tau_over_t": lambda t: 0.2 / max(t, 0.2),
    "bottou": lambda t: 1 / (1 + 0.5 * 0.03 * 100 * t),  # gamma 0.5, lambda 0.03, 100 steps
    "plateau": lambda t: 1.0,  # the engine's
    "oscillation": lambda t: 1.0,
}
NUMBERS = {"schedule_end": 0.02, "schedule_drops": 3, "schedule_tau": 0.2, "schedule_lambda": 0.03}


def test_every_schedule_has_a_formula() -> None:
    assert set(FORMULAS) == set(SCHEDULES)


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name: str) -> None:
    steps = np.arange(0, 101)
    expected = [FORMULAS[name](k / 100) for k in steps]
    found = rate_factors(name, steps, 100, learning_rate=0.5, numbers=NUMBERS)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


NAMES, ENDS, DROPS = st.sampled_from(sorted(SCHEDULES)), st.floats(1e-6, 1.0), st.integers(1, 1000)


@given(NAMES, st.integers(1, 500), st.floats(0.0, 0.9), ENDS, DROPS)
def test_factors_stay_between_0_and_1(name: str, total: int, warmup: float, end: float, drops: int) -> None:
    numbers = {"schedule_end": end, "schedule_drops": drops, "schedule_tau": end, "schedule_lambda": end}
    factors = rate_factors(name, np.arange(total), total, warmup=warmup, numbers=numbers)
    assert factors.dtype == np.float32
    assert ((factors >= 0) & (factors <= 1)).all()


@given(st.sampled_from(sorted(set(SCHEDULES) - {"one_cycle", "coslog4"})), st.integers(1, 500), ENDS, DROPS)
def test_falling_schedules_fall_from_1_to_their_end(name: str, total: int, end: float, drops: int) -> None:
    numbers = {"schedule_end": end, "schedule_drops": drops, "schedule_tau": end, "schedule_lambda": end / total}
    factors = rate_factors(name, np.arange(total + 1), total, numbers=numbers)
    assert factors[0] == 1.0
    assert (np.diff(factors) <= 0).all()
    lasts = {"constant": 1.0, "tau_over_t": end, "bottou": 1 / (1 + end), "plateau": 1.0, "oscillation": 1.0}
    last = lasts.get(name, end if "schedule_end" in SCHEDULE_NUMBERS[name] else 0.0)
    assert factors[-1] == pytest.approx(last, rel=1e-5, abs=1e-12)


@given(st.integers(1, 12), st.integers(1, 40))
def test_steps_are_equally_long_and_drop_by_equal_ratios(drops: int, length: int) -> None:
    total = (drops + 1) * length
    factors = rate_factors("step", np.arange(total), total, numbers={"schedule_end": 0.1, "schedule_drops": drops})
    values, counts = np.unique(factors, return_counts=True)
    assert counts.tolist() == [length] * (drops + 1)
    np.testing.assert_allclose(np.diff(np.log(values)), math.log(10) / drops, rtol=1e-4)


def test_the_inverse_of_the_rate_rises_linearly() -> None:
    factors = rate_factors("inverse_time", np.arange(100), 100, numbers={"schedule_end": 0.1})
    np.testing.assert_allclose(np.diff(1 / factors), 0.09, rtol=1e-4)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_recipe_names_the_numbers_that_a_schedule_reads(name: str) -> None:
    usual = rate_factors(name, np.arange(50), 50)
    for number, value in (
        ("schedule_end", 0.3),
        ("schedule_drops", 5),
        ("schedule_tau", 0.5),
        ("schedule_lambda", 1.0),
    ):
        changed = rate_factors(name, np.arange(50), 50, numbers={number: value})
        assert (changed != usual).any() == (number in SCHEDULE_NUMBERS[name])


def test_the_recipe_names_every_schedule() -> None:
    assert set(SCHEDULE_NUMBERS) == set(SCHEDULES)
    assert entries()["optimizer.schedule"].choices == ("auto", *SCHEDULE_NUMBERS)


def test_four_cycles_of_coslog4() -> None:
    steps = np.arange(10_001)
    factors = rate_factors("coslog4", steps, 10_000)
    rises = (np.diff(np.sign(np.diff(factors))) < 0).sum()
    assert rises == 4  # four peaks


def test_the_rate_rises_linearly_at_first() -> None:
    factors = rate_factors("constant", np.arange(100), 100, warmup=0.2)
    np.testing.assert_allclose(factors[:20], np.arange(1, 21) / 20, rtol=1e-6)
    assert (factors[20:] == 1).all()


def test_an_unknown_schedule_is_answered() -> None:
    with pytest.raises(InputError, match="Did you mean 'cosine'"):
        rate_factors("cosin", np.arange(3), 3)


ROWS = np.array([3, 5, 8, 13, 21, 34, 55])


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**6), st.integers(1, 4))
def test_orders_are_permutations_that_depend_on_seed_and_epoch_alone(seed: int, first: int, epochs: int) -> None:
    found = epoch_orders(ROWS, seed=seed, first_epoch=first, epochs=epochs, shuffle=True)
    assert found.dtype == np.int32
    assert (np.sort(found, axis=1) == ROWS).all()
    for i in range(epochs):
        again = epoch_orders(ROWS, seed=seed, first_epoch=first + i, epochs=1, shuffle=True)
        np.testing.assert_array_equal(again[0], found[i])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 70), st.integers(0, 5))
def test_orders_drawn_in_parts_are_those_drawn_at_once(parts: list[int], first: int, again: int) -> None:
    whole = epoch_orders(ROWS, seed=3, first_epoch=first, epochs=sum(parts), shuffle=True)
    stream, done = OrderStream(), 0
    for count in parts:
        found = epoch_orders(ROWS, seed=3, first_epoch=first + done, epochs=count, shuffle=True, stream=stream)
        np.testing.assert_array_equal(found, whole[done : done + count])
        done += count
    back = max(0, done - again)  # and where somebody goes back
    found = epoch_orders(ROWS, seed=3, first_epoch=first + back, epochs=again + 1, shuffle=True, stream=stream)
    np.testing.assert_array_equal(found[: done - back], whole[back:])


def test_orders_differ_by_epoch_and_seed() -> None:
    rows = np.arange(50)
    found = [epoch_orders(rows, seed=seed, first_epoch=0, epochs=3, shuffle=True) for seed in (0, 1)]
    distinct = {tuple(order) for orders in found for order in orders.tolist()}
    assert len(distinct) == 6


def test_every_place_is_equally_likely() -> None:
    orders = epoch_orders(np.arange(5), seed=0, first_epoch=0, epochs=2000, shuffle=True)
    counts = np.stack([(orders == row).sum(axis=0) for row in range(5)])
    chi_square = ((counts - 400) ** 2 / 400).sum()
    assert chi_square < 39.25  # 99.9 % quantile of chi-square with (5 - 1)^2 = 16 degrees of freedom


def test_without_shuffling_the_order_is_the_given_one() -> None:
    assert (epoch_orders(ROWS, seed=1, first_epoch=9, epochs=2, shuffle=False) == ROWS).all()
