"""A run in MLflow: parameters, curves, scores and files."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fallline.errors import InputError, optional
from fallline.store.record import save_run
from fallline.types import Run

__all__ = ["log_mlflow"]

_WHAT = "Logging a run to MLflow"
_PACKAGE, _EXTRA = "mlflow", "mlflow"
_EXPERIMENT = "fallline"
# What one call of MLflow's takes (REST API, runs/log-batch): metrics, parameters; and the characters of a value.
_MOST_METRICS, _MOST_PARAMS, _MOST_TEXT = 1000, 100, 6000
# How a training ended, in MLflow's words.
_STATUS = {"completed": "FINISHED", "stopped_early": "FINISHED", "diverged": "FAILED", "interrupted": "KILLED"}


def log_mlflow(
    run: Run, *, experiment: str = _EXPERIMENT, name: str | None = None, tracking_uri: str | None = None
) -> str:
    """Log a run to MLflow: the recipe as parameters, the curves as metrics over epochs, scores, findings and files.

    MLflow's own state (its active run, its tracking address) is not touched.

    Args:
        run: the run.
        experiment: MLflow's experiment; it is made where it is missing.
        name: of the run in MLflow; None: the run's own, or MLflow's choice.
        tracking_uri: where MLflow keeps its runs; None: as MLflow is set up.

    Returns:
        MLflow's id of the run.

    Raises:
        MissingPackageError: MLflow is not installed (``pip install fallline[mlflow]``).
        InputError: MLflow refuses; the message holds its reason.
    """
    mlflow, entities = (optional(f"{_PACKAGE}{part}", _EXTRA, _WHAT) for part in ("", ".entities"))
    began = int(1000 * time.time())
    metrics = [entities.Metric(key, value, began, step) for key, value, step in _metrics(run)]
    params = [entities.Param(key, value[:_MOST_TEXT]) for key, value in _params(run)]
    tags = [entities.RunTag(key, value[:_MOST_TEXT]) for key, value in _tags(run)]
    with tempfile.TemporaryDirectory(prefix="fallline-") as folder:
        saved = save_run(run, Path(folder) / "run")
        try:
            client = mlflow.MlflowClient(tracking_uri=tracking_uri)
            known = client.get_experiment_by_name(experiment)
            home = known.experiment_id if known is not None else client.create_experiment(experiment)
            logged: str = client.create_run(home, run_name=name or run.facts.get("name")).info.run_id
            client.log_batch(logged, tags=tags)
            for i in range(0, len(params), _MOST_PARAMS):
                client.log_batch(logged, params=params[i : i + _MOST_PARAMS])
            for i in range(0, len(metrics), _MOST_METRICS):
                client.log_batch(logged, metrics=metrics[i : i + _MOST_METRICS])
            for path in sorted(saved.iterdir()):
                if not path.name.startswith("."):
                    client.log_artifact(logged, str(path))
            client.set_terminated(logged, _STATUS[run.outcome])
        except mlflow.exceptions.MlflowException as refused:
            raise InputError(f"MLflow refuses to log the run: {refused}") from refused
    return logged


def _metrics(run: Run) -> Iterator[tuple[str, float, int]]:
    """Yield (name, value, epoch): the curves, then the scores at the last epoch."""
    for quantity in run.trace.quantities:
        for epoch, value in enumerate(run.trace.curve(quantity).tolist(), start=1):
            if not math.isnan(value):
                yield quantity, value, epoch
    for score in run.scores:
        if not math.isnan(score.value):
            who = "" if score.who == "model" else f"_{score.who}"
            yield f"{score.rows}_{score.metric}{who}", score.value, run.trace.n_epochs


def _params(run: Run) -> Iterator[tuple[str, str]]:
    from fallline.recipe.schema import entries, shown

    if run.recipe is not None:
        for key, entry in entries().items():
            owner = getattr(run.recipe, entry.section) if entry.section else run.recipe
            yield key, shown(getattr(owner, entry.key)).strip('"')


def _tags(run: Run) -> Iterator[tuple[str, str]]:
    yield "fallline.outcome", run.outcome
    yield "fallline.findings", ", ".join(finding.symptom for finding in run.diagnosis.findings)
    known: Any
    for key in ("kind", "source", "fingerprint", "seed", "n_rows"):
        if (known := run.facts.get(key)) not in (None, ""):
            yield f"fallline.{key}", str(known)
