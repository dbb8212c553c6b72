"""What does not act is not part of a compiled program."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from fallline.recipe import default, override
from fallline.train.prepared import prepare
from fallline.train.programs import program_key
from fallline.train.table_task import ProgramKey

X = np.random.default_rng(0).normal(size=(40, 2))


def key(*changes: str) -> ProgramKey:
    problem = fl.make_problem(X, X[:, 0])
    return program_key(prepare(problem, override(default("simple"), ["hidden=[4]", *changes])), problem)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["criterion=none", "stopping.patience=7"], ["criterion=none", "stopping.patience=9"], True),
        (["criterion=gl", "alpha=3"], ["criterion=gl", "alpha=3", "stopping.patience=9"], True),
        (["criterion=gl", "alpha=3"], ["criterion=gl", "alpha=4"], True),  # a number of the member's
        (["criterion=gl"], ["criterion=pq"], False),
        (["training.order=errors", "emphasis=5"], [], True),
    ],
)
def test_recipes_that_differ_in_what_does_not_act_share_a_program(
    one: list[str], other: list[str], same: bool
) -> None:
    assert (key(*one) == key(*other)) is same
