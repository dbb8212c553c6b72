"""The injected faults: what each changes in a healthy program, and which symptoms name it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.clinic.program import Program
from benchmarks.clinic.tables import TABLES

__all__ = ["FAULTS", "Fault", "applies"]

Inject = Callable[[Program, np.random.Generator], Program]


@dataclass(frozen=True)
class Fault:
    """One way to spoil a training.

    Args:
        names: symptoms that name it; the first is the plainest.
        inject: healthy program, rng -> spoiled program.
        kinds: kinds of problem that it fits, () for all.
        curved: only where a linear model does not suffice.
    """

    names: tuple[str, ...]
    inject: Inject
    kinds: tuple[str, ...] = ()
    curved: bool = False


CLASSES = ("binary", "multiclass")
# Different words for one thing, as in published labels of real programs.
TOO_FAST = ("learning-rate-too-high", "divergence", "oscillation", "exploding-gradients")
TOO_SLOW = ("learning-rate-too-low", "underfit-stopped-early", "underfit-flat")
FADED = ("vanishing-gradients", "saturated-units", "layer-not-learning")
MISMATCH = ("output-loss-mismatch", "targets-out-of-range")
GAP = ("overfit", "unrepresentative-training-set", "unrepresentative-validation-set", "capacity-unsuited")


def _set(**settings: object) -> Inject:
    return lambda program, rng: replace(program, **settings)


def _columns(program: Program, change: Callable[[np.ndarray], np.ndarray]) -> Program:
    held = None if program.val_x is None else change(program.val_x).astype(np.float32)
    return replace(program, x=change(program.x).astype(np.float32), val_x=held)


def _unscaled(program: Program, rng: np.random.Generator) -> Program:
    p = program.x.shape[1]
    factors, offsets = 10.0 ** rng.uniform(0, 4, p), rng.uniform(0, 3, p)
    factors[0] = 3000.0
    return _columns(program, lambda x: (x + offsets) * factors)


def _offset(program: Program, rng: np.random.Generator) -> Program:
    return _columns(program, lambda x: x * 20.0 + 500.0)


def _targets(factor: float, offset: float) -> Inject:
    def inject(program: Program, rng: np.random.Generator) -> Program:
        held = None if program.val_y is None else program.val_y * factor + offset
        return replace(program, y=program.y * factor + offset, val_y=held)

    return inject


def _holes(value: float) -> Inject:
    def inject(program: Program, rng: np.random.Generator) -> Program:
        x = program.x.copy()
        column = int(rng.integers(x.shape[1]))
        x[rng.random(len(x)) < 0.15, column] = value
        return replace(program, x=x)

    return inject


def _flipped(program: Program, rng: np.random.Generator) -> Program:
    y = program.y.copy()
    chosen = rng.random(len(y)) < 0.35
    y[chosen] = (y[chosen] + rng.integers(1, max(2, int(y.max()) + 1), chosen.sum())) % (int(y.max()) + 1)
    # The same rows again, with other labels: two records of one thing that contradict each other.
    return replace(program, x=np.concatenate([program.x, program.x]), y=np.concatenate([program.y, y]))


def _twins(program: Program, rng: np.random.Generator) -> Program:
    noise = 1e-4
    return _columns(program, lambda x: np.concatenate([x, x * 2.0 + noise, x[:, :1] * 0.0 + 1.0], axis=1))


def _rare(program: Program, rng: np.random.Generator) -> Program:
    """Forty to one, in training and validation alike."""

    def kept(y: np.ndarray) -> np.ndarray:
        many, few = np.flatnonzero(y == 0), np.flatnonzero(y != 0)
        return np.sort(np.concatenate([many, rng.choice(few, max(2, len(many) // 40), replace=False)]))

    train, held = kept(program.y), kept(program.val_y)
    return replace(
        program, x=program.x[train], y=program.y[train], val_x=program.val_x[held], val_y=program.val_y[held],
    )  # fmt: skip


def _sorted(program: Program, rng: np.random.Generator) -> Program:
    x = np.concatenate([program.x, program.val_x])
    y = np.concatenate([program.y, program.val_y])
    order = np.argsort(y, kind="stable")
    x, y, cut = x[order], y[order], len(program.x)
    return replace(program, x=x[:cut], y=y[:cut], val_x=x[cut:], val_y=y[cut:], shuffle=False)


def _few_rows(program: Program, rng: np.random.Generator) -> Program:
    y = program.y[:50].copy()
    if program.kind == "regression":
        y = y + rng.normal(0, 1.0, len(y)).astype(np.float32)
    else:
        noisy = rng.random(len(y)) < 0.25
        y[noisy] = rng.integers(0, max(2, program.units), noisy.sum())
    return replace(program, x=program.x[:50], y=y, hidden=(256, 256), epochs=150, rate=0.003)


FAULTS: Mapping[str, Fault] = {
    "inputs of many sizes": Fault(("inputs-not-scaled",), _unscaled),
    "inputs around 500": Fault(("inputs-not-scaled",), _offset),
    "targets in thousands": Fault(
        ("targets-not-scaled", "targets-out-of-range"), _targets(5000.0, 20000.0), ("regression",)
    ),
    "Adam's rate 1": Fault(TOO_FAST, _set(rate=1.0)),
    "SGD's rate 20": Fault(TOO_FAST, _set(optimizer="SGD", rate=20.0)),
    "SGD's rate 2, momentum 0.9": Fault(TOO_FAST, _set(optimizer="SGD", rate=2.0, momentum=0.9)),
    "Adam's rate 1e-6": Fault(TOO_SLOW, _set(rate=1e-6)),
    "SGD's rate 1e-4": Fault(TOO_SLOW, _set(optimizer="SGD", rate=1e-4)),
    "two epochs": Fault((*TOO_SLOW,), _set(epochs=2, rate=0.0003)),
    "no activation": Fault(
        ("no-nonlinearity", "capacity-unsuited", "underfit-flat"), _set(activation="linear"), (), True
    ),
    "ten sigmoid layers": Fault(FADED, _set(activation="sigmoid", hidden=(16,) * 10)),
    "units born dead": Fault(("dead-relu",), _set(bias=-20.0)),
    "tanh units born saturated": Fault(("bad-initial-scale", "saturated-units"), _set(activation="tanh", kernel=20.0)),
    "weights of zero": Fault(("symmetric-units", "bad-initial-scale"), _set(kernel="zeros")),
    "weights of one": Fault(("symmetric-units", "bad-initial-scale"), _set(kernel="ones")),
    "weights of sd 10": Fault(("bad-initial-scale", "exploding-gradients"), _set(kernel=10.0, hidden=(32, 32, 32))),
    "weights of sd 0.0001": Fault(("bad-initial-scale", *FADED), _set(kernel=1e-4, hidden=(32, 32, 32))),
    "one softmax unit": Fault(MISMATCH, _set(output="softmax"), ("binary",)),
    "relu output for classes": Fault(MISMATCH, _set(output="relu"), CLASSES),
    "linear output with a cross-entropy": Fault(MISMATCH, _set(output="linear"), CLASSES),
    "sigmoid output for numbers": Fault(MISMATCH, _set(output="sigmoid"), ("regression",)),
    "relu output for negative numbers": Fault(MISMATCH, _set(output="relu"), ("regression",)),
    "dropout 0.95": Fault(("over-regularised", "underfit-flat"), _set(dropout=0.95)),
    "L2 penalty 3": Fault(("over-regularised", "underfit-flat"), _set(l2=3.0)),
    "holes in the inputs": Fault(("missing-values",), _holes(float("nan"))),
    "-999 for missing": Fault(("missing-values",), _holes(-999.0)),
    "contradicting labels": Fault(("suspect-labels",), _flipped, CLASSES),
    "every input twice": Fault(("inputs-correlated",), _twins),
    "a rare class": Fault(("class-imbalance",), _rare, ("binary",)),
    "rows in the order of the target": Fault(
        ("not-shuffled", "unrepresentative-training-set", "unrepresentative-validation-set"), _sorted
    ),
    "fifty noisy rows": Fault(GAP, _few_rows),
    "one hidden unit": Fault(("capacity-unsuited", "underfit-flat"), _set(hidden=(1,)), (), True),
    "batch norm before dropout": Fault(("batch-norm-with-dropout",), _set(norm=True, dropout=0.5)),
}


def applies(fault: Fault, table: str) -> bool:
    """Return whether the fault makes sense on this data set."""
    facts = TABLES[table]
    return (not fault.kinds or facts.kind in fault.kinds) and (facts.curved or not fault.curved)
