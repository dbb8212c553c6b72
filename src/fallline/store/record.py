"""A Run as the files of a run folder, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from fallline.errors import RunFolderError
from fallline.store.arrays import pack, unpack
from fallline.store.environment import environment
from fallline.store.folder import RunFolder
from fallline.store.plain import dumps, loads
from fallline.store.tables import inside_from_parquet, inside_to_parquet, trace_from_parquet, trace_to_parquet
from fallline.types import (
    ColumnSummary,
    Diagnosis,
    FinalModel,
    Finding,
    HeldOut,
    Outcome,
    Recipe,
    Run,
    Score,
    Story,
    Summary,
)

__all__ = ["RUN_VERSION", "load_run", "save_run", "write_final", "write_run", "write_start"]

RUN_VERSION = 1

_RECIPE, _RUN, _ENVIRONMENT = "recipe.toml", "run.json", "environment.json"
_TRACE, _INSIDE, _HELD_OUT = "trace.parquet", "inside.parquet", "held_out.npz"
_PREPARATION, _MODEL, _FINAL = "preparation.json", "model.keras", "final.json"
_STORY = "story.json"

_T = TypeVar("_T")


# ------------------------------------------------------------------------------------------------------- save


def save_run(run: Run, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Save a run as a run folder.

    Args:
        run: the run.
        path: the folder; missing parents are made.
        overwrite: replace the run that lies there; it stays until the new one is safe.

    Returns:
        The folder.

    Raises:
        RunFolderError: something lies there already, another process writes there, or the disk refuses.
    """
    with RunFolder.create(path, overwrite=overwrite) as folder:
        write_run(folder, run)
        return folder.path


def write_run(folder: RunFolder, run: Run) -> None:
    """Save a run into a locked run folder, in one step.

    A run that has ended replaces its checkpoints; an interrupted one keeps them, so that it can go on. Other files
    in the folder stay.

    Args:
        folder: a folder that this process has locked.
        run: the run.

    Raises:
        RunFolderError: a part of the run cannot be stored, or the disk refuses; the folder is as it was then.
    """
    files = {
        _RUN: _run_json(run.facts, run),
        _TRACE: trace_to_parquet(run.trace),
        _ENVIRONMENT: dumps(_environment(run.recipe, run.facts, run.environment), indent=1),
    }
    if run.trace.inside is not None:
        files[_INSIDE] = inside_to_parquet(run.trace.inside)
    if run.recipe is not None:
        files[_RECIPE] = _recipe_toml(run.recipe)
    if run.preparation is not None:
        files[_PREPARATION] = dumps({"version": RUN_VERSION, "preparation": run.preparation.to_dict()}, indent=1)
    if run.final is not None:
        files[_FINAL] = _final_json(run.final)
    if run.story is not None:
        files[_STORY] = dumps({"version": RUN_VERSION, "story": run.story.to_dict()}, indent=1)
    if run.held_out is not None:
        arrays = {"y": run.held_out.y, "prediction": run.held_out.prediction}
        index = {} if run.held_out.index is None else {"index": run.held_out.index}
        files[_HELD_OUT] = pack(arrays | index, {"rows": run.held_out.rows})
    if run.model is not None:
        from fallline.store.model_file import model_bytes

        files[_MODEL] = model_bytes(run.model)
    elif _MODEL in folder.names or _MODEL in folder.manifest.discard:
        raise RunFolderError(
            f"This run was loaded without its model, and saving it would drop {folder.path / _MODEL}. "
            "Load it whole first."
        )
    interrupted = run.outcome == "interrupted"
    gone = [name for name in (_RECIPE, _PREPARATION, _HELD_OUT, _INSIDE, _FINAL, _STORY) if name not in files]
    folder.write_all(
        files, status="interrupted" if interrupted else "finished", drop=gone, keep_checkpoints=interrupted
    )


