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
EXISTING = ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S12", "S21", "S23", "S25"]
RULES = pytest.mark.parametrize("rule", discover(), ids=lambda rule: rule.symptom.name)


def test_all_rules_of_today_are_found_once() -> None:
    ids = [rule.symptom.id for rule in discover()]
    assert len(set(ids)) == len(ids)
    assert set(EXISTING) <= set(ids)
    assert [info.id for info in catalogue()] == sorted(ids, key=lambda i: int(i[1:]))


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
    assert rule.info.requires
    assert set(rule.info.requires + rule.info.optional) <= set(STATISTICS)


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
    "output_activation": st.sampled_from(_WORDS),
    "loss_name": st.sampled_from(_LOSSES),
    "output_units": st.one_of(st.none(), st.integers(1, 5)),
    "from_logits": st.one_of(st.none(), st.booleans()),
    "target_min": _NUMBER,
    "target_max": _NUMBER,
    "target_width": st.one_of(st.none(), st.integers(1, 5)),
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
        assert finding.severity == "note" or (finding.treatments and finding.cause)
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
