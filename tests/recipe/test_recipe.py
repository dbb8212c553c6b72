"""Recipes: presets, checks, mappings, TOML, overrides."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.errors import RecipeError
from fallline.recipe import check, default, from_mapping, from_toml, override, to_mapping, to_toml
from fallline.recipe.checks import contradictions
from fallline.recipe.mapping import _full_name
from fallline.recipe.schema import Entry, canonical, entries
from fallline.types import EnsembleRecipe, NetworkRecipe, OptimizerRecipe, Recipe, SplitRecipe, TrainingRecipe

# ------------------------------------------------------------------------------------------ random valid recipes


def _values(entry: Entry) -> st.SearchStrategy[Any]:
    low = entry.low if entry.low is not None else entry.above
    found: st.SearchStrategy[Any]
    if entry.choices:
        return st.sampled_from(entry.choices)
    if entry.type == "bool":
        return st.booleans()
    if entry.type == "float":
        found = st.floats(low, entry.high, exclude_min=entry.above is not None, allow_nan=False, allow_infinity=False)
    elif entry.type == "int":
        found = st.integers(int(low or 0), None if entry.high is None else int(entry.high))
    elif entry.type == "ints":
        found = st.lists(st.integers(1, 4096), max_size=4).map(tuple)
    elif entry.type == "floats":
        high = 1e6 if entry.high is None else entry.high
        found = st.lists(st.floats(low, high, exclude_min=entry.above is not None), max_size=4).map(tuple)
    else:
        found = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    words = (*(("auto",) if entry.auto else ()), *entry.words)
    return st.one_of(st.sampled_from(words), found) if words else found


_ENTRIES = st.fixed_dictionaries({}, optional={name: _values(entry) for name, entry in entries().items()})


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any recipe that `check` accepts: random entries, except those that contradict one another."""
    chosen: dict[str, Any] = {}
    recipe = Recipe()
    for name, value in draw(_ENTRIES).items():
        section, _, key = name.rpartition(".")
        part = {section: replace(getattr(recipe, section), **{key: value})} if section else {key: value}
        changed = replace(recipe, **part)
        if not list(contradictions(changed)):
            recipe, chosen = changed, chosen | {name: value}
    return recipe


@settings(derandomize=True, max_examples=150, deadline=None)
@given(recipes(), st.booleans())
def test_toml_gives_exactly_the_same_recipe_back(recipe: Recipe, comments: bool) -> None:
    assert from_toml(to_toml(recipe, comments=comments)) == recipe


@settings(derandomize=True, max_examples=150, deadline=None)
@given(recipes())
def test_mapping_gives_exactly_the_same_recipe_back_through_json(recipe: Recipe) -> None:
    assert from_mapping(json.loads(json.dumps(to_mapping(recipe)))) == recipe


@settings(derandomize=True, max_examples=60, deadline=None)
@given(recipes())
def test_overriding_the_default_by_every_line_of_the_toml_gives_the_same_recipe(recipe: Recipe) -> None:
    section, assignments = "", []
    for line in to_toml(recipe, comments=False).split("\n"):
        if line.startswith("["):
            section = line.strip("[]") + "."
        elif line:
            key, _, value = line.partition(" = ")
            assignments.append(f"{section}{key}={value}")
    assert override(Recipe(), assignments) == recipe


@settings(derandomize=True, max_examples=60, deadline=None)
@given(recipes())
def test_a_valid_recipe_passes_the_check_unchanged_and_can_be_hashed(recipe: Recipe) -> None:
    assert check(recipe) == recipe
    hash(check(recipe))


# ------------------------------------------------------------------------------------------------------ presets


@pytest.mark.parametrize("preset", ["default", "simple"])
def test_presets_are_valid_and_say_their_name(preset: str) -> None:
    recipe = default(preset)
    assert check(recipe) == recipe
    assert recipe.preset == preset


