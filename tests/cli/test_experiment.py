"""`fallline experiment`."""

from __future__ import annotations

import importlib
import json

import numpy as np

from fallline.experiment.account import Scored, account

# `fallline.experiment` is the function; its room is found by the import system alone.
ROOM = importlib.import_module("fallline.experiment")
SHORT = ("--preset", "simple", "training.epochs=3", "network.hidden=[4]", "--folds", "2", "--seeds", "1")


def test_treatments_are_tried_and_the_account_is_kept(cli, data, tmp_path):
    kept = tmp_path / "found.json"
    arguments = (str(data), "-t", "y", *SHORT, "--treat", "add-dropout", "--treat", "scale-inputs")
    shown = cli("experiment", *arguments, "--keep-going", "-o", str(kept), "--report", "page.html")
    assert shown.code == 0, shown.err
    assert "Does add-dropout improve the rmse?" in shown.out
    assert "y (regression: a quantity)" in shown.out
    assert "scale-inputs has nothing to change" in shown.err
    written = json.loads(kept.read_text())
    assert [one["name"] for one in written["comparisons"]] == ["add-dropout"]
    assert cli("experiment", *arguments, "-o", str(kept)).code == 2
    assert "Experiment report" in (tmp_path / "page.html").read_text()
    assert cli("experiment", *arguments, "--report", "page.html").code == 2


def test_ctrl_c_is_told_and_ends_by_its_code(cli, data, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ROOM, "experiment", stopped, raising=False)
    shown = cli("experiment", str(data), "-t", "y", *SHORT, "--treat", "add-dropout")
    assert shown.code == 130
    assert "Stopped" in shown.err


def test_a_script_reads_events_and_decisions(cli, data, monkeypatch):
    control = np.array([[1.0, 1.1]])
    found = account(Scored({"control": control, "add-dropout": control}, "rmse", False, 1.0, 40), [0])
    monkeypatch.setattr(ROOM, "experiment", lambda *_, **__: found, raising=False)
    told = cli("experiment", str(data), "-t", "y", *SHORT, "--treat", "add-dropout", "--json")
    assert [json.loads(line)["event"] for line in told.out.splitlines()] == ["read", "finished"]
    quiet = cli("experiment", str(data), "-t", "y", *SHORT, "--treat", "add-dropout", "--quiet")
    assert quiet.out == "add-dropout=cannot tell\n"


def test_mistakes_are_named(cli, data):
    for arguments, words in (
        ((), "--treat"),
        (("--treat", "add-dropuot"), "add-dropout"),
        (("--treat", "add-dropuot", "--keep-going"), "add-dropout"),
        (("--treat", "add-dropout", "--fork-at", "3"), "fork_at"),
        (("--treat", "add-dropout", "--kind", "multilabel"), "kind is 'multilabel'"),
    ):
        wrong = cli("experiment", str(data), "-t", "y", *SHORT, *arguments)
        assert wrong.code == 2, wrong.err
        assert words in wrong.err
