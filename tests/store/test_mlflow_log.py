"""A run in MLflow holds what the run holds."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fallline.errors import InputError, MissingPackageError
from fallline.recipe import default, from_toml
from fallline.types import Diagnosis, Finding, Run, Score
from tests.make import trace

FOUND = Finding("overfit", "S3", "generalisation", "warning", 0.9, "It turned up.")
SCORES = (Score("log_loss", 0.25), Score("log_loss", 0.5, who="dummy"))


def _run() -> Run:
    recipe = replace(default("simple"), seed=7)
    curves = trace({"loss": [1.0, 0.5, 0.25], "val_loss": [1.0, float("nan"), 0.75]})
    return Run(None, curves, "diverged", recipe, Diagnosis((FOUND,)), SCORES, facts={"name": "houses-1", "n_rows": 60})


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_recipe_curves_scores_findings_and_files_are_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    place, run = (tmp_path / "store").as_uri(), _run()
    logged = run.to_mlflow(experiment="houses", tracking_uri=place)
    client = mlflow.MlflowClient(tracking_uri=place)
    found = client.get_run(logged)
    assert (found.info.status, found.info.run_name) == ("FAILED", "houses-1")
    assert found.data.params["optimizer.learning_rate"] == "0.001"
    assert found.data.params["network.hidden"] == "[64, 64]"
    assert found.data.tags["fallline.findings"] == "overfit"
    assert found.data.metrics["test_log_loss"] == 0.25
    assert found.data.metrics["test_log_loss_dummy"] == 0.5
    curve = client.get_metric_history(logged, "val_loss")
    assert [(point.step, point.value) for point in curve] == [(1, 1.0), (3, 0.75)]
    files = Path(client.download_artifacts(logged, "", str(tmp_path)))
    assert from_toml((files / "recipe.toml").read_text()) == run.recipe
    assert (files / "trace.parquet").is_file()
    run.to_mlflow(experiment="houses", tracking_uri=place)  # into the experiment that is there
    assert len(client.search_runs([found.info.experiment_id])) == 2


@pytest.mark.filterwarnings("ignore")
def test_what_mlflow_refuses_is_told(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    with pytest.raises(InputError, match="MLflow refuses"):
        _run().to_mlflow(tracking_uri="nowhere://at.all")


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingPackageError, match=r"fallline\[mlflow\]"):
        _run().to_mlflow()
