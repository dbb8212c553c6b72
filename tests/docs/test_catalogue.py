"""The generated table of the catalogue says what is so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from docs.catalogue import IDS, PAGE, Row, mistakes, page, rows


def test_every_row_is_there_and_what_it_says_is_so() -> None:
    assert not list(mistakes(rows()))


def test_the_page_is_the_one_that_the_source_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(rows()), "run: python -m docs.catalogue"


SOUND = Row(
    id="T1",
    what="all",
    python=('fl.train(model, x, y, recipe=fl.default_recipe("simple"))',),
    recipe=("[optimizer]\nlearning_rate = 0.1",),
    cli=("fallline train data.csv -t y learning_rate=0.1 --seed 3",),
    tests=("tests/docs/test_catalogue.py::test_lies_are_noticed[open]",),
    picture=("README.md",),
)
LIES = {
    "recipe entry": ({"recipe": ("[optimizer]\nlerning_rate = 0.1",)}, "Did you mean"),
    "recipe value": ({"recipe": ('[optimizer]\nname = "adma"',)}, "is not allowed"),
    "recipe without an entry": ({"recipe": ("[optimizer]",)}, "names no entry"),
    "public name": ({"python": ("fl.tarin(model)",)}, "fl.tarin is no public name"),
    "argument": ({"python": ("fl.train(model, epoch=3)",)}, "no argument epoch"),
    "syntax": ({"python": ("fl.train(",)}, "no Python"),
    "command": ({"cli": ("fallline tarin data.csv",)}, "no command"),
    "option": ({"cli": ("fallline train data.csv --sead 3",)}, "--sead"),
    "assignment": ({"cli": ("fallline train data.csv lerning_rate=3",)}, "Did you mean"),
    "test": ({"tests": ("tests/docs/test_catalogue.py::test_none",)}, "no test"),
    "file of a test": ({"tests": ("tests/docs/none.py::test_none",)}, "no file"),
    "picture": ({"picture": ("gallery/none.svg",)}, "no picture"),
    "open": ({"tests": ()}, "neither open nor complete"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_are_noticed(name: str) -> None:
    changes, words = LIES[name]
    others = [Row(id=other, what="", open="all") for other in IDS[1:]]
    assert not list(mistakes([SOUND, *others]))
    found = list(mistakes([replace(SOUND, **changes), *others]))
    assert len(found) == 1
    assert words in found[0]


def test_a_missing_row_is_noticed() -> None:
    assert "must be" in next(iter(mistakes([SOUND])))