def write_final(folder: RunFolder, final: FinalModel) -> None:
    """Save beside a run what its model did when it was loaded again.

    Args:
        folder: a folder that this process has locked, with the run in it.
        final: what was seen.
    """
    folder.write(_FINAL, _final_json(final))


def _final_json(final: FinalModel) -> bytes:
    return dumps({"version": RUN_VERSION, "final": final.to_dict()}, indent=1)


def write_start(
    folder: RunFolder,
    *,
    recipe: Recipe | None = None,
    facts: Mapping[str, Any] | None = None,
    machine: Mapping[str, Any] | None = None,
) -> None:
    """Save what is known of a run before its training begins, so that a killed one can be listed and resumed.

    Args:
        folder: a folder that this process has locked.
        recipe: as given or resolved.
        facts: ``kind``, ``target_names``, ``source`` ... as in `Run.facts`, and whatever resuming needs.
        machine: more for ``environment.json``.
    """
    facts = facts or {}
    files = {_RUN: _run_json(facts, None), _ENVIRONMENT: dumps(_environment(recipe, facts, machine or {}), indent=1)}
    if recipe is not None:
        files[_RECIPE] = _recipe_toml(recipe)
    folder.write_all(files, status="training")


def _run_json(facts: Mapping[str, Any], run: Run | None) -> bytes:
    body: dict[str, Any] = {"version": RUN_VERSION, "outcome": run.outcome if run else None, "facts": facts}
    if run is not None:
        body |= {
            "scores": [_fields(score) for score in run.scores],
            "diagnosis": _diagnosis(run.diagnosis),
            "summary": _fields(run.summary) if run.summary is not None else None,
        }
        if run.summary is not None:
            for part in ("columns", "targets"):
                body["summary"][part] = [_fields(column) for column in body["summary"][part]]
    return dumps(body, indent=1)


def _diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    return _fields(diagnosis) | {"findings": [_fields(finding) for finding in diagnosis.findings]}


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


