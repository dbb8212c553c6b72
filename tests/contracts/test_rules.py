"""What every rule owes: its names, its page, its evidence, and that no statistics can make it stumble."""

from __future__ import annotations

import ast
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline.rules
from fallline.diagnose import CAUSAL_ORDER, EXPLAINS, examine
from fallline.rules import HEADINGS, STATISTICS, Rule, catalogue, discover
from fallline.rules._structure import LayerFacts
from fallline.treatments import catalogue as treatments
from fallline.types import FAMILIES, SEVERITIES, Score

# The names are a contract with users: the catalogue's number of each symptom.
NAMES = {
    f"S{number}": name
    for number, name in enumerate(
        [
            "underfit-flat",
            "underfit-stopped-early",
            "overfit",
            "good-fit",
            "unrepresentative-training-set",
            "unrepresentative-validation-set",
            "oscillation",
            "divergence",
            "plateau",
            "learning-rate-too-high",
            "learning-rate-too-low",
            "no-skill",
            "vanishing-gradients",
            "exploding-gradients",
            "saturated-units",
            "dead-relu",
            "bad-initial-scale",
            "symmetric-units",
            "layer-not-learning",
            "ill-conditioned",
            "inputs-not-scaled",
            "inputs-correlated",
            "output-loss-mismatch",
            "no-nonlinearity",
            "class-imbalance",
            "suspect-labels",
            "not-shuffled",
            "batch-size-unsuited",
            "batch-norm-with-dropout",
            "capacity-unsuited",
            "targets-out-of-range",
            "high-variance-over-seeds",
            "best-value-on-border",
            "validation-overfitted",
            "targets-not-scaled",
            "over-regularised",
            "missing-values",
        ],
        start=1,
    )
}
RULES = pytest.mark.parametrize("rule", discover(), ids=lambda rule: rule.symptom.name)


def test_every_symptom_of_the_contract_has_one_rule() -> None:
    assert {rule.symptom.id: rule.symptom.name for rule in discover()} == NAMES
    assert [info.id for info in catalogue()] == list(NAMES)


@RULES
def test_names_are_those_of_the_contract(rule: Rule) -> None:
    assert NAMES[rule.symptom.id] == rule.symptom.name
    assert rule.symptom.family in FAMILIES
    assert rule.symptom.when
    assert set(rule.symptom.when) <= {"before", "during", "after"}
    assert rule.examine.__module__.rsplit(".", 1)[1] == rule.symptom.name.replace("-", "_")


@RULES
def test_the_page_is_complete(rule: Rule) -> None:
    sections = rule.info.sections
    assert tuple(sections) == HEADINGS
    assert all(len(text) > 40 for text in sections.values())
    assert rule.info.title
    assert "\n" not in rule.info.title


@RULES
def test_parameters_are_known_statistics(rule: Rule) -> None:
    assert rule.info.requires or rule.info.one_of
    assert set(rule.info.requires + rule.info.optional) <= set(STATISTICS)
    assert set(rule.info.one_of) <= set(rule.info.optional)


def test_causes_and_order_name_symptoms_of_the_contract() -> None:
    assert sorted(CAUSAL_ORDER) == sorted(NAMES.values())
    assert set(EXPLAINS) <= set(CAUSAL_ORDER)
    for cause, symptoms in EXPLAINS.items():
        for symptom in symptoms:
            assert CAUSAL_ORDER.index(cause) < CAUSAL_ORDER.index(symptom), (cause, symptom)


def test_rules_import_neither_jax_nor_keras() -> None:
    for path in [*Path(fallline.rules.__path__[0]).glob("*.py"), Path(fallline.rules.__path__[0], "../diagnose.py")]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"jax", "keras", "pandas", "sklearn", "tensorflow"}, (
                path
            )


# ---------------------------------------------------------------------------------------- whatever is thrown at them

