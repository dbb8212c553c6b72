"""The search as a whole: real trainings of tiny networks, the journal, the border."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

import fallline as fl
from fallline.cli.search import STRATEGIES as NAMED
from fallline.errors import InputError
from fallline.recipe import default, override
from fallline.search import STRATEGIES, choice, log, uniform
from fallline.types import Choice, Search, Trial

_api = importlib.import_module("fallline.search.api")

SHORT = override(default("simple"), ["training.epochs=3", "network.hidden=[6]"])
SPACE = {"optimizer.learning_rate": log(1e-4, 1e-2)}
X = np.random.default_rng(0).normal(size=(48, 2))
DATA = (X, X[:, 0] - X[:, 1])


def found(**changes):
    return fl.search(SHORT, DATA, **{"space": SPACE, "folds": 2, "trials": 4, "widen": 0, **changes})


def test_the_command_line_names_all_strategies():
    assert tuple(STRATEGIES) == NAMED


def test_every_trial_is_what_its_training_scores():
    result = found()
    assert len(result.trials) == 4
    again = fl.evaluate(result.recipe, DATA, folds=2, baselines=False)
    assert again.score("simple").value == pytest.approx(result.best.value)
    assert result.best.value == min(trial.value for trial in result.trials)
    assert result.recipe.optimizer.learning_rate == result.best.point["optimizer.learning_rate"]
    assert list(result.table.columns) == ["optimizer.learning_rate", "epochs", "rmse", "diverged"]
    assert "selected on" in str(result)


def test_a_search_goes_on_from_its_journal(tmp_path, monkeypatch):
    journal = tmp_path / "journal.jsonl"
    whole = found(journal=journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # two trials, and one that was cut off
    trained = []
    real = _api.measure

    def counted(problem, recipes, **options):
        trained.append(len(recipes))
        return real(problem, recipes, **options)

    monkeypatch.setattr(_api, "measure", counted)
    resumed = found(journal=journal)
    assert trained == [2]
    assert [t.value for t in resumed.trials] == [t.value for t in whole.trials]
    with pytest.raises(InputError, match="trials differs"):
        found(journal=journal, trials=5)
    (tmp_path / "other").write_text("a letter\n")
    with pytest.raises(InputError, match="something else"):
        found(journal=tmp_path / "other")


def test_an_interruption_keeps_what_is_finished(tmp_path, monkeypatch):
    real = _api.measure

    def interrupted(problem, recipes, **options):
        real(problem, recipes[:2], **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(_api, "measure", interrupted)
    stopped = found(journal=tmp_path / "journal.jsonl")
    assert stopped.outcome == "interrupted"
    assert len(stopped.trials) == 2
    monkeypatch.setattr(_api, "measure", real)
    assert len(found(journal=tmp_path / "journal.jsonl").trials) == 4


def test_the_budget_ends_it(monkeypatch):
    monkeypatch.setattr(_api, "_TOGETHER", 2)  # one candidate at a time
    short = found(budget=1e-6)
    assert short.outcome == "budget"
    assert len(short.trials) == 1


def test_short_trainings_have_their_epochs():
    result = fl.search(SHORT, DATA, SPACE, strategy="halving", trials=3, folds=2, widen=0)
    assert [trial.epochs for trial in result.trials] == [1, 1, 1, None]
    assert result.best.epochs is None


def test_a_border_is_widened():
    space = {"optimizer.learning_rate": log(1e-5, 1e-4)}
    result = found(space=space, strategy="grid", trials=3, widen=1)
    assert result.space["optimizer.learning_rate"].high > 1e-4
    assert result.best.point["optimizer.learning_rate"] > 1e-4
    fixed = found(space=space, strategy="grid", trials=3)
    assert [finding.symptom for finding in fixed.findings][:1] == ["best-value-on-border"]


def made(trials=40, seed=0):
    generator = np.random.default_rng(seed)
    space = {"optimizer.learning_rate": log(1e-4, 1.0), "network.dropout": uniform(0.0, 0.5),
             "network.activation": choice("relu", "selu")}  # fmt: skip
    rows = []
    for number in range(trials):
        rate = 10 ** generator.uniform(-4, 0)
        point = {"optimizer.learning_rate": rate, "network.dropout": generator.uniform(0, 0.5),
                 "network.activation": generator.choice(["relu", "selu"]).item()}  # fmt: skip
        value = (math.log10(rate) + 2) ** 2 + 0.1 * point["network.dropout"]
        rows.append(Trial(number, point, value, ((value,),), None, 0, SHORT))
    return Search("rmse", False, "random", space, tuple(rows))


def test_the_u_curve_has_its_bottom_inside_and_the_rate_matters():
    pytest.importorskip("matplotlib").use("Agg")
    search = made()
    curve = search.u_curve("optimizer.learning_rate")
    assert 0 < int(curve["rmse"].argmin()) < len(curve) - 1
    assert len(search.u_curve("network.activation")) == 2
    shares = search.importance()
    assert shares["entry"][0] == "optimizer.learning_rate"
    assert shares["share"][0] > 0.7
    assert search.plot_u_curve("optimizer.learning_rate").get_xscale() == "log"
    assert search.plot_u_curve("network.activation").get_xlabel() == "network.activation"
    assert len(search.plot_importance().patches) == 3
    assert search.plot().get_xlabel() == search.importance()["entry"].iloc[0]
    assert isinstance(search.space["network.activation"], Choice)
    with pytest.raises(InputError, match="did not vary"):
        search.u_curve("optimizer.l2")
    with pytest.raises(InputError, match="too few"):
        made(4).importance()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strategy": "radnom"}, "'random'"),
        ({"trials": 0}, "trials = 0"),
        ({"budget": 0}, "too small for one training"),
        ({"budget": "soon"}, "'10 minutes'"),
        ({"folds": 49}, "only 48 rows"),
        ({"space": {"optimizer.learning_rate": log(1, 0.1)}}, "impossible range"),
        ({"space": {"optimiser.learning_rate": [1]}}, "unknown entry"),
        ({"engine": "rya"}, "engine"),
        ({"strategy": "grid", "trials": 1}, "too small for a grid"),
        ({"strategy": "halving", "trials": 2}, "too few to halve"),
    ],
)
def test_mistakes_are_said_before_any_training(changes, words, monkeypatch):
    monkeypatch.setattr(_api, "measure", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(InputError, match=words):
        found(**changes)
