"""Evaluation of Keras models: fresh weights on the same folds, scored on rows that they never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.evaluate import keras_models
from fallline.types import HeldOut, Run, Trace

NOTHING = Trace.from_columns({"member": [], "epoch": [], "layer": [], "quantity": [], "value": []})


def model(units: int = 1, output: str | None = "sigmoid", loss: Any = "binary_crossentropy", rate: float = 0.5) -> Any:
    found = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units, output)])
    found.compile(keras.optimizers.SGD(rate), loss, metrics=["mae"] if loss in ("mse", "mae") else None)
    return found


def per_step() -> Any:
    found = keras.Sequential([keras.Input((2,)), keras.layers.RepeatVector(2), keras.layers.Dense(2)])
    found.compile("sgd", "mse")
    return found


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(90, 2)).astype(np.float32)
    return x, (x @ [2.0, -1.0] > 0).astype(np.int32)


@pytest.fixture(scope="module")
def found(data: Any) -> fl.Evaluation:
    given = model()
    given.set_weights([np.array([[1000.0], [-500.0]]), np.zeros(1)])  # what would be known of the held-out rows
    before = [w.copy() for w in given.get_weights()]
    result = fl.evaluate({"mine": given, "frozen": model(rate=1e-9)}, *data, folds=3, seeds=2, epochs=8, batch_size=16)
    assert all(np.array_equal(a, b) for a, b in zip(before, given.get_weights(), strict=True))
    return result


class Recorder:
    """In the place of the training: notes what every model is shown, and predicts a constant."""

    def __init__(self, value: float = 0.5, outcome: str = "completed") -> None:
        self.calls: list[Any] = []
        self.value, self.outcome = value, outcome

    def __call__(self, model: Any, x: Any, y: Any, *, seeds: Any, folds: Any, **given: Any) -> list[Run]:
        self.calls.append((folds, seeds, given))
        shape = (1,) if y.ndim == 1 else y.shape[1:]
        return [
            Run(None, NOTHING, self.outcome, held_out=HeldOut(y[held], np.full((len(held), *shape), self.value)))
            for _ in seeds
            for *_, held in folds
        ]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(keras_models, "train_many_keras", made)
    return made


def test_models_are_compared_beside_baselines_on_fresh_weights(found: fl.Evaluation) -> None:
    assert found.names == ("mine", "frozen", "dummy", "linear")
    assert found.metric == "log_loss"
    assert found.values["log_loss"]["mine"].shape == (3, 2)
    assert found.seeds == (0, 1)
    assert found.trainings == 12
    assert "3 folds, stratified" in found.scheme
    assert found.score("mine").value < 0.5 < found.score("dummy").value
    one = found.values["log_loss"]["mine"]
    assert one[:, 0].tolist() != one[:, 1].tolist()  # other seeds, other weights
    difference = next(d for d in found.differences if (d.who, d.against) == ("mine", "frozen"))
    assert difference.value == pytest.approx((one - found.values["log_loss"]["frozen"]).mean())
    assert "linear" in str(found)
    assert found.score("linear", "accuracy").value > 0.85


def test_each_value_is_that_of_a_training_on_the_folds_rows(found: fl.Evaluation, data: Any) -> None:
    from sklearn.metrics import log_loss

    x, y = data
    folds = [(train, np.zeros(0, int), held) for train, held in found.folds]
    runs = fl.train_many(
        model(), x, y, folds=folds, seeds=2, epochs=8, batch_size=16, early_stopping=False, scored=False, verbose=0
    )
    for fold, (_, held) in enumerate(found.folds):
        expected = log_loss(y[held], runs[3 + fold].held_out.prediction[:, 0].astype(float))
        assert found.values["log_loss"]["mine"][fold, 1] == pytest.approx(expected, rel=1e-5)


def test_the_dummy_knows_the_shares_of_the_training_rows(found: fl.Evaluation, data: Any) -> None:
    for fold, (train, held) in enumerate(found.folds):
        p, y = data[1][train].mean(), data[1][held]
        expected = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        assert found.values["log_loss"]["dummy"][fold, 0] == pytest.approx(expected, rel=1e-6)


def test_a_report_is_made_of_it(found: fl.Evaluation, tmp_path: Path) -> None:
    found.report(tmp_path / "page.html")
    assert "mine" in (tmp_path / "page.html").read_text()


def test_early_stopping_validates_on_training_rows(recorder: Recorder, data: Any) -> None:
    who = np.arange(90) // 6
    fl.evaluate(model(), *data, folds=3, group=who, early_stopping=5, epochs=3)
    ((folds, seeds, given),) = recorder.calls
    assert seeds == [0]
    assert (given["early_stopping"], given["epochs"]) == (5, 3)
    for train, validation, held in folds:
        assert sorted([*train, *validation, *held]) == list(range(90))
        assert len(validation) == 12
        sides = [set(who[rows]) for rows in (train, validation, held)]
        assert len(set.union(*sides)) == sum(map(len, sides))


def test_time_repeats_and_a_single_hold_out(recorder: Recorder, data: Any) -> None:
    past = fl.evaluate(model(), *data, folds=3, time=np.arange(90)[::-1], baselines=False)
    assert past.names == ("model",)
    assert all(train.min() > held.max() for train, held in past.folds)
    assert len(fl.evaluate(model(), *data, folds=2, repeats=2, baselines=False).folds) == 4
    weight = np.where(data[1] == 1, 3.0, 1.0)
    alone = fl.evaluate([model(), model()], *data, folds=1, share=0.3, metric="accuracy", sample_weight=weight)
    assert alone.names == ("model 1", "model 2", "dummy", "linear")
    assert np.array_equal(recorder.calls[-1][2]["sample_weight"], weight.astype(np.float32))
    one, (_, held) = alone.score("model 1"), alone.folds[0]
    assert one.low < one.value < one.high
    assert one.value == pytest.approx(np.average(data[1][held] == 0, weights=weight[held]), abs=1e-6)


@pytest.mark.parametrize(
    ("given", "y", "kind", "metric"),
    [
        (lambda: model(3, "softmax", "categorical_crossentropy"), lambda x, c: np.eye(3)[c], 3, "log_loss"),
        (lambda: model(1, None, "mse"), lambda x, c: x[:, 0] * 5, 1, "rmse"),
        (lambda: model(1, None, "mae"), lambda x, c: x[:, :1] * 5, 1, "mae"),
        (lambda: model(2, None, "mse"), lambda x, c: x * 5, 2, "rmse"),
        (per_step, lambda x, c: np.stack([x, 2 * x], axis=1), 1, "rmse"),
        (lambda: model(1, "tanh", "hinge"), lambda x, c: np.minimum(c, 1) * 2 - 1, 1, "accuracy"),
    ],
    ids=["one-hot", "regression", "absolute", "two quantities", "steps", "hinge"],
)
def test_the_metric_goes_by_targets_and_loss(
    recorder: Recorder, data: Any, given: Any, y: Any, kind: int, metric: str
) -> None:
    recorder.value = 1 / 3
    x = data[0]
    result = fl.evaluate(given(), x, y(x, np.arange(90) % 3), folds=3)
    assert result.metric == metric
    assert result.names == ("model", "dummy", "linear")
    assert np.isfinite([score.value for score in result.scores if score.metric == metric]).all()


def test_pictures_have_a_linear_model_beside(recorder: Recorder) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4, 4, 1)).astype(np.float32)
    network = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    result = fl.evaluate(network, x, x[:, 1, 2, 0] + 7, folds=3)
    assert result.score("linear").value < 0.2 < result.score("dummy").value


def test_several_inputs(recorder: Recorder, data: Any) -> None:
    inputs = [keras.Input((1,)), keras.Input((1,))]
    network = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(keras.layers.Concatenate()(inputs)))
    network.compile("sgd", "binary_crossentropy")
    x, y = data
    result = fl.evaluate(network, [x[:, :1], x[:, 1:]], y, folds=3)
    assert result.metric == "log_loss"
    assert result.score("linear", "accuracy").value > 0.85


def test_a_class_for_every_step_is_scored_by_the_models_own_loss() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3, 2)).astype(np.float32)
    network = keras.Sequential([keras.Input((3, 2)), keras.layers.Dense(1, "sigmoid")])
    network.compile(keras.optimizers.SGD(0.0), "binary_crossentropy", metrics=["accuracy"])
    result = fl.evaluate({"a": network, "b": network}, x, (x[..., :1] > 0).astype(int), folds=2, epochs=1)
    assert (result.metric, list(result.values)) == ("loss", ["loss", "accuracy"])
    assert result.names == ("a", "b")
    assert result.differences[0].value == 0
    assert not result.score("a").higher_is_better
    assert result.score("a", "accuracy").higher_is_better
    assert np.isfinite(result.values["accuracy"]["a"]).all()
    assert "No baselines" in str(result)


def test_models_are_chosen_among_inside_the_folds(recorder: Recorder, data: Any, tmp_path: Path) -> None:
    result = fl.evaluate({"a": model(), "b": model()}, *data, folds=3, inner=2, nested=True)
    assert result.names == ("nested", "dummy", "linear")
    assert result.chosen == ("a", "a", "a")
    assert result.trainings == 2 * 6 + 3
    assert "no forecast" in str(result)
    result.report(tmp_path / "page.html")
    assert "a model was chosen" in (tmp_path / "page.html").read_text()


def test_a_lost_training_is_said(monkeypatch: pytest.MonkeyPatch, data: Any) -> None:
    monkeypatch.setattr(keras_models, "train_many_keras", Recorder(outcome="diverged"))
    result = fl.evaluate(model(), *data, folds=3)
    assert np.isnan(result.score("model").value)
    assert any("3 of 3 trainings diverged" in note for note in result.notes)
    monkeypatch.setattr(keras_models, "train_many_keras", Recorder(outcome="interrupted"))
    with pytest.raises(KeyboardInterrupt):
        fl.evaluate(model(), *data, folds=3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folds": 91}, "fewer rows"),
        ({"metric": "rmse"}, "log_loss"),
        ({"seeds": [0, 0]}, "name each once"),
        ({"group": "who"}, "one for each row"),
        ({"time": np.arange(4)}, "one for each row"),
        ({"target": "y"}, "trained on x and y"),
        ({"nested": True}, "at least two"),
        ({"nested": {"optimizer.learning_rate": [0.1]}}, "chooses among Keras models"),
        ({"sample_weight": np.ones(3)}, "90"),
    ],
)
def test_mistakes_are_said_before_any_training(
    data: Any, changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras_models, "train_many_keras", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(InputError, match=words):
        fl.evaluate(model(), *data, **changes)


def test_what_belongs_to_the_one_is_refused_for_the_other(data: Any) -> None:
    with pytest.raises(InputError, match="cannot be evaluated together"):
        fl.evaluate({"a": model(), "b": "simple"}, *data)
    with pytest.raises(InputError, match="epochs belongs to Keras models"):
        fl.evaluate("simple", *data, epochs=3)
