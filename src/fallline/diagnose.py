"""All rules over one training: what is wrong, what is not, and what could not be examined.

`diagnose` reads a finished (or running) training; `check` reads a model and its data before training. Both gather
statistics by name, call every rule whose required statistics are there, and rank what they find, root cause first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import InputError, nearest
from fallline.rules import STATISTICS, discover
from fallline.rules._curves import finite
from fallline.rules._from_curves import (
    curve_statistics,
    curves_from_columns,
    curves_from_csv,
    keep,
    trace_statistics,
)
from fallline.rules._from_model import (
    compiled_statistics,
    data_statistics,
    loss_statistics,
    model_statistics,
    optimizer_statistics,
)
from fallline.rules._from_tensorboard import curves_from_tensorboard, is_tensorboard
from fallline.rules._statistics import canonical_loss, constant_prediction_loss
from fallline.types import SEVERITIES, Diagnosis, Finding, Run, Trace

__all__ = ["CAUSAL_ORDER", "EXPLAINS", "check", "diagnose", "examine"]

# Where in the chain from data to score a symptom stands: earlier ones can cause later ones, not the other way round.
# Findings of equal severity are ranked in this order.
CAUSAL_ORDER: tuple[str, ...] = (
    # the data
    "missing-values",
    "suspect-labels",
    "inputs-not-scaled",
    "targets-not-scaled",
    "not-shuffled",
    # the model as it was written
    "output-loss-mismatch",
    "targets-out-of-range",
    "no-nonlinearity",
    "symmetric-units",
    "bad-initial-scale",
    "batch-size-unsuited",
    "batch-norm-with-dropout",
    "over-regularised",
    "capacity-unsuited",
    "inputs-correlated",
    # the optimisation
    "divergence",
    "exploding-gradients",
    "learning-rate-too-high",
    "learning-rate-too-low",
    "vanishing-gradients",
    "saturated-units",
    "dead-relu",
    "layer-not-learning",
    "ill-conditioned",
    # what the curves show
    "oscillation",
    "underfit-flat",
    "underfit-stopped-early",
    "plateau",
    "overfit",
    "unrepresentative-training-set",
    "unrepresentative-validation-set",
    "class-imbalance",
    "no-skill",
    # over many runs, and remarks
    "validation-overfitted",
    "high-variance-over-seeds",
    "best-value-on-border",
    "good-fit",
)

_CURVES = frozenset({"divergence", "oscillation", "underfit-flat", "underfit-stopped-early", "no-skill"})

# cause -> the symptoms it accounts for. A found cause turns them into notes and takes over the worst severity among
# them: one story, with one first remedy.
EXPLAINS: Mapping[str, frozenset[str]] = {
    "inputs-not-scaled": _CURVES | {"unrepresentative-validation-set"},
    "output-loss-mismatch": _CURVES,
    "divergence": frozenset(
        {
            "oscillation",
            "underfit-flat",
            "no-skill",
            "overfit",
            "unrepresentative-training-set",
            "unrepresentative-validation-set",
        }
    ),
    "oscillation": frozenset(
        {"unrepresentative-validation-set", "underfit-stopped-early", "underfit-flat", "no-skill"}
    ),
    "underfit-flat": frozenset({"no-skill", "unrepresentative-validation-set"}),
    "underfit-stopped-early": frozenset({"no-skill"}),
    "overfit": frozenset({"no-skill", "unrepresentative-validation-set", "unrepresentative-training-set"}),
    "unrepresentative-training-set": frozenset({"no-skill", "unrepresentative-validation-set"}),
}
# A remark that contradicts any warning; it is dropped beside one.
_ALL_IS_WELL = "good-fit"


def diagnose(what: Any, *, known: Mapping[str, Any] | None = None) -> Diagnosis:
    """Return what is wrong with a training, most important first.

    Args:
        what: a `Run`; a `Trace`; a Keras ``History``; a mapping or a pandas frame of learning curves (``loss``,
            ``val_loss``, ``accuracy`` ..., one value per epoch); the path of a CSV file of them or of a folder of
            TensorBoard logs; or what `fallline.watch` watched with.
        known: further statistics by name (`fallline.rules.STATISTICS`), e.g. ``{"n_validation": 200}``; they take
            precedence over what is found in ``what``.

    Raises:
        InputError: ``what`` is none of these, holds no training loss, or a name in ``known`` does not exist.

    >>> result = diagnose({"loss": [0.7, 0.5, float("nan")]})
    >>> result[0].symptom, result[0].epoch, result.healthy
    ('divergence', 3, False)
    """
    statistics = _gather(what)
    for name in known or {}:
        if name not in STATISTICS:
            raise InputError(
                f"There is no statistic {name!r}.{nearest(name, STATISTICS)} `fallline.rules.STATISTICS` lists them."
            )
    return examine({**statistics, **(known or {})})


def check(
    model: Any,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    optimizer: Any = None,
    batch_size: int | None = None,
) -> Diagnosis:
    """Return what is wrong with a Keras model and its data before any training.

    Args:
        model: a Keras model, compiled or not.
        x: inputs, shape (n, ...), array or frame, as they would be given to ``fit``.
        y: targets, shape (n,) or (n, k), as they would be given to ``fit``.
        loss: a Keras loss (name, object or function); by default the compiled one.
        optimizer: a Keras optimizer or its name; by default the compiled one.
        batch_size: rows per step.

    Raises:
        DataError: x and y have different numbers of rows.
    """
    statistics = model_statistics(model) | compiled_statistics(model)
    statistics |= loss_statistics(loss) | optimizer_statistics(optimizer)
    if batch_size is not None:
        statistics["batch_size"] = int(batch_size)
    metrics = statistics.get("metric_names", [])
    statistics |= data_statistics(model, x, y, statistics.get("loss_name"), metrics)
    return examine(statistics)


def examine(statistics: Mapping[str, Any]) -> Diagnosis:
    """Call every rule whose statistics are there, and rank the findings.

    Args:
        statistics: name -> value; the names are those of `fallline.rules.STATISTICS`.
    """
    statistics = dict(statistics)
    if not (statistics.get("reference_loss") or 0) > 0:
        statistics.pop("reference_loss", None)  # a constant target leaves nothing to explain
    if "kept_loss" not in statistics:
        keep(statistics)
    if statistics.get("problem_kind") in ("regression", "multioutput"):
        statistics.setdefault("class_counts", {})  # known: there are none
    before = "loss" not in statistics
    findings: list[Finding] = []
    examined: list[str] = []
    not_examined: dict[str, str] = {}
    loss = statistics.get("loss")
    seen = len(finite(loss)[1]) if loss is not None else 0
    with np.errstate(all="ignore"):  # other people's curves overflow; the rules ask for finite results where it matters
        for rule in discover():
            name = rule.symptom.name
            missing = rule.missing(statistics)
            if missing:
                words = " and ".join(STATISTICS[statistic] for statistic in missing[:2])
                not_examined[name] = f"not known: {words}" + (
                    " (before training)" if before and _needs_curve(missing) else ""
                )
            elif seen < rule.symptom.min_epochs:
                not_examined[name] = (
                    f"too short: {seen} epochs with a finite training loss, {rule.symptom.min_epochs} needed"
                )
            else:
                examined.append(name)
                findings.extend(rule(statistics))
    return Diagnosis(rank(findings), not_examined, tuple(examined))


def _needs_curve(missing: Sequence[str]) -> bool:
    return any(name in ("loss", "val_loss", "start_loss") for name in missing)


def rank(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings root cause first: explained ones become notes, then severity, causal order, confidence."""
    worrying = {f.symptom: f for f in findings if f.severity != "note"}
    if worrying:
        findings = [f for f in findings if f.symptom != _ALL_IS_WELL]
    position = {name: i for i, name in enumerate(CAUSAL_ORDER)}
    causes = [name for name in CAUSAL_ORDER if name in worrying and name in EXPLAINS]
    explained_by: dict[str, str] = {}
    for cause in causes:
        for symptom in EXPLAINS[cause] & worrying.keys():
            if position[symptom] > position[cause]:
                explained_by.setdefault(symptom, explained_by.get(cause, cause))
    folded: list[Finding] = []
    for finding in findings:
        source = explained_by.get(finding.symptom)
        if source is not None:
            finding = replace(finding, severity="note", cause=f"Probably a consequence of {source}; cure that first.")
        else:
            took = [worrying[s].severity for s, c in explained_by.items() if c == finding.symptom]
            worst = max([finding.severity, *took], key=SEVERITIES.index)
            finding = replace(finding, severity=worst) if finding.severity != "note" else finding
        folded.append(finding)
    folded.sort(key=lambda f: (-SEVERITIES.index(f.severity), position.get(f.symptom, len(position)), -f.confidence))
    return tuple(folded)


