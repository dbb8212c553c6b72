"""Result files and tables: what was measured, on which machine, with which versions, when."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.harness import CHECKOUT, OK, Row, Work

__all__ = ["describe_machine", "describe_versions", "result", "table", "verdicts", "write_result"]

_PACKAGES = (
    "jax",
    "jaxlib",
    "keras",
    "optax",
    "numpy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "tensorflow-cpu",
    "tensorflow",
    "torch",
)


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory and system; nothing that names the machine or its user."""
    processor = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def describe_versions() -> dict[str, str]:
    """Versions of Python and of every library that takes part, and the commit."""
    from fallline import __version__

    found = {"python": platform.python_version(), "fallline": __version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if commit.returncode == 0:
        found["commit"] = commit.stdout.strip()
    return found


def _ratio(work: Work, rows: Sequence[Row], row: Row) -> float:
    reference = next((r for r in rows if r.name == work.reference and r.state == OK), None)
    return row.median / reference.median if reference and row.state == OK else math.nan


def verdicts(work: Work, rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """Each bar that could be examined: a sentence, and whether it is reached."""
    found = []
    for row in rows:
        peer = work.peers[row.name]
        ratio = _ratio(work, rows, row)
        if peer.bar and not math.isnan(ratio):
            found.append((f"{row.name} / {work.reference} = {ratio:.2f}, bar {peer.bar:g}", ratio >= peer.bar))
        if peer.most and not math.isnan(ratio):
            found.append((f"{row.name} / {work.reference} = {ratio:.2f}, at most {peer.most:g}", ratio <= peer.most))
        if peer.limit and row.state == OK:
            sentence = f"{row.name}: {row.median:.3g} {work.unit}, bar {peer.limit:g}"
            found.append((sentence, row.median < peer.limit))
    return found


def result(
    name: str, work: Work, rows: Sequence[Row], *, threads: int, device: str, quick: bool, machine: dict[str, Any]
) -> dict[str, Any]:
    """Everything about one work, as plain values."""
    ratios = {row.name: _ratio(work, rows, row) for row in rows}
    return {
        "work": name,
        "title": work.title,
        "unit": work.unit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "threads": threads,
        "quick": quick,
        "machine": machine,
        "versions": describe_versions(),
        "peers": {row.name: row.to_dict() for row in rows},
        "ratios": {peer: round(ratio, 3) for peer, ratio in ratios.items() if not math.isnan(ratio)},
        "bars": [{"bar": sentence, "reached": reached} for sentence, reached in verdicts(work, rows)],
    }


def write_result(found: dict[str, Any], folder: Path) -> Path:
    """Write ``<work>-<device>.json``; a file of an earlier run is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found['work']}-{found['device']}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def table(work: Work, rows: Sequence[Row], *, quick: bool = False) -> str:
    """The measurements as text: one line a peer, extras at the end; a quick run is held to no bar."""
    width = max(len(row.name) for row in rows)
    times = f"{'x ' + work.reference:>12}" if work.reference else ""
    lines = [work.title, f"  {'':{width}} {work.unit:>14} {'min':>10} {'max':>10} {times}"]
    for row in rows:
        if row.state != OK:
            lines.append(f"  {row.name:{width}} {row.state}: {row.reason}")
            continue
        ratio = _ratio(work, rows, row)
        shown = "" if not work.reference else f"{'-':>12}" if math.isnan(ratio) else f"{ratio:>12.2f}"
        extras = ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.to_dict()["extras"].items()
        )
        figures = f"{row.median:>14.4g} {min(row.values):>10.4g} {max(row.values):>10.4g}"
        lines.append(f"  {row.name:{width}} {figures} {shown}  {extras}")
    if quick:
        return "\n".join([*lines, "  a quick run: too little work to hold it to a bar"])
    lines += [f"  {'reached' if reached else 'MISSED'}: {sentence}" for sentence, reached in verdicts(work, rows)]
    return "\n".join(lines)
