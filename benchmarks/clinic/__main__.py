"""The clinic: ``python -m benchmarks.clinic [--quick] [--half calibration|test|both] [--data FOLDER]``.

Faults are injected into healthy trainings and real programs are rebuilt; what the diagnosis says of each is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.clinic import report
from benchmarks.clinic.faults import FAULTS
from benchmarks.clinic.program import base, rules_cost
from benchmarks.clinic.programs import find_cases, run_program
from benchmarks.clinic.run import Row, pooled, run_all
from benchmarks.clinic.tables import CALIBRATION, TABLES, TEST, halves
from benchmarks.clinic.zoo import ZOO
from benchmarks.results_file import describe_machine, describe_versions

__all__ = ["main"]

RESULTS = Path(__file__).resolve().parents[1] / "results"
SEEDS, ZOO_SEEDS, PROGRAM_SEEDS = 5, 2, 2
QUICK_FAULTS = ("inputs of many sizes", "Adam's rate 1e-6", "one softmax unit", "holes in the inputs")
QUICK_TABLES, QUICK_ZOO = ("circles",), ("plain, circles", "dropout 0.2, circles")
REPETITIONS = 15


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clinic", description=__doc__.splitlines()[2])
    parser.add_argument("--half", default="both", choices=(CALIBRATION, TEST, "both"), help="which data sets")
    parser.add_argument("--faults", default="", help="only faults that contain one of these words, by commas")
    parser.add_argument("--no-zoo", action="store_true", help="no healthy runs")
    parser.add_argument("--only-zoo", action="store_true", help="no faults")
    parser.add_argument("--no-programs", action="store_true", help="no real programs")
    parser.add_argument("--only-programs", action="store_true", help="nothing but the real programs")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"trials of each fault on each set (default {SEEDS})")
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one per core)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="of each part; then the rest is left out")
    parser.add_argument("--resume", action="store_true", help="go on where the result files end")
    parser.add_argument("--data", type=Path, help="folder of cases.json (else FALLLINE_CLINIC, else shared/clinic)")
    parser.add_argument("--out", type=Path, help=f"folder of the results (default {RESULTS.name}/)")
    parser.add_argument("--quick", action="store_true", help="four faults, one data set, this process; keeps nothing")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the clinic; return 0 whether or not the bars are reached, for a figure is a figure."""
    given = _parser().parse_args(arguments)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if given.quick:
        spoiled, healthy = run_all(
            QUICK_FAULTS, QUICK_TABLES, QUICK_ZOO, seeds=(0,), zoo_seeds=(0,), workers=1, say=say
        )
        print(report.table(report.summary(CALIBRATION, spoiled, healthy)))
        print("a quick run: too little to hold it to a bar")
        return 0
    began = time.perf_counter()
    workers = given.workers or len(os.sched_getaffinity(0))
    out = given.out or RESULTS
    figures: dict[str, Any] = {}
    for half in () if given.only_programs else (CALIBRATION, TEST) if given.half == "both" else (given.half,):
        figures[half] = _half(half, given, workers, out, say)
    if not given.no_programs:
        figures["programs"] = _programs(given, workers, out, say)
    _verdicts(figures)
    print(f"{time.perf_counter() - began:.0f} seconds")
    return 0


def _half(half: str, given: argparse.Namespace, workers: int, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    tables = halves()[half]
    words = [word for word in given.faults.split(",") if word]
    faults = [fault for fault in FAULTS if not words or any(word in fault for word in words)]
    faults = [] if given.only_zoo else faults
    zoo = [] if given.no_zoo else [name for name, member in ZOO.items() if TABLES[member.table].half == half]
    path = out / f"clinic-{half}.json"
    spoiled, healthy = run_all(
        faults,
        tables,
        zoo,
        seeds=range(given.seeds),
        zoo_seeds=range(min(ZOO_SEEDS, given.seeds)),
        workers=workers,
        minutes=given.minutes,
        finished=json.loads(path.read_text())["trials"] if given.resume and path.exists() else (),
        say=say,
    )
    found = report.summary(half, spoiled, healthy)
    if half == TEST:
        found |= rules_milliseconds()
    print(report.table(found), end="\n\n", flush=True)
    _write(path, found, [*spoiled, *healthy])
    return found


def _programs(given: argparse.Namespace, workers: int, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    cases = find_cases(given.data)
    if isinstance(cases, str):
        print(cases)
        return {}
    path = out / "clinic-programs.json"
    rows = json.loads(path.read_text())["trials"] if given.resume and path.exists() else []
    there = {row["what"] for row in rows}
    jobs = [
        (run_program, (case, range(min(PROGRAM_SEEDS, given.seeds)))) for case in cases if case["id"] not in there
    ]
    rows += [row for _, done in pooled(jobs, workers, say, given.minutes) for row in done]
    rows.sort(key=lambda row: (row["what"], row["seed"]))
    found = report.programs(rows)
    print(json.dumps(found, indent=1))
    _write(path, found, rows)
    return found


def rules_milliseconds() -> dict[str, float]:
    """Median time of all rules over one watched training in ms, on the clock and on the processor."""
    clock, processor = zip(*rules_cost(base("moons", 0), 0, REPETITIONS), strict=True)
    return {
        "rules_ms": round(1e3 * statistics.median(clock), 2),
        "rules_processor_ms": round(1e3 * statistics.median(processor), 2),
    }


def _verdicts(figures: dict[str, Any]) -> None:
    test, real = figures.get(TEST, {}), figures.get("programs", {})
    reached: dict[str, float | None] = {
        "recall": test.get("recall"),
        "first": test.get("first"),
        "zoo_false_alarms": test.get("zoo", {}).get("share"),
        "rules_ms": test.get("rules_ms"),
        "programs_named": real.get("all", {}).get("named"),
        "programs_first": real.get("all", {}).get("first"),
        "programs_precision": real.get("all", {}).get("precision"),
        "programs_silent": real.get("healthy", {}).get("silent"),
    }
    for name, (bound, above) in report.BARS.items():
        value = reached[name]
        if value is not None:
            good = value >= bound if above else value <= bound
            print(f"{'reached' if good else 'MISSED'}: {name} {value:g}, bar {'>=' if above else '<='} {bound:g}")


def _write(path: Path, found: dict[str, Any], rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"date": date, "machine": describe_machine(), "versions": describe_versions()}
    text = json.dumps({**facts, "figures": found}, indent=1)
    lines = ",\n".join("  " + json.dumps(row) for row in rows)  # one trial a line
    path.write_text(f'{text.rstrip()[:-2]},\n "trials": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    raise SystemExit(main())
