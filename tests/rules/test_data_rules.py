"""The rules about scores, inputs, outputs and classes: what must fire, and near misses that must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fallline.diagnose import examine
from fallline.rules._statistics import canonical_loss, constant_prediction_loss, input_statistics, target_statistics
from fallline.types import Finding, Score


def only(symptom: str, **statistics: Any) -> Finding | None:
    found = [finding for finding in examine(statistics) if finding.symptom == symptom]
    assert len(found) <= 1
    return found[0] if found else None


# ------------------------------------------------------------------------------------------------------- no skill


def _score(value: float, low: float, high: float, who: str = "model", *, auc: bool = False, n: int = 100) -> Score:
    return Score("auc" if auc else "log_loss", value, low, high, n=n, who=who, higher_is_better=auc)


@pytest.mark.parametrize(
    ("model", "baseline", "severity"),
    [
        ((0.70, 0.66, 0.74), (0.69, 0.67, 0.71), "warning"),  # the same
        ((0.90, 0.80, 1.00), (0.69, 0.67, 0.71), "serious"),  # clearly worse
        ((0.65, 0.58, 0.72), (0.69, 0.67, 0.71), "warning"),  # better, but not beyond chance
        ((0.40, 0.35, 0.45), (0.69, 0.67, 0.71), None),
        ((0.40, np.nan, np.nan), (0.69, np.nan, np.nan), None),  # no interval was computed
        ((0.69, np.nan, np.nan), (0.69, np.nan, np.nan), "warning"),
    ],
)
def test_no_skill(model: tuple[float, ...], baseline: tuple[float, ...], severity: str | None) -> None:
    found = only("no-skill", model_scores=(_score(*model),), baseline_scores=(_score(*baseline, who="dummy"),))
    assert (found.severity if found else None) == severity


def test_no_skill_knows_the_direction() -> None:
    good = _score(0.9, 0.85, 0.95, auc=True)
    assert only("no-skill", model_scores=(good,), baseline_scores=(_score(0.5, 0.5, 0.5, "dummy", auc=True),)) is None
    bad = _score(0.5, 0.45, 0.55, auc=True)
    assert (
        only("no-skill", model_scores=(bad,), baseline_scores=(_score(0.5, 0.5, 0.5, "dummy", auc=True),)) is not None
    )


def test_a_clearly_better_linear_model_is_said() -> None:
    dummy, model = _score(0.69, 0.68, 0.70, "dummy"), _score(0.50, 0.47, 0.53)
    found = only("no-skill", model_scores=(model,), baseline_scores=(dummy, _score(0.30, 0.27, 0.33, "linear")))
    assert found is not None
    assert found.evidence["baseline"] == "linear"
    close = _score(0.48, 0.45, 0.51, "linear")
    assert only("no-skill", model_scores=(model,), baseline_scores=(dummy, close)) is None


def test_scores_on_other_rows_or_of_another_metric_are_not_compared() -> None:
    other = Score("log_loss", 0.1, rows="validation", who="dummy")
    assert only("no-skill", model_scores=(_score(0.6, 0.5, 0.7),), baseline_scores=(other,)) is None
    other = Score("accuracy", 0.1, who="dummy", higher_is_better=True)
    assert only("no-skill", model_scores=(_score(0.6, 0.5, 0.7),), baseline_scores=(other,)) is None


# --------------------------------------------------------------------------------------------------------- inputs


@pytest.mark.parametrize(
    ("x", "severity"),
    [
        (np.random.default_rng(0).normal(size=(200, 3)), None),
        (np.random.default_rng(0).uniform(size=(200, 3)), None),
        (np.random.default_rng(0).uniform(-1, 1, size=(200, 3)), None),
        (np.eye(50), None),  # one-hot columns
        (np.random.default_rng(0).uniform(0.1, 7.9, size=(200, 4)), None),  # centimetres
        (np.random.default_rng(0).standard_t(2, size=(500, 2)), None),  # heavy tails
        (np.random.default_rng(0).uniform(0, 255, size=(200, 3)), "serious"),  # pixels
        (np.random.default_rng(0).integers(1990, 2024, size=(200, 1)), "serious"),  # years
        (np.random.default_rng(0).normal(20, 5, size=(200, 1)), "warning"),  # degrees
        (np.random.default_rng(0).uniform(0, 1e-4, size=(200, 3)), "warning"),
        (np.zeros((10, 2)), None),  # constant: another rule's business
    ],
)
def test_inputs_not_scaled(x: np.ndarray, severity: str | None) -> None:
    found = only("inputs-not-scaled", **input_statistics(x.astype(float)))
    assert (found.severity if found else None) == severity


def test_the_worst_input_is_named() -> None:
    x = np.column_stack([np.linspace(-1, 1, 50), np.linspace(0, 9000, 50)])
    found = only("inputs-not-scaled", **input_statistics(x), input_names=["age", "income"])
    assert found is not None
    assert found.evidence["input"] == "income"
    assert found.evidence["inputs_beyond_limit"] == 1


# ------------------------------------------------------------------------------------------ output, loss, targets

BCE, CCE, SCCE = "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"
ZERO_ONE = {"target_min": 0.0, "target_max": 1.0, "target_is_whole": True}

RIGHT: list[dict[str, Any]] = [
    {
        "output_activation": "sigmoid",
        "loss_name": BCE,
        "output_units": 1,
        "target_width": 1,
        "from_logits": False,
        **ZERO_ONE,
    },
    {"output_activation": "linear", "loss_name": BCE, "output_units": 1, "from_logits": True, **ZERO_ONE},
    {
        "output_activation": "sigmoid",
        "loss_name": BCE,
        "output_units": 5,
        "target_width": 5,
        "problem_kind": "multilabel",
        **ZERO_ONE,
    },
    {
        "output_activation": "softmax",
        "loss_name": CCE,
        "output_units": 3,
        "target_width": 3,
        "target_is_one_hot": True,
        **ZERO_ONE,
    },
    {
        "output_activation": "softmax",
        "loss_name": SCCE,
        "output_units": 3,
        "target_width": 1,
        "target_min": 0.0,
        "target_max": 2.0,
        "target_is_whole": True,
        "from_logits": False,
    },
    {"output_activation": "linear", "loss_name": SCCE, "output_units": 3, "from_logits": True},
    {"output_activation": "linear", "loss_name": CCE, "output_units": 3},  # logits or not: not known
    {
        "output_activation": "linear",
        "loss_name": "mse",
        "output_units": 1,
        "target_width": 1,
        "target_min": -3.0,
        "target_max": 900.0,
        "problem_kind": "regression",
    },
    {
        "output_activation": "sigmoid",
        "loss_name": "mse",
        "target_min": 0.1,
        "target_max": 0.9,
        "problem_kind": "regression",
    },
    {
        "output_activation": "relu",
        "loss_name": "mae",
        "target_min": 0.0,
        "target_max": 900.0,
        "problem_kind": "regression",
    },
    {
        "output_activation": "tanh",
        "loss_name": "huber",
        "target_min": -1.0,
        "target_max": 1.0,
        "problem_kind": "regression",
    },
    {"output_activation": "softplus", "loss_name": "my_own_loss", "target_min": -4.0, "target_max": 1.0},
    {
        "output_activation": "softmax",
        "loss_name": SCCE,
        "output_units": 11,
        "target_min": 1.0,
        "target_max": 10.0,
        "target_is_whole": True,
    },  # classes numbered from 1
]

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"output_activation": "softmax", "loss_name": BCE, "output_units": 1}, "serious", "one softmax unit"),
    ({"output_activation": "softmax", "loss_name": "mse", "output_units": 1}, "serious", "one softmax unit"),
    ({"output_activation": "sigmoid", "loss_name": SCCE, "output_units": 1}, "serious", "one unit"),
    ({"output_activation": "sigmoid", "loss_name": CCE, "output_units": 10}, "warning", "one distribution"),
    (
        {"output_activation": "relu", "loss_name": CCE, "output_units": 10, "from_logits": False},
        "serious",
        "probabilities",
    ),
    ({"output_activation": "linear", "loss_name": BCE, "from_logits": False}, "serious", "probabilities"),
    ({"output_activation": "linear", "loss_name": SCCE, "from_logits": False}, "serious", "probabilities"),
    ({"output_activation": "softmax", "loss_name": SCCE, "from_logits": True}, "serious", "squashed twice"),
    ({"output_activation": "tanh", "loss_name": BCE, "from_logits": True}, "serious", "logits"),
    (
        {"output_activation": "softmax", "loss_name": BCE, "output_units": 4, "problem_kind": "multilabel"},
        "serious",
        "several labels",
    ),
    (
        {"output_activation": "softmax", "loss_name": "mse", "output_units": 4, "problem_kind": "multilabel"},
        "serious",
        "several labels",
    ),
    (
        {"output_activation": "softmax", "loss_name": CCE, "output_units": 4, "problem_kind": "multilabel"},
        "warning",
        "exactly one class",
    ),
    (
        {"output_activation": "softmax", "loss_name": BCE, "output_units": 3, "target_is_one_hot": True, **ZERO_ONE},
        "note",
        "by itself",
    ),
    (
        {
            "output_activation": "softmax",
            "loss_name": CCE,
            "output_units": 3,
            "target_width": 1,
            "target_min": 0.0,
            "target_max": 2.0,
            "target_is_whole": True,
        },
        "serious",
        "class numbers",
    ),
    (
        {"output_activation": "softmax", "loss_name": SCCE, "output_units": 3, "target_is_one_hot": True, **ZERO_ONE},
        "serious",
        "one-hot",
    ),
    (
        {
            "output_activation": "softmax",
            "loss_name": SCCE,
            "output_units": 3,
            "target_min": 1.0,
            "target_max": 3.0,
            "target_is_whole": True,
        },
        "serious",
        "largest class number",
    ),
    (
        {
            "output_activation": "sigmoid",
            "loss_name": BCE,
            "target_min": -1.0,
            "target_max": 1.0,
            "target_is_whole": True,
        },
        "serious",
        "between 0 and 1",
    ),
    (
        {
            "output_activation": "sigmoid",
            "loss_name": BCE,
            "target_min": 0.0,
            "target_max": 2.0,
            "target_is_whole": True,
        },
        "serious",
        "between 0 and 1",
    ),
    (
        {"output_activation": "sigmoid", "loss_name": "mse", "target_min": 0.0, "target_max": 100.0},
        "serious",
        "from 0 to 1",
    ),
    (
        {"output_activation": "relu", "loss_name": "mse", "target_min": -3.0, "target_max": 9.0},
        "serious",
        "from 0 to inf",
    ),
    (
        {"output_activation": "tanh", "loss_name": "mae", "target_min": 0.0, "target_max": 9.0},
        "serious",
        "from -1 to 1",
    ),
    ({"output_activation": "linear", "loss_name": "mse", "output_units": 3, "target_width": 1}, "serious", "3 units"),
    (
        {
            "output_activation": "softmax",
            "loss_name": CCE,
            "output_units": 4,
            "target_width": 3,
            "target_is_one_hot": True,
        },
        "serious",
        "4 units",
    ),
    (
        {"output_activation": "softmax", "loss_name": "mse", "output_units": 3, "problem_kind": "multiclass"},
        "note",
        "cross-entropy",
    ),
    (
        {"output_activation": "linear", "loss_name": "mse", "output_units": 1, "problem_kind": "binary", **ZERO_ONE},
        "warning",
        "quantities",
    ),
]


@pytest.mark.parametrize("statistics", RIGHT, ids=lambda s: f"{s['output_activation']}-{s['loss_name']}")
def test_output_and_loss_agree(statistics: dict[str, Any]) -> None:
    assert only("output-loss-mismatch", **statistics) is None


@pytest.mark.parametrize(("statistics", "severity", "words"), WRONG, ids=[f"{w[2]}-{i}" for i, w in enumerate(WRONG)])
def test_output_and_loss_disagree(statistics: dict[str, Any], severity: str, words: str) -> None:
    found = only("output-loss-mismatch", **statistics)
    assert found is not None
    assert found.severity == severity
    assert words in found.message
    assert found.what_to_try


def test_several_disagreements_are_one_finding_worst_first() -> None:
    found = only("output-loss-mismatch", output_activation="sigmoid", loss_name=CCE, output_units=4, target_width=3)
    assert found is not None
    assert found.severity == "serious"
    assert len(found.what_to_try) == 2


# -------------------------------------------------------------------------------------------------------- classes


@pytest.mark.parametrize(
    ("counts", "recall", "severity"),
    [
        ({"a": 500, "b": 500}, None, None),
        ({"a": 900, "b": 100}, None, None),
        ({"a": 1000, "b": 99}, None, "warning"),
        ({"a": 1000, "b": 99}, {"a": 1.0, "b": 0.1}, "warning"),
        ({"a": 1000, "b": 99}, {"a": 1.0, "b": 0.8}, "note"),  # rare, but recognised
        ({"a": 1000, "b": 99, "c": 20}, {"a": 1.0, "b": 0.8, "c": 0.0}, "warning"),
        ({"a": 1000, "b": 0}, None, None),  # a class that does not occur
        ({}, None, None),
    ],
)
def test_class_imbalance(counts: dict[str, int], recall: dict[str, float] | None, severity: str | None) -> None:
    found = only("class-imbalance", class_counts=counts, class_recall=recall)
    assert (found.severity if found else None) == severity


@pytest.mark.parametrize(
    ("explained", "held", "severity"),
    [(0.8, None, "note"), (0.2, None, "warning"), (0.9, 0.05, "note"), (0.9, 0.3, "warning")],
)
def test_a_rare_class_that_was_learned_is_a_remark(explained: float, held: float | None, severity: str) -> None:
    """Always predicting the shares of the classes explains nothing, however rare one of them is."""
    known = {"explained": explained, "kept_val_loss": held, "reference_loss": 0.3}
    found = only("class-imbalance", class_counts={"a": 1000, "b": 50}, **known)
    assert found is not None
    assert found.severity == severity


# ----------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean_squared_error", "mse"),
        ("MeanSquaredError", "mse"),
        ("MSE", "mse"),
        ("mse", "mse"),
        ("BinaryCrossentropy", BCE),
        ("SparseCategoricalCrossentropy", SCCE),
        ("categorical_crossentropy", CCE),
        ("LogCosh", "log_cosh"),
        ("my_loss", "my_loss"),
    ],
)
def test_one_spelling_for_a_loss(name: str, expected: str) -> None:
    assert canonical_loss(name) == expected


def test_constant_prediction_loss() -> None:
    share = np.array([0.2, 0.3, 0.5])
    counts = {"a": 20, "b": 30, "c": 50}
    assert constant_prediction_loss(SCCE, counts, None) == pytest.approx(-np.sum(share * np.log(share)))
    y = np.random.default_rng(0).normal(3, 2, size=(100, 2))
    assert constant_prediction_loss("mse", None, y.std(axis=0)) == pytest.approx(np.mean((y - y.mean(axis=0)) ** 2))
    assert constant_prediction_loss("mae", None, 1.0) is None
    assert constant_prediction_loss(BCE, {"a": 5}, None) is None
    assert constant_prediction_loss("mse", None, 0.0) is None


def test_input_statistics_leave_missing_values_out() -> None:
    x = np.array([[1.0, np.nan], [3.0, 5.0], [np.inf, 7.0]])
    found = input_statistics(x)
    assert found["input_mean"].tolist() == [2.0, 6.0]
    assert found["input_sd"].tolist() == [1.0, 1.0]
    assert found["input_min"].tolist() == [1.0, 5.0]
    assert found["input_max"].tolist() == [3.0, 7.0]


def test_target_statistics() -> None:
    found = target_statistics(np.eye(3)[[0, 1, 2, 0]])
    assert found["target_is_one_hot"]
    assert found["target_width"] == 3
    assert not target_statistics(np.array([[1, 1], [0, 1]]))["target_is_one_hot"]
    assert not target_statistics(np.array([0.5, 2.0]))["target_is_whole"]
    assert target_statistics(np.array([np.nan])) == {"target_width": 1, "missing_targets": 1}
