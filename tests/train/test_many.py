"""Many trainings at once are the trainings one by one."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import jax
import keras
import numpy as np
import pytest
from sklearn.model_selection import KFold

import fallline as fl
from fallline import recipe
from fallline.engine import Population
from fallline.errors import InputError, RecipeError
from fallline.train import loop
from fallline.train.jobs import fold_pairs, varied
from fallline.train.many import in_waves, memory_for_members, state_bytes
from fallline.types import Recipe, Run

RNG = np.random.default_rng(0)
X = RNG.normal(size=(97, 4)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.3 * RNG.normal(size=97) > 0).astype(int)
QUICK: dict[str, Any] = {"epochs": 4, "batch_size": 16, "verbose": 0}


def small(*changes: str) -> Recipe:
    base = recipe.override(fl.default_recipe("simple"), ["network.hidden=[8]", "network.dropout=0.2"])
    return recipe.override(base, changes)


def network() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "binary_crossentropy", metrics=["accuracy"])
    return model


def traces(monkeypatch: pytest.MonkeyPatch) -> list[Population]:
    """The populations whose program is traced from here on, each as often as it is."""
    found: list[Population] = []
    share = Population._share
    monkeypatch.setattr(Population, "_share", lambda self, *given: found.append(self) or share(self, *given))
    return found


def values(run: Run) -> list[np.ndarray]:
    return [np.asarray(w) for w in run.model.get_weights()]


# ------------------------------------------------------------------------------------------------------ tables


@pytest.fixture(scope="module")
def grid() -> list[Run]:
    return fl.train_many(small(), X, Y, seeds=[3, 4], folds=3, vary={"optimizer.learning_rate": [0.1, 0.001]}, **QUICK)


def test_every_combination_is_a_run_in_order(grid: list[Run]) -> None:
    found = [(run.facts["recipe_index"], run.facts["seed"], run.facts["fold"]) for run in grid]
    assert found == [(r, s, f) for r in range(2) for s in (3, 4) for f in range(3)]
    assert [run.recipe.optimizer.learning_rate for run in grid] == [0.1] * 6 + [0.001] * 6
    assert all(run.scores[0].rows == "test" for run in grid)


def test_a_run_among_many_is_the_run_alone(grid: list[Run]) -> None:
    """Bit by bit: trained weights, curves and predictions."""
    folds = fold_pairs(3, Y)
    for place in (1, 8):
        run = grid[place]
        (alone,) = fl.train_many(
            replace(run.recipe, seed=run.facts["seed"]), X, Y, folds=[folds[run.facts["fold"]]], verbose=0
        )
        np.testing.assert_array_equal(run.trace.value, alone.trace.value)
        np.testing.assert_array_equal(run.held_out.prediction, alone.held_out.prediction)
        assert run.scores[0].value == alone.scores[0].value


def test_the_held_out_rows_are_predicted_by_the_model_that_is_handed_out(grid: list[Run]) -> None:
    run = grid[4]
    rows = fold_pairs(3, Y)[1][1]
    np.testing.assert_allclose(run.predict_proba(X[rows])[:, 1], run.held_out.prediction, atol=1e-6)
    assert run.scores[0].n == len(rows)
    held = set(rows.tolist())
    assert run.facts["n_train"] + run.facts["n_validation"] + len(held) == len(X)


def test_a_model_is_built_when_it_is_asked_for_and_once(grid: list[Run]) -> None:
    run = grid[2].with_(scores=())
    assert "model" not in vars(run)
    assert run.model is run.model
    with pytest.raises(AttributeError, match="moddel"):
        run.moddel  # noqa: B018


def test_regression_is_predicted_in_its_units() -> None:
    y = 100.0 + 50.0 * X[:, 0]
    (run,) = fl.train_many(small(), X, y, folds=[(np.arange(60), np.arange(60, 97))], **QUICK)
    np.testing.assert_allclose(run.predict(X[60:]), run.held_out.prediction, rtol=1e-5)


def test_programs_that_differ_are_grouped_not_refused() -> None:
    recipes = [small(), small("network.hidden=[4, 4]"), small("optimizer.name=sgd", "optimizer.learning_rate=0.1")]
    runs = fl.train_many(recipes, X, Y, seeds=range(2), **QUICK)
    assert [run.recipe.network.hidden for run in runs] == [(8,), (8,), (4, 4), (4, 4), (8,), (8,)]
    assert [run.facts["recipe_index"] for run in runs] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("keras_model", [False, True])
def test_ctrl_c_ends_all_programs_not_the_one_under_way_alone(
    monkeypatch: pytest.MonkeyPatch, keras_model: bool
) -> None:
    start, calls = Population.start, []

    def interrupted(self: Population, *given: Any) -> Any:
        found = start(self, *given)
        calls.append(given[1])
        if len(calls) == 2:  # the first call compiles
            signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(Population, "start", interrupted)
    monkeypatch.setattr(loop, "_UNWATCHED_SECONDS", 0.0)
    recipes = [small(), small("optimizer.name=sgd", "optimizer.learning_rate=0.1")]
    if keras_model:
        recipes = [recipe.override(fl.default_recipe("simple"), [f"optimizer.name={name}"]) for name in ("adam", "sgd")]
        runs = fl.train_many(network(), X, Y, recipe=recipes, **QUICK)
    else:
        runs = fl.train_many(recipes, X, Y, **QUICK)
    assert [(run.outcome, len(run.history)) for run in runs] == [("interrupted", 1)] * 2


def test_numbers_do_not_compile_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates, momentum, betas, penalties, noise, label smoothing, schedule, epochs, stopping's constants are traced."""
    traced = traces(monkeypatch)
    base = ["network.input_noise=0.1", "training.label_smoothing=0.1", "optimizer.l2=0.001", "training.batch_size=16"]
    base += ["stopping.criterion=pq"]
    one = small(*base, "training.epochs=3")
    other = small(
        "network.dropout=0.4", "network.input_noise=0.3", "training.label_smoothing=0.2",
        "optimizer.l2=0.01", "optimizer.learning_rate=0.02", "optimizer.beta_1=0.8",
        "optimizer.schedule=cosine", "optimizer.warmup=0.1", "training.epochs=5", "training.batch_size=16", "seed=9",
        "stopping.criterion=pq", "stopping.alpha=70", "stopping.strip=2", "stopping.min_delta=0.1",
    )  # fmt: skip
    runs = fl.train_many([one, other], X, Y, verbose=0)
    assert len(traced) == 1
    assert [run.trace.n_epochs for run in runs] == [3, 5]
    assert runs[0].trace.curve("loss")[-1] != runs[1].trace.curve("loss")[2]