# ------------------------------------------------------------------------------------------ gathering statistics


def _gather(what: Any) -> dict[str, Any]:
    if isinstance(what, Run):
        return _from_run(what)
    if isinstance(what, Trace):
        return trace_statistics(what)
    if isinstance(what, (str, Path)):
        return curve_statistics(_curves_of_path(Path(what)), running=True)
    if isinstance(getattr(what, "run", None), Run):  # a watcher from `fallline.watch`
        return _from_run(what.run)
    history = getattr(what, "history", None)
    if isinstance(history, Mapping):
        return _from_history(what, history)
    if isinstance(what, Mapping):
        return curve_statistics(curves_from_columns(what), running="running_loss" not in what)
    if hasattr(what, "columns") and hasattr(what, "to_dict"):
        columns = {str(name): what[name].to_numpy() for name in what.columns}
        return curve_statistics(curves_from_columns(columns), running="running_loss" not in columns)
    raise InputError(
        f"diagnose cannot read a {type(what).__name__}. Give a Run, a Trace, a Keras History, a mapping or frame of "
        "learning curves, or the path of a CSV file or of a folder of TensorBoard logs."
    )


def _curves_of_path(path: Path) -> dict[str, np.ndarray]:
    if not path.is_dir():
        return curves_from_csv(path)
    if is_tensorboard(path):
        return curves_from_tensorboard(path)
    raise InputError(
        f"There are no TensorBoard event files in the folder {str(path)!r}. Give the folder of one run's logs, a CSV "
        "file with one row per epoch, or for a run folder of fallline's: fallline.diagnose(fallline.load(folder))."
    )


