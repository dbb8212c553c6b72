"""The benchmarks' command line: ``python -m benchmarks [work ...] [--quick] [--out FOLDER]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import FAILED, find_works, load_work, run_work
from benchmarks.results_file import describe_machine, result, table, write_result
from benchmarks.skill import __main__ as skill

__all__ = ["main"]

RESULTS = Path(__file__).resolve().parent / "results"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure fallline beside its peers. Without a name: every work, then the skill on real tables.",
    )
    parser.add_argument("work", nargs="*", help=f"{', '.join(find_works())} or skill")
    parser.add_argument("--list", action="store_true", help="list the works and their peers, and measure nothing")
    parser.add_argument(
        "--quick", action="store_true", help="a fraction of the work, once; writes nothing unless --out"
    )
    parser.add_argument("--out", type=Path, help="folder of the results (default: results/ beside the code)")
    parser.add_argument("--peers", default="", help="only these, separated by commas")
    parser.add_argument("--repetitions", type=int, default=0, help="instead of the work's own number")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads for everybody (default: all)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "gpu"), help="cpu hides accelerators from all")
    parser.add_argument("--data", type=Path, help="folder of the tables, for skill (else FALLLINE_DATA)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen works; return 1 when a peer failed."""
    parser = _parser()
    given = parser.parse_args(arguments)
    names = given.work or [*find_works(), "skill"]
    unknown = [name for name in names if name not in (*find_works(), "skill")]
    if unknown:
        parser.error(f"no such work: {', '.join(unknown)}. There are: {', '.join([*find_works(), 'skill'])}.")
    if given.list:
        for name in find_works():
            work = load_work(name)
            print(f"{name}: {work.title}\n  {', '.join(work.peers)}")
        return 0
    out = given.out or (None if given.quick else RESULTS)
    threads = given.threads or len(os.sched_getaffinity(0))
    failed = False
    for name in names:
        if name == "skill":
            failed |= bool(skill.main(_skill_arguments(given, out)))
            continue
        machine = describe_machine()
        rows = run_work(
            name,
            quick=given.quick,
            peers=[peer for peer in given.peers.split(",") if peer],
            repetitions=given.repetitions,
            threads=threads,
            device=given.device,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
        if not rows:
            parser.error(f"{name} has no peer {given.peers!r}; it has: {', '.join(load_work(name).peers)}.")
        work = load_work(name)
        print(table(work, rows, quick=given.quick), end="\n\n", flush=True)
        failed |= any(row.state == FAILED for row in rows)
        if out is not None:
            found = result(name, work, rows, threads=threads, device=given.device, quick=given.quick, machine=machine)
            print(f"written: {write_result(found, out)}\n")
    return int(failed)


def _skill_arguments(given: argparse.Namespace, out: Path | None) -> list[str]:
    found = ["--quick"] if given.quick else []
    found += ["--data", str(given.data)] if given.data else []
    found += ["--out", str(out)] if out else []
    return found


if __name__ == "__main__":
    sys.exit(main())