def test_a_member_that_diverges_tells_step_and_place_and_leaves_the_others_alone() -> None:
    runs = fl.train_many(
        small("optimizer.name=sgd", "network.dropout=0"), X, Y, vary={"optimizer.learning_rate": [0.05, 1e30]}, **QUICK
    )
    assert [run.outcome for run in runs] == ["completed", "diverged"]
    assert runs[1].facts["members"][0]["bad_step"] >= 0
    assert runs[1].facts["members"][0]["bad_layer"]
    assert runs[1].scores == ()


# ------------------------------------------------------------------------------------------------------- Keras


@pytest.fixture(scope="module")
def folds() -> list[tuple[np.ndarray, np.ndarray]]:
    return list(KFold(5).split(X))  # 77 or 78 rows: one program all the same


def test_a_keras_model_on_folds_is_the_model_alone(folds: list[Any]) -> None:
    model = network()
    before = [w.copy() for w in model.get_weights()]
    runs = fl.train_many(model, X, Y, folds=folds, early_stopping=False, **QUICK)
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)  # the user's model is left as it is
    for run, (train, held) in zip(runs[:2], folds, strict=False):
        alone = keras.models.clone_model(model)
        alone.set_weights(before)
        alone.compile_from_config(model.get_compile_config())
        one = fl.train(
            alone, X[train], Y[train], validation_data=(X[held], Y[held]), early_stopping=False, watch=False, **QUICK
        )
        for mine, other in zip(values(run), values(one), strict=True):
            np.testing.assert_allclose(mine, other, rtol=2e-4, atol=1e-5)
        found = {score.metric: score for score in run.scores}
        assert found["loss"].value == pytest.approx(one.history["val_loss"].iloc[-1], rel=1e-4)
        assert found["accuracy"].higher_is_better
        assert not found["loss"].higher_is_better
        assert found["loss"].n == len(held)


