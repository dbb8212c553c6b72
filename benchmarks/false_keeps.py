"""How often what an improvement keeps is worse on fresh rows: ``python -m benchmarks.false_keeps``.

Each trial draws a small table and improves a recipe on it that has nothing wrong. The recipe and what was made of it
are then trained with fresh seeds and scored on fresh rows of the same kind. A keep is false where the loss there is
more than 1 % above the untreated recipe's. Writes ``results/false-keeps.json``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.made_tables import KINDS, draw
from benchmarks.results_file import describe_machine, describe_versions

__all__ = ["main", "summary", "trial"]

_RESULTS = Path(__file__).parent / "results"
ROWS, FRESH, COLUMNS = 200, 2000, 4
TRAININGS, FRESH_SEEDS = 80, tuple(range(1001, 1011))
MARGIN = 0.01  # of the untreated recipe's loss
RECIPE = ("epochs=60", "hidden=[16]", "learning_rate=0.01", "batch_size=32")

def bend(x: np.ndarray) -> np.ndarray:
    """Of one input, by as much as another one says."""
    return np.asarray(np.sin(2 * x[:, 0]) * x[:, 1])


def trial(kind: str, number: int) -> dict[str, Any]:
    """Improve a healthy recipe on one table, and score it on fresh rows beside what it was.

    Args:
        kind: of table.
        number: of the trial; the table follows from it.
    """
    import fallline as fl
    from fallline.recipe import default, override

    x, y = draw(kind, np.random.default_rng([KINDS.index(kind), number]), ROWS + FRESH, COLUMNS, bend)
    frame = {f"x{i}": x[:, i] for i in range(COLUMNS)}
    recipe = override(default("simple"), RECIPE)
    known = {name: column[:ROWS] for name, column in frame.items()}
    found = fl.improve(recipe, known, y[:ROWS], trainings=TRAININGS, budget=None, holdout=0, seed=number)
    row = {"kind": kind, "number": number, "kept": list(found.treatments), "experiments": len(found.ledger)}
    if found.treatments:
        pair = [(np.arange(ROWS), np.arange(ROWS, len(x)))]
        both = [recipe, found.recipe]
        runs = fl.train_many(both, fl.make_problem(frame, y), seeds=FRESH_SEEDS, folds=pair, verbose=0)
        loss = np.array([run.scores[0].value for run in runs]).reshape(2, -1).mean(axis=1)
        row |= {"before": float(loss[0]), "after": float(loss[1])}
    return row


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count the improvements that kept something, and of these the false ones and the true ones."""
    kept = [row for row in rows if row["kept"]]
    return {
        "improvements": len(rows),
        "kept_something": len(kept),
        "worse_on_fresh_rows": sum(row["after"] > (1 + MARGIN) * row["before"] for row in kept),
        "better_on_fresh_rows": sum(row["after"] < (1 - MARGIN) * row["before"] for row in kept),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Make all trials, print what came of them, and write it down behind each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.false_keeps", description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the result")
    given = parser.parse_args(arguments)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    machine, rows = describe_machine(), []
    given.out.mkdir(parents=True, exist_ok=True)
    for number in range(given.trials):
        for kind in KINDS:
            rows.append(trial(kind, number))
            print(json.dumps(rows[-1]), flush=True)
            found = {
                "what": f"{ROWS} rows, {', '.join(RECIPE)}; {TRAININGS} trainings an improvement, {len(FRESH_SEEDS)} "
                f"fresh seeds, {FRESH} fresh rows, margin {MARGIN:.0%} of the loss",
                **summary(rows),
                "trials": rows,
                "machine": machine,
                "versions": describe_versions(),
                "date": datetime.now(UTC).date().isoformat(),
            }
            (given.out / "false-keeps.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(summary(rows), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
