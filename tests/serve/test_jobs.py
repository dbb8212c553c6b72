"""Trainings from the page that must not be started, and the ones that fail."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fallline.recipe import default, to_toml
from fallline.store import save_run
from tests.serve.conftest import Page, run

SIMPLE = to_toml(default("simple"))


@pytest.fixture
def table(page: Page) -> Path:
    path = page.root.parent / "patients.csv"
    path.write_text("age,ill\n" + "".join(f"{i},{'yes' if i % 3 else 'no'}\n" for i in range(40)))
    return path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Notes what would be run; runs a program that tells its input and fails instead."""
    import sys

    from fallline.serve import jobs

    seen: list[list[str]] = []
    honest = jobs.subprocess.Popen

    def popen(arguments: list[str], **options: Any) -> Any:
        seen.append(arguments)
        program = "import sys; print('fallline: it failed:', len(sys.stdin.read())); sys.exit(3)"
        return honest([sys.executable, "-c", program], **options)

    monkeypatch.setattr(jobs.subprocess, "Popen", popen)
    return seen


def test_a_training_is_a_command_without_a_shell(page: Page, table: Path, commands: list[list[str]]) -> None:
    body = {"data": str(table), "target": ["--ill; rm -rf /", "age"], "recipe": SIMPLE, "name": "../../x --overwrite"}
    answer = page.ask("POST", "/api/jobs", body)
    assert answer.status == 200
    name = answer.json["name"]
    assert name == "x-overwrite-1"
    (command,) = commands
    assert command[1:5] == ["-P", "-m", "fallline", "train"]
    assert command[5:] == [
        str(table), "--target=--ill; rm -rf /", "--target=age", "--recipe=-", f"--name={name}",
        f"--runs-dir={page.root.resolve()}", "--quiet",
    ]  # fmt: skip
    end = time.monotonic() + 20
    while time.monotonic() < end and name not in page.get("/api/runs")["failed"]:
        time.sleep(0.05)
    assert page.get("/api/runs")["failed"][name] == f"fallline: it failed: {len(SIMPLE)}"
    assert not (page.root / name).exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "/etc/passwd"}, "lies outside"),
        ({"data": "nothing.csv"}, "no table"),
        ({"data": None}, "missing"),
        ({"target": []}, "No target"),
        ({"target": "ill"}, "list of columns"),
        ({"target": [3]}, "list of columns"),
        ({"recipe": "[network]\nhiden = [3]\nactivation = 3\n"}, "2 mistakes"),
        ({"recipe": 7}, "missing"),
        ({"name": "n" * 1000}, "too long"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(
    page: Page, table: Path, commands: list[list[str]], change: dict[str, Any], words: str
) -> None:
    before = sorted(page.root.iterdir())
    answer = page.ask("POST", "/api/jobs", {"data": str(table), "target": ["ill"], "recipe": SIMPLE, **change})
    assert answer.status in (400, 422)
    assert words in answer.json["error"]
    assert commands == []
    assert sorted(page.root.iterdir()) == before


def test_a_fork_takes_the_run_its_table_and_the_edited_recipe(
    page: Page, table: Path, commands: list[list[str]]
) -> None:
    save_run(run(data=str(table)), page.root / "origin-1")
    told = page.get("/api/runs/origin-1")["fork"]
    assert told["possible"]
    assert 'preset = "simple"' in told["recipe"]
    answer = page.ask("POST", "/api/runs/origin-1/fork", {"recipe": told["recipe"].replace("seed = 0", "seed = 7")})
    assert (answer.status, answer.json) == (200, {"name": "origin-2"})
    assert commands[0][5:8] == [str(table), f"--fork={page.root.resolve() / 'origin-1'}", "--recipe=-"]


def test_a_foreign_run_cannot_name_a_file_outside(page: Page, commands: list[list[str]]) -> None:
    save_run(run(data="/etc/passwd"), page.root / "trap")
    told = page.get("/api/runs/trap")["fork"]
    assert (told["possible"], "lies outside" in told["reason"]) == (False, True)
    for what, body in (("fork", {"recipe": SIMPLE}), ("resume", {})):
        answer = page.ask("POST", f"/api/runs/trap/{what}", body)
        assert (answer.status, "lies outside" in answer.json["error"]) == (400, True)
    assert page.ask("POST", "/api/runs/plain-1/fork", {"recipe": SIMPLE}).status == 400
    assert commands == []


def test_only_trainings_of_this_page_are_stopped_and_only_once(
    page: Page, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from fallline.serve import jobs

    honest = jobs.subprocess.Popen
    program = (
        "import signal, sys, time; n = []; signal.signal(signal.SIGINT, lambda *a: n.append(1))\n"
        "print('up', flush=True)\n"
        "while not n: time.sleep(0.02)\n"
        "time.sleep(1); print(len(n)); sys.exit(130)"
    )
    monkeypatch.setattr(jobs.subprocess, "Popen", lambda a, **o: honest([sys.executable, "-c", program], **o))
    assert page.ask("DELETE", "/api/jobs/plain-1").status == 400
    body = {"data": str(table), "target": ["ill"], "recipe": SIMPLE}
    name = page.ask("POST", "/api/jobs", body).json["name"]
    wait(lambda: page.jobs.state(name)["said"] == "up")
    line = next(line for line in page.get("/api/runs")["runs"] if line["name"] == name)
    assert (line["status"], line["problem"]) == ("training", "")
    assert page.ask("DELETE", f"/api/jobs/{name}").status == 200
    assert page.jobs.state(name)["stopping"]
    assert page.ask("DELETE", f"/api/jobs/{name}").status == 200
    wait(lambda: page.jobs.state(name)["code"] == 130)
    assert page.jobs.state(name)["said"] == "up\n1"
    assert page.ask("DELETE", f"/api/jobs/{name}").status == 400
    wait(lambda: not (page.root / name).exists())


def test_not_too_many_at_once(page: Page, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from fallline.serve import jobs

    honest = jobs.subprocess.Popen
    monkeypatch.setattr(
        jobs.subprocess, "Popen", lambda a, **o: honest([sys.executable, "-c", "import time; time.sleep(60)"], **o)
    )
    body = {"data": str(table), "target": ["ill"], "recipe": SIMPLE}
    answers = [page.ask("POST", "/api/jobs", body) for _ in range(jobs.MOST_AT_ONCE + 1)]
    assert [answer.status for answer in answers] == [200] * jobs.MOST_AT_ONCE + [400]
    assert "are at work" in answers[-1].json["error"]
    for answer in answers[:-1]:
        assert page.ask("DELETE", f"/api/jobs/{answer.json['name']}").status == 200
    wait(lambda: not page.jobs.running())


def wait(condition: Any) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


def test_the_recipes_of_the_form_are_recipes(page: Page) -> None:
    from fallline.recipe import from_toml

    for text in json.loads(page.ask("GET", "/api/tables").body)["recipes"].values():
        assert from_toml(text)