def test_unequal_folds_share_one_program(folds: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    traced = traces(monkeypatch)
    fl.train_many(network(), X, Y, folds=folds, **QUICK)
    assert len({len(train) for train, _ in folds}) == 2
    assert len(traced) == 1


def test_a_population_of_three_is_part_of_one_of_nine(folds: list[Any]) -> None:
    few = fl.train_many(network(), X, Y, seeds=[5], folds=folds[:3], **QUICK)
    many = fl.train_many(network(), X, Y, seeds=[4, 5, 6], folds=folds[:3], **QUICK)
    for mine, other in zip(few, many[3:6], strict=True):
        np.testing.assert_array_equal(mine.trace.value, other.trace.value)


def test_seeds_draw_the_weights_by_the_models_own_initialisers() -> None:
    runs = fl.train_many(network(), X, Y, seeds=[1, 2, 1], epochs=1, batch_size=97, early_stopping=False, verbose=0)
    same, other = [np.abs(values(runs[0])[0] - values(run)[0]).max() for run in (runs[2], runs[1])]
    assert same == 0
    assert other > 0.01


def test_learning_rates_of_a_keras_model_are_numbers() -> None:
    rates = {"optimizer.learning_rate": [1e-5, 1e-2]}
    runs = fl.train_many(network(), X, Y, vary=rates, validation_split=0.2, epochs=20, batch_size=16, verbose=0)
    first, second = (run.trace.curve("loss") for run in runs)
    assert second[-1] < first[-1]
    assert [run.recipe.optimizer.learning_rate for run in runs] == [1e-5, 1e-2]


def test_a_subclassed_model_that_cannot_be_copied_says_what_to_do() -> None:
    class Own(keras.Model):
        def __init__(self, units: Any) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(units)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    with pytest.raises(InputError, match="get_config"):
        fl.train_many(Own(1), X, Y.astype("float32"), seeds=[1, 2], **QUICK)


# ------------------------------------------------------------------------------------------------- memory, words


def test_waves_do_not_change_results(folds: list[Any]) -> None:
    model = network()
    whole = fl.train_many(model, X, Y, folds=folds[:3], **QUICK)
    waves = fl.train_many(model, X, Y, folds=folds[:3], memory=3000, **QUICK)
    for mine, other in zip(waves, whole, strict=True):  # another program: the last bits may differ
        np.testing.assert_allclose(mine.trace.value, other.trace.value, rtol=1e-5)
    with pytest.raises(InputError, match=r"network\.hidden"):
        fl.train_many(network(), X, Y, folds=folds[:3], memory=10, **QUICK)


def test_waves_hold_what_fits() -> None:
    assert [len(wave) for wave in in_waves(10, 100, 350)] == [3, 3, 3, 1]
    assert memory_for_members() > 0
    state = ([np.zeros((2, 5), np.float32)], [np.zeros((2, 1), np.float32)], [np.zeros((2, 10), np.float32)])
    assert state_bytes(state, keep_best=True) == 3 * 4 * (2 * (5 + 1) + 10)


def test_the_state_is_what_the_formula_says() -> None:
    """What the compiled program takes and gives for a member's state is the formula's 2 of 3 copies."""
    from fallline.engine import Stopping
    from tests.engine import toy

    sizes = []
    for p in (4, 12):
        program = Population(toy.task(), Stopping(), p, validated=True, devices=jax.local_devices()[:1])
        state = toy.begin(range(p))
        both = [program.place(toy.rows_for(p, np.arange(16))) for _ in range(2)]
        schedule = program.place(toy.orders(range(p), np.arange(16), 2, 8))
        numbers = program.place({"learning_rate": np.full(p, 0.1, np.float32)})
        data = program.place(toy.data(), shared=True)
        given = (data, np.int32(2), program.place_state(state), numbers, schedule, *both)
        memory = program.program(given[2]).lower(*given).compile().memory_analysis()
        used = (schedule.order, schedule.rates, schedule.rows, schedule.limit)  # what is not read is not taken
        others = sum(leaf.nbytes for leaf in jax.tree.leaves((data, numbers, used, *both)))
        sizes.append(memory.argument_size_in_bytes - others)
    per_member = (sizes[1] - sizes[0]) / 8
    trained = (state.params, state.aux, state.optimizer)
    counters = 4 * 6  # best_loss, best_epoch, wait, epoch, outcome, bad_step
    assert per_member == pytest.approx(state_bytes(trained, keep_best=True) / 3 + counters, abs=8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 1}, "2 to 97"),
        ({"folds": "five"}, "number of folds"),
        ({"folds": []}, "empty"),
        ({"folds": [([0, 1], [1, 2])]}, "row 1"),
        ({"folds": [([0, 1], [97])]}, "row 97"),
        ({"folds": [([0, 1], [])]}, "at least one"),
        ({"folds": [([0.5, 1], [2])]}, "row numbers"),
        ({"folds": [(np.ones(5, bool), [2])]}, r"\(97,\)"),
        ({"folds": [[0, 1, 2]]}, "no pair"),
        ({"seeds": []}, "whole numbers"),
        ({"seeds": [1.5]}, "whole numbers"),
        ({"seeds": [-1]}, "whole numbers"),
        ({"vary": {"optimizer.learning_rate": []}}, "no value"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fl.train_many(small(), X, Y, verbose=0, **given)


def test_a_misspelt_entry_is_named() -> None:
    with pytest.raises(RecipeError, match="learning_rate"):
        fl.train_many(small(), X, Y, vary={"optimizer.learning_rat": [0.1]}, verbose=0)
    with pytest.raises(InputError, match="held-out rows validate"):
        fl.train_many(network(), X, Y, folds=3, validation_split=0.2, verbose=0)


def test_values_are_written_as_in_a_recipe() -> None:
    made = varied([small()], {"network.hidden": [(8, 8), [4]], "training.shuffle": [np.bool_(False)]})
    assert [r.network.hidden for r in made] == [(8, 8), (4,)]
    assert not made[0].training.shuffle
