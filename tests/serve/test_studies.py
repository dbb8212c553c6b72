"""Improvements and searches on the page: read while they grow, and files that are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fallline.errors import InputError
from fallline.improve import LEDGER
from fallline.search import JsonLines
from fallline.serve.studies import Studies
from fallline.types import Comparison, Experiment
from tests.serve.conftest import EVIL, Page

ABOUT = {
    "metric": "log_loss", "strategy": "random",
    "space": {"optimizer.learning_rate": {"Range": [1e-4, 0.1, True, False]},
              "network.activation": {"Choice": [["relu", "tanh"]]}},
}  # fmt: skip


def experiment() -> Experiment:
    arms = [
        Comparison("add-dropout", (0.1, 0.2, 0.15), 0.15, 0.05, 0.25, 0.01, 0.02, "helps"),
        Comparison(
            f"use-adam {EVIL}",
            (0.1, -0.2, float("nan")),
            -0.03,
            float("-inf"),
            float("inf"),
            0.9,
            0.9,
            "cannot tell",
            4,
        ),
    ]
    return Experiment(
        intent="Does it improve the log_loss?", expectation="It should.", method="2 arms, 1 seed, 3 folds", result="",
        finding="add-dropout helps.", metric="log_loss", seeds=(0,), folds=3,
        scores={"control": (0.5, 0.6, 0.7)}, comparisons=tuple(arms),
    )  # fmt: skip


def ledger(folder: Path, entries: int = 1) -> Path:
    folder.mkdir(parents=True)
    lines = JsonLines(folder / LEDGER, "improvement", {"folds": 3})
    for _ in range(entries):
        lines.add(
            {"stage": "screen", "control": "x", "after": ["use-relu"], "keys": ["1", "2"],
             "arms": {"add-dropout": ["add-dropout"]}, "reasons": {"add-dropout": f"overfit {EVIL}"},
             "kept": "add-dropout", "experiment": experiment().to_dict()}
        )  # fmt: skip
    return folder / LEDGER


def journal(path: Path, trials: int = 3) -> Path:
    lines = JsonLines(path, "search", ABOUT)
    for i in range(trials):
        point = [("network.activation", "relu" if i % 2 else "tanh"), ("optimizer.learning_rate", 10.0 ** -(i + 1))]
        value = float("nan") if i == 2 else 0.5 - i / 10
        lines.add({"key": json.dumps([point, None]), "values": {"log_loss": [[value, value]]}, "diverged": int(i == 2)})
    return path


def view(page: Page, name: str) -> Any:
    return page.get(f"/api/experiments/{quote(name)}")


def test_an_improvement_is_told_experiment_by_experiment(page: Page) -> None:
    path = ledger(page.root.parent / "improved" / "houses-1", entries=2)
    (line,) = page.get("/api/experiments")["studies"]
    assert (line["name"], line["kind"], line["entries"]) == ("houses-1", "improvement", 2)
    assert line["kept"] == ["add-dropout"] * 2
    found = view(page, "houses-1")
    assert [step["number"] for step in found["steps"]] == [1, 2]
    good, open_ = found["steps"][0]["arms"]
    assert (good["mean"], good["low"], good["decision"], good["treatments"]) == (0.15, 0.05, "helps", ["add-dropout"])
    assert (open_["low"], open_["differences"], open_["more_seeds"]) == (None, [0.1, -0.2, None], 4)
    with path.open("ab") as file:
        file.write(b'{"stage": "scr')  # somebody is writing
    assert len(view(page, "houses-1")["steps"]) == 2


def test_a_search_is_told_trial_by_trial(page: Page) -> None:
    journal(page.root.parent / "rates.jsonl")
    found = view(page, "rates")
    assert (found["metric"], found["higher_is_better"], found["strategy"]) == ("log_loss", False, "random")
    assert [trial["value"] for trial in found["trials"]] == [0.5, 0.4, None]
    activation, rate = found["entries"]
    assert (activation["name"], activation["numeric"], activation["levels"]) == (
        "network.activation",
        False,
        ['"relu"', '"tanh"'],
    )
    assert (rate["name"], rate["numeric"], rate["log"]) == ("optimizer.learning_rate", True, True)


def test_files_that_are_none_never_break_the_list(tmp_path: Path) -> None:
    ledger(tmp_path / "good")
    (tmp_path / "notes.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / LEDGER).write_text("no JSON\n")
    hollow = ledger(tmp_path / "hollow")
    hollow.write_text(hollow.read_text().replace('"comparisons"', '"others"'))
    (tmp_path / "away").symlink_to(tmp_path / "good")
    studies = Studies([tmp_path, tmp_path / "missing"])
    lines = {line["name"]: line for line in studies.lines()}
    assert set(lines) == {"good", "broken", "hollow"}
    assert "no file of fallline's experiments" in lines["broken"]["problem"]
    for name, words in (
        ("hollow", "damaged"),
        ("broken", "no file"),
        ("nothing", "There is no improvement"),
        ("../good", "There is no"),
    ):
        with pytest.raises(InputError, match=words):
            studies.view(name)
    shutil.copytree(tmp_path / "good", tmp_path / "two" / "good")
    assert len(Studies([tmp_path, tmp_path / "two"]).files()) == 4


def test_the_pages_are_there(page: Page) -> None:
    for address in ("/experiments", "/experiments/any", "/static/experiment.js", "/static/scatter.js"):
        assert page.ask("GET", address).status == 200
    assert page.ask("GET", "/api/experiments/nothing").status == 400
