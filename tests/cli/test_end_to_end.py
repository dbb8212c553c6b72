"""The command line around the real training, on tables that scikit-learn brings along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris

import fallline
from fallline.store import RunFolder, load_run
from tests.cli.conftest import Result, snapshot

Cli = Callable[..., Result]
SOURCE = str(Path(fallline.__file__).parents[1])

# Small, but every part of the default recipe is in it: folds, several members, embedding, calibration.
SMALL = ("hidden=[8]", "epochs=15", "members=2", "folds=2", "embedding=none", "schedule=constant", "learning_rate=0.02")


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    """The iris table with names of species and some missing values."""
    data = load_iris(as_frame=True)
    frame = data.frame.drop(columns="target")
    frame.iloc[::17, 1] = np.nan
    frame["species"] = [str(data.target_names[i]) for i in data.target]
    path = tmp_path / "iris.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_train_predict_report_and_list(cli: Cli, iris: Path) -> None:
    done = cli("train", "iris.csv", "--target", "species", *SMALL)
    assert done.code == 0, done.err
    for part in (
        "150 rows",
        "setosa",
        "networks    2",
        "log loss",
        "this model",
        "linear model",
        "Findings",
        "runs/iris-1",
    ):
        assert part in done.out, part
    folder = RunFolder.open("runs/iris-1")
    expected = {"recipe.toml", "trace.parquet", "model.keras", "preparation.json", "environment.json", "report.html"}
    assert expected | {"final.json"} <= set(folder.names)
    assert folder.verify() == []
    predicted = cli("predict", "runs/iris-1", "iris.csv", "-o", "out.csv", "--proba")
    assert predicted.code == 0, predicted.err
    out = pd.read_csv("out.csv")
    names = [f"species_p_{label}" for label in ("setosa", "versicolor", "virginica")]
    assert list(out.columns[-4:]) == ["species_predicted", *names]
    np.testing.assert_allclose(out[names].sum(axis=1), 1.0, atol=1e-5)
    assert (out[names].idxmax(axis=1).str.removeprefix("species_p_") == out["species_predicted"]).all()
    assert (out["species_predicted"] == out["species"]).mean() > 0.8
    run = load_run("runs/iris-1")
    assert run.final is not None
    assert (run.final.largest, run.final.n, len(run.final.columns)) == (0.0, run.scores[0].n, 4)
    assert "exactly the same numbers" in folder.read("report.html").decode()
    np.testing.assert_array_equal(run.predict(pd.read_csv("iris.csv")), out["species_predicted"])
    assert "iris-1" in cli("runs").out
    assert cli("report", "runs/iris-1").code == 0
    assert cli("predict", "runs/iris-1", "iris.csv", "-o", "out.csv").code == 2
    wrong = cli("predict", "runs/iris-1", "runs/iris-1/recipe.toml")
    assert (wrong.code, "Traceback" in wrong.err) == (2, False), wrong.err


@pytest.mark.slow
def test_predict_says_which_columns_are_missing(cli: Cli, iris: Path) -> None:
    assert (
        cli("train", "iris.csv", "--target", "species", "--preset", "simple", "hidden=[]", "epochs=2", "-q").code == 0
    )
    pd.read_csv("iris.csv").rename(columns={"petal width (cm)": "petal widht (cm)"}).to_csv("wrong.csv", index=False)
    done = cli("predict", "runs/iris-1", "wrong.csv")
    assert (done.code, done.out) == (2, "")
    assert "petal width (cm)" in done.err


@pytest.mark.slow
def test_a_quantity(cli: Cli, tmp_path: Path) -> None:
    load_diabetes(as_frame=True).frame.to_csv("sugar.csv", index=False)
    done = cli("train", "sugar.csv", "-t", "target", "--preset", "simple", "hidden=[8]", "epochs=40")
    assert done.code == 0, done.err
    assert "RMSE" in done.out
    assert cli("predict", "runs/sugar-1", "sugar.csv", "-o", "out.csv").code == 0
    out = pd.read_csv("out.csv")
    assert np.corrcoef(out["target"], out["target_predicted"])[0, 1] > 0.5
    assert cli("predict", "runs/sugar-1", "sugar.csv", "--proba").code == 2


def _train(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fallline", "train", *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_real_process_that_is_stopped_twice_resumes_to_the_same_result(cli: Cli, iris: Path) -> None:
    settings = ("iris.csv", "-t", "species", *SMALL[:1], "epochs=3000", *SMALL[2:], "criterion=none")
    stops = [((*settings, "--name", "cut"), signal.SIGINT, 130), (("--resume", "runs/cut"), signal.SIGTERM, 143)]
    cut = None
    for arguments, number, code in stops:
        with _train(*arguments, "--json") as process:
            assert process.stdout is not None
            for line in process.stdout:
                if '"phase": "train"' in line:
                    break
            process.send_signal(number)
            out, err = process.communicate(timeout=120)
        assert process.returncode == code, err
        assert "fallline train --resume runs/cut" in err
        assert '"event": "interrupted"' in out
        cut = RunFolder.open("runs/cut")
        assert (cut.status, cut.verify()) == ("interrupted", [])
    assert cut is not None
    assert cli("train", "--resume", "runs/cut", "-q").code == 0
    assert cli("train", *settings, "--name", "whole", "-q").code == 0
    whole = RunFolder.open("runs/whole")
    assert cut.status == "finished"
    assert cut.read("trace.parquet") == whole.read("trace.parquet")
    assert cut.read("inside.parquet") == whole.read("inside.parquet")
    for one, other in zip(
        load_run("runs/cut").model.get_weights(), load_run("runs/whole").model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


# As `fallline train`, but with a checkpoint after every look at the training instead of every few seconds.
_EAGER = """
import sys
from fallline.train import loop
loop._CHECKPOINT_SECONDS = 0.0
from fallline.cli import main
sys.exit(main(sys.argv[1:]))
"""


def _killed(arguments: list[str], folder: Path, checkpoints: int, pause: float) -> bool:
    """Run until so many new checkpoints lie in the folder, and a moment longer; kill. False: it ended by itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", _EAGER, "train", *arguments], env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    seen: set[str] = set()
    while process.poll() is None:
        seen |= {path.name for path in folder.glob("*checkpoint*")}
        if len(seen) > checkpoints:
            time.sleep(pause)
            process.kill()
            process.wait()
            return True
        time.sleep(0.002)
    return False


