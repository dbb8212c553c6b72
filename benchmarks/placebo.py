"""How often a treatment that does nothing is said to do something: ``python -m benchmarks.placebo``.

Each experiment draws a small table of its own and trains one recipe on it, 3 seeds on 5 folds as the control, and again
with 3 other seeds as the placebo. Everything that the placebo seems to do is chance: of the seeds and of the rows. The
share of experiments in which `fallline.experiment` would say that it helps or hurts should be at most 5 %. Writes
``results/placebo.json``.
"""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.made_tables import KINDS, draw
from benchmarks.results_file import describe_machine, describe_versions

__all__ = ["decide", "main"]

_RESULTS = Path(__file__).parent / "results"
SEEDS, FOLDS, ROWS, COLUMNS = 3, 5, 80, 3
RECIPE = ("epochs=15", "hidden=[8]", "learning_rate=0.03", "batch_size=16")

def bend(x: np.ndarray) -> np.ndarray:
    """Of one input."""
    return np.asarray(np.sin(2 * x[:, 0]))


def decide(kind: str, number: int) -> dict[str, Any]:
    """Make one experiment.

    Args:
        kind: of table.
        number: of the experiment; table, seeds and folds follow from it.
    """
    import fallline as fl
    from fallline.experiment import compare
    from fallline.recipe import default, override

    rng = np.random.default_rng([KINDS.index(kind), number])
    x, y = draw(kind, rng, ROWS, COLUMNS, bend)
    problem = fl.make_problem({f"x{i}": x[:, i] for i in range(COLUMNS)}, y)
    pairs = fl.folds(problem, folds=FOLDS, seed=number)
    seeds = [int(seed) for seed in rng.choice(2**31, 2 * SEEDS, replace=False)]
    runs = fl.train_many(override(default("simple"), RECIPE), problem, seeds=seeds, folds=pairs, verbose=0)
    scores = np.array([run.scores[0].value for run in runs]).reshape(2, SEEDS, FOLDS)
    (found,) = compare(scores[0], {"placebo": scores[1]}, share=1 / (FOLDS - 1))
    return {"kind": kind, "number": number, "decision": found.decision, "p": found.p, "scores": scores.tolist()}


def main() -> int:
    """Make all experiments, print the share of false decisions, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placebo", description=__doc__.partition("\n")[0])
    parser.add_argument("--experiments", type=int, default=200, help="of each kind (default: 200)")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the result")
    given = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    machine, rows = describe_machine(), []
    for kind in KINDS:
        for number in range(given.experiments):
            rows.append(decide(kind, number))
            if (number + 1) % 20 == 0:
                wrong = sum(row["decision"] != "cannot tell" for row in rows if row["kind"] == kind)
                print(f"{kind}: {wrong} of {number + 1} decided", flush=True)
    shares = {kind: np.mean([r["decision"] != "cannot tell" for r in rows if r["kind"] == kind]) for kind in KINDS}
    share = float(np.mean([row["decision"] != "cannot tell" for row in rows]))
    print(f"{share:.1%} of {len(rows)} experiments on a placebo were decided")
    found = {
        "what": f"{SEEDS} seeds x {FOLDS} folds of {ROWS} rows, {', '.join(RECIPE)}; table, folds and seeds by number",
        "experiments": len(rows),
        "share_decided": share,
        **{f"share_decided_{kind}": float(value) for kind, value in shares.items()},
        "bar": 0.05,
        "p": {kind: [round(row["p"], 4) for row in rows if row["kind"] == kind] for kind in KINDS},
        "machine": machine,
        "versions": describe_versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "placebo.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
