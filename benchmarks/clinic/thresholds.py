"""Where healthy trainings lie: ``python -m benchmarks.clinic.thresholds [--minutes M]``.

Trains the healthy runs of the clinic's calibration half and writes the quantities that rules compare with a threshold
of their own, each beside its threshold: what the comments at those thresholds refer to.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clinic.program import build, optimizer_of
from benchmarks.clinic.tables import CALIBRATION, TABLES
from benchmarks.clinic.zoo import ZOO
from benchmarks.results_file import describe_machine, describe_versions

__all__ = ["THRESHOLDS", "main", "measured", "summary"]

RESULTS = Path(__file__).resolve().parents[1] / "results" / "clinic-thresholds.json"
# Quantity -> (rule, the name of its threshold in the rule's module, True where healthy runs must stay below it).
THRESHOLDS: Mapping[str, tuple[str, str, bool]] = {
    "swing of the training loss / learned": ("oscillation", "SWING_OF_LEARNED", True),
    "swing of the training loss / its level": ("oscillation", "SWING_OF_LEVEL", True),
    "lowest validation loss / constant prediction's": ("overfit", "NO_GAIN", True),
    "gradient's norm / weights' norm at the start, per unit of loss": ("exploding_gradients", "LARGE", True),
    "gap between the losses / learned": ("unrepresentative_training_set", "WIDE_GAP", True),
    "swing of the validation loss / its start": ("unrepresentative_validation_set", "NOISY", True),
    "swing of the validation loss / that of the training loss": ("unrepresentative_validation_set", "NOISIER", True),
    "explained share of the constant prediction's loss": ("underfit_flat", "NOTHING_LEARNED", False),
}


def measured(statistics: Mapping[str, Any]) -> dict[str, float]:
    """Return the quantities of `THRESHOLDS` that the statistics of one run give."""
    from fallline.rules._curves import drop_scale, end_level, finite, jitter, smooth

    loss, start = finite(statistics["loss"])[1], float(statistics["start_loss"])
    half = loss[len(loss) // 2 :]
    reference = statistics.get("reference_loss")
    names = list(THRESHOLDS)
    found = {
        names[0]: jitter(half) / drop_scale(start, float(loss.min())),
        names[1]: jitter(half) / float(np.median(half)),
    }
    if "network_gradient_norm" in statistics:
        unit = max(1.0, start, float(loss[0]))
        found[names[3]] = float(statistics["network_gradient_norm"][0] / statistics["network_weight_norm"][0] / unit)
    if reference is not None:
        found[names[7]] = 1.0 - end_level(loss) / reference
    if statistics.get("val_loss") is not None:
        held = finite(statistics["val_loss"])[1]
        learned = start - statistics["kept_loss"]
        if reference is not None:
            found[names[2]] = float(smooth(held).min()) / reference
        found[names[4]] = (statistics["kept_val_loss"] - statistics["kept_loss"]) / learned
        found[names[5]] = jitter(held) / start
        found[names[6]] = jitter(held) / max(jitter(loss), 1e-12)
    return found


def summary(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return, for each quantity, its threshold and where the runs lie."""
    import importlib

    out = {}
    for name, (rule, threshold, below) in THRESHOLDS.items():
        values = np.array([run[name] for run in runs if name in run])
        limit = float(getattr(importlib.import_module(f"fallline.rules.{rule}"), threshold))
        beyond = values > limit if below else values < limit
        ends = {f"{q} %": float(f"{np.quantile(values, q / 100):.3g}") for q in (0, 50, 95, 100)} if len(values) else {}
        out[name] = {"threshold": limit, "runs": len(values), "beyond": int(beyond.sum()), **ends}
    return out


def _run(name: str, seed: int) -> dict[str, float]:
    import fallline as fl
    from fallline.rules._from_run import run_statistics

    program = ZOO[name].program(seed)
    model = build(program, seed)
    model.compile(optimizer=optimizer_of(program), loss=program.loss)
    held = None if program.val_x is None else (program.val_x, program.val_y)
    run = fl.train(
        model, program.x, program.y, validation_data=held, epochs=program.epochs, batch_size=program.batch, seed=seed,
        early_stopping=False, verbose=0,
    )  # fmt: skip
    return measured(run_statistics(run))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the healthy runs, print the table and write it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.clinic.thresholds", description=__doc__.splitlines()[2] if __doc__ else None
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="then the rest is left out")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    names = [name for name, member in ZOO.items() if TABLES[member.table].half == CALIBRATION]
    random.Random(0).shuffle(names)  # what is left out is a random part
    end, runs = time.monotonic() + 60 * given.minutes, []
    for done, name in enumerate(names, 1):
        runs.append(_run(name, 0))
        print(f"{done}/{len(names)} {name}", file=sys.stderr, flush=True)
        if time.monotonic() > end:
            break
    found = summary(runs)
    facts = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": describe_machine()}
    facts |= {"versions": describe_versions(), "healthy_runs": len(runs), "of": len(names)}
    given.out.write_text(json.dumps(facts | {"quantities": found}, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
