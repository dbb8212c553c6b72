"""The benchmark harness: it measures what it says, skips what is not there, and compares like with like."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from benchmarks import harness
from benchmarks.__main__ import main
from benchmarks.harness import FAILED, OK, SKIPPED, Measurement, Peer, Row, Work, find_works, load_work, run_work
from benchmarks.results_file import describe_machine, result, table, verdicts, write_result
from benchmarks.skill import __main__ as skill
from benchmarks.skill import gather, tune
from benchmarks.skill.protocol import Table, calibration, folds, read_peers, score
from benchmarks.skill.ranking import ahead, mean_ranks, standings
from benchmarks.works._networks import Task
from fallline.types import FULL_BATCH, GRADIENT_FREE, OPTIMIZER_NUMBERS


def work_with(peers, **options):
    """A work whose rows are given, not measured."""
    work = Work(title="a work", unit="us", setup=lambda quick: None, **options)
    for name, settings in peers.items():
        work.peer(name, **settings)(lambda data: Measurement(0.0))
    return work


# -------------------------------------------------------------------------------------------------- harness


def test_every_work_can_be_loaded_and_has_fallline_in_it():
    names = find_works()
    assert {"small", "wide", "startup"} <= set(names)
    for name in names:
        work = load_work(name)
        assert work.title
        assert work.unit
        assert not work.reference or work.reference in work.peers
        assert work.repetitions >= 5


def test_a_task_counts_the_last_smaller_batch_as_a_step():
    rows = np.zeros((500, 2), np.float32)
    task = Task(sizes=(2, 50, 1), x=rows, y=rows[:, 0], validation=None, epochs=3, batch=32)
    assert task.steps == 3 * 16


def test_a_peer_is_measured_in_a_process_of_its_own():
    said = []
    (row,) = run_work("small", quick=True, peers=["sklearn"], threads=1, say=said.append)
    assert row.state == OK, row.reason
    assert len(row.values) == 1
    assert 1 < row.values[0] < 1e5  # microseconds per step, on any machine
    assert row.extras[0]["loss"] < math.log(2)  # it has learned something
    assert said


def test_a_peer_that_is_not_installed_is_skipped_and_said(monkeypatch):
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    said = []
    (row,) = run_work("small", peers=["torch"], say=said.append)
    assert (row.state, row.reason) == (SKIPPED, "torch not installed")
    assert "torch skipped: torch not installed" in said[0]


def test_a_peer_that_breaks_is_a_row_with_its_last_words():
    nobody = Peer("nobody", lambda data: Measurement(0.0))
    found = harness.measure_once("small", nobody, quick=True, threads=1, device="cpu", timeout=60)
    assert "KeyError" in found["error"]
    found = harness.measure_once("small", nobody, quick=True, threads=1, device="cpu", timeout=0.01)
    assert "took longer" in found["error"]


def test_repetitions_are_interleaved_and_a_failed_peer_is_not_tried_again(monkeypatch):
    order = []

    def measure(work, peer, **options):
        order.append(peer.name)
        return {"error": "no"} if peer.name == "sklearn" else {"value": 1.0, "extras": {}}

    monkeypatch.setattr(harness, "measure_once", measure)
    monkeypatch.setattr(harness, "find_spec", lambda name: object())
    rows = run_work("small", peers=["fallline", "sklearn", "torch"], repetitions=3)
    assert order == ["fallline", "sklearn", "torch", *["fallline", "torch"] * 2]
    assert [row.state for row in rows] == [OK, FAILED, OK]


def test_ratios_bars_and_limits():
    work = work_with({"fallline": {"limit": 4.0}, "slow": {"bar": 10}, "close": {"bar": 10}, "gone": {"bar": 10}})
    rows = [
        Row("fallline", values=[5.0, 3.0, 1.0], extras=[{"loss": 0.1}] * 3),
        Row("slow", values=[31.0, 30.0, 29.0], extras=[{}] * 3),
        Row("close", values=[29.0], extras=[{}]),
        Row("gone", SKIPPED, "gone not installed"),
    ]
    assert [reached for _, reached in verdicts(work, rows)] == [True, True, False]
    found = result("a", work, rows, threads=2, device="cpu", quick=False, machine=describe_machine())
    assert found["ratios"] == {"fallline": 1.0, "slow": 10.0, "close": 9.667}
    assert found["peers"]["fallline"]["median"] == 3.0
    assert found["peers"]["gone"] == {"state": SKIPPED, "reason": "gone not installed"}
    text = table(work, rows)
    assert "gone not installed" in text
    assert "MISSED: close / fallline = 9.67, bar 10" in text
    assert "MISSED" not in table(work, rows, quick=True)


def test_a_peer_may_be_held_to_at_most_a_multiple_of_the_reference():
    work = work_with({"sgd": {}, "adam": {"most": 1.5}, "slow": {"most": 1.5}}, reference="sgd")
    rows = [Row(name, values=[value], extras=[{}]) for name, value in (("sgd", 2.0), ("adam", 3.0), ("slow", 3.1))]
    assert verdicts(work, rows) == [("adam / sgd = 1.50, at most 1.5", True), ("slow / sgd = 1.55, at most 1.5", False)]


def test_every_first_order_optimizer_is_held_to_its_bar():
    work = load_work("optimizers")
    first_order = set(OPTIMIZER_NUMBERS) - set(FULL_BATCH) - set(GRADIENT_FREE)
    assert first_order <= set(work.peers)
    assert all(peer.most == 1.5 for name, peer in work.peers.items() if name in first_order - {work.reference})


def test_without_the_reference_there_are_no_ratios():
    work = work_with({"fallline": {}, "other": {"bar": 2}})
    rows = [Row("fallline", FAILED, "broken"), Row("other", values=[1.0], extras=[{}])]
    assert verdicts(work, rows) == []
    assert "broken" in table(work, rows)


def test_a_result_file_says_on_what_it_was_measured(tmp_path):
    work = work_with({"fallline": {}})
    rows = [Row("fallline", values=[1.0], extras=[{}])]
    found = result("a", work, rows, threads=2, device="cpu", quick=False, machine=describe_machine())
    path = write_result(found, tmp_path / "new")
    assert path.name == "a-cpu.json"
    read = json.loads(path.read_text())
    assert {"python", "fallline", "jax", "keras"} <= set(read["versions"])
    assert read["machine"]["cores"] >= 1
    assert read["date"].endswith("+00:00")
    assert read["peers"]["fallline"]["values"] == [1.0]


def test_the_command_line_names_what_there_is(capsys):
    assert main(["--list"]) == 0
    assert "keras_tf" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["smal"])
    assert "There are: cluster, crossvalidation, " in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------- skill


def test_the_figures_of_a_fold_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y = np.array(["no", "yes"])[rng.integers(0, 2, 50)]
    positive = rng.uniform(0.01, 0.99, 50)
    found = score("binary", y, np.column_stack([1 - positive, positive]), np.array(["no", "yes"]))
    assert found["log_loss"] == pytest.approx(log_loss(y == "yes", positive))
    assert found["auc"] == pytest.approx(roc_auc_score(y == "yes", positive))
    assert found["accuracy"] == pytest.approx(accuracy_score(y == "yes", positive > 0.5))
    quantity = rng.normal(size=50)
    assert score("regression", quantity, quantity + 0.5)["rmse"] == pytest.approx(0.5)


def test_large_tables_are_split_once_and_small_ones_five_times(tmp_path):
    small = Table("small", tmp_path, "y", "binary", 100)
    y = np.arange(100) % 2
    assert [len(test) for _, _, test in folds(small, y)] == [20] * 5
    assert all(y[test].mean() == 0.5 for _, _, test in folds(small, y))
    y = np.arange(20_001) % 4
    ((fold, train, test),) = folds(Table("large", tmp_path, "y", "multiclass", len(y)), y)
    assert (fold, len(train), len(test)) == (0, 16_000, 4_001)
    assert np.ptp(np.bincount(y[test])) <= 1


def test_every_other_table_of_a_task_may_be_tuned_on(tmp_path):
    of = {"d": "binary", "a": "binary", "c": "regression", "b": "binary", "e": "multiclass"}
    tables = [Table(name, tmp_path, "y", task, 10) for name, task in of.items()]
    assert [table.name for table in calibration(tables)] == ["d", "a", "c", "e"]


def test_tuning_reads_the_first_training_rows_alone(tmp_path):
    y = np.arange(100) % 2
    table = Table("small", tmp_path, "y", "binary", 100)
    _, rows, test = next(folds(table, y))
    pairs = list(tune.inner_folds(table, y))
    assert len(pairs) == 5
    for _, train, held in pairs:
        assert set(train) | set(held) == set(rows)
        assert not {*train, *held} & set(test)


def test_an_arm_is_compared_table_by_table():
    def fit(arm, name, fold, loss, accuracy):
        return {"arm": arm, "dataset": name, "fold": fold, "log_loss": loss, "accuracy": accuracy, "fit_s": 2.0}

    rows = [fit("default", "t", 0, 0.5, 0.8), fit("default", "t", 1, 0.3, 0.9), fit("default", "u", 0, 1.0, 0.5)]
    rows += [fit("new", "t", 0, 0.4, 0.81), fit("new", "t", 1, 0.32, 0.91), fit("new", "u", 0, 0.8, 0.51)]
    (line,) = tune.report(rows, {"t": "log_loss", "u": "log_loss"}).splitlines()
    assert "+15.00 %" in line  # the mean of 1 - 0.72/0.8 and 1 - 0.8
    assert "accuracy +1.00" in line
    assert "t +10.0  u +20.0" in line


@pytest.fixture
def suite(tmp_path):
    """A suite of one table with its peers' file; the figures are computed here, fold by fold."""
    frame = load_iris(as_frame=True).frame
    frame.to_csv(tmp_path / "iris.csv", index=False)
    entry = {"name": "iris", "file": "iris.csv", "target": "target", "task": "multiclass", "n": 150, "p": 4}
    (tmp_path / "suite.json").write_text(json.dumps([entry]))
    x, y = frame.drop(columns="target"), frame["target"]
    rows = []
    for fold, (train, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y)):
        prior = DummyClassifier(strategy="prior").fit(x.iloc[train], y[train])
        loss = log_loss(y[test], prior.predict_proba(x.iloc[test]))
        for peer, figure in (("dummy", loss), ("rf", 0.5), ("hgb", 2.0)):
            row = {"dataset": "iris", "peer": peer, "fold": fold, "task": "multiclass"}
            rows.append(row | {"n_train": len(train), "n_test": len(test), "log_loss": figure, "auc": "", "fit_s": 1.0})
    pd.DataFrame(rows).to_csv(tmp_path / "peers.csv", index=False)
    return tmp_path


