"""The saved model loaded again: compared row by row, and its columns shuffled one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fallline.data import Preparation, make_problem, split_rows
from fallline.recipe import default
from fallline.score import score
from fallline.train import examine_final, final
from fallline.types import HeldOut, Problem, Run, Trace

EMPTY = Trace.from_columns({k: [] for k in ("member", "epoch", "layer", "quantity", "value")})


@pytest.fixture(scope="module")
def problem() -> Problem:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"useful": rng.normal(size=300), "idle": rng.normal(size=300), "half": rng.normal(size=300)})
    return make_problem(frame.assign(y=2 * frame["useful"] + 0.5 * frame["half"]), target="y")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """A network that is known: 2 useful + half / 2; what it was asked is kept."""
    asked: list[np.ndarray] = []

    def apply(model: Any, x: np.ndarray) -> np.ndarray:
        asked.append(x)
        return model + (2 * x[:, :1] + 0.5 * x[:, 2:3])

    monkeypatch.setattr(final, "apply_model", apply)
    return asked


def run_of(problem: Problem, **facts: Any) -> Run:
    recipe = default("simple")
    train, test = split_rows(problem, recipe.split, recipe.seed)
    preparation = Preparation.fit(problem, train, recipe.prepare)
    predicted = problem.y[test]
    return Run(
        0.0, EMPTY, "completed", recipe, preparation=preparation,
        held_out=HeldOut(problem.y[test], predicted, index=test),
        scores=score("regression", problem.y[test], predicted + 0.01), facts={"kind": "regression", **facts},
    )  # fmt: skip


def test_the_loaded_model_is_compared_with_what_was_predicted_before(problem: Problem, model: list[np.ndarray]) -> None:
    run = run_of(problem)
    assert run.held_out is not None
    found = examine_final(run, problem, 0.0, "model.keras", b"content")
    assert (found.rows, found.n, found.size) == ("test", len(run.held_out.y), 7)
    assert found.largest < 1e-6
    assert problem.y[found.row] == pytest.approx(found.again, abs=1e-6)
    assert examine_final(run, problem, 0.5, "model.keras", b"content").largest == pytest.approx(0.5, abs=1e-6)


def test_columns_that_are_used_are_important_and_idle_ones_are_not(problem: Problem, model: list[np.ndarray]) -> None:
    found = examine_final(run_of(problem), problem, 0.0, "model.keras", b"")
    assert found.importance is not None
    assert found.metric == "rmse"
    assert found.columns == ("useful", "half", "idle")
    means = dict(zip(found.columns, found.importance.mean(axis=1), strict=True))
    assert means["idle"] == 0, "a column that the network never reads changes nothing"
    assert means["useful"] > 2 * means["half"] > 0
    assert found.importance.shape == (3, 5)
    again = examine_final(run_of(problem), problem, 0.0, "model.keras", b"")
    assert np.array_equal(again.importance, found.importance), "the same seed, the same figures"


def test_a_large_network_is_asked_less_often(problem: Problem, model: list[np.ndarray]) -> None:
    small = examine_final(run_of(problem, parameters=100), problem, 0.0, "model.keras", b"")
    model.clear()
    large = examine_final(run_of(problem, parameters=10_000_000), problem, 0.0, "model.keras", b"")
    assert small.left_out == 0
    assert large.left_out == 2
    assert large.columns == ("useful",) or len(large.columns) == 1
    assert sum(len(x) for x in model[1:]) * 10_000_000 < 2 * 5e9


def test_without_rows_kept_apart_nothing_is_shuffled(problem: Problem, model: list[np.ndarray]) -> None:
    run = run_of(problem)
    found = examine_final(run.with_(held_out=HeldOut(problem.y, problem.y, "out_of_fold")), problem, 0.0, "m", b"")
    assert (found.rows, found.largest, found.importance) == ("training", 0.0, None)
    assert "kept apart" in found.reason
