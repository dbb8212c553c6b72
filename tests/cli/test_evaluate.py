"""`fallline evaluate`."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from fallline.cli import group
from fallline.errors import InputError

SHORT = ("network.hidden=[4]", "training.epochs=2")


@pytest.fixture
def table(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 2))
    path = tmp_path / "table.csv"
    pd.DataFrame(x, columns=["a", "b"]).assign(y=x[:, 0] * 2).to_csv(path, index=False)
    return path


def run(*arguments):
    return CliRunner().invoke(group, ["evaluate", *map(str, arguments)])


def test_events_text_and_quiet(table):
    arguments = (table, "-t", "y", "--preset", "simple", *SHORT, "--folds", "2")
    page = table.with_name("evaluation.html")
    shown = run(*arguments, "--report", page)
    assert shown.exit_code == 0, shown.output
    assert "How well simple does" in page.read_text()
    assert isinstance(run(*arguments, "--report", page).exception, InputError)
    assert "simple" in shown.stdout
    assert "linear" in shown.stdout
    assert "y (regression: a quantity)" in shown.stdout
    assert not {"\x1b", "\r"} & set(shown.output)
    done = run(*arguments, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.stderr == ""
    assert [event["event"] for event in events if event["event"] not in ("phase", "epoch")] == ["read", "finished"]
    assert any(event["event"] == "epoch" and event["epochs"] == 2 for event in events)
    found = events[-1]
    assert found["metric"] == "rmse"
    assert len(found["values"]["rmse"]["simple"]) == 2
    quiet = run(*arguments, "--quiet")
    assert quiet.stderr == ""
    means = dict(line.split("=") for line in quiet.stdout.splitlines())
    assert list(means) == ["simple", "dummy", "linear"]
    assert float(means["simple"]) == pytest.approx(found["scores"][0]["value"], rel=1e-4)


def test_mistakes(table, tmp_path):
    assert isinstance(run(table, "-t", "y", "--folds", "41").exception, InputError)
    assert isinstance(run(table, "-t", "z").exception, InputError)
    assert "kind is 'multilabel'" in str(run(table, "-t", "y", "--kind", "multilabel").exception)
    assert isinstance(run(table, "-t", "y", "--recipe", tmp_path / "none.toml").exception, InputError)
    assert isinstance(run(table, "-t", "y", "--nested").exception, InputError)