def test_the_folds_reproduce_a_peer_and_finished_folds_are_not_fitted_again(suite, tmp_path, capsys):
    out = tmp_path / "results"
    again = ["--data", str(suite), "--contender", "dummy", "--out", str(out)]
    assert skill.main([*again, "--folds", "1"]) == 0
    assert capsys.readouterr().err.count("iris fold") == 1
    with (out / "skill-dummy.jsonl").open("a") as file:
        file.write('{"dataset": "ir')  # killed in the middle of a line
    assert skill.main(again) == 0
    shown = capsys.readouterr()
    assert [line.split(":")[0] for line in shown.err.splitlines()] == [f"iris fold {fold}" for fold in (0, 2, 3, 4)]
    theirs = {row["fold"]: row["log_loss"] for row in read_peers(suite) if row["peer"] == "dummy"}
    ours = {row["fold"]: row["log_loss"] for row in skill._read_finished(out / "skill-dummy.jsonl")}
    assert ours == pytest.approx(theirs)
    assert json.loads((out / "skill-dummy-cpu.json").read_text())["mean_ranks"]["bar"] == {
        "rf": {"mean_rank": 1.0, "tables": 1},
        "dummy": {"mean_rank": 2.0, "tables": 1},
        "hgb": {"mean_rank": 3.0, "tables": 1},
    }


