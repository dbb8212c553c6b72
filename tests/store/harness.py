"""Programs that the tests of the store start in a fresh interpreter, because they fork, kill or watch.

``python harness.py NAME FOLDER`` runs one of them and exits with 0 when all went well; otherwise with a traceback.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from fallline.errors import RunFolderError
from fallline.store.folder import RunFolder

KILLED = 77
STEPS = 6


def arrays_of(step: int) -> dict[str, np.ndarray]:
    return {"w": np.full((40, 25), step, np.float32), "i": np.arange(step % 7 + 1)}


def work(folder: RunFolder, acknowledge: Any, first: int = 1, last: int = STEPS) -> None:
    """A training in miniature: each step saves two files at once and a checkpoint."""
    for step in range(first, last + 1):
        folder.write_all(
            {"run.json": json.dumps(step).encode(), "recipe.toml": str(step).encode() * 50}, status="training"
        )
        acknowledge(step - 0.5)
        folder.save_checkpoint(arrays_of(step), {"step": step})
        acknowledge(step)
    folder.write_all({"run.json": b"0"}, status="finished", keep_checkpoints=False, drop=("recipe.toml",))
    acknowledge(last + 0.5)


def state(path: Path, last: int = STEPS) -> float:
    """Return how far a folder is, and fail when any part of it is not whole."""
    folder = RunFolder.open(path)
    assert folder.verify() == [], folder.verify()
    if not folder.names:
        return 0.0
    step = json.loads(folder.read("run.json"))
    if folder.status == "finished":
        assert (step, folder.names) == (0, ("run.json",)), (step, folder.names)
        return last + 0.5
    assert folder.read("recipe.toml") == str(step).encode() * 50
    found = folder.load_checkpoint()
    saved = 0
    if found is not None:
        arrays, meta = found
        saved = meta["step"]
        assert arrays.keys() == arrays_of(saved).keys()
        assert all(np.array_equal(arrays[name], value) for name, value in arrays_of(saved).items())
    assert saved in (step, step - 1), (saved, step)
    return float(step) if saved == step else step - 0.5


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """Leave out fsync: a kill cannot tell the difference, and a test that waits for the disk is slow."""
    real, os.fsync = os.fsync, lambda _: None
    try:
        yield
    finally:
        os.fsync = real


@unsynced()
def recovers(path: Path) -> None:
    """The next writer finds its way, cleans up, and can go on."""
    if not (path / "manifest.json").exists():
        folder = RunFolder.create(path)
    else:
        folder = RunFolder.open(path)
    with folder:
        found = folder.load_checkpoint()
        work(folder, lambda _: None, first=found[1]["step"] + 1 if found else 1, last=STEPS)
    assert state(path) == STEPS + 0.5
    assert sorted(os.listdir(path)) == ["manifest.json", "run.json"], os.listdir(path)


OPERATIONS = ("open", "write", "fsync", "close", "replace", "unlink", "mkdir", "ftruncate", "pwrite")


class Interrupter:
    """Counts the system calls of the store and does something at the n-th."""

    def __init__(self, at: int, act: Any, *, half: bool = False, sync: bool = False) -> None:
        self.count, self.at, self.act, self.half, self.sync = 0, at, act, half, sync
        self.names: list[str] = []
        self.real = {name: getattr(os, name) for name in OPERATIONS}

    def __enter__(self) -> Self:
        for name in OPERATIONS:
            setattr(os, name, self._wrap(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self.real.items():
            setattr(os, name, real)

    def _wrap(self, name: str) -> Any:
        def call(*args: Any, **keywords: Any) -> Any:
            self.count += 1
            self.names.append(name)
            if self.count == self.at:
                if self.half and name == "write":
                    self.real["write"](args[0], bytes(args[1])[: len(args[1]) // 2])
                self.act(name)
            if name == "fsync" and not self.sync:
                return None  # a kill does not lose what the system has; only a power cut would
            return self.real[name](*args, **keywords)

        return call


def _say(descriptor: int, value: float) -> None:
    os.write(descriptor, f"{value}\n".encode())


def _in_child(task: Any) -> tuple[int, list[float]]:
    """Run a task in a forked child; return its exit status and what it acknowledged."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        real_write = os.write
        code = 1
        try:
            task(lambda value: real_write(writer, f"{value}\n".encode()))
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as lines:
        said = [float(line) for line in lines]
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def kill_points(root: Path) -> None:
    """Die at every system call of a training in miniature, and in the middle of every write."""
    with Interrupter(0, None) as calls, RunFolder.create(root / "whole") as folder:
        work(folder, lambda _: None, last=2)
    points = [(at, False) for at in range(1, calls.count + 1)]
    points += [(at, True) for at, name in enumerate(calls.names, 1) if name == "write"]
    for at, half in points:
        path = root / f"{at}-{half}"

        def task(acknowledge: Any, path: Path = path, at: int = at, half: bool = half) -> None:
            with Interrupter(at, lambda _: os._exit(KILLED), half=half), RunFolder.create(path) as folder:
                work(folder, acknowledge, last=2)

        code, said = _in_child(task)
        assert code == KILLED or (code == 0 and at > calls.count - 3), (at, code)
        if (path / "manifest.json").exists():
            now, before = state(path, 2), max(said, default=0.0)
            assert now in (before, before + 0.5), (at, now, before)
        else:
            assert not said
        if at % 3 == 0:
            recovers(path)
    print(len(points))


