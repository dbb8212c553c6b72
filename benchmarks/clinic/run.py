"""Running the trials: jobs in worker processes, one trial one row."""

from __future__ import annotations

import multiprocessing
import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.clinic.faults import FAULTS, applies
from benchmarks.clinic.program import base, diagnosed
from benchmarks.clinic.tables import TABLES
from benchmarks.clinic.zoo import ZOO

__all__ = ["Row", "pooled", "run_all", "run_fault", "run_healthy", "stream"]

# One trial: who ("what", "table", "seed", "half"), what was said (see `Said`), what was expected.
Row = dict[str, Any]
Job = tuple[Callable[..., list[Row]], tuple[Any, ...]]


def stream(*names: object) -> int:
    """Return a seed that the names decide."""
    return zlib.crc32("/".join(map(str, names)).encode())


def run_fault(fault: str, table: str, seeds: Sequence[int]) -> list[Row]:
    """Inject one fault into one data set's program; the seeds share the compiled program."""
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(stream(fault, table, seed))
        program = FAULTS[fault].inject(base(table, seed), rng)
        row: Row = {"what": fault, "table": table, "seed": seed, "half": TABLES[table].half}
        row |= {"names": list(FAULTS[fault].names), "epochs": program.epochs}
        rows.append(row | asdict(diagnosed(program, seed)))
    return rows


def run_healthy(name: str, seeds: Sequence[int]) -> list[Row]:
    """Run one member of the zoo."""
    member = ZOO[name]
    return [
        {"what": name, "table": member.table, "seed": seed, "half": TABLES[member.table].half}
        | asdict(diagnosed(member.program(seed), seed))
        for seed in seeds
    ]


def run_all(
    faults: Iterable[str],
    tables: Sequence[str],
    zoo: Iterable[str],
    *,
    seeds: Sequence[int],
    zoo_seeds: Sequence[int],
    workers: int,
    say: Callable[[str], None],
    minutes: float = float("inf"),
    finished: Sequence[Row] = (),
) -> tuple[list[Row], list[Row]]:
    """Run the faults and the zoo but for what is finished, in random order; return the rows of both."""
    jobs: list[Job] = [
        (run_fault, (fault, table, seeds)) for fault in faults for table in tables if applies(FAULTS[fault], table)
    ]
    jobs += [(run_healthy, (name, zoo_seeds)) for name in zoo]
    there = {(row["what"], row["table"]) for row in finished}
    jobs = [job for job in jobs if (job[1][0], job[1][1] if job[0] is run_fault else ZOO[job[1][0]].table) not in there]
    random.Random(0).shuffle(jobs)  # what is left out when the time is over is a random part
    spoiled = [row for row in finished if row["what"] in FAULTS]
    healthy = [row for row in finished if row["what"] in ZOO]
    for job, rows in pooled(jobs, workers, say, minutes):
        (spoiled if job is run_fault else healthy).extend(rows)
    order = {name: i for i, name in enumerate([*FAULTS, *ZOO])}
    for found in (spoiled, healthy):
        found.sort(key=lambda row: (order[row["what"]], row["table"], row["seed"]))
    return spoiled, healthy


def pooled(
    jobs: Sequence[Job], workers: int, say: Callable[[str], None], minutes: float = float("inf")
) -> Iterator[tuple[Callable[..., list[Row]], list[Row]]]:
    """Yield (job, its rows) as the jobs end, none after so many minutes; one worker means this process."""
    end = time.monotonic() + 60 * minutes
    if workers <= 1:
        for done, (job, arguments) in enumerate(jobs, 1):
            rows = job(*arguments)
            say(_line(done, len(jobs), rows))
            yield job, rows
            if time.monotonic() > end:
                say(f"the time is over: {len(jobs) - done} of {len(jobs)} left out")
                return
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(job, *arguments): job for job, arguments in jobs}
        for done, future in enumerate(as_completed(waiting), 1):
            rows = future.result()
            say(_line(done, len(jobs), rows))
            yield waiting[future], rows
            if time.monotonic() > end:
                pool.shutdown(wait=False, cancel_futures=True)
                say(f"the time is over: {len(jobs) - done} of {len(jobs)} left out")
                return


def _line(done: int, jobs: int, rows: Sequence[Row]) -> str:
    row = rows[0]
    worries = ", ".join(name for name, severity, _ in row["findings"] if severity != "note")
    return f"{done}/{jobs} {row['what']} on {row['table']}: {row['error'] or worries or 'no warning'}"