def test_figures_of_another_contender_stand_beside(suite, tmp_path, capsys):
    pd.read_csv(suite / "peers.csv").iloc[:0].to_csv(suite / "peers.csv", index=False)
    options = ["--data", str(suite), "--out", str(tmp_path / "results"), "--folds", "0"]
    for label in ("rf", "linear", "hgb"):
        assert skill.main([*options, "--contender", label]) == 0
    capsys.readouterr()
    assert skill.main([*options, "--contender", "dummy", "--beside", "rf,linear"]) == 0
    shown = capsys.readouterr().out
    assert "rf 0/1" in shown
    assert "linear 0/1" in shown
    assert "hgb" not in shown


def test_tables_of_packages_are_gathered(tmp_path, monkeypatch):
    """Three forms of file; a class of few rows, a gap and the blanks around a text do not come along."""
    keel, common = tmp_path / "keel", tmp_path / "common"
    (keel / "data" / "balanced" / "raw").mkdir(parents=True)
    rows = [f"{place}, ?, a , {'yes' if place % 2 else 'no'} " for place in range(40)]
    (keel / "data" / "balanced" / "raw" / "tae.dat").write_text("\n".join([*rows, "1, 2, b, seldom"]))
    for name, kind, text in (
        ("quake", "regression", "@relation x\n@attribute a real\n@DATA\n1.5, 2\n2.5, 4\n"),
        ("excitation_current", "regression", "a;b\n1,5;2\n2,5;4\n"),
    ):
        (common / "data" / kind / name).mkdir(parents=True)
        (common / "data" / kind / name / f"{name}.{'dat' if name == 'quake' else 'csv'}").write_text(text)
        (common / "data" / kind / name / "Readme.txt").write_text("words")
    monkeypatch.setattr(gather, "_KEEL", ("tae",))
    monkeypatch.setattr(gather, "_WITH_HEADER", ())
    monkeypatch.setattr(gather, "_QUANTITIES_WITH_HEADER", ("quake",))
    monkeypatch.setattr(gather, "_OTHERS", {"excitation_current": gather._OTHERS["excitation_current"]})
    entries = gather.gather(tmp_path / "out", keel, common)
    assert {entry["name"]: (entry["task"], entry["n"]) for entry in entries} == {
        "tae": ("binary", 40),
        "quake": ("regression", 2),
        "excitation_current": ("regression", 2),
    }
    tae = pd.read_csv(tmp_path / "out" / "tae.csv")
    assert set(tae["target"]) == {"yes", "no"}
    assert set(tae["x2"]) == {"a"}
    assert tae["x1"].isna().all()
    for name in ("quake", "excitation_current"):
        np.testing.assert_array_equal(pd.read_csv(tmp_path / "out" / f"{name}.csv"), [[1.5, 2.0], [2.5, 4.0]])
    assert read_peers(tmp_path / "out") == []


