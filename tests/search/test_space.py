"""Spaces: one notation, and every mistake at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.errors import InputError
from fallline.recipe import default
from fallline.search import DEFAULT_SPACE, choice, integer, log, make_space, uniform
from fallline.search.space import apply, at, levels, place
from fallline.types import Choice, Range


def test_toml_and_python_say_the_same(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        "[optimizer]\nlearning_rate = { log = [1e-4, 0.1] }\n[network]\ndropout = { uniform = [0, 0.5] }\n"
        "hidden = { choice = [[64], [128, 64]] }\nactivation = ['relu', 'selu']\n"
        "[training]\nbatch_size = { integer = [16, 256], spacing = 'log' }\n"
    )
    python = {
        "optimizer.learning_rate": log(1e-4, 0.1), "network.dropout": uniform(0, 0.5),
        "network.hidden": choice([64], [128, 64]), "network.activation": ["relu", "selu"],
        "training.batch_size": integer(16, 256, log=True),
    }  # fmt: skip
    assert make_space(path, default()) == make_space(python, default())


def test_the_default_space_fits_the_default_recipe():
    assert make_space(DEFAULT_SPACE, default()) == DEFAULT_SPACE


def test_all_mistakes_are_said_at_once():
    wrong = {
        "optimizer.learning_rat": log(1e-4, 0.1), "optimizer.learning_rate": log(0.1, 1e-4),
        "optimizer.weight_decay": log(0.0, 1.0), "network.dropout": uniform(0, 3), "network.hidden": [],
        "training.epochs": uniform(1, 9), "network.activation": ["relu", "rleu"], "optimizer.l2": 3,
    }  # fmt: skip
    with pytest.raises(InputError) as error:
        make_space(wrong, default())
    text = str(error.value)
    assert "8 mistakes" in text
    for words in ("'optimizer.learning_rate'", "impossible range", "above 0", "network.dropout = 3", "is empty",
                  "integer(1, 9)", "'relu'", "no range"):  # fmt: skip
        assert words in text, text


@pytest.mark.parametrize("given", [{}, 3, "nowhere.toml", {"network.dropout": {"log": [1]}}, {"seed": {"lgo": [1, 2]}}])
def test_no_space_at_all(given):
    with pytest.raises(InputError):
        make_space(given, default())


@given(st.floats(0, 1), st.booleans(), st.booleans())
def test_a_place_is_found_again_and_lies_inside(share, logarithmic, whole):
    dimension = Range(2, 2000, log=logarithmic, whole=whole)
    value = at(dimension, share)
    assert 2 <= value <= 2000
    assert at(dimension, place(dimension, value)) == pytest.approx(value)


def test_levels_hold_both_ends():
    assert levels(log(1e-3, 1e-1), 3) == [1e-3, 1e-2, 1e-1]
    assert levels(Choice(("a", "b")), 9) == ["a", "b"]
    assert levels(integer(1, 2), 9) == [1, 2]


def test_numbers_reach_the_recipe_with_every_digit():
    rate = 0.012345678901234567
    assert apply(default(), {"optimizer.learning_rate": rate}).optimizer.learning_rate == rate


def test_the_ready_space_leaves_out_what_quantities_refuse() -> None:
    assert "training.label_smoothing" in make_space("default", default(), "binary")
    left = make_space("default", default(), "regression")
    assert set(DEFAULT_SPACE) - set(left) == {"training.label_smoothing"}
