"""Each strategy on a known function instead of trainings: budget, rounds, reproducibility, and that it finds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fallline.errors import InputError
from fallline.search import STRATEGIES, choice, log, uniform
from fallline.search.strategy import Plan

SPACE = {
    "optimizer.learning_rate": log(1e-4, 1.0), "network.dropout": uniform(0.0, 0.8),
    "network.activation": choice("relu", "selu"),
}  # fmt: skip
EPOCHS = 81


def loss(proposal):
    """Least at a rate of 0.01, a dropout of 0.2 and selu; short trainings are worse."""
    point = proposal.point
    short = 1.0 if proposal.epochs is None else EPOCHS / proposal.epochs
    return (
        math.log10(point["optimizer.learning_rate"] / 0.01) ** 2 + 4 * (point["network.dropout"] - 0.2) ** 2
        + (point["network.activation"] == "relu") + 0.01 * short
    )  # fmt: skip


def run(strategy, trials=60, seed=0, diverge=False):
    if strategy == "tpe":
        pytest.importorskip("optuna")
    plan = Plan(SPACE, trials, {}, EPOCHS, np.random.default_rng(seed), seed)
    rounds, asked = STRATEGIES[strategy](plan), []
    try:
        proposals = next(rounds)
        while True:
            asked += proposals
            proposals = rounds.send([math.inf if diverge else loss(p) for p in proposals])
    except StopIteration:
        return asked


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_finds_stays_in_budget_and_repeats_itself(strategy):
    asked = run(strategy)
    whole = [p for p in asked if p.epochs is None]
    assert min(map(loss, whole)) < 0.5
    if strategy != "halving":  # counts those drawn
        assert len(asked) <= 60
    for proposal in asked:
        assert 1e-4 <= proposal.point["optimizer.learning_rate"] <= 1.0
        assert 0.0 <= proposal.point["network.dropout"] <= 0.8
    assert [dict(p.point) for p in run(strategy)] == [dict(p.point) for p in asked]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_trainings_that_diverge_do_not_stop_it(strategy):
    assert len(run(strategy, diverge=True)) >= 10


@pytest.mark.parametrize("strategy", ["random", "coordinate", "zoom", "tpe"])
def test_one_trial_is_enough(strategy):
    assert len(run(strategy, trials=1)) == 1


@pytest.mark.parametrize("strategy", ["grid", "halving", "hyperband"])
def test_a_budget_that_is_too_small_is_said(strategy):
    with pytest.raises(InputError, match="trials = 2"):
        run(strategy, trials=2)


def test_halving_keeps_the_best_third():
    asked = run("halving", trials=27)
    rungs = [[p for p in asked if p.epochs == epochs] for epochs in (3, 9, 27, None)]
    assert [len(rung) for rung in rungs] == [27, 9, 3, 1]
    first = sorted(rungs[0], key=loss)[:9]
    assert {str(p.point) for p in first} == {str(p.point) for p in rungs[1]}


def test_zooming_narrows():
    asked = run("zoom")
    rates = np.log10([p.point["optimizer.learning_rate"] for p in asked])
    assert np.ptp(rates[-15:]) < 0.5 * np.ptp(rates[:15])
