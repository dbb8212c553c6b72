"""Evaluation: what is chosen inside the folds cannot flatter the score outside."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.recipe import default, override
from fallline.types import Range

SHORT = override(default("simple"), ["training.epochs=4", "network.hidden=[8]", "learning_rate=0.01"])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(90, 3))
    y = np.where(x[:, 0] + 0.3 * generator.normal(size=90) > 0, "yes", "no")
    return pd.DataFrame(x, columns=["a", "b", "c"]).assign(who=np.arange(90) // 6, day=np.arange(90), answer=y)


def test_baselines_stand_beside_with_intervals(table):
    found = fl.evaluate(SHORT, table, target="answer", folds=3, seeds=[0, 1])
    assert found.names == ("simple", "dummy", "linear")
    assert found.values["log_loss"]["simple"].shape == (3, 2)
    assert found.metric == "log_loss"
    assert found.best == "linear"
    for who in found.names:
        one = found.score(who)
        assert one.low < one.value < one.high
    assert found.trainings == 6
    assert "linear" in str(found)
    assert found.to_dict()["scores"][0]["metric"] == "log_loss"


def test_each_value_is_what_the_training_scores(table):
    found = fl.evaluate(SHORT, table, target="answer", folds=3, baselines=False)
    runs = fl.train_many(SHORT, table, target="answer", folds=list(found.folds), verbose=0)
    assert found.values["log_loss"]["simple"][:, 0] == pytest.approx([run.scores[0].value for run in runs])


def test_the_linear_baseline_is_prepared_by_training_rows(table):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    from fallline.data import Preparation, make_problem

    found = fl.evaluate(SHORT, table, target="answer", folds=3)
    problem = make_problem(table, target="answer")
    train, held = found.folds[1]
    preparation = Preparation.fit(problem, train, SHORT.prepare)
    x = preparation.features(preparation.raw(problem.frame))
    p = LogisticRegression(max_iter=300).fit(x[train], problem.y[train]).predict_proba(x[held])
    assert found.values["log_loss"]["linear"][1, 0] == pytest.approx(log_loss(problem.y[held], p), rel=1e-5)


def test_recipes_are_compared_on_the_same_folds(table):
    frozen = replace(SHORT, optimizer=replace(SHORT.optimizer, learning_rate=1e-9))
    found = fl.evaluate({"short": SHORT, "frozen": frozen}, table, target="answer", folds=4, baselines=False)
    (difference,) = found.differences
    gap = found.values["log_loss"]["short"] - found.values["log_loss"]["frozen"]
    assert difference.value == pytest.approx(gap.mean())
    assert difference.value < 0
    assert difference.verdict in ("better", "cannot tell")
    assert "short - frozen" in str(difference)


def test_a_single_hold_out_has_intervals_over_rows(table):
    found = fl.evaluate(SHORT, table, target="answer", folds=1, share=0.3, metric="accuracy")
    one = found.score("simple")
    assert len(found.folds) == 1
    assert one.low <= one.value <= one.high
    assert one.low < one.high
    assert found.score("linear").low < 1
    assert math.isnan(found.differences[0].p)


def test_groups_stay_together_inside_and_outside(table):
    found = fl.evaluate(SHORT, table, target="answer", folds=3, group="who", baselines=False)
    for train, held in found.folds:
        assert not set(table["who"].iloc[train]) & set(table["who"].iloc[held])
    assert "by group" in found.scheme


def test_time_holds_out_what_follows(table):
    found = fl.evaluate(SHORT, table, target="answer", folds=3, time="day", baselines=False)
    for train, held in found.folds:
        assert train.max() < held.min()


def test_repeats_and_fold_seeds(table):
    found = fl.evaluate(SHORT, table, target="answer", folds=2, repeats=2, baselines=False)
    other = fl.evaluate(SHORT, table, target="answer", folds=2, repeats=2, seed=5, baselines=False)
    assert len(found.folds) == 4
    assert not np.array_equal(found.folds[0][1], found.folds[2][1])
    assert not np.array_equal(found.folds[0][1], other.folds[0][1])
    same = fl.evaluate(SHORT, table, target="answer", folds=2, repeats=2, baselines=False)
    assert np.array_equal(found.values["log_loss"]["simple"], same.values["log_loss"]["simple"])


def test_nested_evaluation_is_not_fooled_by_selection():
    # The target is noise, and the candidates differ in their luck alone. The best of them looks as if it could do
    # something, on the folds that it was chosen by; the same choice made inside the outer folds does not.
    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(60, 4)), generator.permutation(np.repeat([0, 1], 30))
    untrained = override(default("simple"), ["network.hidden=[8]", "learning_rate=1e-6", "training.epochs=1"])
    candidates = {f"{seed}": replace(untrained, seed=seed) for seed in range(20)}
    naive = fl.evaluate(candidates, (x, y), folds=3, metric="accuracy", baselines=False)
    nested = fl.evaluate(candidates, (x, y), folds=3, inner=3, nested=True, metric="accuracy")
    honest = nested.score("nested")
    assert naive.score(naive.best).value >= 0.6
    assert nested.selected_on >= 0.6
    assert honest.value <= 0.55
    assert honest.low < 0.5
    assert len(nested.chosen) == 3
    assert nested.trainings == 20 * 9 + 3
    assert "no forecast" in str(nested)


def test_a_function_chooses_by_the_training_rows_alone(table):
    seen = []

    def choose(problem):
        seen.append(problem)
        return SHORT

    found = fl.evaluate(SHORT, table, target="answer", folds=3, nested=choose, baselines=False)
    assert [problem.n_rows for problem in seen] == [len(train) for train, _ in found.folds]
    for problem, (train, _) in zip(seen, found.folds, strict=True):
        assert problem.frame["day"].tolist() == table["day"].iloc[train].tolist()
    plain = fl.evaluate(SHORT, table, target="answer", folds=3, baselines=False)
    assert found.values["log_loss"]["nested"] == pytest.approx(plain.values["log_loss"]["simple"])


def test_a_space_is_searched_inside_each_outer_fold(table):
    space = {"optimizer.learning_rate": [1e-9, 0.03]}
    for strategy in ("grid", "coordinate"):
        found = fl.evaluate(
            SHORT, table, target="answer", folds=2, inner=2, nested=space, strategy=strategy, trials=2, baselines=False
        )
        assert [recipe.optimizer.learning_rate for recipe in found.chosen] == [0.03, 0.03]
    with pytest.raises(InputError, match="impossible range"):
        fl.evaluate(SHORT, table, target="answer", nested={"network.dropout": Range(0.5, 0.1)})
    with pytest.raises(InputError, match="one recipe"):
        fl.evaluate({"a": SHORT, "b": SHORT}, table, target="answer", nested=space)


def test_regression():
    x = np.linspace(-1, 1, 60)[:, None]
    found = fl.evaluate(SHORT, (x, 3.0 * x[:, 0]), folds=3)
    assert found.metric == "rmse"
    assert found.score("linear").value < found.score("dummy").value
    assert found.score("linear", "r2").value > 0.9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folds": 91}, "fewer rows"),
        ({"metric": "rmse"}, "log_loss"),
        ({"metric": "acuracy"}, "accuracy"),
        ({"seeds": [0, 0]}, "name each once"),
        ({"seeds": []}, "seeds"),
        ({"nested": True}, "at least two"),
        ({"nested": 3}, "nested"),
        ({"group": "whom"}, "who"),
        ({"time": np.arange(90)}, "column's name"),
        ({"folds": [([0, 1], [1, 2])]}, "both sides"),
        ({"repeats": 2, "folds": [([0, 1], [2])]}, "repeats"),
    ],
)
def test_mistakes_are_said_before_any_training(table, changes, words, monkeypatch):
    many = importlib.import_module("fallline.train.many")
    monkeypatch.setattr(many, "train_many_problems", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(InputError, match=words):
        fl.evaluate(SHORT, table, target="answer", **changes)


def test_a_class_that_is_absent_from_a_fold(table, monkeypatch):
    many = importlib.import_module("fallline.train.many")
    monkeypatch.setattr(many, "train_many_problems", lambda *_, **__: pytest.fail("work began"))
    rare = table.assign(answer=np.where(np.arange(90) < 3, "maybe", table["answer"]))
    with pytest.raises(InputError, match=r"'maybe' \(3\).*at most 3 folds"):
        fl.evaluate(SHORT, rare, target="answer", folds=5)
    with pytest.raises(InputError, match="fold 1 hold no row of the class 'maybe'"):
        fl.evaluate(SHORT, rare, target="answer", folds=[(np.arange(3, 90), np.arange(3))])


def test_a_diverged_training_is_said(table):
    wild = override(SHORT, ["optimizer.name=sgd", "optimizer.learning_rate=1e30", "stopping.criterion=none",
                            "stopping.restore_best=false"])  # fmt: skip
    found = fl.evaluate({"wild": wild, "short": SHORT}, table, target="answer", folds=2, baselines=False)
    assert math.isnan(found.score("wild").value)
    assert found.best == "short"
    assert any("diverged" in note for note in found.notes)
