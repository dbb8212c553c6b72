"""The run folder's promises to its callers: names, locks, what is never touched, and damage that is always noticed."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from fallline.errors import RunFolderError
from fallline.store.folder import RunFolder
from fallline.store.lock import LOCK_NAME, read_writer
from fallline.store.runs import list_runs


def filled(path: Path) -> Path:
    """A folder with every kind of file that a run has."""
    rng = np.random.default_rng(0)
    files = {
        "recipe.toml": b'preset = "default"\nseed = 0\n',
        "run.json": b'{"version": 1, "outcome": null, "facts": {"kind": "binary", "target_names": ["y"]}}',
        "environment.json": b'{"python": "3.11"}',
        "preparation.json": b"{}",
        "trace.parquet": rng.bytes(900),
        "held_out.npz": rng.bytes(500),
        "model.keras": rng.bytes(3000),
        "report.html": b"<!doctype html>" + b" " * 200,
    }
    with RunFolder.create(path) as folder:
        folder.write_all(files)
        folder.save_checkpoint({"w": rng.normal(size=(20, 3)), "step": np.array(3)}, {"epoch": 3})
        folder.set_status("interrupted")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = filled(tmp_path / "a" / "b")
    folder = RunFolder.open(path)
    assert folder.verify() == []
    assert folder.status == "interrupted"
    assert folder.read("environment.json") == b'{"python": "3.11"}'
    arrays, meta = folder.load_checkpoint()
    assert meta == {"epoch": 3}
    assert arrays["step"].shape == ()
    assert arrays["w"].dtype == np.float64
    assert sorted(os.listdir(path)) == sorted([*folder.names, "manifest.json"])
    with folder:
        folder.drop_checkpoints()
        assert folder.load_checkpoint() is None
    assert sorted(os.listdir(path)) == sorted([*folder.names, "manifest.json"])


def test_every_flipped_bit_is_noticed_by_name(tmp_path: Path) -> None:
    path = filled(tmp_path / "run")
    rng = random.Random(1)
    names = sorted(os.listdir(path))
    assert len(names) == 10
    for name in names:
        whole = (path / name).read_bytes()
        for _ in range(25):
            bit = rng.randrange(len(whole) * 8)
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            (path / name).write_bytes(changed)
            assert_damaged(path, name)
        (path / name).write_bytes(whole)
    assert RunFolder.open(path).verify() == []


def test_every_truncation_and_every_swap_is_noticed_by_name(tmp_path: Path) -> None:
    path = filled(tmp_path / "run")
    names = sorted(os.listdir(path))
    for i, name in enumerate(names):
        whole = (path / name).read_bytes()
        for cut in (0, 1, len(whole) // 2, len(whole) - 1):
            (path / name).write_bytes(whole[:cut])
            assert_damaged(path, name)
        (path / name).write_bytes(whole + b"\0")
        assert_damaged(path, name)
        (path / name).write_bytes((path / names[i - 1]).read_bytes())
        assert_damaged(path, name)
        (path / name).unlink()
        assert_damaged(path, name, missing=True)
        (path / name).symlink_to(path / names[i - 1])
        assert_damaged(path, name)
        (path / name).unlink()
        os.mkfifo(path / name)
        assert_damaged(path, name)
        (path / name).unlink()
        (path / name).write_bytes(whole)
    assert RunFolder.open(path).verify() == []


def assert_damaged(path: Path, name: str, *, missing: bool = False) -> None:
    if name == "manifest.json":
        with pytest.raises(RunFolderError, match=r"no manifest\.json" if missing else r"manifest\.json"):
            RunFolder.open(path)
        with pytest.raises(RunFolderError, match="not a run folder" if missing else r"manifest\.json"):
            RunFolder.create(path, overwrite=True)
        return
    folder = RunFolder.open(path)
    problems = folder.verify()
    assert len(problems) == 1
    assert problems[0].startswith(f"{name}: ")
    with pytest.raises(RunFolderError, match=name):
        folder.load_checkpoint() if name.startswith("checkpoint") else folder.read(name)
    assert len(list_runs(path.parent)) == 1


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc/x", "a\\b", ".hidden", "manifest.json", "x" * 101, "a\n", "é", "a:b"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with (
        RunFolder.create(tmp_path / "run") as folder,
        pytest.raises(RunFolderError, match="no file name for a run folder"),
    ):
        folder.write(name, b"")
    with pytest.raises(RunFolderError, match="no file name for a run folder"):
        folder.read(name)
    assert sorted(os.listdir(tmp_path)) == ["run"]


def test_an_existing_run_is_kept_unless_asked(tmp_path: Path) -> None:
    path = filled(tmp_path / "iris-1")
    (tmp_path / "iris-2").mkdir()
    before = {name: (path / name).read_bytes() for name in os.listdir(path)}
    with pytest.raises(RunFolderError, match=r"iris-1 exists already.*iris-3.*--overwrite"):
        RunFolder.create(path)
    assert {name: (path / name).read_bytes() for name in os.listdir(path)} == before
    (path / "notes.txt").write_text("mine")
    with RunFolder.create(path, overwrite=True) as folder:
        assert folder.names == ()
        assert RunFolder.open(path).names  # the old run stands until the new one has something
        folder.write("recipe.toml", b"new")
    assert sorted(os.listdir(path)) == ["manifest.json", "notes.txt", "recipe.toml"]
    assert RunFolder.open(path).read("recipe.toml") == b"new"


def test_overwriting_without_saving_changes_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "run")
    before = {name: (path / name).read_bytes() for name in os.listdir(path)}
    RunFolder.create(path, overwrite=True).close()
    assert {name: (path / name).read_bytes() for name in os.listdir(path)} == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_folders_and_files_are_never_touched(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "chapter.txt").write_text("years of work")
    with pytest.raises(RunFolderError, match=r"not a run folder of fallline.*thesis-1"):
        RunFolder.create(path, overwrite=overwrite)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="is a file"):
        RunFolder.create(tmp_path / "file", overwrite=overwrite)
    assert os.listdir(path) == ["chapter.txt"]
    with RunFolder.create(tmp_path / "run") as folder:
        (tmp_path / "run" / "report.html").write_text("mine")
        with pytest.raises(RunFolderError, match=r"report\.html was not written by fallline"):
            folder.write("report.html", b"new")
    assert (tmp_path / "run" / "report.html").read_text() == "mine"


def test_a_manifest_cannot_ask_for_files_elsewhere(tmp_path: Path) -> None:
    path = filled(tmp_path / "run")
    (tmp_path / "precious").write_text("x")
    given = json.loads((path / "manifest.json").read_bytes())
    for part in ("files", "discard"):
        changed = json.loads(json.dumps(given))
        changed[part]["../precious"] = given["files"]["run.json"] if part == "files" else "0" * 64
        (path / "manifest.json").write_text(json.dumps(changed, indent=1) + "\n")
        with pytest.raises(RunFolderError, match="is damaged"):
            RunFolder.create(path, overwrite=True)
    assert (tmp_path / "precious").exists()


def test_versions_and_other_peoples_manifests_are_told_apart(tmp_path: Path) -> None:
    path = filled(tmp_path / "run")
    given = json.loads((path / "manifest.json").read_bytes())
    (path / "manifest.json").write_text(json.dumps({**given, "version": 2}))
    with pytest.raises(RunFolderError, match=r"version 2.*newer fallline"):
        RunFolder.open(path)
    (path / "manifest.json").write_text(json.dumps({"name": "a web app"}))
    with pytest.raises(RunFolderError, match="not a manifest of fallline"):
        RunFolder.open(path)
    with pytest.raises(RunFolderError, match="no run folder"):
        RunFolder.open(tmp_path / "nowhere")


def test_writing_needs_the_lock(tmp_path: Path) -> None:
    path = filled(tmp_path / "run")
    with pytest.raises(RunFolderError, match="reading only"):
        RunFolder.open(path).write("a.txt", b"")
    with RunFolder.open(path) as first:
        with (
            pytest.raises(RunFolderError, match=f"is being written by process {os.getpid()} on "),
            RunFolder.open(path),
        ):
            pass
        with pytest.raises(RunFolderError, match="is being written"):
            RunFolder.create(path, overwrite=True)
        writer = read_writer(path)
        assert writer is not None
        assert writer.alive
        first.write("a.txt", b"1")
    assert read_writer(path) is None
    with pytest.raises(RunFolderError, match="reading only"):
        first.write("a.txt", b"2")


@pytest.mark.parametrize(
    "left", [b"", b"{", b'{"pid": 999999999, "host": "elsewhere", "started": "", "born": 0}', b"\xff" * 9000]
)
def test_a_lock_file_that_nobody_holds_is_taken_over(tmp_path: Path, left: bytes) -> None:
    path = filled(tmp_path / "run")
    (path / LOCK_NAME).write_bytes(left)
    with RunFolder.open(path) as folder:
        folder.write("a.txt", b"1")
    assert not (path / LOCK_NAME).exists()


def test_a_read_only_folder_is_reported(tmp_path: Path) -> None:
    path = filled(tmp_path / "run")
    path.chmod(0o500)
    try:
        if os.access(path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(RunFolderError, match="Check the permissions"), RunFolder.open(path):
            pass
        assert RunFolder.open(path).verify() == []
    finally:
        path.chmod(0o700)
