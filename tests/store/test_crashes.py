"""Kills, failing disks and competing writers: the last good state survives, and nothing else is believed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fallline.errors import RunFolderError
from fallline.store.folder import RunFolder
from tests.store import harness


def start(name: str, folder: Path) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(Path(harness.__file__)), name, str(folder)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_kill_at_every_system_call_leaves_the_last_state_or_the_next(tmp_path: Path) -> None:
    assert int(start("kill_points", tmp_path)) >= 100


def test_a_kill_while_a_run_is_replaced_leaves_the_old_run_or_the_new(tmp_path: Path) -> None:
    assert int(start("kill_overwrite", tmp_path)) >= 25


def test_random_sigkills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    start("random_kills", tmp_path)


def test_one_writer_at_a_time_and_a_dead_one_does_not_block(tmp_path: Path) -> None:
    start("double_start", tmp_path)


def test_names_are_given_once(tmp_path: Path) -> None:
    start("next_names", tmp_path)


def _fail(code: int, tried: list[str]) -> object:
    def act(name: str) -> None:
        tried.append(name)
        raise OSError(code, os.strerror(code))

    return act


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failing_disk_is_reported_and_loses_nothing(tmp_path: Path, code: int) -> None:
    at, tried = 0, []
    reported = 0
    while True:
        at += 1
        path = tmp_path / str(at)
        said = [0.0]
        problem = None
        with harness.Interrupter(at, _fail(code, tried)) as calls:
            try:
                with RunFolder.create(path) as folder:
                    harness.work(folder, said.append, last=2)
            except RunFolderError as error:
                problem = str(error)
        if calls.count < at:
            break
        if problem is None:
            # Only what does not matter may pass: the note in the lock file, and tidying up at the end.
            assert tried[-1] in ("ftruncate", "pwrite", "close") or said[-1] == 2.5
        else:
            reported += 1
            assert str(path) in problem
            assert os.strerror(code) in problem
        if not (path / "manifest.json").exists():
            assert said == [0.0]
            continue
        assert harness.state(path, 2) in (said[-1], said[-1] + 0.5)
        temporary = [name for name in os.listdir(path) if name.endswith(".tmp")]
        listed = {e.staged for e in RunFolder.open(path).manifest.files.values()}
        assert set(temporary) <= listed
        assert not (path / ".fallline.lock").exists() or tried[-1] == "unlink"
        if at % 4 == 0:
            harness.recovers(path)
    assert reported >= 50


def test_a_disk_that_stays_full_keeps_the_state_and_the_writer_can_go_on_later(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunFolder.create(path) as folder:
        folder.save_checkpoint(harness.arrays_of(1), {"step": 1})
        full = harness.Interrupter(0, None)

        def refuse(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with full:
            os.write = refuse
            for _ in range(3):
                with pytest.raises(RunFolderError, match=r"free some space.*is intact"):
                    folder.save_checkpoint(harness.arrays_of(2), {"step": 2})
        assert folder.load_checkpoint()[1] == {"step": 1}
        assert RunFolder.open(path).load_checkpoint()[1] == {"step": 1}
        assert not [name for name in os.listdir(path) if name.endswith(".tmp")]
        folder.save_checkpoint(harness.arrays_of(3), {"step": 3})
    assert RunFolder.open(path).load_checkpoint()[1] == {"step": 3}


def test_a_failed_replacement_keeps_the_old_run(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunFolder.create(path) as folder:
        folder.write("report.html", b"old")
    with RunFolder.create(path, overwrite=True) as folder:
        with (
            harness.Interrupter(2, _fail(errno.ENOSPC, [])),
            pytest.raises(RunFolderError, match="disk or quota is full"),
        ):
            folder.write("run.json", b"new")
        assert RunFolder.open(path).read("report.html") == b"old"
        folder.write("run.json", b"new")
    assert RunFolder.open(path).names == ("run.json",)
    assert not (path / "report.html").exists()


def test_everything_is_durable_before_it_counts(tmp_path: Path) -> None:
    """fsync of each file before its rename, fsync of the folder after it, deletion only after the commit."""
    with RunFolder.create(tmp_path / "run") as folder:
        folder.save_checkpoint(harness.arrays_of(1))
        with harness.Interrupter(0, None, sync=True) as calls:
            folder.save_checkpoint(harness.arrays_of(2))
    once = ["open", "write", "fsync", "close"]
    folder_sync = ["open", "fsync", "close"]
    read_back = [name for name in calls.names if name != "close"]
    wanted = [*once, *once, "replace", *folder_sync, "replace", *folder_sync, "unlink"]
    assert read_back == [name for name in wanted if name != "close"]