def test_simple_is_one_relu_network() -> None:
    recipe = default("simple")
    assert (recipe.network.activation, recipe.network.initializer) == ("relu", "he_normal")
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.schedule) == ("adam", 1e-3, "constant")
    assert (recipe.ensemble.members, recipe.split.folds, recipe.ensemble.calibrate) == (1, 1, False)
    assert (recipe.prepare.numeric, recipe.prepare.clip, recipe.network.embedding) == ("standard", 0.0, "none")


def test_an_unknown_preset_is_named_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'simple'\?"):
        default("simpel")


# -------------------------------------------------------------------------------------------------------- check


def test_all_mistakes_are_reported_at_once() -> None:
    bad = Recipe(
        preset="nonsense",
        seed=-1,
        split=SplitRecipe(test=2.0, validation=0.0, group=3),  # type: ignore[arg-type]
        network=NetworkRecipe(hidden=(0, 8), activation="rleu", skip=1),  # type: ignore[arg-type]
        optimizer=OptimizerRecipe(name="sgd", learning_rate=float("nan"), weight_decay=0.1),
        training=TrainingRecipe(epochs=True, batch_size=2.5),  # type: ignore[arg-type]
    )
    with pytest.raises(RecipeError) as caught:
        check(bad)
    named = [mistake.split(" ")[0] for mistake in caught.value.mistakes]
    assert named == [
        "preset", "seed", "split.test", "split.validation", "split.group", "network.hidden", "network.activation",
        "network.skip", "optimizer.learning_rate", "training.epochs", "training.batch_size", "optimizer.weight_decay",
    ]  # fmt: skip
    assert "Did you mean 'relu'?" in str(caught.value)


def test_numbers_of_other_makes_become_plain_ones() -> None:
    given = Recipe(
        seed=np.int64(4),  # type: ignore[arg-type]
        network=NetworkRecipe(hidden=[np.int32(8), 4], dropout=0),  # type: ignore[list-item,arg-type]
        optimizer=OptimizerRecipe(learning_rate=1),
    )
    clean = check(given)
    assert type(clean.seed) is int
    assert clean.network.hidden == (8, 4)
    assert all(type(units) is int for units in clean.network.hidden)
    assert type(clean.optimizer.learning_rate) is float
    assert type(clean.network.dropout) is float


def test_a_section_of_the_wrong_type_is_named() -> None:
    with pytest.raises(RecipeError, match="network holds a dict; it takes a NetworkRecipe"):
        check(Recipe(network={"hidden": (3,)}))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="received dict"):
        check({})  # type: ignore[arg-type]


CONTRADICTIONS = [
    (["optimizer.nesterov=true", "optimizer.name=adam"], "nesterov belongs to sgd"),
    (["optimizer.nesterov=true"], "means adamw"),
    (["optimizer.nesterov=true", "optimizer.name=sgd", "momentum=0"], "needs momentum"),
    (["optimizer.momentum=0.5", "optimizer.name=adamw"], "momentum = 0.5 belongs to sgd"),
    (["optimizer.beta_1=0.5", "optimizer.name=sgd"], "beta_1 = 0.5 belongs to adam"),
    (["optimizer.weight_decay=0.1", "optimizer.name=adam"], "weight_decay = 0.1 belongs to adamw, lion"),
    (["optimizer.weight_decay=0.1", "optimizer.name=nadam"], "weight_decay = 0.1 belongs to adamw, lion"),
    (["optimizer.momentum=0", "optimizer.name=adadelta"], "momentum = 0 belongs to sgd, rmsprop"),
    (["optimizer.beta_1=0.5", "optimizer.name=rmsprop"], "beta_1 = 0.5 belongs to adam, adamw, nadam, lion"),
    (["optimizer.nesterov=true", "optimizer.name=rmsprop"], "nesterov belongs to sgd"),
    (["optimizer.schedule=one_cycle", "warmup=0.1"], "warmup = 0.1 contradicts"),
    (["optimizer.schedule_end=0.1"], "schedule_end = 0.1 belongs to step, exponential, inverse_time"),
    (["optimizer.schedule_drops=3", "schedule=exponential"], "schedule_drops = 3 belongs to step"),
    (["training.label_smoothing=0.1", "training.loss=mse"], "label_smoothing = 0.1"),
    (["split.time=when", "split.folds=5"], "contradicts split.time"),
    (["split.time=when", "split.group=who"], "both given"),
    (["split.folds=5", "ensemble.members=2"], "never be used"),
    (["prepare.numeric=none"], "Add prepare.clip = 0"),
    (["network.hidden=[]", "dropout=0.1"], "has none"),
    (["network.hidden=[]", "normalization=batch"], "has none"),
    (["stopping.criterion=none", "min_delta=0.1"], "has no effect"),
]


