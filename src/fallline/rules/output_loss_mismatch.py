"""Output, loss and targets disagree.

What it does
------------
Checks the activation and width of the output against the loss and against the targets: one softmax unit, sigmoid or
linear or ReLU under a cross-entropy that expects probabilities, a loss that expects logits behind a softmax, a hinge
loss of outputs that cannot be negative, a loss that takes logarithms of what can be negative, integer labels under
``categorical_crossentropy``, labels that are words, a bounded output with targets outside its range, too few output
units, and mse where classes are meant.

Why it hurts
------------
The network then optimises something else than was meant, often without any error: one softmax unit is constant 1, a
ReLU cannot go below 0, a broadcast loss compares every row with every other.

When it is wrong
----------------
Keras rescales outputs to sum to 1 inside ``categorical_crossentropy``, so sigmoid units there do learn, only worse.
mse on probabilities (the Brier score) is a proper score, so it is a note.

Reference
---------
C. Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.6: the canonical link pairs linear with mse,
sigmoid with binary and softmax with categorical cross-entropy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fallline.rules._outputs import PROBABILITIES, RANGES, ROUNDING
from fallline.rules._rule import Symptom
from fallline.rules._statistics import CROSS_ENTROPIES, QUANTITY_LOSSES, canonical_loss
from fallline.types import Finding, Severity

__all__ = ["SYMPTOM", "examine"]

SYMPTOM = Symptom("S23", "output-loss-mismatch", "learning", ("before", "after"))

# Losses that compare an output with labels -1 and 1 (Keras turns 0 and 1 into them).
HINGES = ("hinge", "squared_hinge")
UNBOUNDED = ("linear", "leaky_relu")
CLASS_KINDS = ("binary", "multiclass", "multilabel")


@dataclass(frozen=True)
class _Facts:
    activation: str
    loss: str
    units: int | None
    from_logits: bool | None
    kind: str | None
    classes: int | None
    low: float | None
    high: float | None
    width: int | None
    whole: bool | None
    one_hot: bool | None
    word: str | None


@dataclass(frozen=True)
class _Fault:
    severity: Severity
    confidence: float
    message: str
    treatment: str


def _targets_are_words(f: _Facts) -> Iterator[_Fault]:
    if f.word is not None:
        yield _Fault(
            "serious",
            1.0,
            f"The targets are no numbers but words such as {f.word!r}: no loss can compare them with an output.",
            "number the classes from 0 (numpy.unique(y, return_inverse=True)) and use sparse_categorical_crossentropy "
            "with one softmax unit per class, or binary_crossentropy with one sigmoid unit for two classes",
        )


def _constant_output(f: _Facts) -> Iterator[_Fault]:
    if f.units != 1:
        return
    if f.activation == "softmax":
        yield _Fault(
            "serious",
            1.0,
            "The output is one softmax unit: it is 1 for every input, whatever the weights.",
            "use one sigmoid unit with binary_crossentropy, or one softmax unit per class",
        )
    elif f.loss in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        yield _Fault(
            "serious",
            1.0,
            f"The loss {f.loss} compares classes, but the output has one unit: the loss is constant.",
            "use one sigmoid unit with binary_crossentropy, or one softmax unit per class",
        )


def _activation_under_cross_entropy(f: _Facts) -> Iterator[_Fault]:
    if f.loss not in CROSS_ENTROPIES or (f.units == 1 and f.activation == "softmax"):
        return
    right = "sigmoid" if f.loss == "binary_crossentropy" else "softmax"
    if f.from_logits and f.activation in PROBABILITIES:
        yield _Fault(
            "serious",
            0.95,
            f"The loss {f.loss} expects logits (from_logits=True), but the output is a "
            f"{f.activation}: it is squashed twice.",
            f"use a linear output, or from_logits=False with {right}",
        )
    elif f.from_logits and f.activation != "linear":
        yield _Fault(
            "serious",
            0.85,
            f"The loss {f.loss} expects logits, but the output unit is {f.activation}, which cannot take every value.",
            "use a linear output",
        )
    elif f.from_logits is False and f.activation not in PROBABILITIES:
        yield _Fault(
            "serious",
            0.95,
            f"The loss {f.loss} expects probabilities, but the output is {f.activation}: "
            "values outside (0, 1) are clipped and give no gradient.",
            f"use {right} as the output activation, or from_logits=True with a linear output",
        )
    elif right == "softmax" and f.activation in ("sigmoid", "hard_sigmoid") and f.units != 1:
        yield _Fault(
            "warning",
            0.9,
            f"The output is {f.activation} under {f.loss}, which expects one distribution over "
            "the classes: the units are not compared with each other.",
            "use softmax as the output activation (binary_crossentropy, if a row can have several labels)",
        )


def _several_labels(f: _Facts) -> Iterator[_Fault]:
    counted = f.loss == "binary_crossentropy" or f.loss in QUANTITY_LOSSES
    if counted and f.activation == "softmax" and f.kind == "multilabel" and f.units != 1 and not f.from_logits:
        yield _Fault(
            "serious",
            0.9,
            "A row can have several labels here, but softmax forces the outputs to sum to 1.",
            "use sigmoid as the output activation",
        )
    elif f.loss == "binary_crossentropy" and f.activation == "softmax" and f.one_hot and f.units != 1:
        yield _Fault(
            "note",
            0.8,
            "Every row has exactly one class here, but binary_crossentropy judges each output by itself, and an "
            "accuracy beside it counts outputs, not rows.",
            "use categorical_crossentropy",
        )
    elif f.loss == "categorical_crossentropy" and f.kind == "multilabel":
        yield _Fault(
            "warning",
            0.85,
            "categorical_crossentropy expects exactly one class a row, but rows of these targets have several labels "
            "or none.",
            "use sigmoid as the output activation with binary_crossentropy",
        )


def _targets_under_cross_entropy(f: _Facts) -> Iterator[_Fault]:
    if f.loss not in CROSS_ENTROPIES or f.low is None or f.high is None:
        return
    if f.loss == "sparse_categorical_crossentropy":
        if f.one_hot:
            yield _Fault(
                "serious",
                0.95,
                "sparse_categorical_crossentropy expects one class number per row, but the targets are one-hot.",
                "use categorical_crossentropy",
            )
        elif f.low < 0 or f.whole is False:
            yield _Fault(
                "serious",
                0.95,
                f"sparse_categorical_crossentropy expects class numbers 0, 1, 2, ..., but the "
                f"targets run from {f.low:.4g} to {f.high:.4g}.",
                "number the classes from 0",
            )
        elif f.units is not None and 1 < f.units <= f.high:
            yield _Fault(
                "serious",
                1.0,
                f"The largest class number is {f.high:.0f}, but the output has only {f.units} "
                f"units (classes 0 to {f.units - 1}).",
                f"use {int(f.high) + 1} output units",
            )
        return
    if f.low < -ROUNDING or f.high > 1 + ROUNDING:
        if f.loss == "categorical_crossentropy" and f.width == 1 and f.whole:
            return  # integer labels: said below, by its own name
        words = "use targets 0 and 1"
        if f.whole is False:
            words = "use mse with a linear output, for the targets are quantities"
        elif f.low >= 0:
            words = (
                "use sparse_categorical_crossentropy with one softmax unit per class, if these are classes, else mse"
            )
        yield _Fault(
            "serious",
            0.95,
            f"{f.loss} expects targets between 0 and 1, but they run from {f.low:.4g} to {f.high:.4g}.",
            words,
        )


def _hinge(f: _Facts) -> Iterator[_Fault]:
    if f.loss in HINGES and f.activation in RANGES and RANGES[f.activation][0] > -1.0:
        yield _Fault(
            "warning",
            0.9,
            f"The loss {f.loss} drives outputs to -1 and below for one class, but a {f.activation} output "
            f"stays above {RANGES[f.activation][0]:.4g}.",
            "use a tanh or linear output, or sigmoid with binary_crossentropy",
        )


def _logarithms(f: _Facts) -> Iterator[_Fault]:
    """Yield what a loss that takes logarithms cannot read."""
    if f.loss == "poisson" and f.activation in (*UNBOUNDED, *(n for n, (low, _) in RANGES.items() if low < 0)):
        yield _Fault(
            "serious",
            0.9,
            f"The loss poisson takes the logarithm of the output, but a {f.activation} output can be negative.",
            "use exponential or softplus as the output activation",
        )
    if f.loss in ("poisson", "msle") and f.low is not None and f.low < -ROUNDING:
        yield _Fault(
            "serious",
            0.95,
            f"The targets run from {f.low:.4g}, but {f.loss} expects none below 0.",
            "use mse, or targets that are not centred",
        )


def _width(f: _Facts) -> Iterator[_Fault]:
    if f.units is None or f.width is None or f.loss == "sparse_categorical_crossentropy":
        return
    if f.loss == "categorical_crossentropy" and f.width == 1 and f.units > 1 and f.whole:
        yield _Fault(
            "serious",
            0.98,
            f"The targets are class numbers (one column), but categorical_crossentropy expects "
            f"one column per class ({f.units}).",
            "use sparse_categorical_crossentropy, or one-hot targets",
        )
    elif f.width != f.units and f.loss in (*CROSS_ENTROPIES, *QUANTITY_LOSSES):
        yield _Fault(
            "serious",
            0.95,
            f"The output has {f.units} units, but the targets have {f.width} "
            f"column{'s' if f.width > 1 else ''}: the loss cannot compare them one by one.",
            f"use {f.width} output unit{'s' if f.width > 1 else ''}",
        )


def _quantities(f: _Facts) -> Iterator[_Fault]:
    """Yield what is wrong with an output under mse and its kin."""
    if f.loss not in QUANTITY_LOSSES or (f.units == 1 and f.activation == "softmax"):
        return
    if f.kind in CLASS_KINDS and not (f.kind == "multilabel" and f.activation not in PROBABILITIES):
        if f.activation in PROBABILITIES:
            yield _Fault(
                "note",
                0.8,
                f"The loss {f.loss} is used for classes; cross-entropy learns faster where the "
                "network is sure and wrong.",
                "use cross-entropy",
            )
        else:
            yield _Fault(
                "warning",
                0.7,
                f"The targets look like classes, but a {f.activation} output under {f.loss} treats them as quantities.",
                "use sigmoid with binary_crossentropy, or softmax with (sparse_)categorical_crossentropy",
            )
    if f.low is None or f.high is None or f.activation not in RANGES:
        return
    bottom, top = RANGES[f.activation]
    margin = ROUNDING * max(abs(f.low), abs(f.high), 1.0)
    if f.low < bottom - margin or f.high > top + margin:
        yield _Fault(
            "serious",
            0.97,
            f"The targets run from {f.low:.4g} to {f.high:.4g}, but a {f.activation} output "
            f"can only take values from {bottom:.4g} to {top:.4g}.",
            "use a linear output, or scale the targets into the output's range",
        )
    elif f.activation == "softmax" and f.kind in ("regression", "multioutput"):
        yield _Fault(
            "serious", 0.9, "The outputs of a softmax sum to 1, but the targets are quantities.", "use a linear output"
        )


CHECKS = (
    _targets_are_words,
    _constant_output,
    _activation_under_cross_entropy,
    _several_labels,
    _targets_under_cross_entropy,
    _hinge,
    _logarithms,
    _width,
    _quantities,
)


def examine(
    output_activation: str,
    loss_name: str,
    output_units: int | None = None,
    from_logits: bool | None = None,
    problem_kind: str | None = None,
    class_counts: Mapping[Any, int] | None = None,
    target_min: float | None = None,
    target_max: float | None = None,
    target_width: int | None = None,
    target_is_whole: bool | None = None,
    target_is_one_hot: bool | None = None,
    target_word: str | None = None,
) -> Iterator[Finding]:
    """Yield one finding with the worst disagreement first and the others as evidence."""
    facts = _Facts(
        activation=str(output_activation).lower(),
        loss=canonical_loss(str(loss_name)),
        units=output_units,
        from_logits=from_logits,
        kind=problem_kind,
        classes=len(class_counts) if class_counts else None,
        low=target_min,
        high=target_max,
        width=target_width,
        whole=target_is_whole,
        one_hot=target_is_one_hot,
        word=target_word,
    )
    faults = [fault for check in CHECKS for fault in check(facts)]
    if not faults:
        return
    order = {"serious": 0, "warning": 1, "note": 2}
    faults.sort(key=lambda fault: (order[fault.severity], -fault.confidence))
    known = {
        "output_activation": facts.activation,
        "loss": facts.loss,
        "output_units": facts.units,
        "target_min": facts.low,
        "target_max": facts.high,
        "target_columns": facts.width,
        "classes": facts.classes,
        "target": facts.word,
    }
    yield SYMPTOM.finding(
        faults[0].severity,
        faults[0].confidence,
        " ".join(fault.message for fault in faults),
        evidence={name: value for name, value in known.items() if value is not None},
        cause="The output's activation or width, the loss and the targets were not chosen together.",
        what_to_try=tuple(dict.fromkeys(fault.treatment for fault in faults)),
    )