def test_folds_of_other_sizes_are_refused(suite, capsys):
    peers = pd.read_csv(suite / "peers.csv").assign(n_test=31)
    peers.to_csv(suite / "peers.csv", index=False)
    assert skill.main(["--data", str(suite), "--contender", "dummy", "--quick"]) == 1
    assert "not the peers' folds" in capsys.readouterr().out


def test_a_fold_that_fails_is_reported_and_tried_again(suite, tmp_path, capsys, monkeypatch):
    def broken(task):
        raise ValueError("no such thing")

    monkeypatch.setattr(skill, "CONTENDERS", {"dummy": broken})
    options = ["--data", str(suite), "--contender", "dummy", "--out", str(tmp_path / "r"), "--folds", "0"]
    assert skill.main(options) == 1
    assert "FAILED iris fold 0: ValueError: no such thing" in capsys.readouterr().out
    monkeypatch.undo()
    assert skill.main(options) == 0


def test_without_the_tables_skill_is_skipped_and_said(tmp_path, capsys):
    assert skill.main(["--data", str(tmp_path)]) == 0
    assert "skipped: no suite.json" in capsys.readouterr().out


def test_ranks_count_only_folds_that_all_have_finished(tmp_path):
    tables = [Table("a", tmp_path, "y", "binary", 10), Table("b", tmp_path, "y", "regression", 10)]

    def figures(dataset, peer, metric, values):
        return [{"dataset": dataset, "peer": peer, "fold": fold, metric: value} for fold, value in values.items()]

    rows = [
        *figures("a", "we", "log_loss", {0: 0.3, 1: 0.9}),
        *figures("a", "p", "log_loss", {0: 0.4, 1: 0.1}),
        *figures("a", "q", "log_loss", {0: 0.3}),  # finished fold 0 alone
        *figures("b", "we", "rmse", {0: 1.0}),
        *figures("b", "p", "rmse", {0: 2.0}),
        *figures("a", "we", "accuracy", {0: 0.5}),
        *figures("a", "p", "accuracy", {0: 0.6}),
    ]
    first, second = standings(tables, rows, "we", ("p", "q"))
    assert first.folds == (0,)
    assert first.ranks == {"we": 1.5, "p": 3.0, "q": 1.5}
    assert second.ranks == {"we": 1.0, "p": 2.0}
    assert list(second.left_out) == ["q"]
    assert mean_ranks([first, second]) == {"we": (1.25, 2), "q": (1.5, 1), "p": (2.5, 2)}
    (accuracy,) = standings(tables, rows, "we", ("p",), "accuracy")
    assert accuracy.ranks == {"we": 2.0, "p": 1.0}
    assert ahead([accuracy], "we", "p") == {"tables": 0, "of": 1, "p": 1.0}
    assert ahead([accuracy], "we", "q") == {}


def test_a_lead_over_many_tables_has_a_p_value(tmp_path):
    rng = np.random.default_rng(0)
    tables = [Table(f"t{place}", tmp_path, "y", "regression", 10) for place in range(12)]
    theirs = rng.lognormal(size=12) * 100
    for ratio, sure in ((0.9, True), (1.0, False)):
        ours = theirs * ratio * rng.lognormal(sigma=0.05, size=12)
        rows = [
            {"dataset": table.name, "peer": peer, "fold": 0, "rmse": value}
            for peer, values in (("we", ours), ("p", theirs))
            for table, value in zip(tables, values, strict=True)
        ]
        found = ahead(standings(tables, rows, "we", ("p",)), "we", "p")
        assert found["p"] == pytest.approx(wilcoxon(np.log(theirs) - np.log(ours)).pvalue)
        assert found["tables"] == (ours < theirs).sum()
        assert (found["p"] < 0.01) == sure