@pytest.mark.parametrize(("assignments", "message"), CONTRADICTIONS, ids=[" ".join(a) for a, _ in CONTRADICTIONS])
def test_contradictions(assignments: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        override(Recipe(), assignments)
    assert len(caught.value.mistakes) == 1
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "assignments",
    [
        ["optimizer.l2=0.1", "optimizer.weight_decay=0.1", "optimizer.name=adamw"],
        ["optimizer.nesterov=true", "optimizer.name=sgd"],
        ["optimizer.momentum=0.5", "optimizer.name=rmsprop"],
        ["optimizer.weight_decay=0.1", "beta_1=0.5", "optimizer.name=lion"],
        ["optimizer.momentum=0.9", "optimizer.name=adam"],  # what resolved recipes say
        ["optimizer.schedule=step", "schedule_end=0.1", "schedule_drops=3"],
        ["network.hidden=[]"],
        ["prepare.numeric=none", "prepare.clip=0"],
        ["preset=simple", "optimizer.name=sgd"],
        ["split.time=when"],
        ["ensemble.members=1"],
    ],
)
def test_what_only_looks_like_a_contradiction_is_allowed(assignments: list[str]) -> None:
    assert check(override(Recipe(), assignments))


# --------------------------------------------------------------------------------------------- mappings and TOML


def test_unknown_names_and_wrong_values_are_reported_together() -> None:
    with pytest.raises(RecipeError) as caught:
        from_mapping({"netwrk": {"hidden": [3]}, "network": {"hiden": [3]}, "optimizer": 3, "sead": 1, "seed": "one"})
    text = str(caught.value)
    assert len(caught.value.mistakes) == 5
    for part in ("Did you mean 'network'?", "'network.hiden'. Did you mean 'network.hidden'?", "optimizer is a section",
                 "'sead'. Did you mean 'seed'?", 'seed = "one"'):  # fmt: skip
        assert part in text


def test_a_mapping_of_the_wrong_type() -> None:
    with pytest.raises(RecipeError, match="received list"):
        from_mapping([])  # type: ignore[arg-type]


def test_the_preset_of_a_text_fills_the_rest() -> None:
    recipe = from_toml('preset = "simple"\n[network]\nhidden = [8]\n')
    assert recipe == replace(default("simple"), network=replace(default("simple").network, hidden=(8,)))


def test_a_syntax_error_names_the_line_and_shows_it() -> None:
    with pytest.raises(RecipeError, match=r"line 3.*'learning_rate = fast'"):
        from_toml("seed = 1\n[optimizer]\nlearning_rate = fast\n")


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert from_toml("\ufeffseed = 2").seed == 2


def test_every_entry_is_documented_in_the_commented_text() -> None:
    text = to_toml(Recipe())
    joined = " ".join(text.replace("#", " ").split())
    for entry in entries().values():
        assert entry.doc in joined
    assert tomllib.loads(text) == to_mapping(Recipe())
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "name", ['a "b"', "tab\tnew\nline", "\x00\x7f\x1f", "größe \U0001f600", "\\", "# no comment", "]"]
)
def test_any_column_name_survives(name: str) -> None:
    recipe = Recipe(split=SplitRecipe(group=name))
    assert from_toml(to_toml(recipe)) == recipe


