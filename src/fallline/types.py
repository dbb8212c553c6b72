"""The nouns of fallline: plain, frozen values that every room shares.

Nothing here computes, reads or writes. JAX and Keras are not imported. Methods that a person expects on a noun but
that belong to a higher room (``Run.save``, ``Run.predict`` ...) are looked up by name when they are called, so that
importing this module stays free and the rooms below never depend on those above.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMN_KINDS",
    "FAMILIES",
    "OPTIMIZER_NUMBERS",
    "PROBLEM_KINDS",
    "SCHEDULE_NUMBERS",
    "SEVERITIES",
    "Column",
    "ColumnSummary",
    "Diagnosis",
    "EnsembleRecipe",
    "Finding",
    "HeldOut",
    "NetworkRecipe",
    "OptimizerRecipe",
    "Outcome",
    "PrepareRecipe",
    "Problem",
    "ProblemKind",
    "Progress",
    "Recipe",
    "Run",
    "Score",
    "SplitRecipe",
    "StoppingRecipe",
    "Summary",
    "Trace",
    "TrainingRecipe",
]

# ----------------------------------------------------------------------------------------------- the problem

ProblemKind = Literal["regression", "binary", "multiclass", "multioutput", "multilabel"]
PROBLEM_KINDS: tuple[ProblemKind, ...] = ("regression", "binary", "multiclass", "multioutput", "multilabel")

ColumnKind = Literal["numeric", "boolean", "date", "category", "left_out"]
COLUMN_KINDS: tuple[ColumnKind, ...] = ("numeric", "boolean", "date", "category", "left_out")


@dataclass(frozen=True)
class Column:
    """One input column as fallline understood it.

    Args:
        name: the column's name in the user's table.
        kind: how it is used; ``left_out`` columns do not reach the network.
        reason: for ``left_out``: why, in words for the user.
    """

    name: str
    kind: ColumnKind
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be learned: inputs, targets, and how they were understood.

    Args:
        kind: the kind of problem; it decides the loss and the output unit.
        frame: the inputs, shape (n_rows, n_columns), one pandas column per entry of ``columns``, in that order
            (left-out columns included).
        y: encoded targets. regression (n,) float64; binary (n,) int64 of 0/1; multiclass (n,) int64 class index;
            multioutput (n, k) float64; multilabel (n, k) int64 of 0/1.
        target_names: the target columns' names, length 1 or k.
        classes: the labels in index order (binary and multiclass), as the user wrote them; else empty.
        columns: the input columns.
        notes: sentences for the user: rows left out, columns left out and why, how the kind was inferred.
        sample_weight: (n,) float64, or None.
        groups: (n,) labels of groups that must not be split, or None.
        fingerprint: sha256 (hex) of the inputs and targets as read.
        source: where the data came from, in words or as a path; may be empty.
    """

    kind: ProblemKind
    frame: pd.DataFrame
    y: np.ndarray
    target_names: tuple[str, ...]
    classes: tuple[Any, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    sample_weight: np.ndarray | None = None
    groups: np.ndarray | None = None
    fingerprint: str = ""
    source: str = ""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def n_outputs(self) -> int:
        """Width of the network's output: 1 for regression and binary, else classes, targets or labels."""
        if self.kind == "multiclass":
            return len(self.classes)
        return 1 if self.y.ndim == 1 else int(self.y.shape[1])

    @property
    def is_classification(self) -> bool:
        """True when the targets are labels rather than quantities."""
        return self.kind in ("binary", "multiclass", "multilabel")


@dataclass(frozen=True, eq=False)
class ColumnSummary:
    """What the data summary knows of one column (inputs and targets alike).

    Args:
        name: the column's name.
        kind: as understood (``target`` columns carry their own kind too).
        count: number of values that are present.
        missing: number of missing values.
        distinct: number of distinct values.
        statistics: ``mean, sd, min, q25, median, q75, max`` for quantities; empty for categories.
        histogram: (edges (b+1,), counts (b,)) for quantities, else None.
        levels: most frequent values with their counts, most frequent first, for categories.
        association: strength of the column's relation to the target in [0, 1], or NaN where it is not defined.
        remark: one sentence when something deserves attention, else "".
    """

    name: str
    kind: str
    count: int
    missing: int
    distinct: int
    statistics: Mapping[str, float] = field(default_factory=dict)
    histogram: tuple[np.ndarray, np.ndarray] | None = None
    levels: tuple[tuple[str, int], ...] = ()
    association: float = math.nan
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Summary:
    """The data summary (catalogue D4): what a careful person would look at before training.

    Args:
        n_rows: rows with a target.
        columns: one summary per input column.
        targets: one summary per target column.
        class_counts: label (as text) -> rows, for classification; else empty.
        duplicate_rows: number of rows that repeat an earlier row, inputs and target alike.
        correlated: pairs of numeric columns with |r| >= 0.95: (name, name, r).
        leakage: columns suspected of giving the target away: (name, sentence).
        remarks: sentences worth reading first.
    """

    n_rows: int
    columns: tuple[ColumnSummary, ...]
    targets: tuple[ColumnSummary, ...]
    class_counts: Mapping[str, int]
    duplicate_rows: int
    correlated: tuple[tuple[str, str, float], ...] = ()
    leakage: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------ the recipe


def _entry(default: Any, doc: str, **constraint: Any) -> Any:
    """A recipe entry: its default, its one-line documentation and its constraint.

    Constraints: ``choices=(...)``, ``low=``, ``high=`` (inclusive), ``above=`` (exclusive), ``auto=True`` when the
    word "auto" is allowed as well, ``each=True`` when the entry is a list and the bounds hold for each element.
    """
    return field(default=default, metadata={"doc": doc, **constraint})


@dataclass(frozen=True)
class SplitRecipe:
    """Which rows train, which validate, which are kept for the final score."""

    test: float = _entry(0.2, "share of the rows kept untouched for the final score; 0 keeps none", low=0.0, high=0.9)
    folds: int | Literal["auto"] = _entry(
        "auto",
        "every member of the ensemble is validated on another of so many folds; 1: one validation set for all",
        low=1,
        high=100,
        auto=True,
    )
    validation: float = _entry(0.2, "share of the training rows that validate, when folds = 1", above=0.0, high=0.9)
    stratify: bool = _entry(True, "keep the classes' shares equal in all parts (classification)")
    group: str = _entry("", "column whose equal values must stay together in one part; empty: none")
    time: str = _entry("", "column that orders the rows in time: train on the past, test on the latest; empty: none")


@dataclass(frozen=True)
class PrepareRecipe:
    """How columns become numbers; statistics come from training rows only."""

    numeric: str = _entry(
        "robust",
        "scaling of numbers: robust = (x - median) / IQR, standard = (x - mean) / sd, minmax = to [-1, 1]",
        choices=("robust", "standard", "minmax", "none"),
    )
    clip: float = _entry(3.0, "squash scaled numbers smoothly, x / sqrt(1 + (x / clip)^2); 0: off", low=0.0)
    max_levels: int = _entry(100, "most frequent categories kept per column; the others share one level", low=2)
    target: str = _entry(
        "standard",
        "scaling of regression targets during training; undone inside the saved model",
        choices=("standard", "none"),
    )
    clip_target: bool = _entry(True, "keep predicted quantities within the range seen in training")


@dataclass(frozen=True)
class NetworkRecipe:
    """The network's architecture (part of the compiled program)."""

    kind: str = _entry("mlp", "the architecture", choices=("mlp",))
    hidden: tuple[int, ...] | Literal["auto"] = _entry(
        "auto",
        "units of each hidden layer, e.g. [256, 256]; []: linear model; auto: by the number of rows",
        low=1,
        each=True,
        auto=True,
    )
    activation: str = _entry(
        "auto",
        "activation of the hidden layers; auto: what the preset's measurements favour",
        choices=(
            "auto",
            "relu",
            "selu",
            "elu",
            "gelu",
            "silu",
            "mish",
            "tanh",
            "sigmoid",
            "lecun_tanh",
            "leaky_relu",
            "linear",
        ),
    )
    initializer: str = _entry(
        "auto",
        "initial weights; auto: he_normal for the ReLU family, lecun_normal for selu, else glorot_uniform",
        choices=(
            "auto",
            "glorot_uniform",
            "glorot_normal",
            "he_normal",
            "he_uniform",
            "lecun_normal",
            "lecun_uniform",
            "orthogonal",
            "random_normal",
        ),
    )
    embedding: str = _entry(
        "auto",
        "expansion of each number before the first layer: periodic = learned cos(2 pi (w x + b)) features",
        choices=("auto", "none", "periodic"),
    )
    input_scale: bool = _entry(True, "learn one factor per input before the first hidden layer")
    skip: bool = _entry(True, "add a linear path from the inputs to the output beside the deep one")
    normalization: str = _entry("none", "normalisation after each hidden layer", choices=("none", "batch", "layer"))
    dropout: float | Literal["auto"] = _entry(
        "auto", "share of hidden units silenced at random in training", low=0.0, high=0.95, auto=True
    )
    rate_per_layer: bool = _entry(
        True,
        "scale each kernel's learning rate by sqrt(256 / fan_in), so that wide and narrow layers learn at equal speed",
    )
    input_noise: float = _entry(
        0.0, "standard deviation of Gaussian noise added to the prepared inputs in training", low=0.0
    )


# The one place that says which optimizers there are and which of the recipe's numbers each reads besides the learning
# rate: the recipe's checks and `fallline.optimize` both go by it.
OPTIMIZER_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum",),
    "adam": ("beta_1", "beta_2"),
    "adamw": ("beta_1", "beta_2", "weight_decay"),
    "nadam": ("beta_1", "beta_2"),
    "rmsprop": ("beta_2", "momentum"),
    "adagrad": (),
    "adadelta": ("beta_2",),
    "lion": ("beta_1", "beta_2", "weight_decay"),
}

