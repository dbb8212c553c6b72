"""What the page shows of one run, and of several beside each other, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fallline.errors import FalllineError, InputError
from fallline.recipe import from_mapping, to_mapping, to_toml
from fallline.report.text import AS_PERCENT
from fallline.serve.curves import grouped, heat_maps, live_charts, live_findings, trace_charts
from fallline.serve.index import Index, Item
from fallline.serve.jobs import Jobs
from fallline.serve.tables import Tables
from fallline.store import Live, RunFolder, load_run, read_live
from fallline.store.plain import loads
from fallline.types import Finding, Recipe, Run, Trace

__all__ = ["compare", "line_of", "live_view", "run_view", "table_of"]

MOST_COMPARED = 40
# What differs between runs that are repetitions of each other.
_REPETITION = frozenset({"seed"})
_FACTS = ("kind", "source", "target_names", "n_rows", "parameters", "best_epoch", "stopped_epoch", "loss", "seconds",
          "temperature", "fingerprint", "notes")  # fmt: skip


def line_of(item: Item, jobs: Jobs) -> dict[str, Any]:
    """Return one run's line of the list."""
    entry = item.entry
    status, problem = entry.status, entry.problem
    state = jobs.state(entry.name)
    if state is not None and state["running"] and status in ("unusable", "interrupted"):
        status, problem = "training", ""  # it has not come to write anything yet
    return {
        "name": entry.name, "status": status, "target": entry.target, "kind": entry.kind, "metric": entry.metric,
        "value": _finite(entry.value), "created": entry.created, "seconds": _finite(entry.seconds),
        "outcome": entry.outcome, "problem": problem, "version": item.version + status[:1],
    }  # fmt: skip


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _findings(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [_safe(asdict(finding)) for finding in findings]


def _safe(value: Any) -> Any:
    """Return plain values as JSON can hold them: infinite numbers and times become text."""
    if isinstance(value, Mapping):
        return {str(key): _safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def run_view(item: Item, index: Index, jobs: Jobs, tables: Tables) -> dict[str, Any]:
    """Return all that the page of a run shows; parts that the folder lacks are None."""
    path = index.folder(item.entry.name)
    out: dict[str, Any] = {"line": line_of(item, jobs), "job": jobs.state(item.entry.name), "problem": ""}
    facts: Mapping[str, Any] = {}
    run: Run | None = None
    try:
        folder = RunFolder.open(path)
        names = folder.names
        out["report"] = "report.html" in names
        if "trace.parquet" in names:
            run = load_run(path, model=False)
            facts = run.facts
        elif "run.json" in names:
            facts = loads(folder.read("run.json"))["facts"]
    except (FalllineError, OSError, ValueError, KeyError, TypeError) as error:
        out["problem"] = str(error)
    out["facts"] = {name: _safe(facts[name]) for name in _FACTS if name in facts}
    out["fork"] = _fork(facts, run, tables)
    if run is not None:
        out["charts"] = trace_charts(run.trace)
        out["inside"] = heat_maps(run.trace.inside) if run.trace.inside is not None else None
        out["findings"] = _findings(run.diagnosis.findings)
        out["not_examined"] = _safe(run.diagnosis.not_examined)
        out["scores"] = [_safe(asdict(score)) for score in run.scores]
        out["recipe"] = to_toml(run.recipe, comments=False) if run.recipe is not None else None
        out["members"] = _safe(facts.get("members", []))
    out["live"] = live_view(path)
    return out


def live_view(
    path: Path, live: Live | None = None, findings: Sequence[Finding] | None = None
) -> dict[str, Any] | None:
    """Return what a training under way has shown so far; None where nothing is shown.

    Args:
        path: the run folder.
        live: what was read of it; None: it is read now.
        findings: what the rules said of it; None: they are asked now.
    """
    try:
        live = live if live is not None else read_live(path)
    except (FalllineError, OSError):
        return None
    if live is None:
        return None
    found = live_findings(live) if findings is None else findings
    return {
        "phase": live.phase, "epoch": live.epoch, "epochs": live.epochs, "active": live.active,
        "members": live.members, "seconds": live.seconds, "damaged": live.damaged,
        "charts": live_charts(live), "findings": _findings(found),
    }  # fmt: skip


def table_of(facts: Mapping[str, Any]) -> str:
    """Return where the table of a run lies, as `fallline train` wrote it down.

    Raises:
        InputError: the run does not say.
    """
    try:
        return str(facts["command"]["source"]["data"])
    except (KeyError, TypeError):
        raise InputError(
            "This run was not begun by `fallline train`, so that its table and options are not known."
        ) from None


def _fork(facts: Mapping[str, Any], run: Run | None, tables: Tables) -> dict[str, Any]:
    """Return whether the run can be forked (else why not), its table, and the recipe to begin from."""
    try:
        data = table_of(facts)
        recipe = to_toml(from_mapping(facts["command"]["recipe"]))
        tables.resolve(data)
    except (FalllineError, KeyError, TypeError) as error:
        return {"possible": False, "reason": str(error), "data": "", "recipe": ""}
    return {"possible": True, "reason": "", "data": data, "recipe": recipe}


# ------------------------------------------------------------------------------------------------------- many runs


def compare(names: Sequence[str], index: Index) -> dict[str, Any]:
    """Return several runs beside each other.

    Runs that differ in nothing but the seed form one group, drawn as mean and standard deviation.

    Raises:
        InputError: no run is given, too many are, or one does not exist.
    """
    names = list(dict.fromkeys(names))
    if not 1 <= len(names) <= MOST_COMPARED:
        raise InputError(f"{len(names)} runs are to be compared; allowed are 1 to {MOST_COMPARED}.")
    runs, problems = {}, {}
    for name in names:
        try:
            runs[name] = _loaded(index.folder(name))
        except (FalllineError, OSError, ValueError) as error:
            problems[name] = str(error)
    flat = {name: _flat(run) for name, (run, _) in runs.items()}
    groups = _groups(flat)
    traces = {name: trace for name, (_, trace) in runs.items()}
    quantities = _quantities(list(traces.values()))
    charts = []
    for quantity in quantities:
        lines = [grouped([traces[name] for name in group], quantity) for group in groups]
        if any(lines):
            percent = quantity.removeprefix("val_") in AS_PERCENT
            charts.append({"name": quantity, "percent": percent, "groups": lines})
    return {
        "groups": [{"runs": group, "seeds": [flat[name].get("seed") for name in group]} for group in groups],
        "charts": charts,
        "differences": _differences(flat),
        "scores": {name: [_safe(asdict(score)) for score in run.scores] for name, (run, _) in runs.items()},
        "problems": problems,
    }


def _loaded(path: Path) -> tuple[Run, Trace]:
    run = load_run(path, model=False)
    return run, run.trace


def _flat(run: Run) -> dict[str, Any]:
    """Return the entries of a run's recipe by their full names, with what it was trained on."""
    out: dict[str, Any] = {}
    recipe = run.recipe
    if recipe is not None:
        for key, value in to_mapping(_named(recipe)).items():
            inner = value if isinstance(value, dict) else {"": value}
            out |= {f"{key}.{name}".rstrip("."): item for name, item in inner.items()}
    out["data"] = str(run.facts.get("fingerprint", ""))[:12] or str(run.facts.get("source", ""))
    out["target"] = ", ".join(map(str, run.facts.get("target_names", ())))
    return _plain_entries(out)


def _named(recipe: Recipe) -> Recipe:
    # Two recipes are the same when all their entries are; what they were made from does not matter.
    return replace(recipe, preset="default")


def _plain_entries(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, list) else _safe(value) for key, value in entries.items()}


def _groups(flat: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    found: dict[tuple[Any, ...], list[str]] = {}
    for name, entries in flat.items():
        key = tuple(sorted((k, repr(v)) for k, v in entries.items() if k not in _REPETITION))
        found.setdefault(key, []).append(name)
    return list(found.values())


def _differences(flat: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries in which the recipes differ, with each run's value."""
    keys = dict.fromkeys(key for entries in flat.values() for key in entries)
    rows = {key: {name: entries.get(key) for name, entries in flat.items()} for key in keys}
    return [
        {"entry": key, "values": values} for key, values in rows.items() if len(set(map(repr, values.values()))) > 1
    ]


def _quantities(traces: Sequence[Trace]) -> list[str]:
    """Return what is worth drawing: the validation curve of each quantity where there is one, else the training's."""
    seen = {name for trace in traces for name in trace.quantities}
    stems = sorted({name.removeprefix("val_") for name in seen} - {"running_loss", "learning_rate"},
                   key=lambda name: (name != "loss", name))  # fmt: skip
    found = [name for stem in stems for name in (f"val_{stem}", stem) if name in seen]
    return [*found, *(["learning_rate"] if "learning_rate" in seen else [])]