def _from_history(history: Any, curves: Mapping[str, Any]) -> dict[str, Any]:
    """A Keras History: the curves, how many epochs were planned, and the model it belongs to."""
    found = curve_statistics(curves_from_columns(curves), running=True)
    planned = (getattr(history, "params", None) or {}).get("epochs")
    if planned:
        found["planned_epochs"] = int(planned)
        found["stopped_early"] = len(found.get("loss", ())) < int(planned)
    model = getattr(history, "model", None)
    if model is None:
        return found
    found |= model_statistics(model) | {k: v for k, v in compiled_statistics(model).items() if k not in found}
    units, name = found.get("output_units"), found.get("loss_name")
    if name in ("categorical_crossentropy", "sparse_categorical_crossentropy") and units and units > 1:
        found["reference_loss"] = math.log(units)  # classes taken as equally frequent: an upper bound
    return found


def _from_run(run: Run) -> dict[str, Any]:
    found = trace_statistics(run.trace)
    facts = run.facts
    for name in (
        "best_epoch",
        "stopped_epoch",
        "planned_epochs",
        "restored",
        "n_train",
        "n_validation",
        "n_features",
        "class_counts",
        "target_min",
        "target_max",
        "target_sd",
        "target_width",
        "target_is_whole",
        "target_is_one_hot",
        "reference_loss",
        "batch_size",
    ):
        if facts.get(name) is not None and name in STATISTICS:
            found[name] = facts[name]
    kind = facts.get("kind")
    if kind:
        found["problem_kind"] = kind
    found["stopped_early"] = run.outcome == "stopped_early"
    if run.recipe is not None:
        found.setdefault("restored", run.recipe.stopping.restore_best)
    if "class_counts" not in found and run.summary is not None and run.summary.class_counts:
        found["class_counts"] = dict(run.summary.class_counts)
    _loss_of_run(run, found)
    _inputs_of_run(facts, found)
    if run.preparation is None and run.model is not None:
        found |= model_statistics(run.model) | {
            k: v for k, v in compiled_statistics(run.model).items() if k not in found
        }
    if run.scores:
        found["model_scores"] = tuple(score for score in run.scores if score.who == "model")
        found["baseline_scores"] = tuple(score for score in run.scores if score.who != "model") or None
    recall = _class_recall(run)
    if recall:
        found["class_recall"] = recall
    _members_of_run(run, found)
    return {name: value for name, value in found.items() if value is not None}


