"""What is to be repaired: the clinic's injected faults and its real programs, each with what a repair is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.clinic.faults import FAULTS, applies
from benchmarks.clinic.program import Program, base, build, optimizer_of
from benchmarks.clinic.programs import MOST_STEPS, half_squares, program_model, program_optimizer, program_rows
from benchmarks.clinic.run import stream
from benchmarks.clinic.tables import TABLES
from benchmarks.repair.fixes import fixed, rescaled

__all__ = ["LOST", "Case", "fault_cases", "program_cases"]

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # x and y to be repaired with, and to be judged on

# Faults that take information away, which no treatment can give back: reported apart.
LOST = ("contradicting labels", "a rare class", "fifty noisy rows")
# The clinic also splits these rows in their order, so that some targets are never seen: no treatment gives them back.
ORDERED = "rows in the order of the target"


@dataclass(frozen=True, eq=False)
class Case:
    """One training to be repaired.

    Args:
        what: fault or program.
        table: its data.
        model: () -> the compiled Keras model.
        x, y: rows that a repair may see.
        new_x, new_y: rows that it is judged on; a program that has none is judged on those it was trained on, as the
            known fix was.
        training: ``epochs``, ``batch_size``, ``shuffle``.
        classes: judged by accuracy (all labels of a row right); else by R2.
        reference: () -> the figure of the healthy recipe or of the known fix.
        needed: share of it that counts as repaired.
        group: ``faults``, ``lost`` or ``programs``.
        published: of a program: what its description says that the fix reached, on rows and seeds of its own.
        seed: of the rows and the first weights; also of the folds, the trainings and the random search.
    """

    what: str
    table: str
    model: Callable[[], Any]
    x: np.ndarray
    y: np.ndarray
    new_x: np.ndarray
    new_y: np.ndarray
    training: Mapping[str, Any]
    classes: bool
    reference: Callable[[Callable[[Case], float]], float]
    needed: float = 0.98
    group: str = "faults"
    published: float | None = None
    seed: int = 0

    @property
    def key(self) -> tuple[str, str, int]:
        """Return what tells trials apart."""
        return self.what, self.table, self.seed


def _case(program: Program, seed: int, **more: Any) -> Case:
    def model() -> Any:
        made = build(program, seed)
        made.compile(optimizer=optimizer_of(program), loss=program.loss)
        return made

    training = {"epochs": program.epochs, "batch_size": program.batch, "shuffle": program.shuffle}
    return Case(
        model=model, x=program.x, y=program.y, new_x=program.val_x, new_y=program.val_y, training=training,
        classes=program.kind != "regression", seed=seed, **more,
    )  # fmt: skip


def _in_order(program: Program) -> Program:
    order = np.argsort(program.y, kind="stable")
    return replace(program, x=program.x[order], y=program.y[order], shuffle=False)


def fault_cases(seed: int) -> list[Case]:
    """Return every fault on every data set that it fits, as the clinic injects it."""
    found = []
    for fault, inject in FAULTS.items():
        for table in TABLES:
            if not applies(inject, table):
                continue

            def healthy(judged: Callable[[Case], float], table: str = table) -> float:
                return judged(_case(base(table, seed), seed, what="healthy", table=table, reference=lambda _: 1.0))

            rng = np.random.default_rng(stream(fault, table, seed))
            spoiled = _in_order(base(table, seed)) if fault == ORDERED else inject.inject(base(table, seed), rng)
            group = "lost" if fault in LOST else "faults"
            found.append(_case(spoiled, seed, what=fault, table=table, reference=healthy, group=group))
    return found


def program_cases(described: list[dict[str, Any]], seed: int) -> list[Case]:
    """Return the faulty real programs whose fix is verified; it is trained on the same rows, as long as they are."""
    return [
        _program(one, seed) for one in described if not one["healthy"] and one["fix_verified"] == "yes"
    ]  # fmt: skip


def _program(one: Mapping[str, Any], seed: int) -> Case:
    x, y, held = program_rows(one, np.random.default_rng(seed))
    new_x, new_y = held if held is not None else (x, y)

    def fix(judged: Callable[[Case], float]) -> float:
        how = one["fix_spec"].get("data.scaling", "")
        own_x = rescaled(how, x, new_x)
        own_y = rescaled(how, y, new_y) if how == "standardize_xy" else [y, new_y]
        return judged(_made(fixed(one), (own_x[0], own_y[0], own_x[1], own_y[1]), seed, lambda _: 1.0))

    reached = one["observed"]["after_fix_spec"]
    values = [run["val_metric"] if held is not None else run["train_metric"] for run in reached]
    if any(value is None for value in values):
        values = [run["train_metric"] for run in reached]
    found = _made(one, (x, y, new_x, new_y), seed, fix)
    return replace(found, published=float(np.mean([float(value) for value in values])))


def _made(one: Mapping[str, Any], rows: Rows, seed: int, reference: Callable[..., float]) -> Case:
    x, y, new_x, new_y = rows
    batch = one.get("stand_in_overrides", {}).get("batch_size", one["batch_size"])
    epochs = min(one["epochs"], max(1, MOST_STEPS // -(-len(x) // batch)))

    def model() -> Any:
        made = program_model(one, x.shape[1:], seed)
        made.compile(optimizer=program_optimizer(one), loss=one["loss"] if one["loss"] != "mse_half" else half_squares)
        return made

    return Case(
        one["id"], one["data"]["kind"], model, x, y, new_x, new_y, {"epochs": epochs, "batch_size": batch},
        classes=one["task"] not in ("regression",), reference=reference, group="programs", seed=seed,
    )  # fmt: skip
