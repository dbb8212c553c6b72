"""Gathering statistics from every source, ranking, and checking Keras models before training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fallline.diagnose import check, diagnose, examine, rank
from fallline.errors import DataError, InputError
from fallline.rules import discover, static_statistics
from fallline.types import Diagnosis, Finding, HeldOut, Recipe, Run, Score, Trace
from tests.make import decay, noise, sagging, trace

OVERFIT = {"loss": decay(0.7, 0.01, 60, 8), "val_loss": sagging(0.7, 0.3, 0.6, 60, 20)}


def warned(result: Diagnosis) -> list[str]:
    return [finding.symptom for finding in result if finding.severity != "note"]


# -------------------------------------------------------------------------------------------- where curves come from


def _csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "curves.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_sources_tell_the_same_story(tmp_path: Path) -> None:
    frame = pd.DataFrame({"epoch": range(60), "train_loss": OVERFIT["loss"], "Validation Loss": OVERFIT["val_loss"]})
    frame.to_csv(tmp_path / "comma.csv", index=False)
    frame.to_csv(tmp_path / "semicolon.csv", index=False, sep=";", decimal=",")
    frame.to_csv(tmp_path / "tab.tsv", index=False, sep="\t", encoding="utf-8-sig")
    history = SimpleNamespace(history={k: v.tolist() for k, v in OVERFIT.items()}, params={"epochs": 60}, model=None)
    sources = [
        trace(OVERFIT),
        OVERFIT,
        {k: v.tolist() for k, v in OVERFIT.items()},
        frame,
        frame.sample(frac=1, random_state=0),
        history,
        tmp_path / "comma.csv",
        str(tmp_path / "semicolon.csv"),
        tmp_path / "tab.tsv",
    ]
    results = [diagnose(source) for source in sources]
    assert {tuple(warned(result)) for result in results} == {("overfit",)}
    assert {result[0].epoch for result in results} == {results[0][0].epoch}


@pytest.mark.parametrize(
    ("train", "held"),
    [
        ("loss", "val_loss"),
        ("train_loss", "valid_loss"),
        ("Training Loss", "Validation loss"),
        ("train/loss", "val/loss"),
        ("train_loss_epoch", "val_loss_epoch"),
        ("loss_train", "loss_val"),
        ("TRAIN-LOSS", "test loss"),
    ],
)
def test_other_peoples_headers(train: str, held: str) -> None:
    assert warned(diagnose({train: OVERFIT["loss"], held: OVERFIT["val_loss"]})) == ["overfit"]


def test_accuracies_of_keras() -> None:
    flat = {"loss": np.full(10, 0.02), "sparse_categorical_accuracy": np.full(10, 0.99)}
    assert "underfit-flat" not in {f.symptom for f in diagnose(flat)}


def test_rows_that_share_an_epoch_are_joined() -> None:
    """PyTorch Lightning's CSVLogger writes training and validation on different rows."""
    rows: dict[str, list[Any]] = {"epoch": [], "train_loss": [], "val_loss": []}
    for i in range(60):
        rows["epoch"] += [i, i]
        rows["train_loss"] += [OVERFIT["loss"][i], None]
        rows["val_loss"] += [None, OVERFIT["val_loss"][i]]
    assert diagnose(rows)[0].epoch == diagnose(OVERFIT)[0].epoch


def test_validation_every_third_epoch_is_put_at_its_epochs() -> None:
    curves = {"loss": OVERFIT["loss"], "val_loss": OVERFIT["val_loss"][2::3]}  # Keras' validation_freq=3
    found = diagnose(curves)[0]
    assert found.symptom == "overfit"
    assert found.epoch is not None
    assert abs(found.epoch - 20) <= 3