# The same for the schedules of the learning rate.
SCHEDULE_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "constant": (),
    "cosine": (),
    "flat_cosine": (),
    "one_cycle": (),
    "coslog4": (),
    "linear": (),
    "step": ("schedule_end", "schedule_drops"),
    "exponential": ("schedule_end",),
    "inverse_time": ("schedule_end",),
}


@dataclass(frozen=True)
class OptimizerRecipe:
    """How weights move (numbers: none of them needs a new compilation)."""

    name: str = _entry("auto", "the learning algorithm; auto: adamw", choices=("auto", *OPTIMIZER_NUMBERS))
    learning_rate: float | Literal["auto"] = _entry(
        "auto", "step size (its peak, under a schedule)", above=0.0, auto=True
    )
    momentum: float | Literal["auto"] = _entry(
        "auto", "momentum; auto: 0.9, but 0 for rmsprop (sgd, rmsprop)", low=0.0, high=0.9999, auto=True
    )
    nesterov: bool = _entry(False, "look ahead (sgd)")
    beta_1: float = _entry(
        0.9,
        "decay of the gradient's running mean (adam, adamw, nadam); its weight in a step (lion)",
        low=0.0,
        high=0.9999,
    )
    beta_2: float | Literal["auto"] = _entry(
        "auto",
        "decay of the squared gradient's running mean (Adam's family, rmsprop, adadelta); of the gradient's (lion)",
        low=0.0,
        high=0.99999,
        auto=True,
    )
    weight_decay: float | Literal["auto"] = _entry(
        "auto", "decoupled decay of kernels per step, times the learning rate (adamw, lion)", low=0.0, auto=True
    )
    l2: float = _entry(0.0, "penalty (l2 / 2) * sum of squared kernels, added to the loss", low=0.0)
    l1: float = _entry(0.0, "penalty l1 * sum of absolute kernels, added to the loss", low=0.0)
    clip_norm: float = _entry(0.0, "scale gradients down to this global norm; 0: off", low=0.0)
    schedule: str = _entry(
        "auto",
        "the learning rate over the training; auto: cosine (constant for a Keras model of your own)",
        choices=("auto", *SCHEDULE_NUMBERS),
    )
    schedule_end: float = _entry(
        0.01,
        "share of the learning rate that is left at the end (step, exponential, inverse_time)",
        low=1e-6,
        high=1.0,
    )
    schedule_drops: int = _entry(
        2, "number of equal drops, equally far apart, down to schedule_end (step)", low=1, high=1000
    )
    warmup: float = _entry(0.0, "share of the training in which the rate rises linearly from 0", low=0.0, high=0.9)


