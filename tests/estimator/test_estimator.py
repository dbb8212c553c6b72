"""Classifier and Regressor on tables as people have them, and inside scikit-learn's tools."""

from __future__ import annotations

import copy
import pickle
import re
from dataclasses import replace
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fallline as fl
from fallline.errors import InputError, RecipeError

# Equal shapes everywhere, so that the tests of one process share their compiled programs.
N = 120
QUICK: dict[str, Any] = {"preset": "simple", "hidden": (16,), "epochs": 40, "learning_rate": 0.03}


def numbers(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, 4))


def labels(x: np.ndarray) -> np.ndarray:
    return np.where(x[:, 0] + x[:, 1] > 0, "up", "down").astype(object)


def quantity(x: np.ndarray) -> np.ndarray:
    return 100.0 + 10.0 * x[:, 0] - 5.0 * x[:, 1]


def mixed() -> tuple[pd.DataFrame, np.ndarray]:
    """A frame with a column of each kind and missing values in most; the colour decides."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "size": np.where(np.arange(N) % 7 == 0, np.nan, rng.normal(size=N)),
            "colour": rng.choice(np.array(["red", "blue", None], object), N),
            "flag": rng.choice([True, False], N),
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, N), unit="D"),
            "grade": pd.Categorical(rng.choice(["a", "b", "c"], N)),
        }
    )
    frame.loc[3, "when"] = pd.NaT
    return frame, np.where(frame["colour"] == "red", "yes", "no").astype(object)


@pytest.fixture(scope="module")
def classifier() -> fl.Classifier:
    frame, y = mixed()
    return fl.Classifier(**QUICK).fit(frame, y)


@pytest.fixture(scope="module")
def regressor() -> fl.Regressor:
    return fl.Regressor(**QUICK).fit(numbers(), quantity(numbers()))


# ---------------------------------------------------------------------------------------------------- tables


def test_mixed_columns_with_missing_values(classifier: fl.Classifier) -> None:
    frame, y = mixed()
    assert classifier.score(frame, y) > 0.95
    assert classifier.classes_.tolist() == ["no", "yes"]
    assert classifier.feature_names_in_.tolist() == list(frame.columns)
    probability = classifier.predict_proba(frame)
    assert probability.shape == (N, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, atol=1e-6)


def test_unknown_categories_and_newly_missing_values_at_prediction(classifier: fl.Classifier) -> None:
    frame, y = mixed()
    new = frame.assign(grade="never seen", flag=None, size=np.nan)
    assert np.isfinite(classifier.predict_proba(new)).all()
    assert classifier.score(new, y) > 0.8  # the colour still decides


def test_polars_is_the_same_table(classifier: fl.Classifier) -> None:
    frame, y = mixed()
    as_polars = pl.from_pandas(frame)
    other = clone(classifier).fit(as_polars, pl.Series("y", y.tolist()))
    assert_array_equal(other.predict_proba(as_polars), classifier.predict_proba(frame))
    assert_array_equal(other.feature_names_in_, classifier.feature_names_in_)


def test_rows_of_mixed_lists_keep_their_kinds() -> None:
    rows = [[float(i % 5), "red" if i % 2 else "blue"] for i in range(40)]
    model = fl.Classifier(**QUICK).fit(rows, [i % 2 for i in range(40)])
    assert [column.kind for column in model.run_.preparation.columns] == ["numeric", "category"]
    assert not hasattr(model, "feature_names_in_")
    assert model.predict([[0.0, "red"], [0.0, "blue"]]).tolist() == [1, 0]


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_sparse_is_the_same_as_dense(kind: Any) -> None:
    x = numbers() * (np.abs(numbers()) > 0.5)
    dense = fl.Regressor(**QUICK).fit(x, quantity(x))
    thin = fl.Regressor(**QUICK).fit(kind(x), quantity(x))
    assert_array_equal(thin.predict(kind(x)), dense.predict(x))


def test_columns_are_told_by_place_where_a_side_has_no_names(classifier: fl.Classifier) -> None:
    frame, _ = mixed()
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = classifier.predict(frame.to_numpy())
    assert_array_equal(found, classifier.predict(frame))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="flag"), "Feature names seen at fit time, yet now missing:\n- flag"),
        (lambda f: f[f.columns[::-1]], "Feature names must be in the same order"),
        (lambda f: f.assign(size="wide"), "Column 'size' must hold numbers, but row 1 says 'wide'"),
        (lambda f: f.assign(size=np.inf), "infinite"),
    ],
)
def test_another_table_at_prediction(classifier: fl.Classifier, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier.predict(change(mixed()[0]))


# --------------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize("y", [[False, True] * (N // 2), [3, 7] * (N // 2), ["b", "a"] * (N // 2)])
def test_labels_come_back_as_they_were_given(y: list[Any]) -> None:
    x = numbers()
    x[:, 0] += 5 * np.equal(y, y[0])
    model = fl.Classifier(**QUICK).fit(x, y)
    found = model.predict(x)
    assert found.tolist() == y
    assert isinstance(found.tolist()[0], type(y[0]))


def test_three_classes() -> None:
    x = numbers()
    y = np.digitize(x[:, 0], [-0.5, 0.5])
    model = fl.Classifier(**QUICK).fit(x, y)
    assert model.predict_proba(x).shape == (N, 3)
    assert model.score(x, y) > 0.8


def test_several_labels_one_of_which_never_occurs() -> None:
    """A rare label may be missing from a fold of a cross-validation."""
    x = numbers()
    y = np.column_stack([x[:, 0] > 0, np.zeros(N), x[:, 1] > 0]).astype(int)
    model = fl.Classifier(**QUICK).fit(x, y)
    assert model.n_outputs_ == 3
    assert model.predict_proba(x).shape == (N, 3)
    assert (model.predict(x) == y).mean() > 0.9


def test_several_quantities_and_one_that_never_varies() -> None:
    x = numbers()
    y = np.column_stack([quantity(x), np.full(N, 7.0)])
    model = fl.Regressor(**QUICK).fit(x, y)
    found = model.predict(x)
    assert found.shape == (N, 2)
    assert_array_equal(found[:, 1], 7.0)
    assert np.corrcoef(found[:, 0], y[:, 0])[0, 1] > 0.9
    assert_array_equal(fl.Regressor(**QUICK).fit(x, np.full(N, 3.0)).predict(x), 3.0)


@pytest.mark.parametrize(
    ("estimator", "y", "message"),
    [
        (fl.Classifier, np.ones(N), "only one class, 1.0, in all 120 rows"),
        (fl.Classifier, np.linspace(0, 1, N), "Unknown label type: continuous"),
        (fl.Classifier, ["a", None] * (N // 2), "Input y contains NaN"),
        (fl.Classifier, ["a", " "] * (N // 2), "empty texts"),
        (fl.Classifier, np.arange(2 * N).reshape(N, 2) % 3, r"2 columns with other values than 0 and 1"),
        (fl.Regressor, ["a", "b"] * (N // 2), "must hold numbers for a Regressor .* use Classifier"),
        (fl.Regressor, np.ones(N - 1), "inconsistent numbers of samples"),
        (fl.Regressor, None, "requires y to be passed"),
    ],
)
def test_unusable_targets(estimator: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimator(**QUICK).fit(numbers(), y)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(InputError, match="No input column is left to learn from"):
        fl.Classifier(**QUICK).fit(np.ones((N, 2)), labels(numbers()))


@pytest.mark.parametrize(("n", "preset"), [(7, "default"), (3, "simple"), (2, "simple")])
def test_very_few_rows(n: int, preset: str) -> None:
    model = fl.Regressor(preset=preset, epochs=2, hidden=(4,)).fit(np.arange(n)[:, None], np.arange(n))
    assert np.isfinite(model.predict([[1.0]])).all()


# --------------------------------------------------------------------------------------------------- weights


def test_weights_move_the_prediction() -> None:
    """Two contradicting halves: the heavier one is believed."""
    x = np.tile(numbers()[: N // 2], (2, 1))
    y = np.repeat([0.0, 10.0], N // 2)
    heavy = np.repeat([1.0, 9.0], N // 2)
    up = fl.Regressor(**QUICK).fit(x, y, sample_weight=heavy).predict(x).mean()
    down = fl.Regressor(**QUICK).fit(x, y, sample_weight=heavy[::-1]).predict(x).mean()
    even = fl.Regressor(**QUICK).fit(x, y).predict(x).mean()
    # The weighted means are 9, 1 and 5.
    assert (up, even, down) == pytest.approx((9.0, 5.0, 1.0), abs=1.2)


def test_rows_of_weight_zero_are_left_out() -> None:
    x, y = numbers(), quantity(numbers())
    extra_x, extra_y = np.vstack([x, 100 * numbers(5)]), np.concatenate([y, np.full(N, 1e6)])
    weight = np.repeat([1.0, 0.0], N)
    plain, weighted = fl.Regressor(**QUICK).fit(x, y), fl.Regressor(**QUICK).fit(extra_x, extra_y, weight)
    assert_array_equal(weighted.predict(x), plain.predict(x))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(N), "zero for every row"),
        (np.ones((N, 2)), r"shape \(120, 2\); it must be \(120,\)"),
        (-np.ones(N), "-1 at index 0"),
        (["a"] * N, "must hold numbers"),
    ],
)
def test_unusable_weights(weight: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fl.Regressor(**QUICK).fit(numbers(), quantity(numbers()), sample_weight=weight)


# ------------------------------------------------------------------------------------------------ parameters


def test_parameters_reach_the_recipe() -> None:
    model = fl.Regressor(
        preset="simple",
        epochs=2,
        batch_size=32,
        hidden=[8],
        learning_rate=0.02,
        members=4,
        folds=2,
        random_state=5,
        overrides={"network.dropout": np.float64(0.25), "prepare.numeric": "robust", "network.skip": True},
    ).fit(numbers(), quantity(numbers()))
    recipe = model.run_.recipe
    assert (recipe.training.epochs, recipe.training.batch_size, recipe.network.hidden) == (2, 32, (8,))
    assert (recipe.optimizer.learning_rate, recipe.ensemble.members, recipe.split.folds) == (0.02, 4, 2)
    assert (recipe.network.dropout, recipe.prepare.numeric, recipe.network.skip) == (0.25, "robust", True)
    assert (recipe.seed, recipe.split.test, model.n_iter_) == (5, 0.0, 2)
    assert model.run_.facts["n_train"] + model.run_.facts["n_validation"] == N


def test_a_recipe_takes_the_place_of_the_preset() -> None:
    recipe = replace(fl.default_recipe("simple"), seed=9)
    model = fl.Regressor(recipe=recipe, preset="default", epochs=2).fit(numbers(), quantity(numbers()))
    assert (model.run_.recipe.preset, model.run_.recipe.seed, model.run_.recipe.optimizer.name) == ("simple", 9, "adam")


@pytest.mark.parametrize(
    ("parameters", "messages"),
    [
        ({"epochs": 0, "hidden": "wide", "learning_rate": -1}, ["3 mistakes", "epochs = 0", "hidden", "learning_rate"]),
        ({"overrides": {"network.dropuot": 0.1}}, ["Did you mean 'network.dropout'"]),
        ({"overrides": {"split.test": 0.3}}, ["split.test = 0.3", "sklearn.model_selection"]),
        ({"overrides": [1]}, ["overrides = [1] is not allowed", "mapping"]),
        ({"overrides": ["epochs=6"], "epochs": 5}, ["training.epochs is given twice"]),
        ({"overrides": {"network.hidden": object()}}, ["network.hidden is given as <object"]),
        ({"preset": "smiple"}, ["Did you mean 'simple'"]),
        ({"recipe": 3}, ["expected a fallline.Recipe, received int"]),
        ({"random_state": "now"}, ["random_state = 'now' is not allowed"]),
        ({"random_state": -1}, ["0 to 4294967295"]),
        ({"verbose": "loud"}, ["verbose = 'loud' is not allowed"]),
    ],
)
def test_mistakes_are_found_at_fit(parameters: dict[str, Any], messages: list[str]) -> None:
    model = fl.Classifier(**parameters)  # nothing happens yet
    with pytest.raises((InputError, RecipeError)) as caught:
        model.fit(numbers(), labels(numbers()))
    for message in messages:
        assert message in str(caught.value)


def test_the_same_seed_gives_the_same_network(regressor: fl.Regressor) -> None:
    x = numbers()
    again = clone(regressor).fit(x, quantity(x)).predict(x)
    assert_array_equal(again, regressor.predict(x))
    other = clone(regressor).set_params(random_state=1).fit(x, quantity(x)).predict(x)
    assert np.abs(other - again).max() > 1e-3
    drawn = [
        fl.Regressor(**QUICK, random_state=np.random.RandomState(3)).fit(x, quantity(x)).predict(x) for _ in range(2)
    ]
    assert_array_equal(*drawn)
    state = np.random.default_rng(3)
    model = fl.Regressor(**QUICK, random_state=state)
    assert np.abs(model.fit(x, quantity(x)).predict(x) - model.fit(x, quantity(x)).predict(x)).max() > 1e-3


def test_the_largest_seed_has_several_rounds_of_folds() -> None:
    model = fl.Regressor(**{**QUICK, "epochs": 2}, members=4, folds=2, random_state=2**32 - 1)
    model.fit(numbers(), quantity(numbers()))
    assert len(model.run_.facts["members"]) == 4


# ------------------------------------------------------------------------------------------ scikit-learn's tools


def test_grid_search_in_a_pipeline() -> None:
    x, y = numbers(), labels(numbers())
    pipeline = make_pipeline(StandardScaler(), fl.Classifier(**{**QUICK, "learning_rate": None}))
    grid = {
        "classifier__hidden": [(), (16,)],
        "classifier__overrides": [["learning_rate=1e-6"], {"optimizer.learning_rate": 0.03}],
    }
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss", error_score="raise").fit(x, y)
    scores = dict(zip(map(str, search.cv_results_["params"]), search.cv_results_["mean_test_score"], strict=True))
    assert len(scores) == 4
    assert search.best_params_["classifier__overrides"] == {"optimizer.learning_rate": 0.03}
    assert search.score(x, y) > -0.3


def test_grid_search_over_a_number_of_the_recipe() -> None:
    x, y = numbers(), quantity(numbers())
    search = GridSearchCV(fl.Regressor(**QUICK), {"learning_rate": [1e-6, 0.03]}, cv=2, error_score="raise").fit(x, y)
    assert search.best_params_ == {"learning_rate": 0.03}


def test_cross_validation() -> None:
    x, y = numbers(), labels(numbers())
    assert cross_val_score(fl.Classifier(**QUICK), x, y, cv=2).min() > 0.8
    assert cross_val_predict(fl.Classifier(**QUICK), x, y, cv=2, method="predict_proba").shape == (N, 2)
    wrapped = TransformedTargetRegressor(fl.Regressor(**QUICK), func=np.log, inverse_func=np.exp)
    assert wrapped.fit(x, quantity(x)).score(x, quantity(x)) > 0.8


@pytest.mark.slow
def test_fits_in_other_processes() -> None:
    x, y = numbers(), labels(numbers())
    alone = cross_val_score(fl.Classifier(**QUICK), x, y, cv=2, scoring="neg_log_loss")
    spread = cross_val_score(fl.Classifier(**QUICK), x, y, cv=2, scoring="neg_log_loss", n_jobs=2)
    np.testing.assert_allclose(spread, alone, rtol=1e-5)


@pytest.mark.parametrize("way", ["pickle", "copy", "joblib"])
def test_a_fitted_estimator_survives_a_copy(classifier: fl.Classifier, way: str, tmp_path: Any) -> None:
    frame, _ = mixed()
    if way == "pickle":
        other = pickle.loads(pickle.dumps(classifier))
    elif way == "copy":
        other = copy.deepcopy(classifier)
    else:
        joblib.dump(classifier, tmp_path / "model.joblib")
        other = joblib.load(tmp_path / "model.joblib")
    assert_array_equal(other.predict_proba(frame), classifier.predict_proba(frame))
    assert other.get_params() == classifier.get_params()
    assert other.run_.facts == classifier.run_.facts
    assert other.model_ is not classifier.model_


def test_an_unfitted_estimator_survives_a_pickle() -> None:
    other = pickle.loads(pickle.dumps(fl.Regressor(recipe=fl.default_recipe("simple"))))
    assert other.recipe == fl.default_recipe("simple")
    with pytest.raises(NotFittedError):
        other.predict(numbers())


# ------------------------------------------------------------------------------------------ what was learned


def test_what_was_learned(regressor: fl.Regressor) -> None:
    assert list(regressor.history_.index) == list(range(1, regressor.n_iter_ + 1))
    assert {"loss", "val_loss", "rmse"} <= set(regressor.history_)
    raw = regressor.run_.preparation.raw(numbers())
    np.testing.assert_allclose(
        regressor.model_.predict(raw, verbose=0)[:, 0], regressor.predict(numbers()), rtol=1e-4, atol=1e-3
    )
    assert regressor.diagnosis_ is regressor.diagnosis_  # looked for once
    assert "no-skill" not in {finding.symptom for finding in regressor.diagnosis_}
    for attribute in ("history_", "model_", "diagnosis_"):
        with pytest.raises(NotFittedError, match=f"no {attribute} yet"):
            getattr(fl.Regressor(), attribute)


def test_divergence_is_said() -> None:
    model = fl.Regressor(preset="simple", learning_rate=1e30, epochs=40, overrides={"optimizer.name": "sgd"})
    with pytest.warns(ConvergenceWarning, match="stopped being a finite number"):
        model.fit(numbers(), quantity(numbers()))
    assert model.diagnosis_[0].symptom == "divergence"


def test_an_interruption_keeps_what_was_learned_and_goes_on_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = numbers(), quantity(numbers())
    monkeypatch.setattr(fl.Regressor, "_progress", lambda self: lambda event: event.epoch >= 1)
    model = fl.Regressor(**QUICK)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y)
    assert model.run_.outcome == "interrupted"
    assert 1 <= model.n_iter_ < 40
    assert np.isfinite(model.predict(x)).all()


def test_progress_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    fl.Regressor(**QUICK).fit(numbers(), quantity(numbers()))
    assert capsys.readouterr() == ("", "")
    fl.Regressor(**QUICK, verbose=1).fit(numbers(), quantity(numbers()))
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 40/40" in err


def test_notebook_shows_parameters_and_the_learning_curve(classifier: fl.Classifier) -> None:
    before = fl.Classifier(**QUICK)._repr_html_()
    assert "learning_rate" in before
    assert "fallline-curve" not in before
    html = classifier._repr_mimebundle_()["text/html"]
    numbered = re.compile(r"-id-\d+")  # scikit-learn counts its outputs
    assert numbered.sub("", html) == numbered.sub("", classifier._repr_html_())
    assert "learning_rate" in html
    curve = html[html.index('<div class="fallline-curve">') :]
    assert "<svg" in curve
    assert "Learning curve, 1 network, 40 epochs, completed" in curve
    assert re.search(r'<path d="M[\d. L]+" class="line train"', curve)
    assert re.search(r'<path d="M[\d. L]+" class="line val"', curve)
    assert "<script" not in curve
    assert not re.search(r'\b(?:href|src)="|url\(', curve)
    assert len(curve) < 30_000
    # Every class that the picture uses has a rule, or needs none.
    style = curve[: curve.index("</style>")]
    used = set(" ".join(re.findall(r'class="([^"]*)"', curve)).split())
    assert used - set(re.findall(r"\.([a-z-]+)", style)) <= {"tick", "axis", "halo", "plain"}