_FLOAT = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=64), st.sampled_from([0.0, 0.5, 0.7, 1e-300, 1e300, math.nan])
)
_CURVE = st.one_of(
    st.lists(_FLOAT, max_size=40), _FLOAT.flatmap(lambda value: st.integers(0, 40).map(lambda n: [value] * n))
).map(lambda values: np.array(values, np.float64))
_NUMBER = st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(0.0))
_COUNT = st.one_of(st.none(), st.integers(0, 1000))
_SCORES = st.lists(
    st.builds(
        Score,
        st.sampled_from(["log_loss", "rmse", "auc"]),
        _FLOAT,
        _FLOAT,
        _FLOAT,
        n=st.integers(0, 99),
        who=st.sampled_from(["model", "dummy", "linear"]),
        higher_is_better=st.booleans(),
    ),
    max_size=4,
).map(tuple)
_VECTOR = st.lists(_FLOAT, max_size=5).map(lambda values: np.array(values, np.float64))
_TABLE = st.tuples(st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda shape: st.lists(_FLOAT, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.array(values, np.float64).reshape(shape)
    )
)
_NAMES = st.lists(st.text(max_size=3), max_size=3)
_FINITE = st.floats(-1e6, 1e6)
_SHARE = st.floats(0, 1)
_LAYER = st.builds(
    LayerFacts,
    name=st.sampled_from("abc"),
    kind=st.sampled_from(["Dense", "Conv2D", "Dropout", "BatchNormalization", "GaussianNoise", "Flatten", "LSTM"]),
    activation=st.sampled_from([None, "linear", "relu", "sigmoid", "tanh"]),
    units=st.none() | st.integers(1, 9),
    parents=st.none() | st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
    weights=st.integers(0, 10**6),
    rate=st.floats(0, 2),
    l1=st.floats(0, 2),
    l2=st.floats(0, 2),
    fan_in=st.none() | st.integers(1, 1000),
    kernel_sd=st.floats(0, 1e6) | st.just(math.nan),
    twin_share=_SHARE | st.just(math.nan),
)
_WORDS = ["linear", "softmax", "sigmoid", "relu", "tanh", "something"]
_LOSSES = ["mse", "mae", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy", "mine"]
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "loss": _CURVE,
    "val_loss": _CURVE,
    "running_loss": _CURVE,
    "accuracy": _CURVE,
    "val_accuracy": _CURVE,
    "learning_rate": _CURVE,
    "loss_is_running": st.booleans(),
    "restored": st.booleans(),
    "stopped_early": st.booleans(),
    "reference_loss": st.one_of(st.none(), st.floats(1e-9, 1e9)),
    "lost_at": st.one_of(st.none(), st.integers(1, 50)),
    "lost_members": st.integers(0, 5),
    "members": st.integers(1, 5),
    "n_validation": _COUNT,
    "n_train": _COUNT,
    "class_counts": st.dictionaries(st.text(max_size=3), st.integers(0, 10**6), max_size=4),
    "class_recall": st.dictionaries(st.text(max_size=3), st.floats(0, 1) | st.just(math.nan), max_size=4),
    "model_scores": _SCORES,
    "baseline_scores": _SCORES,
    "input_mean": _VECTOR,
    "input_sd": _VECTOR,
    "input_names": st.lists(st.text(max_size=3), max_size=3),
    "input_shift": st.one_of(st.none(), st.floats(0, 1e9), st.just(math.nan)),
    "input_shrink": st.one_of(st.none(), st.floats(0, 1e9), st.just(math.nan)),
    "output_activation": st.sampled_from(_WORDS),
    "loss_name": st.sampled_from(_LOSSES),
    "output_units": st.one_of(st.none(), st.integers(1, 5)),
    "from_logits": st.one_of(st.none(), st.booleans()),
    "layers": st.lists(_LAYER, max_size=5),
    "first_rate": st.floats(0, 1e3),
    "rate_is_scheduled": st.booleans(),
    "optimizer_name": st.sampled_from(["sgd", "adam", "rmsprop", "mine"]),
    "momentum": _SHARE,
    "shuffle": st.booleans(),
    "total_steps": st.integers(1, 10**6),
    "explained": st.floats(-1e6, 1),
    "planned_epochs": st.integers(1, 100),
    "batch_size": st.integers(1, 1000),
    "n_features": _COUNT,
    "missing_inputs": _COUNT,
    "rows_with_missing": _COUNT,
    "missing_targets": _COUNT,
    "inputs_with_missing": _NAMES,
    "sentinels": st.dictionaries(st.text(max_size=2), st.tuples(_FINITE, _SHARE), max_size=2),
    "constant_inputs": _NAMES,
    "twin_inputs": _NAMES,
    "input_correlation": _SHARE,
    "correlated_pair": st.text(max_size=5),
    "input_condition": st.floats(1, 1e12),
    "order_correlation": st.floats(-1, 1),
    "contradicting_rows": _SHARE,
    "inputs_are_real": st.booleans(),
    "shared_rows": _SHARE,
    "leak_strength": _SHARE,
    "leak_next": _SHARE | st.just(math.nan),
    "leak_input": st.text(max_size=3),
    "neighbour_gain": _FINITE,
    "relation_strength": _FINITE,
    "unseen_class_rows": _SHARE,
    "target_shift": _SHARE,
    "target_mean": _VECTOR,
    "target_sd": _VECTOR,
    "watched_epochs": st.lists(st.integers(0, 50), min_size=1, max_size=4).map(np.array),
    "layer_names": _NAMES,
    "layer_activations": st.lists(st.sampled_from(_WORDS), max_size=3),
    "output_layer": st.none() | st.integers(0, 2),
    "layer_gradient_norm": _TABLE,
    "layer_weight_norm": _TABLE,
    "layer_update_ratio": _TABLE,
    "layer_saturated_share": _TABLE,
    "layer_dead_share": _TABLE,
    "layer_constant_share": _TABLE,
    "layer_twin_share": _TABLE,
    "network_gradient_norm": _VECTOR,
    "network_weight_norm": _VECTOR,
    "network_update_ratio": _VECTOR,
    "scores_over_seeds": _VECTOR,
    "no_skill_score": _FINITE,
    "search_values": _VECTOR,
    "search_scores": _VECTOR,
    "search_name": st.text(max_size=3),
    "search_limits": st.tuples(_FINITE, _FINITE),
    "higher_is_better": st.booleans(),
    "trials": st.integers(0, 1000),
    "validation_rows": st.integers(0, 1000),
    "validation_score": _FLOAT,
    "test_score": _FLOAT,
    "test_rows": _COUNT,
    "target_min": _NUMBER,
    "target_max": _NUMBER,
    "target_width": st.one_of(st.none(), st.integers(1, 5)),
    "target_word": st.one_of(st.none(), st.text(max_size=3)),
    "target_is_whole": st.one_of(st.none(), st.booleans()),
    "target_is_one_hot": st.one_of(st.none(), st.booleans()),
    "problem_kind": st.sampled_from([None, "regression", "binary", "multiclass", "multioutput", "multilabel"]),
}