@dataclass(frozen=True)
class TrainingRecipe:
    """How long and in what portions the network sees the data."""

    epochs: int | Literal["auto"] = _entry("auto", "most passes over the training rows", low=1, auto=True)
    batch_size: int | Literal["auto"] = _entry("auto", "examples per step", low=1, auto=True)
    shuffle: bool = _entry(True, "new order of the examples in each epoch")
    loss: str = _entry(
        "auto",
        "auto: cross-entropy for labels, mse for quantities (maximum likelihood)",
        choices=("auto", "cross_entropy", "mse", "mae", "huber"),
    )
    label_smoothing: float = _entry(
        0.0, "move this share of the target probability evenly to all classes", low=0.0, high=0.5
    )
    class_weight: str = _entry(
        "none", "balanced: weigh classes inversely to their frequency", choices=("none", "balanced")
    )


@dataclass(frozen=True)
class StoppingRecipe:
    """When to end, and which weights to keep."""

    criterion: str = _entry(
        "patience",
        "patience: stop after so many epochs without improvement; none: run all epochs",
        choices=("none", "patience"),
    )
    patience: int | Literal["auto"] = _entry("auto", "epochs without improvement before stopping", low=1, auto=True)
    min_delta: float = _entry(0.0, "smallest decrease of the validation loss that counts as improvement", low=0.0)
    restore_best: bool = _entry(True, "go back to the weights of the best validation loss")


