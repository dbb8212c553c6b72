"""``fallline train`` around a training that takes no time: what is read, said, saved and resumed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fallline.errors import DataError
from fallline.recipe import default, from_toml, override
from fallline.store import RunFolder
from fallline.store.plain import loads
from tests.cli.conftest import FakeTraining, Result, snapshot

Cli = Callable[..., Result]


def test_everything_is_said_and_saved(cli: Cli, table: Path, training: FakeTraining) -> None:
    done = cli("train", "data.csv", "--target", "sold", "--leave-out", "price")
    assert done.code == 0, done.err
    for part in (
        "60 rows from data.csv", "sold (binary classification", "2 columns: 1 numeric, 1 category",
        "price: left out on request", "all epochs were run", "the best epoch was 10", "1,234 weights", "training 0.1",
        "best 10", "log loss", "this model", "no inputs", "12 untouched rows", "warning: overfit",
        "The validation loss turned up.", "Likely cause: Too large.", "Try: add dropout", "dead-relu",
        "runs/data-1/report.html", "fallline predict runs/data-1 data.csv -o predicted.csv",
    ):  # fmt: skip
        assert part in done.out, part
    assert "\x1b" not in done.out + done.err
    folder = Path("runs/data-1")
    assert {"recipe.toml", "trace.parquet", "environment.json", "report.html", "run.json", "manifest.json"} <= set(
        os.listdir(folder)
    )
    assert RunFolder.open(folder).status == "finished"
    assert not RunFolder.open(folder).verify()


def test_grades_are_taken_for_classes_and_the_first_lines_say_so_and_how_to_change_it(
    cli: Cli, tmp_path: Path, training: FakeTraining
) -> None:
    grades = ["size,grade", *(f"{i / 7:.3f},{3 + i % 3}" for i in range(60))]
    (tmp_path / "wine.csv").write_text("\n".join(grades), encoding="utf-8")
    done = cli("train", "wine.csv", "-t", "grade")
    told = " ".join(done.out.split())
    assert "why The target 'grade' takes 3 whole numbers: they are taken for classes." in told
    assert told.index("--kind regression") < told.index("inputs 1 column")
    assert told.count("--kind regression") == 1
    asked = cli("train", "wine.csv", "-t", "grade", "--kind", "regression")
    assert "grade (regression: a quantity)" in asked.out
    assert "taken for" not in asked.out
    told = cli("train", "wine.csv", "-t", "grade", "--json").out.splitlines()[0]
    assert json.loads(told)["why"].endswith("--kind regression on the command line.")


def test_a_second_training_takes_the_next_name_and_leaves_the_first_alone(
    cli: Cli, table: Path, training: FakeTraining
) -> None:
    cli("train", "data.csv", "-t", "sold")
    before = snapshot(Path("runs/data-1"))
    assert cli("train", "data.csv", "-t", "sold", "-q").out == "runs/data-2\n"
    assert snapshot(Path("runs/data-1")) == before


def test_a_given_name_is_never_replaced_unless_asked(cli: Cli, table: Path, training: FakeTraining) -> None:
    assert cli("train", "data.csv", "-t", "sold", "--name", "one").code == 0
    before = snapshot(Path("runs"))
    again = cli("train", "data.csv", "-t", "price", "--name", "one")
    assert (again.code, snapshot(Path("runs"))) == (1, before)
    assert "exists already" in again.err
    assert "--overwrite" in again.err
    assert cli("train", "data.csv", "-t", "price", "--name", "one", "--overwrite").code == 0
    assert loads(RunFolder.open("runs/one").read("run.json"))["facts"]["target_names"] == ["price"]


def test_overwriting_keeps_the_old_run_when_the_new_one_fails(cli: Cli, table: Path, training: FakeTraining) -> None:
    cli("train", "data.csv", "-t", "sold", "--name", "one")
    before = snapshot(Path("runs"))
    training.error = DataError("no column is left")
    failed = cli("train", "data.csv", "-t", "sold", "--name", "one", "--overwrite")
    assert (failed.code, failed.err) == (2, "fallline: no column is left\n")
    assert snapshot(Path("runs")) == before


def test_overwrite_of_nothing_leaves_nothing_when_it_fails(cli: Cli, table: Path, training: FakeTraining) -> None:
    training.error = DataError("too few rows")
    assert cli("train", "data.csv", "-t", "sold", "--name", "new", "--overwrite").code == 2
    assert not Path("runs/new").exists()


def test_a_failure_before_anything_was_learned_leaves_nothing_behind(
    cli: Cli, table: Path, training: FakeTraining
) -> None:
    training.error = DataError("no column is left")
    for arguments in ([], ["--name", "one"]):
        assert cli("train", "data.csv", "-t", "sold", *arguments).code == 2
        assert list(Path("runs").iterdir()) == []


def test_recipe_file_preset_overrides_and_shortcuts_reach_the_training(
    cli: Cli, table: Path, training: FakeTraining
) -> None:
    Path("my.toml").write_text('[network]\nhidden = [8]\nactivation = "relu"\n')
    done = cli(
        "train",
        "data.csv",
        "-t",
        "sold",
        "--recipe",
        "my.toml",
        "network.hidden=[4,4]",
        "--seed",
        "3",
        "--group",
        "town",
    )
    assert done.code == 0, done.err
    recipe = training.calls[0]["recipe"]
    assert (recipe.network.hidden, recipe.network.activation, recipe.seed) == ((4, 4), "relu", 3)
    assert recipe.split.group == "town"
    assert training.calls[0]["problem"].groups is not None
    assert cli("train", "data.csv", "-t", "sold", "--preset", "simple").code == 0
    assert training.calls[1]["recipe"] == default("simple")


def test_several_targets_and_a_given_kind(cli: Cli, table: Path, training: FakeTraining) -> None:
    assert cli("train", "data.csv", "-t", "price", "-t", "size").code == 0
    assert training.calls[0]["problem"].kind == "multioutput"
    assert cli("train", "data.csv", "-t", "sold", "--kind", "multiclass").code == 0
    assert training.calls[1]["problem"].kind == "multiclass"


def test_json_lines_are_all_there_is_on_stdout(
    cli: Cli, table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(1000))
    monkeypatch.setattr("fallline.cli.progress.monotonic", lambda: float(next(seconds)))
    done = cli("train", "data.csv", "-t", "sold", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events] == ["read", "started", "phase", *["epoch"] * 10, "finding", "finished"]
    assert events[0]["n_rows"] == 60
    assert events[1]["run"] == "runs/data-1"
    assert (events[5]["epoch"], events[5]["active"], events[5]["members"]) == (3, 3, 4)
    assert events[-2]["symptom"] == "overfit"
    assert events[-1]["run"] == "runs/data-1"
    assert events[-1]["diagnosis"]["findings"][0]["symptom"] == "overfit"
    assert events[-1]["scores"][0]["value"] == 0.1
    assert done.err == ""


def test_events_of_quick_epochs_are_few_and_the_last_is_among_them(
    cli: Cli, table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.epochs = 400
    monkeypatch.setattr("fallline.cli.progress.monotonic", lambda: 0.0)
    events = [json.loads(line) for line in cli("train", "data.csv", "-t", "sold", "--json").out.splitlines()]
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == [1, 400]


def test_progress_without_a_terminal_is_a_few_lines(cli: Cli, table: Path, training: FakeTraining) -> None:
    training.epochs = 400
    lines = cli("train", "data.csv", "-t", "sold").err.splitlines()
    assert 9 <= len(lines) <= 12
    assert "epoch 400/400" in lines[-1]
    assert "3 of 4 networks at work" in lines[-1]


# ------------------------------------------------------------------------------------------- stopping and resuming


def _signal_at(training: FakeTraining, epoch: int, number: int) -> None:
    def send(now: int) -> None:
        if now == epoch:
            os.kill(os.getpid(), number)
            time.sleep(0.2)  # the listening thread takes it from here

    training.before_epoch = send


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_says_how_to_go_on_and_resuming_ends_as_if_nothing_had_happened(
    cli: Cli, table: Path, training: FakeTraining, number: int, code: int
) -> None:
    assert cli("train", "data.csv", "-t", "sold", "--name", "whole", "seed=2").code == 0
    _signal_at(training, 4, number)
    stopped = cli("train", "data.csv", "-t", "sold", "--name", "cut", "seed=2")
    assert stopped.code == code
    assert "fallline train --resume runs/cut" in stopped.err
    assert RunFolder.open("runs/cut").status == "interrupted"
    training.before_epoch = lambda epoch: None
    resumed = cli("train", "--resume", "runs/cut")
    assert resumed.code == 0, resumed.err
    assert training.calls[-1]["resume"][1] == {"epoch": 4}
    assert training.calls[-1]["recipe"] == training.calls[0]["recipe"]
    folders = RunFolder.open("runs/cut"), RunFolder.open("runs/whole")
    assert folders[0].status == "finished"
    assert folders[0].read("trace.parquet") == folders[1].read("trace.parquet")
    again = cli("train", "--resume", "runs/cut")
    assert (again.code, "nothing is left to resume" in again.err) == (1, True)


def test_a_signal_while_reading_leaves_nothing(
    cli: Cli, table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fallline.cli import job

    def read(self: job.Source, recipe: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        return original(self, recipe)  # type: ignore[arg-type]

    original = job.Source.problem
    monkeypatch.setattr(job.Source, "problem", read)
    done = cli("train", "data.csv", "-t", "sold")
    assert done.code == 130
    assert not Path("runs").exists()
    assert training.calls == []


def test_a_training_that_was_killed_before_its_first_checkpoint_starts_again(
    cli: Cli, table: Path, training: FakeTraining
) -> None:
    class Killed(BaseException):
        """Stands for a death that nothing can catch."""

    def die(epoch: int) -> None:
        raise Killed

    training.before_epoch = die
    with pytest.raises(Killed):
        cli("train", "data.csv", "-t", "sold", "--name", "one")
    training.before_epoch = lambda epoch: None
    done = cli("train", "--resume", "runs/one")
    assert done.code == 0, done.err
    assert training.calls[-1]["resume"] is None


def _interrupted(cli: Cli, training: FakeTraining) -> None:
    _signal_at(training, 4, signal.SIGINT)
    assert cli("train", "data.csv", "-t", "sold", "--name", "cut").code == 130
    training.before_epoch = lambda epoch: None


def test_resuming_refuses_changed_data_and_takes_moved_data(cli: Cli, table: Path, training: FakeTraining) -> None:
    _interrupted(cli, training)
    good = table.read_text()
    table.write_text(good.replace("north", "east"))
    before = snapshot(Path("runs"))
    refused = cli("train", "--resume", "runs/cut")
    assert (refused.code, "its content has changed" in refused.err) == (2, True)
    table.unlink()
    assert cli("train", "--resume", "runs/cut").code == 2
    assert snapshot(Path("runs")) == before
    Path("moved.csv").write_text(good)
    assert cli("train", "moved.csv", "--resume", "runs/cut").code == 0


def test_resuming_refuses_other_settings_versions_and_folders(
    cli: Cli, table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupted(cli, training)
    refused = cli("train", "--resume", "runs/cut", "seed=3", "--target", "price", "--group", "town")
    assert refused.code == 2
    for part in ("--target", "--group", "seed=3"):
        assert part in refused.err
    Path("foreign").mkdir()
    for folder in ("foreign", "missing"):
        assert cli("train", "--resume", folder).code == 1
    monkeypatch.setattr("fallline.cli.job.__version__", "99.0")
    other = cli("train", "--resume", "runs/cut")
    assert (other.code, "and this is 99.0" in other.err) == (1, True)


def test_a_run_that_python_saved_cannot_be_resumed(cli: Cli, table: Path, training: FakeTraining) -> None:
    with RunFolder.create("runs/own") as folder:
        folder.write("run.json", b'{"facts": {}}')
    done = cli("train", "--resume", "runs/own")
    assert (done.code, "was not begun by `fallline train`" in done.err) == (1, True)


def test_a_hostile_column_name_does_not_steer_the_terminal(cli: Cli, training: FakeTraining, tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 3},{'yes' if i % 2 else 'no'}" for i in range(40))
    Path("evil.csv").write_text(f"[bold]a\x1b[31m,:boom:,y\n{rows}\n")
    done = cli("train", "evil.csv", "-t", "y", "--leave-out", "[bold]a\x1b[31m")
    assert done.code == 0, done.err
    assert "\x1b" not in done.out
    assert "[bold]a\ufffd[31m: left out on request" in done.out


def test_a_recipe_that_the_command_printed_is_taken_back(cli: Cli, table: Path, training: FakeTraining) -> None:
    Path("my.toml").write_text(cli("recipe", "--preset", "simple", "hidden=[7]").out)
    assert cli("train", "data.csv", "-t", "sold", "--recipe", "my.toml").code == 0
    saved = from_toml(RunFolder.open("runs/data-1").read("recipe.toml").decode())
    assert saved == override(default("simple"), ["network.hidden=[7]"])


def test_an_output_without_unicode_gets_ascii(
    table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    from fallline.cli import main

    monkeypatch.chdir(table.parent)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    with pytest.raises(SystemExit) as exited:
        main(["train", "data.csv", "-t", "sold"])
    assert not exited.value.code
    assert "* training 0.1" in raw.getvalue().decode("ascii")
    assert b"?" not in raw.getvalue()


def test_a_fork_trains_the_same_table_with_a_changed_recipe(cli: Cli, table: Path, training: FakeTraining) -> None:
    assert cli("train", "data.csv", "-t", "sold", "--leave-out", "town", "--name", "first", "hidden=[7]").code == 0
    done = cli("train", "--fork", "runs/first", "seed=3", "--name", "second")
    assert done.code == 0, done.err
    assert training.calls[-1]["recipe"].network.hidden == (7,)
    assert training.calls[-1]["recipe"].seed == 3
    assert [c.name for c in training.calls[-1]["problem"].columns if c.kind == "left_out"] == ["town"]
    Path("my.toml").write_text('preset = "simple"\n')
    assert cli("train", "--fork", "runs/first", "--recipe", "my.toml", "--name", "third").code == 0
    assert training.calls[-1]["recipe"] == default("simple")


def test_a_fork_refuses_another_table_and_other_options(cli: Cli, table: Path, training: FakeTraining) -> None:
    assert cli("train", "data.csv", "-t", "sold", "--name", "first").code == 0
    refused = cli("train", "--fork", "runs/first", "-t", "price")
    assert (refused.code, "cannot be combined with --target" in refused.err) == (2, True)
    table.write_text(table.read_text() + "1,north,2,no\n")
    changed = cli("train", "--fork", "runs/first")
    assert (changed.code, "not the table that the run first was begun with" in changed.err) == (2, True)
    assert len(training.calls) == 1


def test_a_recipe_comes_through_standard_input(
    cli: Cli, table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"seed = 5\n")))
    assert cli("train", "data.csv", "-t", "sold", "--recipe", "-").code == 0
    assert training.calls[-1]["recipe"].seed == 5


def test_the_curves_of_a_training_can_be_followed_and_are_gone_at_its_end(
    cli: Cli, table: Path, training: FakeTraining
) -> None:
    from fallline.store import read_live

    seen = []
    training.before_epoch = lambda epoch: seen.append(read_live(Path("runs/one")))
    assert cli("train", "data.csv", "-t", "sold", "--name", "one").code == 0
    assert [live and live.epoch for live in seen] == [None, *range(1, 10)]
    assert not list(Path("runs/one").glob(".fallline*"))
