"""What a work is, and how it is measured.

A work is one file in ``benchmarks/works``: a module with ``WORK = Work(...)`` and one function per peer. Every
measurement runs in a process of its own, because two Keras backends cannot live in one process and because thread pools
of one library would disturb another. Repetitions are interleaved (peer 1, peer 2, ..., peer 1, peer 2, ...), so that a
slow minute of the machine hits all peers alike; the figure is the median.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import works

__all__ = ["FAILED", "OK", "SKIPPED", "Measurement", "Peer", "Row", "Work", "find_works", "load_work", "run_work"]

CHECKOUT = Path(__file__).resolve().parent.parent
OK, SKIPPED, FAILED = "measured", "skipped", "failed"


@dataclass(frozen=True)
class Measurement:
    """What one peer's function returns.

    Args:
        value: the figure, in the work's unit; lower is better.
        extras: further numbers worth keeping (``compile_seconds``, a final loss that shows that the work was done ...).
    """

    value: float
    extras: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """One contender of a work.

    Args:
        name: its name in tables and files.
        measure: called in a fresh process with what the work's `setup` returned.
        needs: modules that must be installed; a peer without them is skipped, and said.
        environment: variables that must be set before its process starts.
        bar: the figure must be at least this many times the reference's; 0: no bar.
        most: the figure must be at most this many times the reference's; 0: no bar.
        limit: the figure must be below this, in the work's unit; 0: no limit.
    """

    name: str
    measure: Callable[[Any], Measurement]
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    bar: float = 0.0
    most: float = 0.0
    limit: float = 0.0


@dataclass
class Work:
    """One thing to be done by all peers.

    Args:
        title: one line, with the sizes that matter.
        unit: of the figure.
        setup: ``setup(quick)`` returns what every peer's function is given; it runs in the peer's process.
        repetitions: measurements per peer.
        reference: the peer that the others are divided by; empty: no ratios.
    """

    title: str
    unit: str
    setup: Callable[[bool], Any]
    repetitions: int = 5
    reference: str = "fallline"
    peers: dict[str, Peer] = field(default_factory=dict)

    def peer(self, name: str, **options: Any) -> Callable[[Callable[[Any], Measurement]], Callable[[Any], Measurement]]:
        """Add the decorated function as a peer; the options are those of `Peer`."""

        def add(measure: Callable[[Any], Measurement]) -> Callable[[Any], Measurement]:
            self.peers[name] = Peer(name, measure, **options)
            return measure

        return add


@dataclass
class Row:
    """All measurements of one peer."""

    name: str
    state: str = OK
    reason: str = ""
    values: list[float] = field(default_factory=list)
    extras: list[dict[str, Any]] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The figure; NaN when nothing was measured."""
        return statistics.median(self.values) if self.values else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the result file."""
        if self.state != OK:
            return {"state": self.state, "reason": self.reason}
        numbers = [key for key in self.extras[0] if isinstance(self.extras[0][key], (int, float))]
        return {
            "state": self.state,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": self.values,
            "extras": {
                key: statistics.median(extra[key] for extra in self.extras) if key in numbers else self.extras[0][key]
                for key in self.extras[0]
            },
        }


def find_works() -> list[str]:
    """Names of all works."""
    return sorted(found.name for found in pkgutil.iter_modules(works.__path__) if not found.name.startswith("_"))


def load_work(name: str) -> Work:
    """Import one work by its name."""
    found: Work = importlib.import_module(f"benchmarks.works.{name}").WORK
    return found


def _environment(peer: Peer, threads: int, device: str) -> dict[str, str]:
    """Variables of the measuring process: the same number of threads for everybody."""
    env = dict(os.environ)
    env |= {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    env |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if device == "cpu":
        env |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    paths = [str(CHECKOUT), str(CHECKOUT / "src"), *filter(None, [env.get("PYTHONPATH")])]
    return env | {"PYTHONPATH": os.pathsep.join(paths)} | dict(peer.environment)


def measure_once(work: str, peer: Peer, *, quick: bool, threads: int, device: str, timeout: float) -> dict[str, Any]:
    """Run one measurement in a process of its own; return its value and extras, or ``{"error": last lines}``."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measurement.json"
        command = [sys.executable, "-m", "benchmarks.worker", work, peer.name, str(out), "--threads", str(threads)]
        command += ["--quick"] if quick else []
        try:
            done = subprocess.run(
                command,
                env=_environment(peer, threads, device),
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"took longer than {timeout:.0f} s"}
        if done.returncode or not out.exists():
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            return {"error": lines[-1]}
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def run_work(
    name: str,
    *,
    quick: bool = False,
    peers: Sequence[str] = (),
    repetitions: int = 0,
    threads: int = 0,
    device: str = "cpu",
    timeout: float = 1800.0,
    say: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Measure one work.

    Args:
        name: the work.
        quick: a fraction of the work and one repetition: does it run at all?
        peers: only these; empty: all.
        repetitions: instead of the work's own number.
        threads: CPU threads for everybody; 0: all that this process may use.
        device: ``cpu`` hides accelerators from all peers.
        timeout: seconds after which one measurement is given up.
        say: called with one line per measurement.

    Returns:
        One row per peer, in the work's order.
    """
    work = load_work(name)
    threads = threads or len(os.sched_getaffinity(0))
    rows = {peer: Row(peer) for peer in work.peers if not peers or peer in peers}
    for row in rows.values():
        missing = [module for module in work.peers[row.name].needs if find_spec(module) is None]
        if missing:
            row.state, row.reason = SKIPPED, f"{', '.join(missing)} not installed"
            say(f"{name}: {row.name} skipped: {row.reason}")
    for turn in range(1 if quick else repetitions or work.repetitions):
        for row in rows.values():
            if row.state != OK:
                continue
            found = measure_once(
                name, work.peers[row.name], quick=quick, threads=threads, device=device, timeout=timeout
            )
            if "error" in found:
                row.state, row.reason = FAILED, found["error"]
                say(f"{name}: {row.name} failed: {row.reason}")
                continue
            row.values.append(found["value"])
            row.extras.append(found["extras"])
            say(f"{name}: {row.name} #{turn + 1}: {found['value']:.4g} {work.unit}")
    return list(rows.values())
