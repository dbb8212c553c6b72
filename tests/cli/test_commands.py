"""The smaller commands."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fallline.cli.predict import escaped, with_predictions
from fallline.errors import InputError
from fallline.recipe import default, from_toml, override, to_toml
from fallline.rules import catalogue
from fallline.store import RunFolder
from fallline.types import Run, Trace
from tests.cli.conftest import FakeTraining, Result, snapshot

Cli = Callable[..., Result]


# ------------------------------------------------------------------------------------------------ recipe, rules


def test_recipe_prints_what_reads_back(cli: Cli) -> None:
    assert cli("recipe").out == to_toml(default())
    assert cli("recipe", "--preset", "simple", "--plain").out == to_toml(default("simple"), comments=False)
    changed = cli("recipe", "network.hidden=[3]", "seed=4")
    assert from_toml(changed.out) == override(default(), ["network.hidden=[3]", "seed=4"])
    assert cli("recipe", "sede=4").code == 2


def test_rules_lists_and_explains_every_symptom(cli: Cli) -> None:
    out = cli("rules").out
    for info in catalogue():
        assert info.symptom in out
    explained = cli("rules", "overfit").out
    assert "Why it hurts" in explained
    assert cli("rules", "s3").out == explained
    assert "Did you mean 'overfit'?" in cli("rules", "overfitt").err
    assert [json.loads(line)["id"] for line in cli("rules", "--json").out.splitlines()] == [i.id for i in catalogue()]


# ------------------------------------------------------------------------------------------------- runs, report


def test_runs_of_nothing(cli: Cli) -> None:
    assert "There are no runs in runs" in cli("runs").out
    assert cli("runs", "--json").out == ""


def test_runs_lists_what_there_is(cli: Cli, table: Path, training: FakeTraining) -> None:
    cli("train", "data.csv", "-t", "sold")
    cli("train", "data.csv", "-t", "price", "--name", "named")
    Path("runs/stray").mkdir()
    before = snapshot(Path("runs"))
    out = cli("runs").out
    for part in ("data-1", "named", "sold", "price", "finished", "log loss 0.1", "stray", "unusable"):
        assert part in out
    entries = [json.loads(line) for line in cli("runs", "--json").out.splitlines()]
    assert {entry["name"]: entry["status"] for entry in entries} == {
        "data-1": "finished",
        "named": "finished",
        "stray": "unusable",
    }
    assert snapshot(Path("runs")) == before


def test_runs_keeps_names_whole_in_a_narrow_window(
    cli: Cli, table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "a-name-that-can-be-copied"
    cli("train", "data.csv", "-t", "sold", "--name", name)
    assert name in cli("runs").out


def test_runs_shows_which_training_diverged(
    cli: Cli, table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = sys.modules["fallline.train"].train_problem
    lost = lambda *given, **more: train(*given, **more).with_(outcome="diverged")  # noqa: E731
    cli("train", "data.csv", "-t", "sold", "--name", "sound")
    assert "diverged" not in cli("runs").out
    monkeypatch.setattr(sys.modules["fallline.train"], "train_problem", lost)
    cli("train", "data.csv", "-t", "sold", "--name", "lost")
    assert "diverged" in next(line for line in cli("runs").out.splitlines() if line.startswith("lost"))


def test_runs_offers_to_go_on_only_where_something_was_saved(cli: Cli) -> None:
    RunFolder.create("runs/begun").close()
    out = cli("runs").out
    assert "begun: nothing was saved yet" in out
    assert "--resume" not in out


def test_report_is_written_again_but_never_over_what_is_not_ours(cli: Cli, table: Path, training: FakeTraining) -> None:
    cli("train", "data.csv", "-t", "sold")
    path = Path("runs/data-1/report.html")
    assert cli("report", "runs/data-1").out == f"{path}\n"
    assert cli("report", "runs/data-1").code == 0
    assert not RunFolder.open("runs/data-1").verify()
    path.write_text("my own notes")
    refused = cli("report", "runs/data-1")
    assert (refused.code, path.read_text()) == (1, "my own notes")
    assert cli("report", "data-1", "-o", "r.html").out == "r.html\n"
    assert cli("report", "data-1", "--markdown", "m").out == "m/report.md\n"
    assert "exists already" in cli("report", "data-1", "--markdown", "m").err
    Path("r.html").write_text("mine")
    again = cli("report", "runs/data-1", "-o", "r.html")
    assert (again.code, Path("r.html").read_text()) == (2, "mine")
    assert cli("report", "runs/data-1", "-o", "r.html", "--overwrite").code == 0
    assert Path("r.html").read_text() != "mine"


# ------------------------------------------------------------------------------------------------------ predict


class FakeRun(Run):
    """A run that answers without a model."""

    def predict(self, x: Any) -> np.ndarray:
        return np.array(["no", "yes"] * len(x))[: len(x)]

    def predict_proba(self, x: Any) -> np.ndarray:
        return np.tile([0.25, 0.75], (len(x), 1))


def _run(kind: str = "binary", preparation: Any = "fitted", run: type[Run] = FakeRun) -> Run:
    empty = Trace.from_columns({name: [] for name in ("member", "epoch", "layer", "quantity", "value")})
    facts = {"kind": kind, "target_names": ["sold"], "classes": ["no", "yes"]}
    return run(model=None, trace=empty, outcome="completed", preparation=preparation, facts=facts)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any run folder loads as the answering run."""
    monkeypatch.setattr("fallline.store.load_run", lambda path: _run())


