"""Starting: what a person waits for before anything happens.

Wall time of whole processes. The table is scikit-learn's breast cancer data (569 x 30) as a CSV file; the first start
has no compiled program on disk, the second has those of the first.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Measurement, Work

__all__ = ["WORK"]

TARGET = "diagnosis"


def setup(quick: bool) -> Path:
    """A folder of its own, with the table in it; the compiled programs of earlier runs are not seen."""
    from sklearn.datasets import load_breast_cancer

    folder = Path(tempfile.mkdtemp(prefix="fallline-startup-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": TARGET})
    frame.to_csv(folder / "table.csv", index=False)
    return folder


WORK = Work(title="startup: wall time of whole processes", unit="s", setup=setup, reference="")


def _wall(command: Sequence[str], folder: Path) -> float:
    env = os.environ | {"FALLLINE_CACHE": str(folder / "cache")}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
    return seconds


def _train(folder: Path, name: str) -> float:
    return _wall(["-m", "fallline", "train", "table.csv", "--target", TARGET, "--name", name], folder)


# `python -m fallline` is what the installed command `fallline` runs, and measures this checkout in any case.


@WORK.peer("python -c pass")
def bare(folder: Path) -> Measurement:
    """The interpreter alone, for comparison."""
    return Measurement(_wall(["-c", "pass"], folder))


@WORK.peer("import keras", needs=("keras",), environment={"KERAS_BACKEND": "jax"})
def import_keras(folder: Path) -> Measurement:
    """What importing Keras on JAX alone takes."""
    return Measurement(_wall(["-c", "import keras"], folder))


@WORK.peer("import fallline", limit=0.3)
def import_fallline(folder: Path) -> Measurement:
    """Heavy imports are lazy."""
    return Measurement(_wall(["-c", "import fallline"], folder))


@WORK.peer("fallline --help", needs=("click",), limit=0.3)
def show_help(folder: Path) -> Measurement:
    """The command line before it does anything."""
    return Measurement(_wall(["-m", "fallline", "--help"], folder))


@WORK.peer("fallline train (first)", needs=("keras", "jax"))
def first(folder: Path) -> Measurement:
    """Everything, with compilation."""
    return Measurement(_train(folder, "first"))


@WORK.peer("fallline train (second)", needs=("keras", "jax"), limit=10)
def second(folder: Path) -> Measurement:
    """Everything, with the compiled programs of a first start on disk."""
    before = _train(folder, "first")
    return Measurement(_train(folder, "second"), {"first": before})
