"""Statistics from a finished run: its curves, its facts, what was checked before it, and its inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from fallline.rules._from_curves import keep, trace_statistics
from fallline.rules._from_model import compiled_statistics, trained_model_statistics
from fallline.rules._statistics import STATISTICS, canonical_loss, constant_prediction_loss
from fallline.rules._structure import LayerFacts
from fallline.types import Run, Trace

__all__ = ["checked_statistics", "plain_checked", "run_statistics"]

_LAYERS = "layers"


def plain_checked(statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Return statistics from before a training as plain values, ready for JSON; `checked_statistics` reads them back.

    >>> plain_checked({"target_sd": np.array([1.0, 2.0]), "n_train": 5})
    {'target_sd': [1.0, 2.0], 'n_train': 5}
    """
    out: dict[str, Any] = {}
    for name, value in statistics.items():
        if name == _LAYERS:
            out[name] = [{key: _plain(entry) for key, entry in asdict(layer).items()} for layer in value]
        elif name in STATISTICS and value is not None:
            out[name] = _plain(value)
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def checked_statistics(plain: Any) -> dict[str, Any]:
    """Return the statistics that `plain_checked` made plain."""
    if not isinstance(plain, Mapping):
        return {}
    out: dict[str, Any] = {name: value for name, value in plain.items() if name in STATISTICS and value is not None}
    for name in _VECTORS & out.keys():
        out[name] = np.array([math.nan if entry is None else entry for entry in np.atleast_1d(out[name])], np.float64)
    if _LAYERS in out:
        out[_LAYERS] = [_layer(entry) for entry in out[_LAYERS] if isinstance(entry, Mapping)]
    return out


def _layer(entry: Mapping[str, Any]) -> LayerFacts:
    known = {f.name for f in fields(LayerFacts)}
    values = {key: value for key, value in entry.items() if key in known and value is not None}
    if "parents" in values:
        values["parents"] = tuple(values["parents"])
    return LayerFacts(**values)


_VECTORS = {"input_mean", "input_sd", "input_min", "input_max", "target_mean", "target_sd"}


def run_statistics(run: Run) -> dict[str, Any]:
    """Return all that a run tells the rules.

    Args:
        run: of a table or of a Keras model; ``facts["checked"]`` is what was known before the training.
    """
    facts = run.facts
    found = checked_statistics(facts.get("checked")) | trace_statistics(run.trace)
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
    _inputs_of_run(run, found)
    if run.preparation is None and run.model is not None:
        known = compiled_statistics(run.model)
        if _LAYERS not in found:  # else they were looked at before the training, and kernels can be large
            known = trained_model_statistics(run.model) | known
        found |= {name: value for name, value in known.items() if name not in found}
    if _LAYERS in found and run.trace.inside is not None:
        found[_LAYERS] = _in_order(found[_LAYERS], run.trace.inside.layers)
    if run.scores:
        found["model_scores"] = tuple(score for score in run.scores if score.who == "model")
        found["baseline_scores"] = tuple(score for score in run.scores if score.who != "model") or None
    recall = _class_recall(run)
    if recall:
        found["class_recall"] = recall
    _members_of_run(run, found)
    return {name: value for name, value in found.items() if value is not None}


def _in_order(layers: Sequence[LayerFacts], seen: Sequence[str]) -> list[LayerFacts]:
    """Return the layers of a subclassed model, which stand as they were made, in the order in which they were used."""
    place = {name.rpartition("/")[2]: i for i, name in enumerate(seen)}
    if any(layer.parents is not None for layer in layers) or any(layer.name not in place for layer in layers):
        return list(layers)
    return sorted(layers, key=lambda layer: place[layer.name])


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
    if reference_allowed and "reference_loss" not in found:
        reference = constant_prediction_loss(
            name, found.get("class_counts"), found.get("target_sd"), found.get("target_mean")
        )
        if reference is not None:
            found["reference_loss"] = reference


def _inputs_of_run(run: Run, found: dict[str, Any]) -> None:
    facts = run.facts
    seen = facts.get("input_statistics")
    if isinstance(seen, Mapping):
        for name in ("mean", "sd", "min", "max"):
            if seen.get(name) is not None:
                found[f"input_{name}"] = np.asarray(seen[name], np.float64)
        if seen.get("names") is not None:
            found["input_names"] = [str(name) for name in seen["names"]]
    output = facts.get("output")
    if isinstance(output, Mapping):
        for name, value in (("output_activation", output.get("activation")), ("output_units", output.get("units"))):
            if value:
                found.setdefault(name, value)
    inside = run.trace.inside
    if "output_activation" not in found and inside is not None and inside.output is not None:
        # A subclassed model does not say which layer makes its output; it was seen while it trained. A linear layer
        # says nothing: the model may go on from there by operations of its own.
        name = inside.activations[inside.output]
        found |= {"output_activation": name} if name not in ("", "linear") else {}


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