def test_text_that_utf8_cannot_hold_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"split\.group.*UTF-8"):
        check(Recipe(split=SplitRecipe(group="\udcff")))


# ----------------------------------------------------------------------------------------------------- override


@pytest.mark.parametrize(
    ("assignment", "name", "value"),
    [
        ("network.hidden=[256,256]", "network.hidden", (256, 256)),
        ("network.hidden=[]", "network.hidden", ()),
        ("optimizer.learning_rate=1e-3", "optimizer.learning_rate", 1e-3),
        ("learning_rate=1", "optimizer.learning_rate", 1.0),
        ("learning_rate=auto", "optimizer.learning_rate", "auto"),
        ("seed = 3", "seed", 3),
        ("network.activation=relu", "network.activation", "relu"),
        ('network.activation="relu"', "network.activation", "relu"),
        ("split.group=2020-01-01", "split.group", "2020-01-01"),
        ("split.group=7", "split.group", "7"),
        ("split.group=", "split.group", ""),
        ("split.group=a=b", "split.group", "a=b"),
        ("network.skip=False", "network.skip", False),
        ("shuffle=false", "training.shuffle", False),
    ],
)
def test_values_of_assignments(assignment: str, name: str, value: Any) -> None:
    section, _, key = name.rpartition(".")
    recipe = override(Recipe(), [assignment])
    found = getattr(getattr(recipe, section) if section else recipe, key)
    assert found == value
    assert type(found) is type(value)
    assert override(Recipe(), [assignment]) == from_mapping(to_mapping(recipe))


def test_override_leaves_the_rest_alone() -> None:
    before = from_toml("seed = 9\n[ensemble]\nmembers = 3\n")
    assert override(before, ["epochs=5"]) == replace(before, training=TrainingRecipe(epochs=5))
    assert override(before, []) == before


def test_all_wrong_assignments_are_reported_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        override(
            Recipe(), ["lerning_rate=3", "network.hiden=[3]", "seed", "epochs=0", "hidden=256", "test=0", "test=0.5"]
        )
    text = str(caught.value)
    for part in (
        "'lerning_rate'. Did you mean 'optimizer.learning_rate'?", "Did you mean 'network.hidden'?",
        "'seed' is no assignment", "training.epochs = 0", "Write [256].", "test is given twice: 0 and 0.5",
    ):  # fmt: skip
        assert part in text
    assert len(caught.value.mistakes) == 6


def test_a_value_cannot_smuggle_in_other_entries() -> None:
    with pytest.raises(RecipeError, match=r"seed = "):
        override(Recipe(), ["seed=1\nother=2"])


def test_changing_the_preset_moves_only_what_was_not_changed() -> None:
    recipe = override(Recipe(network=NetworkRecipe(activation="tanh")), ["preset=simple", "learning_rate=0.5"])
    assert recipe.network.activation == "tanh"
    assert recipe.network.initializer == "he_normal"
    assert recipe.optimizer.learning_rate == 0.5
    assert recipe.ensemble == EnsembleRecipe(members=1, calibrate=False)
    assert override(recipe, ["preset=default"]).ensemble == EnsembleRecipe()


def test_an_ambiguous_last_part_is_refused_with_both_full_names() -> None:
    with pytest.raises(KeyError, match=r"ambiguous: write a\.rate or b\.rate"):
        _full_name("rate", ["a.rate", "b.rate", "c.kind"])


def test_last_parts_of_the_recipe_are_unambiguous() -> None:
    keys = [entry.key for entry in entries().values()]
    assert len(keys) == len(set(keys))


def test_canonical_leaves_wrong_auto_out() -> None:
    assert canonical(entries()["network.hidden"], "auto") == "auto"
    with pytest.raises(RecipeError, match="clip_norm"):
        override(Recipe(), ["clip_norm=auto"])