@pytest.mark.usefixtures("trained")
def test_predictions_are_appended_to_the_table(cli: Cli, table: Path) -> None:
    done = cli("predict", "runs/x", "data.csv", "-o", "out.csv", "--proba")
    assert done.code == 0, done.err
    assert "60 rows with predictions are in out.csv" in done.err
    before, after = pd.read_csv("data.csv"), pd.read_csv("out.csv")
    assert list(after.columns) == [*before.columns, "sold_predicted", "sold_p_no", "sold_p_yes"]
    pd.testing.assert_frame_equal(after[before.columns], before)
    assert after["sold_predicted"].tolist() == ["no", "yes"] * 30
    assert set(after["sold_p_yes"]) == {0.75}


def test_predictions_of_a_diverged_training_are_called_worthless(
    cli: Cli, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fallline.store.load_run", lambda path: _run().with_(outcome="diverged"))
    done = cli("predict", "runs/x", "data.csv", "-o", "out.csv")
    assert done.code == 0
    assert "the training of runs/x diverged" in done.err
    monkeypatch.setattr("fallline.store.load_run", lambda path: _run())
    assert "diverged" not in cli("predict", "runs/x", "data.csv", "-o", "again.csv").err


@pytest.mark.usefixtures("trained")
def test_predict_never_replaces_a_file_unasked(cli: Cli, table: Path) -> None:
    assert cli("predict", "runs/x", "data.csv", "-o", "out.csv").code == 0
    before = snapshot(Path())
    refused = cli("predict", "runs/x", "data.csv", "-o", "out.csv", "--proba")
    assert (refused.code, "--overwrite" in refused.err) == (2, True)
    assert cli("predict", "runs/x", "data.csv", "-o", "data.csv").code == 2
    assert snapshot(Path()) == before
    assert cli("predict", "runs/x", "data.csv", "-o", "out.csv", "--proba", "--overwrite").code == 0
    assert "sold_p_no" in Path("out.csv").read_text()


@pytest.mark.usefixtures("trained")
def test_predict_to_stdout_tsv_and_parquet(cli: Cli, table: Path) -> None:
    done = cli("predict", "runs/x", "data.csv")
    assert done.err == ""
    pd.testing.assert_series_equal(pd.read_csv(io.StringIO(done.out))["size"], pd.read_csv("data.csv")["size"])
    assert cli("predict", "runs/x", "data.csv", "-o", "out.tsv").code == 0
    assert "\tsold_predicted" in Path("out.tsv").read_text().splitlines()[0]
    assert cli("predict", "runs/x", "data.csv", "-o", "out.parquet").code == 0
    assert len(pd.read_parquet("out.parquet")) == 60


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["new.csv"], "no file new.csv"),
        (["data.csv", "-o", "out.xlsx"], "does not end in .csv, .tsv, .parquet"),
        (["data.csv", "-o", "none/out.csv"], "folder none does not exist"),
        (["data.csv", "-o", "folder.csv"], "is a folder"),
    ],
)
def test_mistakes_with_predict(cli: Cli, table: Path, arguments: list[str], part: str) -> None:
    Path("folder.csv").mkdir()
    done = cli("predict", "runs/x", *arguments)
    assert (done.code, part in done.err) == (2, True), done.err


def test_predict_with_what_is_no_run(cli: Cli, table: Path) -> None:
    Path("folder").mkdir()
    for wrong in ("none", "folder", "data.csv"):
        done = cli("predict", wrong, "data.csv")
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("fallline: ")


def test_runs_that_cannot_read_tables_or_have_no_probabilities() -> None:
    frame = pd.DataFrame({"size": [1.0]})
    with pytest.raises(InputError, match="not made from a table"):
        with_predictions(_run(preparation=None), frame)
    with pytest.raises(InputError, match="leave --proba out"):
        with_predictions(_run(kind="regression"), frame, proba=True)


def test_a_column_of_the_user_keeps_its_name() -> None:
    frame = pd.DataFrame({"sold_predicted": [5.0], "size": [1.0]})
    out = with_predictions(_run(), frame)
    assert list(out.columns) == ["sold_predicted", "size", "sold_predicted_2"]
    assert out["sold_predicted"].tolist() == [5.0]
    assert list(frame.columns) == ["sold_predicted", "size"]


def test_formulas_are_defused_in_text_and_headers_and_nowhere_else() -> None:
    cells = ["=1+1", "+1", "-x", "@sum", "\tx", "a=b", "", None]
    table = pd.DataFrame(
        {"=cmd()": cells, "n": [-1.5] * 8, "c": pd.Categorical(cells), "when": pd.Timestamp("2020-01-01")}
    )
    out = escaped(table)
    assert list(out.columns) == ["'=cmd()", "n", "c", "when"]
    for column in ("'=cmd()", "c"):
        assert out[column].tolist()[:7] == ["'=1+1", "'+1", "'-x", "'@sum", "'\tx", "a=b", ""]
        assert pd.isna(out[column].iloc[7])
    assert out["n"].tolist() == [-1.5] * 8
    assert out["when"].equals(table["when"])
    assert table["=cmd()"].iloc[0] == "=1+1"


@pytest.mark.usefixtures("trained")
def test_escaping_can_be_turned_off(cli: Cli) -> None:
    Path("evil.csv").write_text("size,note\n1,=1+1\n2,b\n")
    assert "'=1+1" in cli("predict", "runs/x", "evil.csv").out
    assert ",=1+1," in cli("predict", "runs/x", "evil.csv", "--no-escape").out
