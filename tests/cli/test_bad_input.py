"""What people give by mistake: one clear message, the right exit code, no traceback, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fallline
from tests.cli.conftest import FakeTraining, Result, snapshot

Cli = Callable[..., Result]
SOURCE = str(Path(fallline.__file__).parents[1])

TABLES = {
    "constant.csv": "a,y\n" + "".join(f"{i},7\n" for i in range(30)),
    "one.csv": "a,y\n1,2\n",
    "empty.csv": "",
    "header.csv": "a,y\n",
    "nan.csv": "a,b,y\n" + "".join(f",{i},{i % 2}\n" for i in range(40)),
    "nothing.csv": "a,y\n" + "".join(f",{i % 2}\n" for i in range(40)),
    "text.csv": "a,b,y\n" + "".join(f"{'oops' if i == 17 else i},{i * 0.5},{i * 1.5}\n" for i in range(40)),
    "ragged.csv": "a,b,y\n1,2,3\n4,5\n6,7,8\n",
    "picture.csv": "\x89PNG\r\n\x1a\n\x00\x00",
}


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Write the bad tables."""
    for name, content in TABLES.items():
        (tmp_path / name).write_bytes(content.encode("latin-1"))
    return tmp_path


def _refused(done: Result, *parts: str, code: int = 2) -> None:
    assert done.code == code, done
    assert done.err.startswith("fallline: "), done.err
    assert "Traceback" not in done.err
    for part in parts:
        assert part in done.err, done.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["dta.csv", "-t", "y"], ["There is no file dta.csv", "Did you mean 'data.csv'?"]),
        (["nowhere/data.csv", "-t", "y"], ["the folder nowhere does not exist"]),
        ([".", "-t", "y"], ["is a folder"]),
        (["picture.csv", "-t", "y"], ["PNG image"]),
        (["empty.csv", "-t", "y"], ["is empty"]),
        (["header.csv", "-t", "y"], ["no rows"]),
        (["ragged.csv", "-t", "y"], ["3"]),
        (["data.csv", "-t", "prize"], ["no column 'prize'", "Did you mean 'price'?"]),
        (["data.csv"], ["No target is given", "`fallline train data.csv --target sold`"]),
        (["data.csv", "-t", "sold", "--leave-out", "toun"], ["no column 'toun'", "Did you mean 'town'?"]),
        (["data.csv", "-t", "sold", "--group", "toun"], ["no column 'toun'", "Did you mean 'town'?"]),
        (["data.csv", "-t", "sold", "--time", "sice"], ["no input column 'sice'", "Did you mean 'size'?"]),
        (["data.csv", "-t", "sold", "--kind", "regression"], ["sold"]),
        (["constant.csv", "-t", "y"], ["y"]),
        (["one.csv", "-t", "y"], []),
        (["data.csv", "-t", "sold", "lerning_rate=1"], ["Did you mean 'optimizer.learning_rate'?"]),
        (["data.csv", "-t", "sold", "network.hiden=[1]"], ["Did you mean 'network.hidden'?"]),
        (["data.csv", "-t", "sold", "optimizer.nesterov=true", "epochs=0"], ["2 mistakes", "nesterov", "epochs = 0"]),
        (["data.csv", "-t", "sold", "--seed", "-1"], ["seed = -1"]),
        (["data.csv", "-t", "sold", "--recipe", "none.toml"], ["no recipe none.toml"]),
        (["data.csv", "-t", "sold", "--recipe", "picture.csv"], ["not UTF-8"]),
        (["data.csv", "-t", "sold", "--recipe", "data.csv"], ["not TOML", "line 1"]),
        (["data.csv", "-t", "sold", "--recipe", "."], ["cannot be read"]),
        (["data.csv", "-t", "sold", "--recipe", "x", "--preset", "simple"], ["Both --recipe and --preset"]),
        (["data.csv", "-t", "sold", "--name", "../up"], ["is no name of a run"]),
        (["data.csv", "-t", "sold", "--name", ""], ["is no name of a run"]),
        (["data.csv", "-t", "sold", "--overwrite"], ["give the --name"]),
        (["data.csv", "-t", "sold", "--delimiter", "::"], ["delimiter"]),
        (["seed=3"], ["No table is given"]),
        ([], ["No table is given"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and all("." in v or "-" in v for v in value) else None,
)
def test_mistakes_with_train(
    cli: Cli, table: Path, tables: Path, training: FakeTraining, arguments: list[str], parts: list[str]
) -> None:
    _refused(cli("train", *arguments), *parts)
    assert training.calls == []
    assert not Path("runs").exists()


def test_a_column_without_values_is_left_out_and_said(cli: Cli, tables: Path, training: FakeTraining) -> None:
    done = cli("train", "nan.csv", "-t", "y")
    assert done.code == 0, done.err
    assert "left out    a:" in done.out


def test_no_usable_column_is_refused_by_somebody(cli: Cli, tables: Path, training: FakeTraining) -> None:
    done = cli("train", "nothing.csv", "-t", "y")
    assert done.code in (0, 2)
    assert "Traceback" not in done.err
    assert "a" in done.out + done.err


def test_text_among_numbers_is_named_with_its_row(cli: Cli, tables: Path, training: FakeTraining) -> None:
    _refused(cli("train", "text.csv", "-t", "y"), "'a'", "'oops'", "row 18")
    assert cli("train", "text.csv", "-t", "y", "--leave-out", "a").code == 0


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_folder_that_cannot_be_written(cli: Cli, table: Path, training: FakeTraining) -> None:
    Path("file").write_text("in the way")
    _refused(cli("train", "data.csv", "-t", "sold", "--runs-dir", "file"), "file", code=1)
    _refused(cli("train", "data.csv", "-t", "sold", "--runs-dir", "/proc/none"), "/proc/none", code=1)
    assert Path("file").read_text() == "in the way"
    assert training.calls == []


def test_a_folder_of_somebody_else_is_left_alone(cli: Cli, table: Path, training: FakeTraining) -> None:
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/notes.txt").write_text("precious")
    before = snapshot(Path("runs"))
    for more in ([], ["--overwrite"]):
        _refused(cli("train", "data.csv", "-t", "sold", "--name", "mine", *more), "not a run folder", code=1)
    assert snapshot(Path("runs")) == before


def test_a_damaged_run_folder_is_named(cli: Cli, table: Path, training: FakeTraining) -> None:
    cli("train", "data.csv", "-t", "sold")
    path = Path("runs/data-1/run.json")
    path.write_bytes(path.read_bytes().replace(b"overfit", b"0verfit"))
    before = snapshot(Path("runs"))
    for arguments in (["predict", "runs/data-1", "data.csv"], ["report", "runs/data-1"]):
        _refused(cli(*arguments), "run.json", "damaged", code=1)
    listed = cli("runs")
    assert listed.code == 0
    assert "unusable" in listed.out
    assert snapshot(Path("runs")) == before


def test_an_unknown_command_and_an_unknown_option(cli: Cli) -> None:
    unknown = cli("trian")
    assert (unknown.code, "Did you mean 'train'?" in unknown.err) == (2, True)
    option = cli("train", "--tarjet", "x")
    assert (option.code, "--target" in option.err) == (2, True)


def test_a_mistake_of_ours_is_one_line_and_a_traceback_on_request(
    cli: Cli, table: Path, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.error = ZeroDivisionError("by zero")
    done = cli("train", "data.csv", "-t", "sold")
    assert done.code == 70
    assert "mistake in fallline" in done.err
    assert "ZeroDivisionError: by zero" in done.err
    assert "--debug" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in cli("--debug", "train", "data.csv", "-t", "sold").err
    monkeypatch.setenv("FALLLINE_DEBUG", "1")
    assert "Traceback" in cli("train", "data.csv", "-t", "sold").err


def test_the_system_and_the_memory_can_refuse(cli: Cli, table: Path, training: FakeTraining) -> None:
    training.error = OSError(28, "No space left on device", "x.bin")
    _refused(cli("train", "data.csv", "-t", "sold"), "x.bin: No space left on device", code=1)
    training.error = MemoryError()
    _refused(cli("train", "data.csv", "-t", "sold"), "not enough memory", code=1)


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_closed_pipe_is_quiet() -> None:
    env = {**os.environ, "PYTHONPATH": SOURCE}
    for unbuffered in ("", "1"):
        with subprocess.Popen(
            [sys.executable, "-m", "fallline", "recipe"],
            env=env | {"PYTHONUNBUFFERED": unbuffered}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 1
