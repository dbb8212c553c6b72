"""A resolved recipe is itself a valid one: it is saved with the run, read back with it, and can be trained again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.errors import RecipeError
from fallline.recipe import check, default, from_toml, override, to_mapping, to_toml
from fallline.recipe.resolve import resolve
from fallline.types import OPTIMIZER_NUMBERS, PROBLEM_KINDS, ProblemKind, Recipe
from tests.recipe.test_recipe import recipes

KINDS = st.sampled_from(PROBLEM_KINDS)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(recipes(), KINDS, st.sampled_from([20, 900, 3000, 50_000]))
def test_every_valid_recipe_resolves_to_a_valid_one(recipe: Recipe, kind: ProblemKind, n_rows: int) -> None:
    try:
        resolved = resolve(recipe, kind=kind, n_rows=n_rows, n_features=5, n_outputs=2)
    except RecipeError as error:  # a loss for classes under quantities, or the other way round: refused, by name
        mistakes = error.mistakes
    else:
        mistakes = ()
        assert check(resolved) == resolved
        assert from_toml(to_toml(resolved)) == resolved
    # Factors of layers are counted where the layers are known.
    told = ("training.", "network.", "prepare.", "optimizer.penalty_factors")
    assert all(mistake.startswith(told) for mistake in mistakes)


@pytest.mark.parametrize(
    "assignments",
    [
        *(["optimizer.name=" + name] for name in OPTIMIZER_NUMBERS),
        ["network.hidden=[]"],
        ["ensemble.members=1"],
        ["ensemble.members=3"],
        ["split.time=when"],
        ["split.folds=10"],
        ["stopping.criterion=none"],
    ],
    ids=" ".join,
)
def test_one_change_to_the_default_resolves_to_a_valid_recipe(assignments: list[str]) -> None:
    resolved = resolve(override(default(), assignments), kind="binary", n_rows=500, n_features=5, n_outputs=1)
    assert check(resolved) == resolved


@pytest.mark.parametrize(
    ("name", "expected"),
    [  # learning rate, momentum, beta_2, weight decay
        ("auto", (0.0025, 0.9, 0.95, 0.02)),
        ("sgd", (0.01, 0.9, 0.95, 0.0)),
        ("adam", (0.0025, 0.9, 0.95, 0.0)),
        ("nadam", (0.0025, 0.9, 0.95, 0.0)),
        ("rmsprop", (1e-3, 0.0, 0.9, 0.0)),
        ("adagrad", (0.01, 0.9, 0.95, 0.0)),
        ("adadelta", (1.0, 0.9, 0.95, 0.0)),
        ("lion", (3e-4, 0.9, 0.99, 0.1)),
    ],
)
def test_every_optimizer_has_its_own_numbers(name: str, expected: tuple[float, ...]) -> None:
    asked = {"kind": "binary", "n_rows": 500, "n_features": 5, "n_outputs": 1}
    found = resolve(override(default(), [f"optimizer.name={name}"]), **asked).optimizer
    assert (found.learning_rate, found.momentum, found.beta_2, found.weight_decay) == expected
    given = resolve(override(default(), [f"optimizer.name={name}", "learning_rate=0.5", "beta_2=0.6"]), **asked)
    assert (given.optimizer.learning_rate, given.optimizer.beta_2) == (0.5, 0.6)


@pytest.mark.parametrize("kind", PROBLEM_KINDS)
def test_nothing_stays_auto(kind: ProblemKind) -> None:
    resolved = resolve(default(), kind=kind, n_rows=500, n_features=5, n_outputs=1)
    assert [
        f"{section}.{key}"
        for section, values in to_mapping(resolved).items()
        if isinstance(values, dict)
        for key, value in values.items()
        if value == "auto"
    ] == []


@pytest.mark.parametrize(
    ("kind", "n_rows", "embedding"),
    [
        ("binary", 999, "periodic"),
        ("binary", 1_000, "both"),
        ("regression", 4_999, "periodic"),
        ("regression", 5_000, "both"),
    ],
)
def test_numbers_bend_where_there_are_rows_enough(kind: ProblemKind, n_rows: int, embedding: str) -> None:
    asked = {"kind": kind, "n_rows": n_rows, "n_features": 5, "n_outputs": 1}
    assert resolve(default(), **asked).network.embedding == embedding
    assert resolve(override(default(), ["network.kind=rbf"]), **asked).network.embedding == "none"
    assert resolve(override(default(), ["embedding=periodic"]), **asked).network.embedding == "periodic"
