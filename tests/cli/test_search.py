"""`fallline search`."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from click.testing import CliRunner

from fallline.cli import group
from fallline.errors import InputError
from fallline.recipe import from_toml

SHORT = ("--preset", "simple", "network.hidden=[4]", "training.epochs=2")


def run(*arguments):
    return CliRunner().invoke(group, ["search", *map(str, arguments)])


def test_the_best_recipe_is_written(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 2))
    table, space, best = tmp_path / "table.csv", tmp_path / "space.toml", tmp_path / "best.toml"
    pd.DataFrame(x, columns=["a", "b"]).assign(y=x[:, 0] * 2).to_csv(table, index=False)
    space.write_text("[optimizer]\nlearning_rate = [0.001, 0.02]\n")
    arguments = (table, "-t", "y", *SHORT, "--space", space, "--strategy", "grid", "--trials", "2", "--folds", "2")
    shown = run(*arguments, "-o", best, "--report", tmp_path / "search.html")
    assert shown.exit_code == 0, shown.output
    assert "trial 1:" in shown.output
    assert "The best of 2 trials" in (tmp_path / "search.html").read_text()
    assert isinstance(run(*arguments, "--report", tmp_path / "search.html").exception, InputError)
    assert from_toml(best.read_text()).optimizer.learning_rate in (0.001, 0.02)
    assert isinstance(run(*arguments, "-o", best).exception, InputError)
    assert "kind is 'multilabel'" in str(run(*arguments, "--kind", "multilabel").exception)
    assert "y (regression: a quantity)" in shown.output
    assert not {"\x1b", "\r"} & set(shown.output)
    done = run(*arguments, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.stderr == ""
    assert [event["number"] for event in events if event["event"] == "trial"] == [0, 1]
    assert (events[0]["event"], events[-1]["event"]) == ("read", "finished")
    assert [trial["number"] for trial in events[-1]["trials"]] == [0, 1]
    assert sum(event["event"] == "finding" for event in events) == len(events[-1]["findings"])
    quiet = run(*arguments, "-q")
    assert quiet.stderr == ""
    rate = from_toml(best.read_text()).optimizer.learning_rate
    assert quiet.stdout.splitlines() == [f"optimizer.learning_rate={rate}"]
    space.write_text("[optimizer]\nlearning_rate = { log = [1, 0.1] }\n")
    assert isinstance(run(*arguments).exception, InputError)
