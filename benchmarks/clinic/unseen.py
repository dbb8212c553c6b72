"""Programs that no rule was fitted to: ``python -m benchmarks.clinic.unseen [--half read|kept|later] [--only WORDS]``.

Two random halves: the rules may be mended by what the first shows, the second is looked at afterwards. When the rules
had been mended by the second, too, a third part was written.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clinic.program import Said
from benchmarks.clinic.run import Row
from benchmarks.clinic.unseen_healthy import HEALTHY
from benchmarks.clinic.unseen_later import LATER
from benchmarks.clinic.unseen_outputs import DATA_AND_OUTPUTS
from benchmarks.clinic.unseen_program import Unseen
from benchmarks.clinic.unseen_trainings import TRAININGS

__all__ = ["UNSEEN", "figures", "halves", "main", "run_unseen"]

FAULTY = {**DATA_AND_OUTPUTS, **TRAININGS}
UNSEEN = {**FAULTY, **HEALTHY, **LATER}
READ, KEPT, LAST = "read", "kept", "later"


def halves() -> dict[str, tuple[str, ...]]:
    """Return part -> its programs: two halves, faulty ones first, drawn by their names, and those written later."""
    found: dict[str, tuple[str, ...]] = {READ: (), KEPT: (), LAST: tuple(LATER)}
    for part in (FAULTY, HEALTHY):
        drawn = sorted(part, key=lambda name: zlib.crc32(name.encode()))
        found[READ] += tuple(drawn[::2])
        found[KEPT] += tuple(drawn[1::2])
    return found


def run_unseen(name: str, seed: int) -> Row:
    """Build one program, train it and write down what was said."""
    case = UNSEEN[name]
    row: Row = {"what": name, "seed": seed, "names": list(case.names), "also": list(case.also)}
    return row | asdict(_said(case, seed))


def _said(case: Unseen, seed: int) -> Said:
    import keras

    import fallline as fl

    warnings.simplefilter("ignore")  # Keras, too, has something to say about some of them
    keras.utils.set_random_seed(seed)
    program = case.make(np.random.default_rng(seed))
    try:
        found = fl.diagnose_training(
            program.model, program.x, program.y, loss=program.loss, optimizer=program.optimizer,
            epochs=program.epochs, batch_size=program.batch_size, validation_data=program.held, seed=seed,
            **program.more,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001  a trial that fails is counted, with its reason
        return Said(error=f"{type(error).__name__}: {error}"[:600])
    return Said.of(found)


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Return recall, the share first, the precision of warnings, and the silence of the healthy."""
    faulty, healthy = [r for r in rows if r["names"]], [r for r in rows if not r["names"]]

    def warned(row: Row) -> list[str]:
        return [name for name, severity, _ in row["findings"] if severity != "note"]

    def share(values: Iterable[bool]) -> float | None:
        values = list(values)
        return round(sum(values) / len(values), 4) if values else None

    def precision(right: Sequence[str]) -> float | None:
        parts = [np.mean([name in [n for key in right for n in row[key]] for name in warned(row)])
                 for row in faulty if warned(row)]  # fmt: skip
        return round(float(np.mean(parts)), 4) if parts else None

    def named(row: Row) -> list[int]:
        return [i for i, (name, *_) in enumerate(row["findings"]) if name in row["names"]]

    return {
        "faulty": len(faulty),
        "named": share(bool(named(row)) for row in faulty),
        "first": share(0 in named(row) for row in faulty),
        "warned_of": share(bool(set(warned(row)) & set(row["names"])) for row in faulty),
        "precision": precision(["names"]),
        "precision_with_consequences": precision(["names", "also"]),
        "healthy": len(healthy),
        "silent": share(not (warned(row) or row["error"]) for row in healthy),
        "not_first": {
            row["what"]: row["error"] or [f"{name} ({severity})" for name, severity, _ in row["findings"]]
            for row in faulty if 0 not in named(row)
        },
        "not_silent": {row["what"]: warned(row) or [row["error"]] for row in healthy if warned(row) or row["error"]},
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the programs of one half and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clinic.unseen", description=__doc__.splitlines()[0])
    parser.add_argument("--half", default=READ, choices=(READ, KEPT, LAST), help="which programs")
    parser.add_argument("--only", default="", help="only programs that contain one of these words, by commas")
    parser.add_argument("--seeds", type=int, default=1, help="trials of each program")
    parser.add_argument("--out", type=Path, help="file of the trials")
    given = parser.parse_args(arguments)
    words = [word for word in given.only.split(",") if word]
    names = [name for name in halves()[given.half] if not words or any(word in name for word in words)]
    found = []
    for name in names:
        for seed in range(given.seeds):
            row = run_unseen(name, seed)
            found.append(row)
            said = ", ".join(f"{n} ({s})" for n, s, _ in row["findings"])
            print(f"{name} [{', '.join(row['names'][:2])}]: {row['error'] or said}", file=sys.stderr, flush=True)
    print(json.dumps(figures(found), indent=1))
    if given.out:
        text = ",\n".join("  " + json.dumps(row) for row in found)
        given.out.write_text(f'{{\n "figures": {json.dumps(figures(found))},\n "trials": [\n{text}\n ]\n}}\n')
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