@pytest.mark.slow
def test_a_training_killed_again_and_again_ends_as_if_it_never_was(cli: Cli, iris: Path) -> None:
    settings = ["iris.csv", "-t", "species", "hidden=[64,64]", "epochs=4000", *SMALL[2:], "criterion=none"]
    folder = Path("runs/cut")
    rng = np.random.default_rng(0)
    kills = int(_killed([*settings, "--name", "cut"], folder, 2, 0.01))
    for _ in range(int(os.environ.get("FALLLINE_TEST_KILLS", "2")) - 1):
        # The pause ends inside an epoch, between two epochs, or inside the writing of a checkpoint, as it happens.
        kills += _killed(["--resume", "runs/cut"], folder, int(rng.integers(1, 4)), float(rng.uniform(0.0, 0.3)))
    assert kills >= 2
    cut = RunFolder.open(folder)
    if cut.status != "finished":
        assert cut.verify() == []
        assert cli("train", "--resume", "runs/cut", "-q").code == 0
    assert cli("train", *settings, "--name", "whole", "-q").code == 0
    whole, cut = RunFolder.open("runs/whole"), RunFolder.open(folder)
    assert cut.status == "finished"
    assert cut.read("trace.parquet") == whole.read("trace.parquet")
    assert cut.read("inside.parquet") == whole.read("inside.parquet")
    weights = [load_run(path).model.get_weights() for path in ("runs/cut", "runs/whole")]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_demo_twice(cli: Cli) -> None:
    first = cli("demo", "--folder", "here", *SMALL)
    assert first.code == 0, first.err
    for part in ("569 rows", "benign, malignant", "AUC", "predicts the first 5 rows", "diagnosis_p_malignant"):
        assert part in first.out, part
    before = snapshot(Path("here"))
    assert cli("demo", "--folder", "here", *SMALL).code == 0
    assert before.items() <= snapshot(Path("here")).items()
    Path("here/breast_cancer.csv").write_text("mine")
    assert cli("demo", "--folder", "here", *SMALL).code == 2
    assert Path("here/breast_cancer.csv").read_text() == "mine"
