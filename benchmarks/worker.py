"""One measurement of one peer, in this process: ``python -m benchmarks.worker WORK PEER OUT.json``."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks.harness import load_work

__all__ = ["main"]


def main() -> None:
    """Measure once and write the measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker")
    parser.add_argument("work")
    parser.add_argument("peer")
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.threads:
        # XLA has no setting for its threads: it counts the cores that the process may use, and so do the others.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    work = load_work(given.work)
    measured = work.peers[given.peer].measure(work.setup(given.quick))
    given.out.write_text(json.dumps({"value": float(measured.value), "extras": dict(measured.extras)}))


if __name__ == "__main__":
    main()