def _environment(recipe: Recipe | None, facts: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    seed = recipe.seed if recipe is not None else None
    return {**environment(seed=seed, fingerprint=str(facts.get("fingerprint", ""))), **given}


def _recipe_toml(recipe: Recipe) -> bytes:
    from fallline.recipe import to_toml

    return to_toml(recipe).encode("utf-8")


# ------------------------------------------------------------------------------------------------------- load


def load_run(
    path: str | os.PathLike[str], *, model: bool = True, custom_objects: Mapping[str, Any] | None = None
) -> Run:
    """Load a run; every file is checked against the manifest, and nothing in it is executed.

    Args:
        path: the run folder.
        model: False leaves ``run.model`` None and needs no Keras.
        custom_objects: your own Keras classes by the name under which they were saved, for models that use them.

    Raises:
        RunFolderError: the folder is missing, damaged, of another version or not fallline's, its training has not
            ended, or its model holds what is not allowed; the message names the file.
    """
    folder = RunFolder.open(path)
    names = folder.names
    if _TRACE not in names:
        raise RunFolderError(
            f"{folder.path} has no finished run (status: {folder.status}). "
            f"Go on with `fallline train --resume {folder.path}`."
        )
    body = _json(folder, _RUN)
    try:
        run = _run(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _strange(folder, _RUN, error) from error
    found: dict[str, Any] = {
        "trace": trace_from_parquet(folder.read(_TRACE), str(folder.path / _TRACE)),
        "environment": _json(folder, _ENVIRONMENT),
    }
    if _INSIDE in names:
        inside = inside_from_parquet(folder.read(_INSIDE), str(folder.path / _INSIDE))
        found["trace"] = found["trace"].with_inside(inside)
    if _RECIPE in names:
        found["recipe"] = _recipe(folder)
    if _HELD_OUT in names:
        found["held_out"] = _held_out(folder)
    if _PREPARATION in names:
        found["preparation"] = _preparation(folder)
    if _FINAL in names:
        found["final"] = _noun(folder, _FINAL, FinalModel.from_dict)
    if _STORY in names:
        found["story"] = _noun(folder, _STORY, Story.from_dict)
    if model and _MODEL in names:
        from fallline.store.model_file import load_model_bytes

        found["model"] = load_model_bytes(folder.read(_MODEL), str(folder.path / _MODEL), custom_objects=custom_objects)
    return replace(run, **found)


def _json(folder: RunFolder, name: str) -> dict[str, Any]:
    try:
        body = loads(folder.read(name))
        if not isinstance(body, dict):
            raise TypeError("it is no mapping")
    except (ValueError, TypeError, KeyError) as error:
        raise _strange(folder, name, error) from error
    return body


def _strange(folder: RunFolder, name: str, error: Exception) -> RunFolderError:
    return RunFolderError(
        f"{folder.path / name} is not what fallline writes ({type(error).__name__}: {error}). "
        "Was it made by another version?"
    )


def _run(body: Mapping[str, Any]) -> Run:
    if body["version"] != RUN_VERSION:
        raise ValueError(f"version {body['version']!r} instead of {RUN_VERSION}")
    if body["outcome"] not in get_args(Outcome):
        raise ValueError(f"outcome {body['outcome']!r}")
    summary = body["summary"]
    diagnosis = body["diagnosis"]
    empty: Any = None
    return Run(
        model=None,
        trace=empty,
        outcome=body["outcome"],
        scores=tuple(_make(Score, score) for score in body["scores"]),
        diagnosis=_make(
            Diagnosis,
            {
                **diagnosis,
                "findings": tuple(
                    _make(Finding, f | {key: tuple(f.get(key, ())) for key in ("what_to_try", "treatments")})
                    for f in diagnosis["findings"]
                ),
                "examined": tuple(diagnosis["examined"]),
            },
        ),
        summary=None if summary is None else _summary(summary),
        facts=body["facts"],
    )


def _make(kind: type[_T], given: Mapping[str, Any]) -> _T:
    return kind(**given)


def _summary(given: Mapping[str, Any]) -> Summary:
    return _make(
        Summary,
        {
            **given,
            "columns": tuple(_column(column) for column in given["columns"]),
            "targets": tuple(_column(column) for column in given["targets"]),
            "correlated": tuple((a, b, r) for a, b, r in given["correlated"]),
            "leakage": tuple((name, why) for name, why in given["leakage"]),
            "remarks": tuple(given["remarks"]),
        },
    )


def _column(given: Mapping[str, Any]) -> ColumnSummary:
    histogram = given["histogram"]
    if histogram is not None:
        edges, counts = histogram
        histogram = (edges, counts)
    return _make(
        ColumnSummary, {**given, "histogram": histogram, "levels": tuple((level, n) for level, n in given["levels"])}
    )


def _held_out(folder: RunFolder) -> HeldOut:
    arrays, meta = unpack(folder.read(_HELD_OUT), str(folder.path / _HELD_OUT))
    try:
        return HeldOut(arrays["y"], arrays["prediction"], str(meta["rows"]), arrays.get("index"))
    except (KeyError, TypeError) as error:
        raise _strange(folder, _HELD_OUT, error) from error


def _noun(folder: RunFolder, name: str, make: Callable[[Any], _T]) -> _T:
    """Read a file that holds one noun under its own name."""
    body = _json(folder, name)
    try:
        return make(body[name.removesuffix(".json")])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _strange(folder, name, error) from error


def _preparation(folder: RunFolder) -> Any:
    from fallline.data import Preparation

    body = _json(folder, _PREPARATION)
    try:
        return Preparation.from_dict(body["preparation"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _strange(folder, _PREPARATION, error) from error


def _recipe(folder: RunFolder) -> Recipe:
    from fallline.recipe import from_toml

    return from_toml(folder.read(_RECIPE).decode("utf-8"))