def _loss_of_run(run: Run, found: dict[str, Any]) -> None:
    name = run.facts.get("loss")
    kind = found.get("problem_kind")
    if not isinstance(name, str):
        return
    name = canonical_loss(name)
    reference_allowed = True
    if run.recipe is not None:
        training = run.recipe.training
        reference_allowed = training.class_weight == "none" and training.label_smoothing == 0.0
        if name == "mse" and run.preparation is not None and run.recipe.prepare.target == "standard":
            found.setdefault("reference_loss", 1.0)  # the loss is seen in units of the targets' own sd
    if name == "cross_entropy":
        name = "sparse_categorical_crossentropy" if kind == "multiclass" else "binary_crossentropy"
    found["loss_name"] = name
    if reference_allowed and "reference_loss" not in found and kind != "multilabel":
        reference = constant_prediction_loss(name, found.get("class_counts"), found.get("target_sd"))
        if reference is not None:
            found["reference_loss"] = reference


def _inputs_of_run(facts: Mapping[str, Any], found: dict[str, Any]) -> None:
    seen = facts.get("input_statistics")
    if isinstance(seen, Mapping):
        for name in ("mean", "sd", "min", "max"):
            if seen.get(name) is not None:
                found[f"input_{name}"] = np.asarray(seen[name], np.float64)
        if seen.get("names") is not None:
            found["input_names"] = [str(name) for name in seen["names"]]
    output = facts.get("output")
    if isinstance(output, Mapping):
        found["output_activation"] = output.get("activation")
        found["output_units"] = output.get("units")


def _members_of_run(run: Run, found: dict[str, Any]) -> None:
    """Per member: who was lost, and the losses at the epoch that was kept (the mean curve has no such epoch)."""
    members = run.facts.get("members")
    members = members if isinstance(members, Sequence) and not isinstance(members, str) else ()
    lost = sum(1 for m in members if isinstance(m, Mapping) and m.get("outcome") == "diverged")
    if "lost_at" not in found and (lost or run.outcome == "diverged"):
        found |= {"lost_at": run.trace.n_epochs, "lost_members": lost or 1}
    keep(found, _kept_pairs(run.trace) if found.get("restored") and len(run.trace.members) > 1 else ())


def _kept_pairs(trace: Trace) -> list[tuple[float, float]]:
    if not {"loss", "val_loss"} <= set(trace.quantities):
        return []
    pairs = []
    for loss, held in zip(trace.matrix("loss"), trace.matrix("val_loss"), strict=True):
        both = np.flatnonzero(np.isfinite(loss) & np.isfinite(held))
        if len(both):
            at = both[np.argmin(held[both])]
            pairs.append((float(loss[at]), float(held[at])))
    return pairs


def _class_recall(run: Run) -> dict[str, float]:
    held, kind = run.held_out, run.facts.get("kind")
    if held is None or kind not in ("binary", "multiclass"):
        return {}
    prediction = np.asarray(held.prediction)
    named = (
        prediction.argmax(axis=1) if prediction.ndim == 2 and prediction.shape[1] > 1 else prediction.reshape(-1) >= 0.5
    )
    y = np.asarray(held.y).reshape(-1).astype(int)
    classes = list(run.facts.get("classes") or sorted(set(y.tolist())))
    return {str(label): float(np.mean(named[y == i] == i)) for i, label in enumerate(classes) if (y == i).any()}
