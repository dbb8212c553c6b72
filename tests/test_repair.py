"""The repair benchmark: how cases are made and judged; no repair is run."""

from __future__ import annotations

import numpy as np

from benchmarks.clinic.tables import halves
from benchmarks.repair.__main__ import _cases, _parser, main, summary
from benchmarks.repair.cases import fault_cases
from benchmarks.repair.judge import figure


def test_figures_are_accuracy_of_whole_rows_or_r2():
    assert figure(np.array([0, 1, 1]), np.array([[0.2], [0.9], [0.4]]), True) == 2 / 3
    assert figure(np.eye(3)[[0, 2]], np.array([[0.9, 0, 0.1], [0.8, 0, 0.2]]), True) == 0.5
    assert figure(np.array([2, 0]), np.array([[0, 0, 1.0], [0, 1.0, 0]]), True) == 0.5
    assert figure(np.array([[1, 1], [0, 1]]), np.array([[0.9, 0.8], [0.9, 0.8]]), True) == 0.5
    y = np.array([1.0, 2.0, 3.0])
    assert figure(y, y[:, None], False) == 1.0
    assert figure(y, np.full((3, 1), 2.0), False) == 0.0
    assert figure(y, np.full((3, 1), np.nan), False) == 0.0
    assert figure(y, None, True) == 0.0


def test_a_case_that_failed_is_not_cured():
    rows = [
        {"group": "faults", "improved_cures": True, "random": 0.1, "random_cures": False},
        {"group": "faults", "error": "ValueError"},
        {"group": "lost", "improved_cures": True},
    ]
    found = summary(rows)
    assert found["faults"]["cured"] == 0.5
    assert found["faults"]["errors"] == 1
    assert found["faults"]["cured_of_these"] == 1.0
    assert found["faults"]["cured_by_random_search"] == 0.0
    assert found["lost"]["cases"] == 1


def test_every_fault_is_a_case_with_rows_of_its_own_to_judge_on():
    cases = fault_cases(0)
    assert {case.group for case in cases} == {"faults", "lost"}
    for case in cases:
        assert len(case.x) == len(case.y)
        assert len(case.new_x) == len(case.new_y) > 0


def test_without_the_real_programs_it_says_so(tmp_path, capsys):
    assert main(["--group", "programs", "--data", str(tmp_path), "--out", str(tmp_path)]) == 0
    assert "real programs skipped" in capsys.readouterr().out


def test_a_half_holds_the_cases_of_its_own_data_sets():
    given = _parser().parse_args(["--group", "faults", "--half", "calibration"])
    cases = _cases("faults", given)
    assert {case.table for case in cases} == set(halves()["calibration"])
    assert [(case.what, case.table) for case in cases] == [(case.what, case.table) for case in _cases("faults", given)]
