"""`fallline improve`."""

from __future__ import annotations

import json

from fallline.recipe import from_toml

SHORT = ("--preset", "simple", "training.epochs=5", "network.hidden=[6]", "optimizer.learning_rate=1e-5")
SMALL = ("--folds", "2", "--seeds", "2", "--trainings", "12", "--budget", "1 h")


def test_it_tells_a_story_and_leaves_recipe_run_and_ledger(cli, data, tmp_path):
    shown = cli("improve", str(data), "-t", "y", *SHORT, *SMALL)
    assert shown.code == 0, shown.err
    for words in ("Diagnosis", "To try", "learning-rate-too-low", "gain in rmse", "What it is worth", "predict"):
        assert words in shown.out
    folder = tmp_path / "improved" / "data-1"
    assert from_toml((folder / "recipe.toml").read_text()).network.hidden == (6,)
    page = (folder / "run" / "report.html").read_text()
    assert "Experiment 1: screened with one seed" in page
    assert "the same numbers" in page
    told = cli("report", str(folder), "-o", "again.html")
    assert told.code == 0, told.err
    assert (tmp_path / "again.html").read_text() == page, "the folder holds all that the report says"
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["experiment"]["metric"] == "rmse"
    again = cli("improve", "--resume", str(folder), "--trainings", "12", "--json")
    assert again.code == 0, again.err
    events = [json.loads(line) for line in again.out.splitlines()]
    assert next(event["repeated"] for event in events if event["event"] == "decided") is True
    assert events[-1]["event"] == "finished"


def test_mistakes_leave_nothing_behind(cli, data, tmp_path):
    for arguments, words in (
        ((str(data), "-t", "z"), "z"),
        ((str(data), "-t", "y", "--budget", "soon"), "budget"),
        ((str(data), "-t", "y", "--folds", "200"), "folds"),
        ((str(data), "-t", "y", "--kind", "multilabel"), "kind is 'multilabel'"),
        (("--resume", str(tmp_path), "--kind", "regression"), "--resume goes on"),
        (("--resume", str(tmp_path)), "no improvement"),
        ((), "No table"),
    ):
        wrong = cli("improve", *arguments)
        assert wrong.code == 2, wrong.err
        assert words in wrong.err
    assert not (tmp_path / "improved").exists()
