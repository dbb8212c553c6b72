"""Each rule about model, data, optimizer, layers or many runs: what must fire, and what is near and must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fallline.diagnose import examine
from fallline.rules import discover
from fallline.rules._from_data import (
    label_statistics,
    order_correlation,
    relation_statistics,
    table_statistics,
    validation_statistics,
)
from fallline.rules._structure import LayerFacts, twin_share
from tests.make import decay

RNG = np.random.default_rng(0)


def dense(name: str, units: int, activation: str | None, before: str | None, **facts: Any) -> LayerFacts:
    known: dict[str, Any] = {"weights": 10 * units, "fan_in": 10, "kernel_sd": 0.4, "twin_share": 0.0}
    return LayerFacts(name, "Dense", activation, units, (before,) if before else (), **known | facts)


def stack(*layers: tuple[str, str | None], **facts: Any) -> list[LayerFacts]:
    """A chain of dense layers with 10 units each and the given activations."""
    out: list[LayerFacts] = []
    for name, activation in layers:
        out.append(dense(name, 10, activation, out[-1].name if out else None, **facts))
    return out


SOUND = stack(("a", "relu"), ("b", "relu"), ("out", "sigmoid"))
ADAM: dict[str, Any] = {"optimizer_name": "adam", "first_rate": 0.001}
SGD: dict[str, Any] = {"optimizer_name": "sgd", "first_rate": 0.01}


def rows(*values: float, looks: int = 4) -> np.ndarray:
    """The same values of the layers at every look."""
    return np.tile(np.array(values, np.float64), (looks, 1))


INSIDE: dict[str, Any] = {
    "layer_names": ["a", "b", "out"],
    "layer_activations": ["relu", "relu", "sigmoid"],
    "output_layer": 2,
    "watched_epochs": np.array([0, 1, 2, 4]),
    "layer_weight_norm": rows(1.0, 1.0, 1.0),
}


def flat(level: float = 0.69, epochs: int = 30) -> np.ndarray:
    return level + 1e-4 * RNG.standard_normal(epochs)


# symptom -> (statistics that have it, the same kind of statistics that do not)
CASES: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "plateau": [
        (
            {"loss": np.concatenate([np.full(40, 0.69), decay(0.69, 0.1, 40, 5)])},
            {"loss": decay(0.69, 0.1, 80, 10)},
        ),
        (
            {"loss": np.concatenate([np.full(40, 0.69), decay(0.69, 0.1, 40, 5)])},
            {  # the rate was lowered in a step, on purpose
                "loss": np.concatenate([np.full(40, 0.69), decay(0.69, 0.1, 40, 5)]),
                "learning_rate": np.repeat([0.1, 0.01], 40),
            },
        ),
    ],
    "learning-rate-too-high": [
        ({"optimizer_name": "adam", "first_rate": 0.5}, ADAM),
        ({"optimizer_name": "sgd", "first_rate": 0.2, "momentum": 0.9}, {**SGD, "momentum": 0.9}),
        (
            {
                "optimizer_name": "sgd",
                "first_rate": 0.1,
                "loss_name": "mse",
                "layers": stack(("out", None)),
                "input_mean": np.array([0.0]),
                "input_sd": np.array([4.6]),
            },
            {
                "optimizer_name": "sgd",
                "first_rate": 0.01,
                "loss_name": "mse",
                "layers": stack(("out", None)),
                "input_mean": np.array([0.0]),
                "input_sd": np.array([4.6]),
            },
        ),
        (
            {**SGD, "loss": flat(9.0), "reference_loss": 0.69},
            {**SGD, "loss": decay(9, 0.5, 30, 5), "reference_loss": 0.69},
        ),
        (
            {**ADAM, "loss": flat(), "reference_loss": 0.69, "network_update_ratio": np.array([0.3, 0.3, 0.4])},
            {**ADAM, "loss": flat(), "reference_loss": 0.69, "network_update_ratio": np.array([0.3, 0.01, 0.01])},
        ),
    ],
    "learning-rate-too-low": [
        ({**ADAM, "total_steps": 20}, {**ADAM, "total_steps": 2000}),
        ({"optimizer_name": "sgd", "first_rate": 1e-7}, SGD),
        ({**SGD, "total_steps": 19}, {**SGD, "total_steps": 300}),
        (
            {**ADAM, "total_steps": 20, "loss": np.full(10, 1.0)},
            {**ADAM, "total_steps": 20, "loss": np.linspace(1.0, 5.0, 10), "start_loss": 1.0},  # the wrong way
        ),
        (
            {**ADAM, "total_steps": 20},
            {**ADAM, "total_steps": 20, "layers": stack(("out", None), weights=0, trainable=False)},
        ),
        (
            {**SGD, "loss": np.linspace(1.0, 0.8, 40), "reference_loss": 1.0},
            {**SGD, "loss": decay(1.0, 0.2, 40, 5), "reference_loss": 1.0},
        ),
    ],
    "vanishing-gradients": [
        (
            {**INSIDE, "layer_gradient_norm": rows(1e-6, 1e-3, 0.1)},
            {**INSIDE, "layer_gradient_norm": rows(0.01, 0.05, 0.1)},
        ),
        (
            {**INSIDE, "layer_gradient_norm": rows(1e-6, 1e-3, 0.1)},
            {**INSIDE, "layer_gradient_norm": rows(1e-9, 1e-9, 1e-9)},
        ),
        (
            {"layers": stack(*[(f"h{i}", "sigmoid") for i in range(8)], ("out", "sigmoid"))},
            {"layers": stack(*[(f"h{i}", "tanh") for i in range(8)], ("out", "sigmoid"))},
        ),
    ],
    "exploding-gradients": [
        (
            {"network_gradient_norm": np.array([1.0, 900.0]), "network_weight_norm": np.array([10.0, 10.0])},
            {"network_gradient_norm": np.array([1.0, 2.0]), "network_weight_norm": np.array([10.0, 10.0])},
        ),
        (
            {"network_gradient_norm": np.array([np.inf]), "network_weight_norm": np.array([10.0])},
            {
                "network_gradient_norm": np.array([900.0]),
                "network_weight_norm": np.array([10.0]),
                "start_loss": 1e4,
                "reference_loss": 1e4,
                "loss": decay(1e4, 1.0, 9, 2),
            },
        ),
    ],
    "saturated-units": [
        (
            {**INSIDE, "layer_saturated_share": rows(0.9, 0.1, 0.0)},
            {**INSIDE, "layer_saturated_share": rows(0.1, 0.1, 1.0)},
        ),
    ],
    "dead-relu": [
        (
            {**INSIDE, "layer_dead_share": rows(0.1, 1.0, np.nan)},
            {**INSIDE, "layer_dead_share": rows(0.3, 0.2, np.nan)},
        ),
    ],
    "bad-initial-scale": [
        (
            {"layers": stack(("a", "relu"), ("b", "relu"), ("out", None), kernel_sd=0.01)},
            {"layers": stack(("a", "relu"), ("b", "relu"), ("out", None), kernel_sd=0.3)},
        ),
        ({"layers": stack(("a", "relu"), ("out", None), kernel_sd=10.0)}, {"layers": SOUND}),
        (
            {"layers": stack(("a", "relu"), ("out", None), kernel_sd=10.0)},
            {
                "layers": [
                    dense("a", 10, "relu", None, kernel_sd=3.0),
                    LayerFacts("n", "BatchNormalization", parents=("a",)),
                    dense("out", 1, None, "n"),
                ]
            },
        ),
    ],
    "symmetric-units": [
        (
            {
                "layers": [
                    dense("a", 10, "relu", None, twin_share=1.0, kernel_sd=1.0),
                    dense("out", 1, None, "a", kernel_sd=0),
                ]
            },
            {"layers": [dense("out", 1, None, None, kernel_sd=0.0, twin_share=np.nan)]},  # linear regression from zero
        ),
        (
            {**INSIDE, "layer_twin_share": rows(1.0, 1.0, np.nan)},
            {**INSIDE, "layer_twin_share": rows(0.0, 0.1, np.nan)},
        ),
    ],
    "layer-not-learning": [
        (
            {**INSIDE, "layer_update_ratio": rows(0.0, 1e-3, 1e-3)},
            {**INSIDE, "layer_update_ratio": rows(1e-5, 1e-3, 1e-3)},
        ),
        (
            {**INSIDE, "layer_update_ratio": rows(0.0, 1e-3, 1e-3)},
            {**INSIDE, "layer_update_ratio": rows(np.nan, 1e-3, 1e-3)},
        ),
        (
            {"layers": stack(("a", "relu"), ("out", None), weights=0, trainable=False)},
            {"layers": [*stack(("a", "relu"), weights=0, trainable=False), dense("out", 1, None, "a")]},
        ),
    ],
    "ill-conditioned": [
        (
            {**INSIDE, "layer_update_ratio": rows(1e-7, 1e-2, 1e-2)},
            {**INSIDE, "layer_update_ratio": rows(1e-3, 1e-2, 1e-2)},
        ),
        ({**SGD, "input_condition": 1e7}, {**ADAM, "input_condition": 1e7}),
        ({**SGD, "input_sd": np.array([1e-3, 5.0])}, {**SGD, "input_sd": np.array([0.1, 5.0])}),
    ],
    "inputs-correlated": [
        (
            {**table_statistics(np.repeat(RNG.normal(size=(50, 2)), 2, axis=1)), "n_features": 4},
            {**table_statistics(RNG.normal(size=(50, 4))), "n_features": 4},
        ),
        ({"constant_inputs": ["a"], "twin_inputs": [], "n_features": 2}, {"constant_inputs": [], "twin_inputs": []}),
    ],
    "no-nonlinearity": [
        (
            {"layers": stack(("out", "sigmoid")), "reference_loss": 0.69, "loss": flat()},
            {"layers": stack(("out", "sigmoid")), "reference_loss": 0.69, "loss": decay(0.69, 0.3, 30, 5)},
        ),
        ({"layers": stack(("a", None), ("b", None), ("out", None))}, {"layers": SOUND}),
        (
            {
                "layers": [
                    dense("a", 10, None, None),
                    LayerFacts("d", "Dropout", parents=("a",), rate=0.1),
                    dense("out", 1, None, "d"),
                ]
            },
            {
                "layers": [
                    dense("a", 10, None, None),
                    LayerFacts("r", "ReLU", "relu", parents=("a",)),
                    dense("out", 1, None, "r"),
                ]
            },
        ),
        (  # of a subclassed model it is not known what feeds what
            {"layers": stack(("a", None), ("out", None))},
            {
                "layers": [
                    dense(
                        "a",
                        10,
                        None,
                        None,
                    ),
                    LayerFacts("out", "Dense", None, 1, None),
                ]
            },
        ),
    ],
    "suspect-labels": [
        ({"class_counts": {"a": 100}}, {"class_counts": {"a": 50, "b": 50}}),
        (
            {"class_counts": {"a": 9, "b": 9}, "shared_rows": 0.4},
            {"class_counts": {"a": 9, "b": 9}, "shared_rows": 0.01},
        ),
        (
            {"contradicting_rows": 0.3, "inputs_are_real": True},
            {"contradicting_rows": 0.3, "inputs_are_real": False},
        ),
        (
            {"neighbour_gain": 0.3, "relation_strength": 0.1, "n_train": 1000},
            {"neighbour_gain": 9.0, "relation_strength": 0.1, "n_train": 1000, "shared_rows": 0.0},
        ),
    ],
    "not-shuffled": [
        (
            {"order_correlation": 0.99, "shuffle": False, "n_train": 100, "batch_size": 10},
            {"order_correlation": 0.99, "shuffle": True, "n_train": 100, "batch_size": 10},
        ),
        ({"unseen_class_rows": 1.0, "target_shift": 1.0}, {"unseen_class_rows": 0.0, "target_shift": 0.1}),
        (
            {"target_shift": 0.8, "n_train": 100, "n_validation": 100},
            {"target_shift": 0.2, "n_train": 100, "n_validation": 100},
        ),
    ],
    "batch-size-unsuited": [
        (
            {"batch_size": 2, "n_train": 100, "layers": [LayerFacts("n", "BatchNormalization")]},
            {"batch_size": 32, "n_train": 100, "layers": [LayerFacts("n", "BatchNormalization")]},
        ),
        (
            {"batch_size": 1000, "n_train": 1000, "planned_epochs": 20},
            {"batch_size": 1000, "n_train": 1000, "planned_epochs": 1000},
        ),
        ({"batch_size": 1, "n_train": 1000, **ADAM}, {"batch_size": 1, "n_train": 1000, **SGD}),
    ],
    "batch-norm-with-dropout": [
        (
            {"layers": [LayerFacts("d", "Dropout", rate=0.5), LayerFacts("n", "BatchNormalization")]},
            {"layers": [LayerFacts("n", "BatchNormalization"), LayerFacts("d", "Dropout", rate=0.5)]},
        ),
    ],
    "capacity-unsuited": [
        (
            {
                "layers": [dense("a", 1, "relu", None), dense("out", 5, "softmax", "a")],
                "n_train": 100,
                "n_features": 9,
                "problem_kind": "multiclass",
                "class_counts": dict.fromkeys("abcde", 20),
            },
            {
                "layers": [dense("a", 8, "relu", None), dense("out", 5, "softmax", "a")],
                "n_train": 100,
                "n_features": 9,
                "problem_kind": "multiclass",
                "class_counts": dict.fromkeys("abcde", 20),
            },
        ),
        (
            {"layers": [dense("a", 1, "relu", None), dense("out", 9, None, "a")], "n_train": 100, "n_features": 9,
             "problem_kind": "multioutput", "target_width": 9},
            {"layers": [dense("a", 3, "relu", None), dense("out", 9, None, "a")], "n_train": 100, "n_features": 9,
             "problem_kind": "multioutput", "target_width": 9},
        ),
        (
            {"layers": [dense("a", 9, "relu", None, weights=10**6)], "n_train": 100},
            {"layers": [dense("a", 9, "relu", None, weights=10**4)], "n_train": 100},
        ),
    ],
    "targets-out-of-range": [
        (
            {"target_min": -3.0, "target_max": 3.0, "output_activation": "tanh", "loss_name": "mse"},
            {"target_min": -1.0, "target_max": 1.0, "output_activation": "tanh", "loss_name": "mse"},
        ),
        (
            {"target_min": -1.0, "target_max": 1.0, "output_activation": "sigmoid", "loss_name": "binary_crossentropy"},
            {"target_min": -1.0, "target_max": 1.0, "output_activation": "tanh", "loss_name": "hinge"},
        ),
    ],
    "targets-not-scaled": [
        (
            {
                "target_mean": np.array([5e4]),
                "target_sd": np.array([2e4]),
                "problem_kind": "regression",
                "loss_name": "mse",
            },
            {
                "target_mean": np.array([0.0]),
                "target_sd": np.array([1.0]),
                "problem_kind": "regression",
                "loss_name": "mse",
            },
        ),
        (
            {"target_mean": np.array([0.0]), "target_sd": np.array([1e-4]), "problem_kind": "regression"},
            {"target_mean": np.array([50.0]), "target_sd": np.array([30.0]), "problem_kind": "multiclass"},
        ),
    ],
    "over-regularised": [
        (
            {"layers": stack(("a", "relu"), ("out", None), activity_l1=0.1)},
            {"layers": stack(("a", "relu"), ("out", None), activity_l1=1e-4)},
        ),
        (
            {"layers": stack(("a", "relu"), ("out", None), l2=1.0)},
            {"layers": stack(("a", "relu"), ("out", None), l2=1e-3)},
        ),
        ({"layers": [LayerFacts("d", "Dropout", rate=0.9)]}, {"layers": [LayerFacts("d", "Dropout", rate=0.5)]}),
        (
            {"layers": [LayerFacts(f"d{i}", "Dropout", rate=0.5) for i in range(4)]},
            {"layers": [LayerFacts(f"d{i}", "Dropout", rate=0.2) for i in range(5)]},
        ),
        (
            {"layers": [LayerFacts("g", "GaussianNoise", rate=3.0)]},
            {"layers": [LayerFacts("g", "GaussianNoise", rate=0.1)]},
        ),
    ],
    "missing-values": [
        (
            table_statistics(np.array([[1.0, np.nan], [2.0, 3.0], [2.0, 4.0], [4.0, 4.0]])),
            table_statistics(RNG.normal(size=(40, 2))),
        ),
        (
            table_statistics(np.where(RNG.random((100, 1)) < 0.2, -999.0, RNG.normal(size=(100, 1)))),
            table_statistics(RNG.uniform(-1000, 1000, size=(100, 1))),
        ),
        ({"missing_targets": 3}, {"missing_targets": 0}),
    ],
    "high-variance-over-seeds": [
        (
            {"scores_over_seeds": [0.9, 0.5, 0.7, 0.95], "no_skill_score": 0.5},
            {"scores_over_seeds": [0.90, 0.91, 0.905, 0.9], "no_skill_score": 0.5},
        ),
        ({"scores_over_seeds": [1.0, 2.0, 3.0]}, {"scores_over_seeds": [1.0, 3.0]}),
    ],
    "best-value-on-border": [
        (
            {"search_values": [1, 2, 3, 4], "search_scores": [4.0, 3.0, 2.0, 1.0]},
            {"search_values": [1, 2, 3, 4], "search_scores": [4.0, 1.0, 2.0, 3.0]},
        ),
        (
            {"search_values": [0, 1, 2], "search_scores": [3.0, 2.0, 1.0], "higher_is_better": True},
            {
                "search_values": [0, 1, 2],
                "search_scores": [3.0, 2.0, 1.0],
                "higher_is_better": True,
                "search_limits": (0.0, 1e9),
            },
        ),
    ],
    "validation-overfitted": [
        (
            {
                "trials": 200,
                "validation_rows": 50,
                "validation_score": 0.98,
                "test_score": 0.7,
                "test_rows": 500,
                "higher_is_better": True,
            },
            {
                "trials": 200,
                "validation_rows": 50,
                "validation_score": 0.98,
                "test_score": 0.97,
                "test_rows": 500,
                "higher_is_better": True,
            },
        ),
        (
            {"trials": 500, "validation_rows": 100, "validation_score": 0.5},
            {"trials": 500, "validation_rows": 10**6, "validation_score": 0.5},
        ),
    ],
}
PAIRS = [(name, i) for name, cases in CASES.items() for i in range(len(cases))]


def named(symptom: str, statistics: dict[str, Any]) -> list[Any]:
    result = examine(statistics)
    assert symptom in result.examined, result.not_examined[symptom]
    return [finding for finding in result if finding.symptom == symptom]


@pytest.mark.parametrize(("symptom", "case"), PAIRS)
def test_a_symptom_is_named_and_its_near_miss_is_not(symptom: str, case: int) -> None:
    sick, sound = CASES[symptom][case]
    assert len(named(symptom, sick)) == 1
    assert named(symptom, sound) == []


def test_every_rule_has_a_pair_here_or_in_the_files_of_the_curves_and_the_data() -> None:
    elsewhere = {*(f"S{i}" for i in range(1, 9)), "S12", "S21", "S23", "S25"}
    assert {r.symptom.name for r in discover() if r.symptom.id not in elsewhere} == set(CASES)


# ---------------------------------------------------------------------------------------------- one story, excuses


def test_unscaled_inputs_explain_saturated_units_and_vanishing_gradients() -> None:
    result = examine(
        INSIDE
        | {
            "input_mean": np.array([0.0]),
            "input_sd": np.array([500.0]),
            "layer_saturated_share": rows(0.99, 0.1, 0.0),
            "layer_gradient_norm": rows(1e-7, 1e-3, 0.1),
        }
    )
    assert [f.symptom for f in result if f.severity != "note"] == ["inputs-not-scaled"]
    assert {"saturated-units", "vanishing-gradients"} <= {f.symptom for f in result}


def test_a_wrong_output_outranks_what_it_causes() -> None:
    result = examine(
        {"output_activation": "softmax", "output_units": 1, "loss_name": "binary_crossentropy", "from_logits": False,
         "loss": flat(7.9), "reference_loss": 0.69, **ADAM}
    )  # fmt: skip
    assert [f.symptom for f in result if f.severity != "note"] == ["output-loss-mismatch"]
    assert "underfit-flat" in {f.symptom for f in result}


def test_a_run_that_learned_well_excuses_what_only_makes_learning_hard() -> None:
    sick = CASES["targets-not-scaled"][0][0]
    learned = sick | {"loss": decay(4e8, 1e5, 60, 5), "reference_loss": 4e8}
    assert [f.severity for f in examine(sick)] == ["serious"]
    assert examine(learned).healthy


def test_a_cause_of_a_worry_that_stays_is_not_excused() -> None:
    learning = {"explained": 0.95, **INSIDE, "layer_gradient_norm": rows(1e-7, 1e-3, 0.1)}
    falling = {"loss": np.linspace(1.0, 0.05, 40), "reference_loss": 1.0}
    assert examine(learning | {"loss": decay(1.0, 0.05, 60, 5), "reference_loss": 1.0}).healthy
    result = examine(learning | falling)
    assert [f.symptom for f in result if f.severity != "note"] == ["vanishing-gradients"]
    assert "underfit-stopped-early" in {f.symptom for f in result}


def test_a_high_rate_that_did_no_harm_is_a_remark() -> None:
    learned = {"optimizer_name": "adam", "first_rate": 0.1, "reference_loss": 1.0, "loss": decay(1.0, 0.2, 20, 4)}
    assert [finding.severity for finding in named("learning-rate-too-high", learned)] == ["note"]
    assert named("learning-rate-too-high", learned | {"first_rate": 0.01}) == []


def test_a_few_right_answers_more_than_by_chance_explain_nothing() -> None:
    four = {"loss": np.full(10, 0.7), "reference_loss": 0.69, "accuracy": np.full(10, 0.75)}
    assert named("no-nonlinearity", four | {"layers": stack(("out", "sigmoid")), "class_counts": {"0": 2, "1": 2}})
    many = {"layers": stack(("out", "sigmoid")), "class_counts": {"0": 200, "1": 200}}
    assert not named("no-nonlinearity", four | many)


def test_where_there_is_nothing_to_learn_no_rate_is_blamed() -> None:
    result = examine(ADAM | {"total_steps": 20, "class_counts": {"0": 300}, "loss": np.full(10, 0.5)})
    assert [(f.symptom, f.severity) for f in result][:2] == [
        ("suspect-labels", "serious"), ("learning-rate-too-low", "note"),
    ]  # fmt: skip


def test_a_small_gradient_beside_weights_of_nearly_zero_does_not_explode() -> None:
    inside = {**INSIDE, "start_loss": 1.0, "network_weight_norm": np.full(4, 1e-3)}
    assert named("exploding-gradients", inside | {"network_gradient_norm": np.full(4, 0.1)}) == []
    assert len(named("exploding-gradients", inside | {"network_gradient_norm": np.full(4, 2.0)})) == 1


def test_units_below_zero_that_have_a_slope_are_not_dead() -> None:
    low = {**INSIDE, "layer_dead_share": rows(0.8, 0.1, np.nan), "layer_activations": ("leaky_relu", "relu", "")}
    assert named("dead-relu", low | {"layer_constant_share": rows(0.0, 0.0, 0.0)}) == []
    assert len(named("dead-relu", low | {"layer_constant_share": rows(0.8, 0.0, 0.0)})) == 1
    relu = low | {"layer_activations": ("relu", "relu", ""), "layer_constant_share": rows(0.0, 0.0, 0.0)}
    assert len(named("dead-relu", relu)) == 1


def test_parity_is_hidden_from_single_inputs_and_not_shuffled() -> None:
    x = (np.arange(512)[:, None] >> np.arange(9) & 1).astype(float)  # every neighbour has the other label
    found = relation_statistics(x, x.sum(axis=1) % 2, labels=True)
    assert found["neighbour_gain"] < -2
    assert named("suspect-labels", found | {"class_counts": {"0": 150, "1": 150}, "n_train": 300}) == []


def test_saturated_units_of_a_network_that_learned_are_a_remark() -> None:
    saturated = {**INSIDE, "layer_saturated_share": rows(0.7, 0.1, 0.0)}
    for explained, severity in ((0.2, "warning"), (0.7, "note")):
        (found,) = named("saturated-units", saturated | {"explained": explained})
        assert found.severity == severity


def test_what_a_training_coped_with_is_a_remark() -> None:
    sick = CASES["capacity-unsuited"][0][0]
    for explained, severity in ((0.2, "warning"), (0.9, "note")):
        (found,) = named("capacity-unsuited", sick | {"explained": explained})
        assert found.severity == severity


# ------------------------------------------------------------------------------------------- statistics from arrays


def test_the_order_of_rows() -> None:
    assert order_correlation(np.repeat([0, 1, 2], 50), labels=True) > 0.9
    assert abs(order_correlation(RNG.integers(0, 3, 3000), labels=True)) < 0.1
    assert order_correlation(np.arange(100.0), labels=False) > 0.9
    assert abs(order_correlation(RNG.normal(size=3000), labels=False)) < 0.1


def test_a_copy_of_the_target_leaks_and_a_threshold_does_not() -> None:
    x = RNG.normal(size=(500, 4))
    y = (x[:, 0] > 0).astype(int)
    assert relation_statistics(x, y, labels=True)["leak_strength"] < 0.9
    x[:, 2] = y + 0.01 * RNG.normal(size=500)
    found = relation_statistics(x, y, labels=True)
    assert found["leak_input"] == "input 2"
    assert found["leak_strength"] > 0.99
    assert named("suspect-labels", found | {"class_counts": {"0": 250, "1": 250}, "n_features": 4})


def test_shuffled_labels_are_told_from_hidden_relations() -> None:
    x = RNG.normal(size=(600, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)  # no single input says anything: neighbours do
    assert relation_statistics(x, y, labels=True)["neighbour_gain"] > 5
    found = relation_statistics(x, RNG.permutation(y), labels=True)
    assert max(found["neighbour_gain"], found["relation_strength"]) < 3.5


def test_contradictions_and_shared_rows() -> None:
    x = RNG.normal(size=(100, 3))
    twice, y = np.concatenate([x, x]), np.repeat([0, 1], 100)
    assert label_statistics(twice, y) == {"contradicting_rows": 1.0, "inputs_are_real": True}
    switches = RNG.integers(0, 2, (200, 3))
    assert not label_statistics(switches, y)["inputs_are_real"]
    found = validation_statistics(x, y[:100], x[:50], y[:50], labels=True)
    assert found["shared_rows"] == 1.0
    found = validation_statistics(x, np.zeros(100, int), x + 9, np.ones(100, int), labels=True)
    assert found["unseen_class_rows"] == 1.0


def test_equal_pictures_are_the_same_picture_and_equal_switches_are_not() -> None:
    y = RNG.integers(0, 2, 400)
    pictures = RNG.integers(0, 17, (200, 64)).astype(float)  # whole numbers of few values
    assert label_statistics(np.concatenate([pictures, pictures]), y)["inputs_are_real"]
    one_hot = np.concatenate([np.eye(4)[RNG.integers(0, 4, 400)] for _ in range(4)], axis=1)
    patterns = pictures[RNG.integers(0, 8, 400)]  # eight letters, each many times
    for natural in (RNG.integers(0, 2, (400, 6)), one_hot, patterns):
        assert not label_statistics(natural, y)["inputs_are_real"]


def test_twins_among_units() -> None:
    kernel = RNG.normal(size=(5, 4))
    assert twin_share(kernel) == 0.0
    assert twin_share(np.ones((3, 3, 2, 8))) == 1.0
    kernel[:, 1] = kernel[:, 3]
    assert twin_share(kernel) == 0.5
