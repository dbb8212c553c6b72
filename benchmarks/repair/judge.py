"""Repairing one case, and judging what came out on fresh seeds and rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.clinic.run import stream
from benchmarks.repair.cases import Case

__all__ = ["beside", "fresh", "judge", "repaired"]

_FRESH, _JUDGED = 1001, 3  # so many trainings judge, with seeds from here on, which no choice has seen
FOLDS, SEEDS = 5, 2
# Of a random draw: treatments in a chain.
_LONGEST_CHAIN = 3


def fresh(case: Case) -> list[int]:
    """Return the seeds that judge a case, others for each of its own seeds."""
    return [_FRESH + _JUDGED * case.seed + place for place in range(_JUDGED)]


def judge(case: Case, design: Any = None) -> float:
    """Return the mean figure of a design (default: the case as it is) over trainings with fresh seeds.

    Where there are gaps that it does not fill nothing can be trained: 0.
    """
    import fallline as fl
    from fallline.keras_config import fills_gaps
    from fallline.treatments import design_of

    design = design if design is not None else design_of(case.model(), **case.training)
    n, new = len(case.x), len(case.new_x)
    same = case.new_x is case.x
    x = case.x if same else np.concatenate([case.x, case.new_x])
    y = case.y if same else np.concatenate([case.y, case.new_y])
    centre, scale = design.target_scale or (0.0, 1.0)
    training = {"early_stopping": False, **dict(design.training)}
    rows, validation = np.arange(n), np.zeros(0, np.int64)
    if training["early_stopping"]:
        mixed = np.random.default_rng(0).permutation(n)
        rows, validation = np.sort(mixed[n // 5 :]), np.sort(mixed[: n // 5])
    held = np.arange(n, n + new)
    # Where a program has no rows of its own to judge on, they stand behind the others once more.
    if same:
        x, y = np.concatenate([x, x]), np.concatenate([y, y])
    model = design.build()
    if not fills_gaps(model, x):
        return 0.0
    runs = fl.train_many(
        model, x, y if (centre, scale) == (0.0, 1.0) else (y - centre) / scale, seeds=fresh(case),
        folds=[(rows, validation, held)], verbose=0, **training,
    )  # fmt: skip
    values = []
    for run in runs:
        lost = run.outcome == "diverged" or run.held_out is None
        outputs = None if lost else np.asarray(run.held_out.prediction) * scale + centre
        values.append(figure(y[held], outputs, case.classes))
    return float(np.mean(values))


def figure(y: np.ndarray, outputs: np.ndarray | None, classes: bool) -> float:
    """Return the accuracy (all labels of a row right) or R2; 0 where there is nothing finite."""
    if outputs is None or not np.isfinite(outputs).all():
        return 0.0
    y, out = y.reshape(len(y), -1), outputs.reshape(len(outputs), -1)
    if not classes:
        spread = float(((y - y.mean(axis=0)) ** 2).sum())
        return 1.0 - float(((y - out) ** 2).sum()) / spread if spread else 0.0
    if y.shape[1] == 1 and out.shape[1] > 1:
        return float((out.argmax(axis=1) == y[:, 0]).mean())
    one_hot = y.shape[1] > 1 and bool((y.sum(axis=1) == 1).all())
    if one_hot:
        return float((out.argmax(axis=1) == y.argmax(axis=1)).mean())
    return float(((out > 0.5) == (y > 0.5)).all(axis=1).mean())


def repaired(
    case: Case, *, trainings: int, seconds: float | None, randomly: bool, told: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """Repair one case by `fallline.improve` and by a random search of equal cost; return a row of figures."""
    warnings.simplefilter("ignore")  # Keras has something to say about some of them
    row: dict[str, Any] = {"what": case.what, "table": case.table, "seed": case.seed, "group": case.group}
    row |= {"needed": case.needed, "most_trainings": trainings}
    began, began_cpu = time.perf_counter(), time.process_time()
    try:
        row["reference"] = case.reference(judge)
        row |= {} if case.published is None else {"published": case.published}
        row["found"] = judge(case)
        row |= _improved(case, trainings, seconds, told)
        row["seconds"] = round(time.perf_counter() - began, 1)
        row["cpu_seconds"] = round(time.process_time() - began_cpu, 1)
        if randomly:
            row |= _random(case, row["trainings"])
    except Exception as error:  # noqa: BLE001  a case that fails is counted, with its reason
        row["error"] = f"{type(error).__name__}: {error}"[:300]
    return _judged(row)


def beside(case: Case, row: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a repaired case with the figures of the random search; a repair without them stays as it is."""
    warnings.simplefilter("ignore")
    return row if "error" in row else _judged(row | _random(case, row["trainings"]))


def _judged(row: dict[str, Any]) -> dict[str, Any]:
    for who in ("improved", "random"):
        if who in row:
            row[f"{who}_cures"] = bool(row[who] >= row["needed"] * row["reference"])
    return row


def _improved(case: Case, trainings: int, seconds: float | None, told: Callable[[Any], Any] | None) -> dict[str, Any]:
    import fallline as fl

    found = fl.improve(
        case.model(), case.x, case.y, **case.training, budget=seconds, trainings=trainings, folds=_folds(case),
        seeds=_seeds(case), holdout=0, seed=case.seed, on_event=told,
    )  # fmt: skip
    return {
        "improved": judge(case, found.better), "kept": list(found.treatments), "trainings": found.trainings,
        "outcome": found.outcome, "findings": [one.symptom for one in found.before if one.severity != "note"],
    }  # fmt: skip


def _seeds(case: Case) -> list[int]:
    return [SEEDS * case.seed + place for place in range(SEEDS)]


def _folds(case: Case) -> int:
    return min(FOLDS, len(case.x))  # one program has four rows


def _random(case: Case, trainings: int) -> dict[str, Any]:
    """Draw chains of treatments, measure them as improve does, keep the best mean; as many trainings as it took."""
    from fallline.improve.keras_models import KerasBench, design_from
    from fallline.treatments import discover

    rng = np.random.default_rng(stream(case.what, case.table, case.seed))  # each case has draws of its own
    seeds = _seeds(case)[:1]
    design = design_from(case.model(), None, None, case.training)
    folds = _folds(case)
    bench = KerasBench(design, case.x, case.y, folds=folds, holdout=0, metric=None, seed=case.seed)
    names = [one.name for one in discover()]
    best, gain, spent, tried = design, 0.0, 0, set()
    while True:
        control = 0 if bench.remembers(design, seeds, 0) else 1  # is trained once
        room = min(bench.most_arms, (trainings - spent) // folds - control)
        if room < 1:
            break
        arms: dict[str, Any] = {}
        for _ in range(200):
            chain = tuple(rng.choice(names, rng.integers(1, _LONGEST_CHAIN + 1), replace=False).tolist())
            treated = bench.treated(design, chain)
            if treated is not None and bench.key(treated) not in tried and bench.viable(treated):
                tried.add(bench.key(treated))
                arms[" + ".join(chain)] = treated
            if len(arms) == room:
                break
        if not arms:
            break
        found = bench.experiment(design, arms, seeds, 0, lambda now: False)
        bench.metric = found.metric  # gains by another would not compare
        spent += (control + len(arms)) * folds
        for one in found.comparisons:
            if one.mean > gain:
                best, gain = arms[one.name], one.mean
    return {"random": judge(case, best), "random_kept": list(best.treatments), "random_trainings": spent}
