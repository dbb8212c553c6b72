"""Experiments: what is decided, how often it is wrong, and a treatment that truly helps."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.experiment.paired import ALPHA, compare
from fallline.recipe import default, override

DRAWS = 1000


@pytest.mark.parametrize(("of_folds", "of_seeds"), [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("arms", [1, 4])
def test_a_treatment_that_does_nothing_is_seldom_found_to_do_something(of_folds, of_seeds, arms):
    rng, wrong = np.random.default_rng(0), 0
    control = np.zeros((3, 5))
    for _ in range(DRAWS):
        treated = {
            str(arm): of_folds * rng.normal(size=(1, 5)) + of_seeds * rng.normal(size=(3, 5)) for arm in range(arms)
        }
        wrong += any(one.decision != "cannot tell" for one in compare(control, treated, share=0.25))
    assert wrong / DRAWS <= ALPHA


def test_a_clear_difference_is_found_in_both_directions():
    rng = np.random.default_rng(0)
    control = rng.normal(1.0, 0.1, (3, 5))
    arms = {"up": control + 1 + rng.normal(0, 0.1, (3, 5)), "down": control - 1 + rng.normal(0, 0.1, (3, 5))}
    assert [one.decision for one in compare(control, arms, share=0.25)] == ["hurts", "helps"]
    assert [one.decision for one in compare(control, arms, share=0.25, higher_is_better=True)] == ["helps", "hurts"]


def test_more_seeds_are_asked_for_where_they_would_decide():
    chance = np.array([[2.0, -1.0, 1.5, -0.5, 1.0], [-1.5, 2.5, -1.0, 2.2, -0.5]])
    (one,) = compare(np.zeros((2, 5)), {"arm": chance}, share=0.25, higher_is_better=True)
    assert one.decision == "cannot tell"
    assert one.more_seeds is not None
    folds_differ = np.tile([3.0, -2.0, 3.0, -2.0, 1.0], (2, 1))
    (other,) = compare(np.zeros((2, 5)), {"arm": folds_differ}, share=0.25)
    assert other.more_seeds is None


def test_equal_arms_do_not_differ():
    (one,) = compare(np.ones((2, 3)), {"same": np.ones((2, 3))}, share=0.5)
    assert (one.mean, one.p, one.decision, one.more_seeds) == (0.0, 1.0, "cannot tell", None)


def test_a_remedy_is_told_from_a_placebo():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    crippled = override(default("simple"), ["epochs=20", "hidden=[8]", "learning_rate=1e-6"])
    arms = {"higher": override(crippled, ["learning_rate=0.03"]), "same": crippled}
    found = fl.experiment(crippled, arms, x, x @ [3.0, -2.0], seeds=1, folds=3)
    assert found["higher"].decision == "helps"
    assert found["same"].mean == 0
    assert found.best is found["higher"]
    assert len(found.scores["control"]) == 3
    assert json.loads(json.dumps(found.to_dict()))["metric"] == found.metric == "rmse"


@pytest.mark.parametrize(
    ("control", "treated", "more", "words"),
    [
        ("simple", [], {}, "nothing to compare"),
        ("simple", ["use-adm"], {}, "Did you mean 'use-adam'"),
        (3, ["use-adam"], {}, "takes a Recipe"),
        ("simple", ["add-dropout"], {"folds": 1}, "at least 1 seed and 2 folds"),
        ("simple", ["add-dropout"], {"seeds": 0}, "at least 1 seed and 2 folds"),
        ("simple", ["add-dropout"], {"epochs": 3}, "epochs belongs to Keras models"),
        ("simple", ["scale-inputs"], {"fork_at": 3}, "nothing to change"),
        ("simple", ["wider-layers"], {"fork_at": 3}, "wider-layers: its weights have other shapes"),
        ("simple", ["add-dropout"], {"metric": "auc"}, "its scores are rmse"),
    ],
)
def test_mistakes_are_explained_before_any_training(control, treated, more, words):
    with pytest.raises(InputError, match=words):
        fl.experiment(control, treated, np.arange(40.0).reshape(20, 2), np.arange(20.0), **more)