@dataclass(frozen=True)
class EnsembleRecipe:
    """Several networks, trained as one compiled population, whose predictions are averaged."""

    members: int | Literal["auto"] = _entry("auto", "number of networks", low=1, high=10_000, auto=True)
    calibrate: bool | Literal["auto"] = _entry(
        "auto",
        "fit one temperature on validation rows, so that probabilities mean what they say; auto: from 1000 rows",
        auto=True,
    )


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained: the whole of it can be written as TOML.

    Entries that say ``"auto"`` are resolved from the size and kind of the problem; a run records the resolved recipe.
    """

    preset: str = _entry(
        "default",
        "default: today's best practice for tables; simple: one ReLU network, Adam, patience",
        choices=("default", "simple"),
    )
    seed: int = _entry(0, "the same seed on the same machine gives the same result", low=0, high=2**32 - 1)
    split: SplitRecipe = field(default_factory=SplitRecipe)
    prepare: PrepareRecipe = field(default_factory=PrepareRecipe)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    stopping: StoppingRecipe = field(default_factory=StoppingRecipe)
    ensemble: EnsembleRecipe = field(default_factory=EnsembleRecipe)


# ------------------------------------------------------------------------------------------------- the trace


@dataclass(frozen=True, eq=False)
class Trace:
    """What was seen during training, in long format: one row per value.

    Args:
        member: (r,) int32, index of the network in its population.
        epoch: (r,) int32, completed epochs, from 1 (0: before the first step).
        layer: (r,) object, layer name, "" for quantities of the whole network.
        quantity: (r,) object: ``loss`` and ``val_loss`` (evaluation mode), ``running_loss`` (mean over the epoch's
            steps, training mode), ``accuracy``, ``val_accuracy``, ``rmse`` ..., ``learning_rate``.
        value: (r,) float64.
    """

    member: np.ndarray
    epoch: np.ndarray
    layer: np.ndarray
    quantity: np.ndarray
    value: np.ndarray

    @staticmethod
    def from_columns(rows: Mapping[str, Sequence[Any] | np.ndarray]) -> Trace:
        """Build a trace from five equally long columns.

        >>> t = Trace.from_columns({"member": [0, 0], "epoch": [1, 2], "layer": ["", ""],
        ...                         "quantity": ["loss", "loss"], "value": [0.5, 0.4]})
        >>> t.curve("loss").tolist()
        [0.5, 0.4]
        """
        return Trace(
            member=np.asarray(rows["member"], np.int32),
            epoch=np.asarray(rows["epoch"], np.int32),
            layer=np.asarray(rows["layer"], object),
            quantity=np.asarray(rows["quantity"], object),
            value=np.asarray(rows["value"], np.float64),
        )

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of the quantities that were watched, sorted."""
        return tuple(sorted(set(self.quantity.tolist())))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that were watched, in order of first appearance."""
        return tuple(dict.fromkeys(name for name in self.layer.tolist() if name))

    @property
    def members(self) -> tuple[int, ...]:
        """Indices of the population's members."""
        return tuple(sorted(set(self.member.tolist())))

    @property
    def n_epochs(self) -> int:
        """The last completed epoch of any member; 0 for an empty trace."""
        return int(self.epoch.max()) if len(self.epoch) else 0

    def matrix(self, quantity: str, layer: str = "") -> np.ndarray:
        """Return one quantity as (members, epochs), NaN where a member has no value; epoch 1 stands in column 0."""
        chosen = (self.quantity == quantity) & (self.layer == layer) & (self.epoch >= 1)
        members = {m: i for i, m in enumerate(self.members)}
        out = np.full((len(members), self.n_epochs), np.nan)
        rows = np.fromiter((members[m] for m in self.member[chosen].tolist()), np.int64, int(chosen.sum()))
        out[rows, self.epoch[chosen] - 1] = self.value[chosen]
        return out

    def curve(self, quantity: str, layer: str = "", member: int | None = None) -> np.ndarray:
        """Return one quantity per epoch, shape (epochs,), from epoch 1.

        For several members it is their mean, up to the last epoch that at least half of them reached: beyond it the
        survivors are a selection, and their mean would bend the curve.
        """
        values = self.matrix(quantity, layer)
        if member is not None:
            row: np.ndarray = values[self.members.index(member)]
            present = np.flatnonzero(~np.isnan(row))
            return row[: present[-1] + 1] if len(present) else row[:0]
        seen = (~np.isnan(values)).sum(axis=0)
        long_enough = np.flatnonzero(seen * 2 >= max(len(values), 1))
        end = int(long_enough[-1]) + 1 if len(long_enough) and seen.any() else 0
        kept, count = values[:, :end], seen[:end]
        return np.where(count > 0, np.nansum(kept, axis=0) / np.maximum(count, 1), np.nan)

    def to_frame(self) -> pd.DataFrame:
        """Return the trace as a pandas frame with the columns member, epoch, layer, quantity, value."""
        import pandas as pd

        return pd.DataFrame({f.name: getattr(self, f.name) for f in fields(self)})


