"""Stopping criteria and rates that react, from recipes: for tables, for Keras models, with contradictions named."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import make_circles

import fallline as fl
from fallline.engine import Stopping
from fallline.errors import RecipeError
from fallline.recipe import default, override
from fallline.train.halting import make_stopping, stopping_section
from fallline.types import Recipe, Run, StoppingRecipe

TINY = [
    "network.hidden=[32]", "training.epochs=60", "training.batch_size=16", "learning_rate=0.03", "split.test=0",
    "ensemble.members=2", "split.folds=2",
]  # fmt: skip


def circles() -> tuple[np.ndarray, np.ndarray]:
    x, y = make_circles(60, noise=0.4, factor=0.5, random_state=1)
    return x.astype(np.float32), y


def tiny(*changes: str) -> Recipe:
    return override(default("simple"), [*TINY, *changes])


def first_stop(criterion: str, alpha: float, strip: int, successive: int, held: Any, trained: Any) -> int:
    for t in range(1, len(held) + 1):
        lost = 100.0 * (held[t - 1] / min(held[:t]) - 1.0)
        part = trained[max(0, t - strip) : t]
        ends = [held[k - 1] for k in range(strip, t + 1, strip)]
        progress = 1000.0 * (sum(part) / (strip * min(part)) - 1.0)
        rises = np.diff(ends[-successive - 1 :]) > 0
        if criterion == "gl" and lost > alpha:
            return t
        if criterion == "pq" and t % strip == 0 and lost > alpha * progress:
            return t
        if criterion == "up" and t % strip == 0 and len(ends) > successive and rises.all():
            return t
    return len(held)


def member_curves(run: Run, member: int) -> tuple[Any, Any]:
    return run.trace.curve("val_loss", member=member), run.trace.curve("loss", member=member)


@pytest.mark.parametrize("criterion", ["gl", "pq", "up"])
def test_a_keras_model_and_a_table_stop_where_the_criterion_says(criterion: str) -> None:
    x, y = circles()
    numbers = {"gl": {"alpha": 3.0}, "pq": {"alpha": 0.1, "strip": 3}, "up": {"strip": 3, "successive": 1}}[criterion]
    section = {"criterion": criterion, **numbers}
    known = {"alpha": 0.0, "strip": 5, "successive": 1} | numbers
    table = fl.train(tiny(*(f"stopping.{k}={v}" for k, v in section.items())), x, y, verbose=0, watch=False)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.03), loss="binary_crossentropy")
    own = fl.train(
        model, x, y[:, None], validation_split=0.4, epochs=60, batch_size=8, early_stopping=section, verbose=0,
        watch=False,
    )
    for run in (table, own):
        for member, facts in enumerate(run.facts["members"]):
            held, trained = member_curves(run, member)
            assert len(held) == first_stop(criterion, held=held, trained=trained, **known) == facts["epochs"]
            assert facts["best_epoch"] == np.argmin(held) + 1
        assert run.outcome == "stopped_early"


def test_each_member_has_a_rate_of_its_own() -> None:
    x, y = circles()
    changes = ["schedule=plateau", "reduce_factor=0.5", "reduce_patience=3", "reduce_min_delta=0", "criterion=none"]
    run = fl.train(override(tiny(*changes), ["learning_rate=0.01"]), x, y, verbose=0, watch=False)
    for member in (0, 1):
        rates = run.trace.curve("learning_rate", member=member)
        lowest, wait, rate = np.inf, 0, 0.01
        for shown, loss in zip(rates, run.trace.curve("val_loss", member=member), strict=True):
            assert shown == pytest.approx(rate, rel=1e-6)
            lowest, wait = (loss, 0) if loss < lowest else (lowest, wait + 1)
            if wait >= 3:
                rate, wait = 0.5 * rate, 0
    one, other = (run.trace.curve("learning_rate", member=member) for member in (0, 1))
    assert (one != other).any()
    assert one[-1] < 0.01


def test_the_rate_of_a_keras_model_falls_on_a_plateau() -> None:
    x, y = circles()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    # Nothing improves by so much: the rate is halved every epoch from the second on, and with it the weights' moves.
    changes = ["optimizer.name=sgd", "momentum=0", "learning_rate=0.5", "schedule=plateau", "reduce_factor=0.5"]
    recipe = override(default(), [*changes, "reduce_patience=1", "reduce_min_delta=100"])
    w = np.array([0.3, -0.4], np.float32)[:, None]
    model.set_weights([w, np.zeros(1, np.float32)])
    fl.train(
        model, x, y[:, None].astype(np.float32), recipe=recipe, epochs=4, batch_size=60, early_stopping=False,
        verbose=0, watch=False,
    )
    kernel, bias = w.astype(np.float64), np.zeros(1)
    for rate in (0.5, 0.5, 0.25, 0.125):
        error = 2.0 * (x @ kernel + bias - y[:, None]) / 60
        kernel, bias = kernel - rate * x.T @ error, bias - rate * error.sum(axis=0)
    np.testing.assert_allclose(model.get_weights()[0], kernel, rtol=1e-4)
    np.testing.assert_allclose(model.get_weights()[1], bias, rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("gl", StoppingRecipe("gl")), ({"criterion": "up", "strip": 3}, StoppingRecipe("up", strip=3)), (3.0, None)],
)
def test_what_early_stopping_means(given: Any, expected: StoppingRecipe | None) -> None:
    assert stopping_section(given) == expected


def test_what_a_criterion_does_not_read_does_not_reach_its_program() -> None:
    one = StoppingRecipe("gl", patience=3, alpha=2.0)
    made = make_stopping(one, validated=True, schedule="cosine")
    assert made == Stopping(criterion="gl", alpha=2.0)
    assert make_stopping(one, validated=False, schedule="plateau") == Stopping(keep_best=False, reduces="plateau")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["criterion=patience", "alpha=3"], "stopping.alpha = 3 belongs to gl and pq"),
        (["criterion=gl", "strip=3"], "stopping.strip = 3 belongs to pq and up"),
        (["criterion=pq", "successive=2"], "stopping.successive = 2 belongs to up"),
        (["schedule=cosine", "reduce_factor=0.5"], "optimizer.reduce_factor = 0.5 belongs to plateau, oscillation"),
        (["schedule=oscillation", "reduce_min_delta=0.5"], "optimizer.reduce_min_delta = 0.5 belongs to plateau"),
        (["schedule=linear", "schedule_tau=0.5"], "optimizer.schedule_tau = 0.5 belongs to tau_over_t"),
        (["schedule=plateau", "reduce_patience=9", "patience=9"], "never lowers the rate"),
    ],
)
def test_contradictions(changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        override(default(), changes)
    with pytest.raises(RecipeError) as both:
        override(default(), [*changes, "warmup=2"])
    assert len(both.value.mistakes) == 2