def test_an_empty_cell_is_a_gap_and_nan_is_nan(tmp_path: Path) -> None:
    assert diagnose(_csv(tmp_path, "epoch,loss\n1,0.7\n2,0.5\n3,\n")).healthy
    result = diagnose(_csv(tmp_path, "epoch,loss\n1,0.7\n2,0.5\n3,nan\n"))
    assert (result[0].symptom, result[0].epoch) == ("divergence", 3)
    assert diagnose(_csv(tmp_path, "loss\n0.7\ninf\n"))[0].symptom == "divergence"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch,price\n1,2\n", "'price'"),
        ("a;b\n1;2\n", "'a', 'b'"),
        ("loss\n", "no rows"),
        ("", "no rows"),
        ("loss,val_loss\n0.7,high\n", "not a number"),
        ("val_loss\n0.7\n", "no training loss"),
    ],
)
def test_a_csv_that_is_no_curve_says_so(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        diagnose(_csv(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        diagnose(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(InputError, match="not a text file"):
        diagnose(tmp_path / "binary.csv")


@pytest.mark.parametrize("what", [None, 3, [0.7, 0.5], object()])
def test_other_things_are_refused(what: Any) -> None:
    with pytest.raises(InputError, match="diagnose cannot read"):
        diagnose(what)


def test_an_unknown_statistic_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Did you mean 'n_validation'"):
        diagnose(OVERFIT, known={"n_validaton": 3})


def test_what_is_known_takes_precedence() -> None:
    curves = {"loss": decay(0.7, 0.30, 80, 10), "val_loss": sagging(0.7, 0.45, 0.60, 80, 40)}
    assert warned(diagnose(curves)) == ["overfit"]
    assert warned(diagnose(curves, known={"restored": True, "reference_loss": 0.69})) == []


def test_a_history_knows_its_plan_and_its_model() -> None:
    pytest.importorskip("keras")
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy")
    falling = {"loss": np.linspace(1.6, 1.2, 30)}
    stopped = SimpleNamespace(history=falling, params={"epochs": 100}, model=None)
    assert "underfit-stopped-early" not in warned(diagnose(stopped))
    ended = SimpleNamespace(history=falling, params={"epochs": 30}, model=None)
    assert "underfit-stopped-early" in warned(diagnose(ended))
    flat = SimpleNamespace(history={"loss": np.full(30, np.log(5))}, params={"epochs": 30}, model=model)
    found = diagnose(flat)[0]
    assert found.symptom == "underfit-flat"
    assert found.evidence["constant_prediction_loss"] == pytest.approx(np.log(5))


# ----------------------------------------------------------------------------------------------------------- runs


def _run(curves: Any = None, **changes: Any) -> Run:
    curves = curves or ({"loss": decay(0.7, 0.10, 80, 12), "val_loss": decay(0.7, 0.14, 80, 12)},)
    facts: dict[str, Any] = {
        "kind": "binary",
        "classes": ["no", "yes"],
        "class_counts": {"no": 300, "yes": 260},
        "loss": "cross_entropy",
        "n_train": 448,
        "n_validation": 112,
        "best_epoch": 80,
        "planned_epochs": 80,
        "restored": True,
        "input_statistics": {
            "mean": [0.0, 0.1],
            "sd": [1.0, 0.9],
            "min": [-3, -2],
            "max": [3, 2],
            "names": ["age", "dose"],
        },
        "output": {"activation": "sigmoid", "units": 1},
    }
    facts |= changes.pop("facts", {})
    scores = (Score("log_loss", 0.2, 0.15, 0.25, n=100), Score("log_loss", 0.69, 0.68, 0.70, n=100, who="dummy"))
    return Run(
        model=None, trace=trace(*curves), outcome="completed", recipe=Recipe(), scores=scores, facts=facts
    ).with_(**changes)


def test_a_healthy_run_is_examined_in_full_and_silent() -> None:
    result = diagnose(_run())
    assert [finding.symptom for finding in result] == ["good-fit"]
    assert result.healthy
    assert set(result.examined) | set(result.not_examined) == {rule.symptom.name for rule in discover()}
    curves = {rule.symptom.name for rule in discover() if int(rule.symptom.id[1:]) in (*range(1, 10), 12, 21, 23, 25)}
    assert not curves & set(result.not_examined)


@pytest.mark.parametrize(
    ("changes", "symptom"),
    [
        (
            {"facts": {"input_statistics": {"mean": [0, 4e4], "sd": [1, 1e4], "names": ["age", "income"]}}},
            "inputs-not-scaled",
        ),
        ({"facts": {"output": {"activation": "relu", "units": 1}, "from_logits": False}, "recipe": None}, None),
        ({"facts": {"output": {"activation": "softmax", "units": 1}}}, "output-loss-mismatch"),
        (
            {
                "facts": {"class_counts": {"no": 990, "yes": 10}, "reference_loss": 0.69},
                "curves": ({"loss": decay(0.7, 0.45, 80, 12), "val_loss": decay(0.7, 0.46, 80, 12)},),
            },
            "class-imbalance",
        ),
        ({"scores": (Score("log_loss", 0.7, 0.6, 0.8), Score("log_loss", 0.69, 0.68, 0.7, who="dummy"))}, "no-skill"),
        ({"curves": ({"loss": np.full(80, 0.69), "val_loss": np.full(80, 0.70)},)}, "underfit-flat"),
        ({"outcome": "diverged"}, "divergence"),
    ],
)
def test_what_a_run_knows_reaches_its_rule(changes: dict[str, Any], symptom: str | None) -> None:
    assert warned(diagnose(_run(**changes))) == ([symptom] if symptom else [])


def test_what_watched_a_run_is_diagnosed_as_the_run() -> None:
    run = _run(({"loss": [0.7, np.nan]},))
    assert diagnose(SimpleNamespace(run=run)) == diagnose(run)


def test_a_run_that_knows_little_is_not_examined_rather_than_healthy() -> None:
    result = diagnose(Run(model=None, trace=trace({"loss": decay(0.7, 0.1, 40, 5)}), outcome="completed"))
    assert not result.findings
    assert set(result.examined) == {"underfit-flat", "underfit-stopped-early", "oscillation", "divergence", "plateau"}
    assert result.not_examined["overfit"].startswith("not known: the validation loss per epoch")
    assert "baselines" in result.not_examined["no-skill"] or "scores" in result.not_examined["no-skill"]


def test_the_gap_of_an_ensemble_is_taken_member_by_member() -> None:
    """Each member keeps its own best epoch: the mean curve turns up early, though no kept network is overfitted."""
    members = [{"loss": decay(0.7, 0.2, 60, 6), "val_loss": sagging(0.7, 0.25, 0.6, 60, best)} for best in (12, 30, 48)]
    assert warned(diagnose(_run(members, outcome="stopped_early"))) == []
    lost = [{"loss": decay(0.7, 0.001, 60, 4), "val_loss": sagging(0.7, 0.5, 0.9, 60, best)} for best in (20, 25, 30)]
    assert warned(diagnose(_run(lost, outcome="stopped_early"))) == ["overfit"]


def test_recall_of_rare_classes_is_read_from_held_out_rows() -> None:
    y = np.array([0] * 90 + [1] * 10)
    facts: dict[str, Any] = {"class_counts": {"no": 990, "yes": 10}, "reference_loss": 0.69}
    ignored = diagnose(_run(facts=facts, held_out=HeldOut(y, np.full(100, 0.1))))[0]
    assert (ignored.severity, ignored.evidence["recall_of_rare_class"]) == ("warning", 0.0)
    found = diagnose(_run(facts=facts, held_out=HeldOut(y, np.where(y == 1, 0.8, 0.1))))
    assert found.healthy
    proba = np.eye(3)[[0, 1, 1, 2]]
    kinds = {
        "kind": "multiclass",
        "classes": ["a", "b", "c"],
        "class_counts": {"a": 500, "b": 400, "c": 10},
        "output": {"activation": "softmax", "units": 3},
        "reference_loss": 0.75,
    }
    assert diagnose(_run(facts=kinds, held_out=HeldOut(np.array([0, 1, 1, 0]), proba)))[0].symptom == "class-imbalance"


def test_regression_on_scaled_targets_knows_its_reference() -> None:
    facts = {
        "kind": "regression",
        "classes": [],
        "class_counts": None,
        "loss": "mse",
        "output": {"activation": "linear", "units": 1},
    }
    flat = ({"loss": np.full(40, 0.995), "val_loss": np.full(40, 1.01)},)
    scores = (Score("rmse", 1.0, 0.9, 1.1), Score("rmse", 5.0, 4.5, 5.5, who="dummy"))
    result = diagnose(_run(flat, facts=facts, scores=scores, preparation=object()))
    assert result[0].evidence["constant_prediction_loss"] == 1.0
    assert "class-imbalance" in result.examined  # there are no classes, and that is known
    told = diagnose(_run(flat, facts=facts | {"target_sd": [1.0]}, scores=scores))
    assert told[0].evidence["constant_prediction_loss"] == 1.0


def test_members_that_diverged_without_a_trace_of_it() -> None:
    facts = {"members": [{"outcome": "completed"}, {"outcome": "diverged"}, {"outcome": "completed"}]}
    found = diagnose(_run(({"loss": decay(0.7, 0.1, 40, 5)},) * 3, facts=facts))[0]
    assert (found.symptom, found.severity, found.evidence["networks_lost"]) == ("divergence", "warning", 1)


# --------------------------------------------------------------------------------------------------------- ranking


def _finding(symptom: str, severity: str = "warning", confidence: float = 0.8) -> Finding:
    return Finding(symptom, "S0", "learning", severity, confidence, symptom, {"x": 1.0})  # type: ignore[arg-type]


def test_one_story_root_cause_first() -> None:
    ranked = rank(
        [_finding("oscillation"), _finding("divergence", "serious"), _finding("overfit"), _finding("inputs-not-scaled")]
    )
    assert [f.symptom for f in ranked if f.severity != "note"] == ["inputs-not-scaled"]
    assert ranked[0].severity == "serious"  # it takes over the worst of what it causes
    assert {f.symptom for f in ranked} == {"inputs-not-scaled", "divergence", "oscillation", "overfit"}
    assert all("inputs-not-scaled" in f.cause for f in ranked[1:])


def test_unrelated_findings_keep_their_severity() -> None:
    ranked = rank([_finding("class-imbalance"), _finding("overfit", "serious"), _finding("inputs-not-scaled")])
    assert [(f.symptom, f.severity) for f in ranked] == [
        ("overfit", "serious"),
        ("inputs-not-scaled", "warning"),
        ("class-imbalance", "warning"),
    ]


def test_a_note_explains_nothing_and_good_fit_is_dropped_beside_a_warning() -> None:
    ranked = rank([_finding("output-loss-mismatch", "note"), _finding("underfit-flat"), _finding("good-fit", "note")])
    assert [(f.symptom, f.severity) for f in ranked] == [("underfit-flat", "warning"), ("output-loss-mismatch", "note")]


def test_rank_does_not_depend_on_the_order_given() -> None:
    given = [
        _finding(s, v)
        for s, v in (
            ("no-skill", "serious"),
            ("underfit-flat", "serious"),
            ("oscillation", "warning"),
            ("class-imbalance", "note"),
            ("overfit", "warning"),
        )
    ]
    turned = np.random.default_rng(0).permutation(len(given))
    assert rank(given) == rank([given[i] for i in turned])
    assert rank(given)[0].symptom == "oscillation"


def test_the_diagnosis_is_plain_json() -> None:
    result = diagnose(_run(({"loss": [0.7, np.nan]},)))
    assert json.loads(json.dumps(result.to_dict()))["findings"][0]["symptom"] == "divergence"


def test_the_same_trace_gives_the_same_diagnosis_in_any_row_order() -> None:
    whole = trace({"loss": OVERFIT["loss"] + noise(60, 0.01), "val_loss": OVERFIT["val_loss"]})
    order = np.random.default_rng(0).permutation(len(whole.value))
    turned = Trace(*(getattr(whole, name)[order] for name in ("member", "epoch", "layer", "quantity", "value")))
    assert diagnose(turned) == diagnose(whole)


def test_examine_leaves_its_argument_alone() -> None:
    statistics = {"loss": decay(0.7, 0.1, 20, 4)}
    examine(statistics)
    assert set(statistics) == {"loss"}


def test_findings_can_be_replaced() -> None:
    assert replace(_finding("overfit"), severity="note").severity == "note"


# -------------------------------------------------------------------------------------------- before training: check

X = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
RAW = X * 300 + 1000
BINARY = (X[:, 0] > 0).astype(int)
CLASSES = np.arange(200) % 3
QUANTITY = X @ np.array([1.0, -2.0, 0.5, 0.0]) * 10


def _model(*layers: Any, shape: tuple[int, ...] = (4,)) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), *layers])


def _dense(units: int, activation: str | None = None) -> Any:
    import keras

    return keras.layers.Dense(units, activation=activation)


@pytest.mark.parametrize(
    ("units", "activation", "y", "loss"),
    [
        (1, "sigmoid", BINARY, "binary_crossentropy"),
        (3, "softmax", CLASSES, "sparse_categorical_crossentropy"),
        (3, "softmax", np.eye(3)[CLASSES], "categorical_crossentropy"),
        (1, None, QUANTITY, "mse"),
        (1, "tanh", BINARY, "hinge"),
        (1, "exponential", np.abs(QUANTITY), "poisson"),
        (1, "relu", np.abs(QUANTITY), "msle"),
        (1, None, QUANTITY.reshape(-1, 1), "mean_absolute_error"),
    ],
)
def test_sound_models_pass(units: int, activation: str | None, y: np.ndarray, loss: str) -> None:
    model = _model(_dense(8, "relu"), _dense(units, activation))
    result = check(model, X, y, loss=loss)
    assert not result.findings, str(result)
    assert {"output-loss-mismatch", "inputs-not-scaled"} <= set(result.examined)
    assert "before training" in result.not_examined["overfit"]
    model.compile(optimizer="adam", loss=loss)
    assert check(model, X, y) == result


@pytest.mark.parametrize(
    ("units", "activation", "y", "loss", "severity"),
    [
        (1, "softmax", BINARY, "binary_crossentropy", "serious"),
        (3, "sigmoid", np.eye(3)[CLASSES], "categorical_crossentropy", "warning"),
        (3, None, CLASSES, "sparse_categorical_crossentropy", "serious"),
        (3, "softmax", CLASSES, "categorical_crossentropy", "serious"),
        (2, "softmax", CLASSES, "sparse_categorical_crossentropy", "serious"),
        (1, "sigmoid", QUANTITY, "mse", "serious"),
        (1, "relu", QUANTITY, "mse", "serious"),
        (1, "sigmoid", CLASSES, "binary_crossentropy", "serious"),
        (1, "sigmoid", QUANTITY, "binary_crossentropy", "serious"),
        (2, None, QUANTITY, "mse", "serious"),
        (1, "sigmoid", BINARY, "mse", "note"),
        (1, "sigmoid", BINARY, "hinge", "warning"),
        (1, None, np.abs(QUANTITY), "poisson", "serious"),
        (1, None, QUANTITY, "msle", "serious"),
        (3, "softmax", np.array(["setosa", "versicolor", "virginica"])[CLASSES], "categorical_crossentropy", "serious"),
        (1, "sigmoid", np.array(["no", "yes"], object)[BINARY], "binary_crossentropy", "serious"),
    ],
)
def test_mismatches_are_named(units: int, activation: str | None, y: np.ndarray, loss: str, severity: str) -> None:
    result = check(_model(_dense(8, "relu"), _dense(units, activation)), X, y, loss=loss)
    assert (result[0].symptom, result[0].severity) == ("output-loss-mismatch", severity)
    assert [f.symptom for f in result if f.severity != "note"] == ["output-loss-mismatch"] * (severity != "note")


def test_logits_are_read_from_a_loss_object() -> None:
    import keras

    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert not check(_model(_dense(3)), X, CLASSES, loss=logits).findings
    assert check(_model(_dense(3, "softmax")), X, CLASSES, loss=logits)[0].symptom == "output-loss-mismatch"
    model = _model(_dense(3))
    model.compile(loss=logits)
    assert not check(model, X, CLASSES).findings
    assert not check(_model(_dense(1)), X, BINARY, loss=keras.losses.BinaryCrossentropy(from_logits=True)).findings


def test_the_output_activation_may_be_a_layer_of_its_own() -> None:
    import keras

    softmax = _model(_dense(3), keras.layers.Activation("softmax"))
    assert not check(softmax, X, CLASSES, loss="sparse_categorical_crossentropy").findings
    assert not check(
        _model(_dense(3), keras.layers.Softmax()), X, CLASSES, loss="sparse_categorical_crossentropy"
    ).findings
    relu = _model(_dense(3), keras.layers.ReLU())
    assert warned(check(relu, X, CLASSES, loss="sparse_categorical_crossentropy")) == ["output-loss-mismatch"]


def test_a_functional_model_and_a_nested_one() -> None:
    import keras

    inputs = keras.Input((4,))
    hidden = _dense(8, "relu")(inputs)
    functional = keras.Model(inputs, _dense(1, "softmax")(keras.layers.add([hidden, _dense(8)(inputs)])))
    assert warned(check(functional, RAW, BINARY, loss="binary_crossentropy")) == [
        "inputs-not-scaled",
        "output-loss-mismatch",
    ]
    nested = _model(keras.Sequential([keras.Input((4,)), _dense(3, "sigmoid")]))
    assert warned(check(nested, X, np.eye(3)[CLASSES], loss="categorical_crossentropy")) == ["output-loss-mismatch"]


def test_scaling_layers_in_front_count() -> None:
    import keras

    adapted = keras.layers.Normalization()
    adapted.adapt(RAW)
    fresh = keras.layers.Normalization()
    for front, silent in [
        (adapted, True),
        (keras.layers.BatchNormalization(), True),
        (keras.layers.LayerNormalization(), True),
        (keras.layers.Rescaling(1 / 300, offset=-1000 / 300), True),
        (keras.layers.Rescaling(1 / 2), False),
        (fresh, False),
        (keras.layers.Dropout(0.1), False),
    ]:
        result = check(_model(front, _dense(1, "sigmoid")), RAW, BINARY, loss="binary_crossentropy")
        assert ("inputs-not-scaled" not in warned(result)) == silent, front


def test_images_are_flattened_and_their_scale_is_seen() -> None:
    import keras

    x = np.random.default_rng(0).integers(0, 256, size=(30, 8, 8, 1))
    y = np.arange(30) % 3
    layers = keras.layers
    raw = _model(layers.Flatten(), _dense(3, "softmax"), shape=(8, 8, 1))
    assert warned(check(raw, x, y, loss="sparse_categorical_crossentropy")) == ["inputs-not-scaled"]
    scaled = _model(
        layers.Rescaling(1 / 255), layers.Conv2D(2, 3), layers.Flatten(), _dense(3, "softmax"), shape=(8, 8, 1)
    )
    assert warned(check(scaled, x, y, loss="sparse_categorical_crossentropy")) == []


def test_embedded_codes_and_subclassed_models_are_not_examined_where_they_cannot_be() -> None:
    import keras

    codes = np.random.default_rng(0).integers(0, 5000, size=(50, 6))
    model = _model(keras.layers.Embedding(5000, 4), keras.layers.Flatten(), _dense(1, "sigmoid"), shape=(6,))
    result = check(model, codes, np.arange(50) % 2, loss="binary_crossentropy")
    assert "inputs-not-scaled" in result.not_examined

    class Words(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.dense = keras.layers.Embedding(5000, 4), _dense(1, "sigmoid")

        def call(self, x: Any) -> Any:
            return self.dense(keras.ops.mean(self.words(x), axis=1))

    class Places(keras.layers.Layer):  # type: ignore[misc]
        """Words and places, as Keras' examples of transformers have them."""

        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = keras.layers.Embedding(5000, 4), keras.layers.Embedding(6, 4)

        def call(self, x: Any) -> Any:
            return self.words(x) + self.places(keras.ops.arange(6))

    many = np.random.default_rng(0).integers(0, 5000, size=(400, 6))
    labels = np.random.default_rng(1).integers(0, 2, 400)
    layered = _model(Places(), keras.layers.Flatten(), _dense(1, "sigmoid"), shape=(6,))
    for model in (Words(), layered):
        words = check(model, many, labels, loss="binary_crossentropy")
        assert "suspect-labels" not in warned(words)
        assert {"inputs-not-scaled", "inputs-correlated"} <= set(words.not_examined)
        quantities = check(model, many + 0.5, labels, loss="binary_crossentropy")  # no numbers of words
        assert {"inputs-not-scaled", "suspect-labels"} <= set(warned(quantities))

    class Mine(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.dense = keras.layers.BatchNormalization(), _dense(1, "softmax")

        def call(self, x: Any) -> Any:
            return self.dense(self.scale(x))

    result = check(Mine(), RAW, BINARY, loss="binary_crossentropy")
    assert not result.findings
    assert {"inputs-not-scaled", "output-loss-mismatch"} <= set(result.not_examined)
    assert "class-imbalance" in result.examined


def test_a_target_for_every_cell_of_a_picture_or_step_of_a_sequence() -> None:
    import keras

    pictures = np.random.default_rng(0).normal(size=(60, 4, 4, 1))
    masks = (pictures > 0).astype(int)

    def verdict(units: int, activation: str | None, y: np.ndarray, loss: str) -> list[str]:
        model = _model(keras.layers.Conv2D(units, 1, activation=activation), shape=(4, 4, 1))
        return warned(check(model, pictures, y, loss=loss))

    assert verdict(1, "sigmoid", masks, "binary_crossentropy") == []
    assert verdict(1, "sigmoid", masks[..., 0], "binary_crossentropy") == []
    assert verdict(2, "softmax", masks[..., 0], "sparse_categorical_crossentropy") == []
    assert verdict(2, "softmax", np.eye(2)[masks[..., 0]], "categorical_crossentropy") == []
    assert verdict(1, "softmax", masks, "binary_crossentropy") == ["output-loss-mismatch"]
    assert verdict(1, "relu", masks, "binary_crossentropy") == ["output-loss-mismatch"]
    assert verdict(2, "softmax", masks[..., 0] + 1, "sparse_categorical_crossentropy") == ["output-loss-mismatch"]
    steps = _model(keras.layers.LSTM(4, return_sequences=True), _dense(1), shape=(4, 4))
    assert warned(check(steps, pictures[..., 0], pictures[:, 0, :, 0], loss="mse")) == []
    assert warned(check(steps, pictures[..., 0], pictures[..., 0], loss="mse")) == ["output-loss-mismatch"]


def test_the_reference_of_several_outputs_is_the_sum_of_theirs() -> None:
    import keras

    put = keras.Input((4,))
    model = keras.Model(put, {"size": _dense(1)(put), "sign": _dense(1, "sigmoid")(put)})
    y, losses = {"size": QUANTITY, "sign": BINARY}, {"size": "mse", "sign": "binary_crossentropy"}
    found = static_statistics(model, X, y, loss=losses)["reference_loss"]
    share = BINARY.mean()
    assert found == pytest.approx(np.var(QUANTITY) - share * np.log(share) - (1 - share) * np.log(1 - share))
    assert "reference_loss" not in static_statistics(model, X, y, loss=losses | {"size": "mae"})


def test_nothing_is_built_or_changed_by_a_check() -> None:
    import keras

    model = keras.Sequential([_dense(4, "relu"), _dense(1, "sigmoid")])
    result = check(model, RAW, BINARY, loss="binary_crossentropy")
    assert not model.built
    assert warned(result) == ["inputs-not-scaled"]


def test_imbalance_and_names_from_frames() -> None:
    frame = pd.DataFrame(RAW, columns=["a", "b", "c", "d"])
    rare = (np.arange(200) < 10).astype(int)
    result = check(_model(_dense(1, "sigmoid")), frame, pd.Series(rare), loss="binary_crossentropy")
    assert warned(result) == ["inputs-not-scaled", "class-imbalance"]
    assert result[0].evidence["input"] in frame.columns
    one_hot = check(_model(_dense(2, "softmax")), X, np.eye(2)[rare], loss="categorical_crossentropy")
    assert one_hot[0].evidence["smallest_rows"] == 10
    words = check(_model(_dense(1, "sigmoid")), X, np.where(rare, "yes", "no"), loss="binary_crossentropy")
    assert warned(words) == ["output-loss-mismatch", "class-imbalance"]


def test_accuracy_as_a_metric_says_that_classes_are_meant() -> None:
    model = _model(_dense(1))
    model.compile(loss="mse", metrics=["accuracy"])
    assert warned(check(model, X, CLASSES)) == ["output-loss-mismatch"]
    assert not check(model, X, QUANTITY).findings
    assert not check(_model(_dense(1)), X, CLASSES * 7, loss="mse").findings  # whole numbers can be quantities


def test_rows_must_agree() -> None:
    with pytest.raises(DataError, match="200 rows and y has 199"):
        check(_model(_dense(1)), X, QUANTITY[1:], loss="mse")


@pytest.mark.parametrize("loss", [None, {"a": "mse"}, lambda y, p: p])
def test_a_loss_that_says_nothing_is_not_examined_or_passes(loss: Any) -> None:
    result = check(_model(_dense(1)), X, QUANTITY, loss=loss)
    assert not result.findings