# ------------------------------------------------------------------------------------------------- diagnosis

Severity = Literal["note", "warning", "serious"]
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "serious")
Family = Literal["learning", "generalisation", "prediction"]
FAMILIES: tuple[Family, ...] = ("learning", "generalisation", "prediction")


@dataclass(frozen=True)
class Finding:
    """One named symptom with its evidence.

    Args:
        symptom: plain kebab-case name, e.g. ``overfit``; ``fallline rules`` lists them all.
        id: the catalogue's id, e.g. ``S3``.
        family: learning (cannot fit), generalisation (fits, fails on new rows), prediction (depends on the seed).
        severity: ``note`` (remarks, good fit), ``warning`` or ``serious``.
        confidence: in [0, 1].
        message: one sentence for a beginner, numbers included.
        evidence: name -> number (or short text) that the message rests on.
        cause: the likely cause, one sentence.
        treatments: what to try, in order, short imperative sentences or treatment names.
        layer: the layer concerned, or "".
        epoch: the epoch at which it shows, or None.
    """

    symptom: str
    id: str
    family: Family
    severity: Severity
    confidence: float
    message: str
    evidence: Mapping[str, float | int | str] = field(default_factory=dict)
    cause: str = ""
    treatments: tuple[str, ...] = ()
    layer: str = ""
    epoch: int | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All findings about one run (or one model before training), most important first.

    Args:
        findings: in rank order.
        not_examined: symptom -> why its rule could not speak (a statistic that was not watched).
        examined: symptoms whose rules looked, whether or not they found something.
    """

    findings: tuple[Finding, ...] = ()
    not_examined: Mapping[str, str] = field(default_factory=dict)
    examined: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """True when no finding is a warning or worse."""
        return all(finding.severity == "note" for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: int) -> Finding:
        return self.findings[index]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers, ready for JSON."""
        return {
            "healthy": self.healthy,
            "findings": [
                {f.name: _plain(getattr(finding, f.name)) for f in fields(finding)} for finding in self.findings
            ],
            "examined": list(self.examined),
            "not_examined": dict(self.not_examined),
        }

    def __str__(self) -> str:
        lines = [f"{finding.severity:8} {finding.symptom}: {finding.message}" for finding in self.findings]
        if self.healthy:
            lines.insert(0, "Nothing is wrong as far as was examined.")
        if self.not_examined:
            lines.append(f"Not examined: {', '.join(sorted(self.not_examined))}.")
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


# --------------------------------------------------------------------------------------------------- the run


