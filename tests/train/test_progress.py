"""What is said on standard error while a training goes on."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import fallline as fl
from fallline.data import make_problem
from fallline.train.progress import say_kind
from fallline.types import Problem, Run

X = np.linspace(0.0, 1.0, 200)[:, None]
GRADES = np.arange(200) % 7 + 3


def test_the_kind_and_the_reason_are_said_once_where_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    problem = make_problem(X, GRADES)
    for verbose in (0, "auto"):  # no terminal
        say_kind(problem, verbose)
    say_kind(make_problem(X, GRADES, kind="regression"), 1)
    assert capsys.readouterr() == ("", "")
    say_kind(problem, 1)
    assert capsys.readouterr().err.startswith("target: multiclass. The target 'target' takes 7 whole numbers")


@pytest.mark.parametrize("verb", ["train", "train_many"])
def test_a_training_begins_with_it(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained(problem: Problem, *_: object, **__: object) -> list[Run]:
        return []

    # `fallline.train` is the function; its room is found by the import system alone.
    monkeypatch.setattr(importlib.import_module("fallline.train.table"), "train_problem", trained)
    monkeypatch.setattr(importlib.import_module("fallline.train.many"), "train_many_problems", trained)
    getattr(fl, verb)("simple", X, GRADES, verbose=1)
    assert "kind='regression'" in capsys.readouterr().err
