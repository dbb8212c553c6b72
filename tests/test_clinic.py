"""The clinic: its faults change what they say, its figures are counted right, and it runs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.clinic import report
from benchmarks.clinic.__main__ import main
from benchmarks.clinic.faults import FAULTS, applies
from benchmarks.clinic.program import base
from benchmarks.clinic.programs import NAMES, find_cases
from benchmarks.clinic.tables import CALIBRATION, TABLES, TEST, halves
from benchmarks.clinic.thresholds import THRESHOLDS, measured, summary
from benchmarks.clinic.unseen import UNSEEN, figures
from benchmarks.clinic.unseen import halves as unseen_halves
from benchmarks.clinic.zoo import ZOO
from fallline.rules import discover


def trial(names, findings, checked=(), **facts):
    return {"what": "a fault", "table": "t", "seed": 0, "names": names, "epochs": 10, "error": "",
            "findings": findings, "checked": list(checked)} | facts  # fmt: skip


def test_it_is_as_large_as_it_says():
    assert len(FAULTS) >= 20
    assert len(TABLES) >= 6
    assert len(ZOO) >= 60
    assert {name for half in halves().values() for name in half} == set(TABLES)
    assert halves()[CALIBRATION]
    assert halves()[TEST]


def test_every_name_is_a_symptom():
    known = {rule.symptom.name for rule in discover()}
    assert {name for fault in FAULTS.values() for name in fault.names} <= known
    assert {name for names in NAMES.values() for name in names} <= known
    assert {name for case in UNSEEN.values() for name in (*case.names, *case.also)} <= known


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_the_program_and_leaves_the_healthy_one(name):
    fault = FAULTS[name]
    table = next(table for table in TABLES if applies(fault, table))
    healthy, same = base(table, 3), base(table, 3)
    spoiled = fault.inject(healthy, np.random.default_rng(0))
    differs = [
        key for key, value in vars(spoiled).items() if not np.array_equal(value, vars(healthy)[key], equal_nan=False)
    ]
    assert differs
    assert len(spoiled.x) == len(spoiled.y)
    np.testing.assert_array_equal(healthy.x, same.x)
    np.testing.assert_array_equal(healthy.y, same.y)


def test_thresholds_are_compared_with_healthy_runs():
    loss = np.exp(-np.arange(40) / 8) + 0.1
    run = {"loss": loss, "val_loss": loss + 0.1, "start_loss": 1.1, "reference_loss": 1.1, "kept_loss": 0.1}
    run |= {"kept_val_loss": 0.2, "network_gradient_norm": np.array([2.2]), "network_weight_norm": np.array([2.0])}
    found = summary([measured(run)])
    assert set(found) == set(THRESHOLDS)
    assert found["gap between the losses / learned"]["50 %"] == pytest.approx(0.1)
    gradient = found["gradient's norm / weights' norm at the start, per unit of loss"]
    assert (gradient["100 %"], gradient["threshold"]) == (1.0, 20.0)
    assert all(row["beyond"] == 0 for row in found.values())
    noisy = measured(run | {"loss": loss + 0.3 * (-1.0) ** np.arange(40)})
    assert summary([noisy])["swing of the training loss / learned"]["beyond"] == 1


def test_recall_rank_and_moment_are_counted():
    rows = [
        trial(["overfit"], [("overfit", "warning", 5)]),
        trial(["overfit"], [("divergence", "serious", None), ("overfit", "note", None)]),
        trial(["overfit"], [("divergence", "serious", None)]),
        trial(["overfit"], [("overfit", "warning", None)], checked=["overfit"]),
    ]
    found = report.summary(TEST, rows, [])
    assert (found["recall"], found["first"]) == (0.75, 0.5)
    one = found["faults"]["a fault"]
    assert one["first_instead"] == {"divergence": 2}
    assert one["median_moment"] == 0.5  # of 0.5, 1 and 0
    assert found["symptoms"]["divergence"]["precision"] == 0.0
    assert found["symptoms"]["overfit"] == {"warned": 2, "precision": 1.0, "recall": 0.75, "in_zoo": 0}


def test_notes_are_no_false_alarms_and_errors_are():
    rows = [trial([], [("good-fit", "note", None)]), trial([], [("overfit", "warning", 1)]), trial([], [], error="no")]
    assert report.false_alarms(rows)["share"] == pytest.approx(2 / 3, abs=1e-4)


def test_real_programs_are_counted_with_and_without_doubt():
    rows = [
        trial(["overfit"], [("overfit", "warning", 1), ("plateau", "warning", 1)], healthy=False, doubt=None),
        trial(["overfit"], [], healthy=False, doubt="label"),
        trial([], [], healthy=True, doubt=None),
    ]
    found = report.programs(rows)
    assert (found["all"]["named"], found["label_sure"]["named"], found["label_in_doubt"]["named"]) == (0.5, 1.0, 0.0)
    assert found["all"]["precision"] == 0.5
    assert found["healthy"]["silent"] == 1.0


def test_unseen_programs_are_halved_and_counted():
    read, kept, later = unseen_halves().values()
    assert set(read) | set(kept) | set(later) == set(UNSEEN)
    assert not set(read) & set(kept)
    assert min(sum(bool(UNSEEN[name].names) for name in half) for half in (read, kept)) >= 25
    rows = [
        trial(["overfit"], [("overfit", "warning", 1), ("plateau", "warning", 1)], also=["plateau"]),
        trial(["overfit"], [("dead-relu", "warning", 1), ("overfit", "note", 1)], also=[]),
        trial([], [("overfit", "note", 1)], also=[]),
        trial([], [], also=[], error="no"),
    ]
    found = figures(rows)
    assert (found["named"], found["first"], found["warned_of"], found["silent"]) == (1.0, 0.5, 0.5, 0.5)
    assert (found["precision"], found["precision_with_consequences"]) == (0.25, 0.5)


def test_missing_programs_are_skipped_and_said(tmp_path):
    assert "skipped" in find_cases(tmp_path)


@pytest.mark.slow
def test_the_quick_clinic_names_what_was_injected(capsys):
    assert main(["--quick"]) == 0
    said = capsys.readouterr().out
    assert "4 kinds of fault, 4 trials" in said
    assert "named 1.00" in said
    assert "Error" not in said