@dataclass(frozen=True)
class Score:
    """One figure of merit on named rows, with its uncertainty.

    Args:
        metric: ``log_loss``, ``accuracy``, ``auc``, ``rmse``, ``mae``, ``r2``.
        value: the figure.
        low: lower end of the 95 % interval (bootstrap over rows), NaN when not computed.
        high: upper end.
        rows: on which rows: ``test`` (untouched), ``out_of_fold`` or ``validation``.
        n: how many rows.
        who: ``model`` or the baseline's name (``dummy``, ``linear``).
        higher_is_better: direction.
    """

    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    rows: str = "test"
    n: int = 0
    who: str = "model"
    higher_is_better: bool = False


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Targets and predictions on the rows that the scores were computed on (for calibration, confusion, residuals).

    Args:
        y: encoded targets as in `Problem.y`, for these rows.
        prediction: regression (n,) or (n, k) in the target's units; binary (n,) probability of class 1; multiclass
            (n, classes) probabilities; multilabel (n, k) probabilities.
        rows: ``test`` or ``out_of_fold``.
    """

    y: np.ndarray
    prediction: np.ndarray
    rows: str = "test"


Outcome = Literal["completed", "stopped_early", "diverged", "interrupted"]


@dataclass(frozen=True)
class Progress:
    """An event during training, for progress displays and stop requests.

    Args:
        epoch: epochs completed by the population.
        epochs: the most it will run.
        loss: mean training loss of the members still training.
        val_loss: the same on validation rows; NaN without validation.
        active: members still training.
        members: members in all.
        seconds: since the training began.
        phase: ``prepare``, ``compile``, ``train``, ``score``, ``save``.
    """

    epoch: int
    epochs: int
    loss: float = math.nan
    val_loss: float = math.nan
    active: int = 1
    members: int = 1
    seconds: float = 0.0
    phase: str = "train"


# Methods a person expects on a Run but that live in higher rooms; resolved when called, never at import.
_RUN_VERBS = {
    "predict": "fallline.train:predict",
    "predict_proba": "fallline.train:predict_proba",
    "save": "fallline.store:save_run",
    "report": "fallline.report:write_report",
}


def _verb(name: str) -> Callable[..., Any]:
    module, function = _RUN_VERBS[name].split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


@dataclass(frozen=True, eq=False)
class Run:
    """One finished (or interrupted) training and everything known about it.

    Args:
        model: the trained Keras model. For runs made from tables it takes the raw matrix that
            ``preparation.raw(frame)`` makes and returns probabilities or quantities in the target's units.
        trace: what was seen.
        outcome: how it ended.
        recipe: the resolved recipe; None when a Keras model was trained with its own settings.
        diagnosis: findings.
        scores: the model's scores, then the baselines' on the same rows.
        held_out: targets and predictions behind the scores.
        summary: the data summary, for runs made from tables.
        preparation: fitted `fallline.data.Preparation`, for runs made from tables; else None.
        facts: plain JSON-able facts: ``name``, ``kind``, ``target_names``, ``classes``, ``n_rows``, ``notes``,
            ``source``, ``fingerprint``, ``seconds``, ``members`` (per-member outcome, best epoch, best val_loss),
            ``stopped_epoch``, ``best_epoch``, ``loss``, ``metrics``, ``temperature``, ``parameters``.
        environment: versions, machine, seed, time: plain JSON-able.
    """

    model: Any
    trace: Trace
    outcome: Outcome
    recipe: Recipe | None = None
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    scores: tuple[Score, ...] = ()
    held_out: HeldOut | None = None
    summary: Summary | None = None
    preparation: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch, one column per quantity (mean over members), index ``epoch`` from 1."""
        import pandas as pd

        curves = {name: self.trace.curve(name) for name in self.trace.quantities}
        length = max((len(curve) for curve in curves.values()), default=0)
        padded = {name: np.pad(c, (0, length - len(c)), constant_values=np.nan) for name, c in curves.items()}
        return pd.DataFrame(padded, index=pd.RangeIndex(1, length + 1, name="epoch"))

    def predict(self, x: Any) -> np.ndarray:
        """Predict for new rows: quantities in the target's units, or class labels."""
        found: np.ndarray = _verb("predict")(self, x)
        return found

    def predict_proba(self, x: Any) -> np.ndarray:
        """Predict class probabilities, shape (n, classes), or (n, k) per label for multi-label problems."""
        found: np.ndarray = _verb("predict_proba")(self, x)
        return found

    def save(self, path: Any, *, overwrite: bool = False) -> Any:
        """Write the run folder; refuse to replace an existing one unless asked."""
        return _verb("save")(self, path, overwrite=overwrite)

    def report(self, path: Any, *, overwrite: bool = False) -> Any:
        """Write the self-contained HTML report."""
        return _verb("report")(self, path, overwrite=overwrite)

    def with_(self, **changes: Any) -> Run:
        """Return the same run with some fields replaced."""
        return replace(self, **changes)
