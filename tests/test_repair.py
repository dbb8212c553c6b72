"""The repair benchmark: how cases are made and judged; no repair is run."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from benchmarks.clinic.tables import halves
from benchmarks.repair.__main__ import _cases, _parser, main
from benchmarks.repair.cases import fault_cases
from benchmarks.repair.figures import against_random, interval, sign_flips, summary
from benchmarks.repair.judge import figure, fresh


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


def _row(what, seed, cured, other=None, *, group="programs", reference=1.0):
    """A trial that reached the reference or half of it, and what the random search beside it reached."""
    row = {"what": what, "table": "t", "seed": seed, "group": group, "reference": reference}
    row |= {"improved": reference if cured else reference / 2, "improved_cures": cured}
    return row if other is None else row | {"random": reference * other, "random_cures": other >= 0.98}


def test_a_trial_that_failed_is_not_cured_and_the_seeds_of_a_case_count_as_one():
    failed = {"what": "b", "table": "t", "seed": 0, "group": "faults", "error": "ValueError"}
    rows = [_row("a", 0, True, group="faults"), _row("a", 1, True, group="faults"), _row("a", 2, True, group="faults"),
            failed, _row("c", 0, True, group="lost")]  # fmt: skip
    found = summary(rows)
    assert found["faults"]["cured"] == 0.5
    assert (found["faults"]["cases"], found["faults"]["trials"], found["faults"]["errors"]) == (2, 4, 1)
    assert found["faults"]["cured_by_seed"] == {"0": "1 of 2", "1": "1 of 1", "2": "1 of 1"}
    assert found["faults"]["against_random_search"] is None
    assert found["lost"]["cases"] == 1


def test_the_random_search_is_compared_on_the_trials_that_both_have_run():
    rows = [_row("a", 0, True, 0.5), _row("a", 1, True, 1.0), _row("b", 0, False, 1.0), _row("c", 0, True, 0.9),
            _row("c", 1, True), _row("d", 0, True, -3.0, reference=0.5)]  # fmt: skip
    found = against_random(rows)
    assert (found["cases"], found["trials"]) == (4, 5)
    assert (found["cured"], found["cured_by_random_search"]) == (0.75, 0.375)
    assert (found["cases_ahead"], found["cases_behind"]) == (3, 1)
    # Differences 1/2, -1, 1, 1: the sum of 3/2 or more in size comes of 10 of the 16 choices of signs.
    assert found["p_cured"] == 0.625
    # Shares of the reference: 0.5 and 0 in the mean, -0.5, 0.1, and 1 where the search is below a constant.
    assert found["mean_score_difference"] == round((0.25 - 0.5 + 0.1 + 1.0) / 4, 3)
    assert (found["scores_ahead"], found["scores_behind"]) == (3, 1)


def test_a_sign_flip_test_of_equal_differences_is_a_sign_test_and_ties_say_nothing():
    for ahead, behind in ((5, 1), (7, 0), (9, 4)):
        expected = stats.binomtest(ahead, ahead + behind).pvalue
        assert sign_flips([1] * ahead + [-1] * behind + [0] * 3) == pytest.approx(expected)
    assert sign_flips([]) == 1.0


def test_the_interval_of_a_whole_number_of_cases_is_the_exact_one():
    exact = stats.binomtest(16, 21).proportion_ci()
    assert interval(16 / 21, 21) == pytest.approx((exact.low, exact.high))
    assert interval(0.0, 5)[0] == 0.0


@pytest.fixture(scope="module")
def cases():
    return fault_cases(0)


def test_every_fault_is_a_case_with_rows_of_its_own_to_judge_on(cases):
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


def test_a_seed_has_rows_and_judges_of_its_own(cases):
    first, second = (next(one for one in every if one.table == "friedman1") for every in (cases, fault_cases(1)))
    assert first.key != second.key
    assert first.key[:2] == second.key[:2]
    assert not np.array_equal(first.x, second.x)
    assert not set(fresh(first)) & set(fresh(second))


def test_a_file_holds_several_seeds_and_keeps_what_it_said(tmp_path, monkeypatch, capsys):
    def cases(group, given):
        return [SimpleNamespace(key=(what, "t", given.seed)) for what in "ab"]

    monkeypatch.setattr("benchmarks.repair.__main__._cases", cases)
    monkeypatch.setattr("benchmarks.repair.__main__.repaired", lambda case, **_: _row(*case.key[::2], True))
    path = tmp_path / "repair-faults.json"
    call = ["--group", "faults", "--no-random", "--resume", "--out", str(tmp_path)]
    assert main(call) == 0
    path.write_text(json.dumps({**json.loads(path.read_text()), "note": "by hand"}))
    for _ in range(2):  # the second adds nothing
        assert main([*call, "--seed", "1"]) == 0
    found = json.loads(path.read_text())
    assert [row["seed"] for row in found["cases"]] == [0, 0, 1, 1]
    assert found["note"] == "by hand"
    assert all("commit" in row for row in found["cases"])
