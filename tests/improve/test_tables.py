"""Recipes on tables: real trainings of tiny networks."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.experiment import EnoughError
from fallline.improve.tables import TableBench
from fallline.recipe import default, override
from fallline.train.api import make_recipe_problem

SHORT = override(default("simple"), ["training.epochs=5", "network.hidden=[6]", "optimizer.learning_rate=1e-5"])
X = np.random.default_rng(0).normal(size=(90, 2))
DATA = (X, X[:, 0] - X[:, 1])


@pytest.fixture(scope="module")
def slow_one():
    return fl.improve(SHORT, DATA, folds=3, seeds=2, trainings=30, budget=None)


def test_a_training_that_is_far_too_slow_is_treated(slow_one):
    assert slow_one.treatments
    assert any("learning-rate-too-low" in reason for reason in slow_one.ledger[0].reasons.values())
    assert slow_one.trainings <= 30
    assert not slow_one.before.healthy


def test_the_result_is_scored_on_rows_that_no_choice_saw(slow_one):
    value = {score.who: score for score in slow_one.scores if score.metric == "rmse"}
    assert set(value) == {"model", "control", "dummy", "linear"}
    assert {score.n for score in value.values()} == {18}
    assert value["model"].value < value["control"].value
    assert slow_one.run.predict(X).shape == (90,)
    assert slow_one.to_dict()["ledger"][0]["experiment"]["comparisons"]
    assert "kept: " in str(slow_one)


def test_what_the_table_does_not_allow_is_said_before_any_work(tmp_path):
    labels = np.array(["a"] * 87 + ["b"] * 3)
    with pytest.raises(InputError, match="classes with fewer rows"):
        fl.improve(SHORT, (X, labels), folds=5, folder=tmp_path / "new")
    with pytest.raises(InputError, match="folds"):
        fl.improve(SHORT, (X[:20], DATA[1][:20]), folds=30)
    with pytest.raises(InputError, match="takes a Recipe"):
        fl.improve(3, DATA)
    assert not (tmp_path / "new").exists()


def test_arms_that_are_done_when_the_time_is_over_are_compared_and_remembered():
    """The fourth of four trainings of three folds is not begun; what was trained is not trained again."""
    problem = make_recipe_problem(*DATA, None, None, None)
    bench = TableBench(SHORT, problem, folds=3, holdout=0.2, metric=None, seed=0)
    rates = {f"{rate:g}": override(SHORT, [f"optimizer.learning_rate={rate:g}"]) for rate in (0.01, 0.02, 0.03)}
    ended = []

    def in_time(now):
        if now.epoch >= now.epochs:
            ended.append(now)
        if len(ended) == 3:
            raise EnoughError

    found = bench.experiment(SHORT, rates, [5], 0, in_time)
    assert list(found.scores) == ["control", "0.01"]
    assert bench.remembers(SHORT, [5], 0)
    assert not bench.remembers(SHORT, [5], 1)
    assert not bench.remembers(SHORT, [5, 6], 0)
    assert not bench.remembers(rates["0.03"], [5], 0)
    again = bench.experiment(SHORT, {"0.01": rates["0.01"]}, [5], 0, lambda now: pytest.fail("it was trained again"))
    assert again.scores == found.scores
    with pytest.raises(EnoughError):
        bench.experiment(SHORT, {"0.02": rates["0.02"]}, [6], 0, in_time)