@unsynced()
def kill_overwrite(root: Path) -> None:
    """Die at every system call of replacing a run: it is the old one or the new one."""
    tried = at = 0
    while True:
        at += 1
        path = root / f"{at}"
        with RunFolder.create(path) as folder:
            folder.write_all({"run.json": b"old", "report.html": b"old"}, status="finished")
        (path / "mine.txt").write_text("the user's own")

        def task(_: Any, path: Path = path, at: int = at) -> None:
            with Interrupter(at, lambda _: os._exit(KILLED)), RunFolder.create(path, overwrite=True) as folder:
                folder.write_all({"run.json": b"new", "trace.parquet": b"new"}, status="finished")

        code, _ = _in_child(task)
        assert code in (0, KILLED), code
        folder = RunFolder.open(path)
        assert folder.verify() == []
        found = {name: folder.read(name) for name in folder.names}
        old, new = {"run.json": b"old", "report.html": b"old"}, {"run.json": b"new", "trace.parquet": b"new"}
        assert found == new if code == 0 else found in (old, new), (at, found)
        with RunFolder.create(path, overwrite=True) as folder:
            folder.write("run.json", b"newer")
        assert sorted(os.listdir(path)) == ["manifest.json", "mine.txt", "run.json"], os.listdir(path)
        if code == 0:
            break
        tried += 1
    print(tried)


@unsynced()
def random_kills(root: Path) -> None:
    """SIGKILL a writer at random moments; what it acknowledged is there, whole, and it goes on from there."""
    rounds = int(os.environ.get("FALLLINE_TEST_KILLS", "20"))
    rng = random.Random(7)
    path = root / "run"
    reached = 0.0
    for _ in range(rounds):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            tell = partial(_say, writer)
            with contextlib.suppress(BaseException):
                opened = RunFolder.open(path) if (path / "manifest.json").exists() else RunFolder.create(path)
                with opened as folder:
                    found = folder.load_checkpoint()
                    first = found[1]["step"] + 1 if found else 1
                    work(folder, tell, first=first, last=10**9)
            os._exit(1)
        os.close(writer)
        time.sleep(rng.uniform(0.002, 0.06))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with os.fdopen(reader) as lines:
            said = [float(line) for line in lines]
        if (path / "manifest.json").exists():
            now, before = state(path, 10**9), max([*said, reached])
            assert now in (before, before + 0.5), (now, before)
            reached = now
    assert reached >= 2, reached
    print(reached)


def refusal(path: Path) -> str:
    """Return how a second writer is refused; fail when it is not."""
    try:
        with RunFolder.open(path):
            pass
    except RunFolderError as error:
        return str(error)
    raise AssertionError("two writers")


def double_start(root: Path) -> None:
    """One writer wins; the others are told who it is; a dead one's lock is taken over, forked children or not."""
    path = root / "run"
    with RunFolder.create(path) as folder:
        folder.write("run.json", b"1")
    for round_ in range(int(os.environ.get("FALLLINE_TEST_LOCKS", "12"))):
        ready, told = os.pipe()
        holder = os.fork()
        if holder == 0:
            with RunFolder.open(path):
                if round_ % 2:
                    grandchild = os.fork()  # it outlives its parent and must not keep the lock
                    if grandchild == 0:
                        time.sleep(0.5)
                        os._exit(0)
                os.write(told, b"x")
                time.sleep(30)
            os._exit(1)
        os.read(ready, 1)
        message = refusal(path)
        assert f"process {holder} " in message, message
        assert RunFolder.open(path).read("run.json") == b"1"
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        assert (path / ".fallline.lock").exists()
        with RunFolder.open(path) as folder:
            folder.write("run.json", b"1")
        os.close(ready)
        os.close(told)
    # Many start at once: exactly one gets in while it holds on.
    for _ in range(3):
        codes = []
        go, start = os.pipe()
        for _ in range(6):
            pid = os.fork()
            if pid == 0:
                os.close(start)
                os.read(go, 1)  # until the parent closes its end
                try:
                    with RunFolder.open(path):
                        time.sleep(0.4)
                    os._exit(0)
                except RunFolderError:
                    os._exit(5)
                finally:
                    os._exit(1)
            codes.append(pid)
        os.close(go)
        os.close(start)
        results = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in codes)
        assert results == [0, 5, 5, 5, 5, 5], results


def next_names(root: Path) -> None:
    """Many processes ask for a name at once: all get different ones."""
    from fallline.store.runs import next_name

    reader, writer = os.pipe()
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(10):
                os.write(writer, (next_name(root, "iris") + "\n").encode())
            os._exit(0)
        pids.append(pid)
    os.close(writer)
    with os.fdopen(reader) as lines:
        names = lines.read().split()
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
    assert sorted(names) == sorted(f"iris-{i}" for i in range(1, 41)), names


if __name__ == "__main__":
    chosen, where = sys.argv[1:]
    {f.__name__: f for f in (kill_points, kill_overwrite, random_kills, double_start, next_names)}[chosen](Path(where))