def test_every_statistic_that_a_rule_reads_is_thrown_at_it() -> None:
    read = {name for rule in discover() for name in rule.info.requires + rule.info.optional}
    assert read <= set(STRATEGIES) | {"start_loss", "kept_loss", "kept_val_loss"}  # those follow from the curves


@settings(max_examples=150)
@given(st.fixed_dictionaries({}, optional=STRATEGIES))
def test_no_statistics_make_a_rule_stumble(statistics: dict[str, Any]) -> None:
    result = examine(statistics)
    assert set(result.examined).isdisjoint(result.not_examined)
    assert set(result.examined) | set(result.not_examined) == {rule.symptom.name for rule in discover()}
    for finding in result:
        assert finding.symptom in NAMES.values()
        assert NAMES[finding.id] == finding.symptom
        assert finding.severity in SEVERITIES
        assert 0 <= finding.confidence <= 1
        assert finding.evidence
        assert finding.message.endswith((".", ":"))
        assert finding.severity == "note" or (finding.what_to_try and finding.cause)
        assert set(finding.treatments) <= {treatment.name for treatment in treatments()}
        assert finding.severity == "note" or finding.treatments
        assert all(isinstance(value, (int, float, str)) for value in finding.evidence.values())
    result.to_dict()


def _typical() -> dict[str, Any]:
    curve = np.linspace(1.0, 0.2, 300) + 0.01 * np.sin(np.arange(300))
    return {
        "loss": curve,
        "val_loss": curve + 0.1,
        "accuracy": curve,
        "start_loss": 1.0,
        "kept_loss": 0.2,
        "kept_val_loss": 0.3,
        "n_validation": 100,
        "reference_loss": 1.0,
        "class_counts": dict.fromkeys(map(str, range(100)), 50),
        "input_mean": np.ones(10_000),
        "input_sd": np.ones(10_000),
        "model_scores": (Score("rmse", 1.0),),
        "baseline_scores": (Score("rmse", 2.0, who="dummy"),),
        "output_activation": "linear",
        "loss_name": "mse",
        "problem_kind": "regression",
        "target_min": -2.0,
        "target_max": 2.0,
        "target_mean": np.zeros(1),
        "target_sd": np.ones(1),
        "first_rate": 0.001,
        "optimizer_name": "adam",
        "batch_size": 32,
        "n_train": 1000,
        "layers": [
            LayerFacts(f"d{i}", "Dense", "relu", 64, (f"d{i - 1}",) if i else (), 4096, fan_in=64, kernel_sd=0.17)
            for i in range(50)
        ],
        "missing_inputs": 0,
        "constant_inputs": [],
        "twin_inputs": [],
        "order_correlation": 0.0,
        "layer_gradient_norm": np.ones((50, 50)),
        "layer_weight_norm": np.ones((50, 50)),
        "layer_update_ratio": np.full((50, 50), 1e-3),
        "layer_saturated_share": np.zeros((50, 50)),
        "layer_dead_share": np.zeros((50, 50)),
        "network_gradient_norm": np.ones(50),
        "network_weight_norm": np.ones(50),
        "scores_over_seeds": np.linspace(0.9, 0.91, 100),
        "search_values": np.arange(100.0),
        "search_scores": np.arange(100.0),
        "trials": 100,
        "validation_rows": 100,
        "validation_score": 0.5,
    }


@RULES
def test_a_rule_takes_less_than_five_milliseconds(rule: Rule) -> None:
    statistics = _typical()
    assert not rule.missing(statistics)

    def cost() -> float:
        began = time.perf_counter()
        rule(statistics)
        return time.perf_counter() - began

    assert min(cost() for _ in range(10)) < 0.005  # the least of ten: other work on the machine is not the rule's
