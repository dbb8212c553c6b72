"""A command line to call, a table, and a training that takes no time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fallline.cli import main
from fallline.types import Diagnosis, Finding, Problem, Progress, Recipe, Run, Score, Trace


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Call the command line in an empty folder; return its exit code and what it printed."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FALLLINE_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exited:
            main(list(arguments))
        seen = capfd.readouterr()
        return Result(int(exited.value.code or 0), seen.out, seen.err)

    return call


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with a number, a category and two targets; the name of its file is data.csv."""
    rng = np.random.default_rng(0)
    size = rng.normal(100, 20, 60).round(1)
    frame = pd.DataFrame(
        {"size": size, "town": rng.choice(["north", "south"], 60), "price": (3 * size + rng.normal(0, 5, 60)).round(2)}
    )
    frame["sold"] = np.where(size > 100, "yes", "no")
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A table with two numbers and their difference y; the name of its file is data.csv."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    path = tmp_path / "data.csv"
    pd.DataFrame(x, columns=["a", "b"]).assign(y=x[:, 0] - x[:, 1]).to_csv(path, index=False)
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, locks left aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".fallline.lock"
    }


FINDING = Finding(
    "overfit",
    "S3",
    "generalisation",
    "warning",
    0.9,
    "The validation loss turned up.",
    cause="Too large.",
    what_to_try=("add dropout",),
)


@dataclass
class FakeTraining:
    """Stands in for ``fallline.train``: ten epochs of a curve that is computed, not learned.

    Its state is one number per epoch, saved after each, so that resuming can be told from starting again.
    """

    epochs: int = 10
    calls: list[dict[str, Any]] = field(default_factory=list)
    before_epoch: Callable[[int], None] = lambda epoch: None
    error: Exception | None = None

    def train_problem(
        self,
        problem: Problem,
        recipe: Recipe,
        *,
        on_progress: Any = None,
        checkpoint: Any = None,
        resume: Any = None,
        watch: bool = False,
    ) -> Run:
        self.calls.append({"problem": problem, "recipe": recipe, "resume": resume, "watch": watch})
        if self.error is not None:
            raise self.error
        done = [] if resume is None else list(resume[0]["losses"])
        outcome = "completed"
        while len(done) < self.epochs:
            self.before_epoch(len(done) + 1)
            done.append(1.0 / (len(done) + 1) + recipe.seed)
            stop = on_progress(
                Progress(
                    epoch=len(done), epochs=self.epochs, loss=done[-1], val_loss=done[-1] * 1.1, members=4, active=3
                )
            )
            if stop or len(done) == self.epochs // 2:
                checkpoint({"losses": np.array(done)}, {"epoch": len(done)})
            if stop:
                outcome = "interrupted"
                break
        n = len(done)
        return Run(
            model=None,
            trace=Trace.from_columns(
                {
                    "member": [0] * (2 * n), "epoch": [*range(1, n + 1)] * 2, "layer": [""] * (2 * n),
                    "quantity": ["loss"] * n + ["val_loss"] * n, "value": done + [loss * 1.1 for loss in done],
                }
            ),
            outcome=outcome,  # type: ignore[arg-type]
            recipe=recipe,
            diagnosis=Diagnosis(
                (FINDING,),
                {"dead-relu": "activations were not watched"},
                ("overfit",),
            ),
            scores=(
                Score("log_loss", 0.1, 0.05, 0.2, n=12), Score("accuracy", 0.9, 0.8, 0.95, n=12, higher_is_better=True),
                Score("log_loss", 0.69, 0.6, 0.8, n=12, who="dummy"),
            ),
            facts={
                "kind": problem.kind, "target_names": list(problem.target_names), "classes": list(problem.classes),
                "n_rows": problem.n_rows, "source": problem.source, "fingerprint": problem.fingerprint, "seconds": 1.5,
                "best_epoch": n, "notes": list(problem.notes), "parameters": 1234,
            },
        )  # fmt: skip


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    """Put the computed training in the place of the real one."""
    fake = FakeTraining()
    module = ModuleType("fallline.train")
    attributes: Mapping[str, Any] = {"train_problem": fake.train_problem}
    for name, value in attributes.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "fallline.train", module)
    return fake
