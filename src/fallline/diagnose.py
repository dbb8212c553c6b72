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
from fallline.rules._before_training import static_statistics
from fallline.rules._causes import CAUSAL_ORDER, EXCUSED, EXPLAINS, ONLY_WHEN_SERIOUS, WELL_LEARNED
from fallline.rules._curves import end_level, finite
from fallline.rules._from_curves import (
    curve_statistics,
    curves_from_columns,
    curves_from_csv,
    keep,
    trace_statistics,
)
from fallline.rules._from_model import compiled_statistics, trained_model_statistics
from fallline.rules._from_run import run_statistics
from fallline.rules._from_tensorboard import curves_from_tensorboard, is_tensorboard
from fallline.treatments import treatments_of
from fallline.types import SEVERITIES, Diagnosis, Finding, Problem, Recipe, Run, Severity, Trace

__all__ = ["CAUSAL_ORDER", "EXPLAINS", "check", "diagnose", "examine", "lost_cause"]

# Inputs of a hundred times their size are a risk for the next training even where this one coped.
_HARMFUL = frozenset({"inputs-not-scaled"})
# What is seen epoch by epoch.
CURVES = frozenset({"loss", "val_loss", "running_loss", "accuracy", "val_accuracy"})
# Standard errors by which the share of right answers has to exceed that of the largest class.
CHANCE = 2.0
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
    y: Any = None,
    *,
    loss: Any = None,
    optimizer: Any = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    validation_data: tuple[Any, Any] | None = None,
    shuffle: bool | None = None,
) -> Diagnosis:
    """Return what is wrong with a model and its data before any training.

    Args:
        model: a Keras model, compiled or not; or a `Recipe`.
        x: inputs, shape (n, ...), array or frame, as they would be given to ``fit``; with a recipe also a `Problem`.
        y: targets, shape (n,) or (n, k), as they would be given to ``fit``.
        loss: a Keras loss (name, object or function); by default the compiled one.
        optimizer: a Keras optimizer or its name; by default the compiled one, else rmsprop as in Keras' compile.
        batch_size: rows per step.
        epochs: how many are planned.
        validation_data: (x, y) of the validation rows.
        shuffle: whether the rows are to be shuffled in each epoch; None: not said.

    Raises:
        DataError: x and y have different numbers of rows.
        InputError: neither a model nor a recipe was given, or no targets.
    """
    if isinstance(model, Recipe):
        return examine(_recipe_statistics(model, x, y))
    if not hasattr(model, "layers"):
        raise InputError(
            f"check was given a {type(model).__name__}. Give a Keras model with its data, check(model, x, y), or a "
            "recipe with a table, check(recipe, problem)."
        )
    return examine(
        static_statistics(
            model, x, y, loss=loss, optimizer=optimizer, batch_size=batch_size, epochs=epochs,
            validation_data=validation_data, shuffle=shuffle,
        )
    )  # fmt: skip


def _recipe_statistics(recipe: Recipe, x: Any, y: Any) -> dict[str, Any]:
    """What is known of a recipe and a table before the training: the prepared columns, the targets, the layers."""
    from fallline.data import Preparation, make_problem
    from fallline.recipe.resolve import resolve
    from fallline.rules import prepared_statistics

    problem = x if isinstance(x, Problem) else make_problem(x, y)
    rows = np.arange(problem.n_rows)
    preparation = Preparation.fit(problem, rows, recipe.prepare)
    raw = preparation.raw(problem.frame)
    features = preparation.features(raw)
    resolved = resolve(
        recipe, kind=problem.kind, n_rows=len(rows), n_features=features.shape[1], n_outputs=problem.n_outputs
    )
    return prepared_statistics(resolved, problem, features, raw, preparation)


def examine(statistics: Mapping[str, Any]) -> Diagnosis:
    """Call every rule whose statistics are there, and rank the findings.

    Args:
        statistics: name -> value; the names are those of `fallline.rules.STATISTICS`.
    """
    statistics = dict(statistics)
    if not (statistics.get("reference_loss") or 0) > 0:
        statistics.pop("reference_loss", None)  # a constant target leaves nothing to explain
    if any(layer.is_penalised for layer in statistics.get("layers") or ()):
        statistics.pop("reference_loss", None)  # the loss holds a penalty, which a constant prediction does not pay
    if "kept_loss" not in statistics:
        keep(statistics)
    _derive(statistics)
    if statistics.get("problem_kind") in ("regression", "multioutput"):
        statistics.setdefault("class_counts", {})  # known: there are none
    before = "loss" not in statistics
    findings: list[Finding] = []
    examined: list[str] = []
    not_examined: dict[str, str] = {}
    loss = statistics.get("loss")
    seen = len(finite(loss)[1]) if loss is not None else 0
    bare = {name: value for name, value in statistics.items() if name not in CURVES}
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
                told = [] if rule.missing(bare) else list(rule(bare))  # by other evidence than curves
                findings.extend(told)
                if told:
                    examined.append(name)
                else:
                    not_examined[name] = (
                        f"not known: {STATISTICS['val_loss']} (before training)"
                        if before
                        else f"too short: {seen} epochs with a finite training loss, {rule.symptom.min_epochs} needed"
                    )
            else:
                examined.append(name)
                findings.extend(rule(statistics))
    ranked = rank(_excuse(findings, statistics.get("explained")))
    return Diagnosis(tuple(map(_with_treatments, ranked)), not_examined, tuple(examined))


def _with_treatments(finding: Finding) -> Finding:
    names = (treatment.name for treatment in treatments_of(finding.symptom))
    return replace(finding, treatments=tuple(dict.fromkeys((*finding.treatments, *names))))


# A flat curve is given this share of the planned epochs, and at least so many, to leave a plateau.
PATIENCE_SHARE, PATIENCE = 1 / 3, 20
# Below this confidence a rule does not end a training.
SURE = 0.8


def lost_cause(curves: Mapping[str, np.ndarray], *, planned: int) -> Finding | None:
    """Return why a training that still runs is lost, or None: what the rules that can look during a training say.

    Args:
        curves: name -> (epochs so far,).
        planned: epochs in all.
    """
    statistics = curve_statistics(curves, running=False)
    keep(statistics)
    loss = statistics.get("loss")
    values = finite(loss)[1] if loss is not None else np.zeros(0)
    waited = len(values) >= max(PATIENCE, PATIENCE_SHARE * planned)
    found: list[Finding] = []
    with np.errstate(all="ignore"):
        for rule in discover():
            ready = not rule.missing(statistics) and len(values) >= rule.symptom.min_epochs
            if "during" in rule.symptom.when and ready and (waited or rule.symptom.name != "underfit-flat"):
                found += [f for f in rule(statistics) if f.severity == "serious" and f.confidence >= SURE]
    return _with_treatments(rank(found)[0]) if found else None


def _derive(statistics: dict[str, Any]) -> None:
    """Add what follows from other statistics: the steps of the whole training, and how much was learned."""
    rows, batch = statistics.get("n_train"), statistics.get("batch_size")
    epochs = statistics.get("planned_epochs")
    if rows and batch and epochs:
        statistics.setdefault("total_steps", -(-int(rows) // int(batch)) * int(epochs))
    shares = []
    loss, reference = statistics.get("loss"), statistics.get("reference_loss")
    values = finite(loss)[1] if loss is not None else np.zeros(0)
    if reference is not None and len(values) and statistics.get("lost_at") is None:
        last = end_level(values)
        if statistics.get("restored") and statistics.get("kept_loss") is not None:
            last = min(last, float(statistics["kept_loss"]))
        shares.append(1.0 - last / reference)
    accuracy = statistics.get("accuracy")
    right = finite(accuracy)[1] if accuracy is not None else np.zeros(0)
    counts = [count for count in (statistics.get("class_counts") or {}).values() if count > 0]
    if len(right) and len(counts) > 1 and statistics.get("lost_at") is None:
        most = max(counts) / sum(counts)
        gain = end_level(right) - most
        if not shares or gain > CHANCE * math.sqrt(most * (1.0 - most) / sum(counts)):  # four rows are soon right
            shares.append(gain / (1.0 - most))
    if shares and np.isfinite(max(shares)):
        statistics.setdefault("explained", float(max(shares)))


def _excuse(findings: Sequence[Finding], explained: float | None) -> list[Finding]:
    """Lower what only makes learning hard by one step, or to a note, where the network has learned nearly all.

    What accounts for a worry that stays is not lowered: it is where the cure begins.
    """
    if explained is None or explained < WELL_LEARNED:
        return list(findings)
    staying = {f.symptom for f in findings if f.severity != "note" and f.symptom not in EXCUSED}
    out = []
    for finding in findings:
        accounts = EXPLAINS.get(finding.symptom, frozenset()) & staying
        if finding.symptom in EXCUSED and finding.severity != "note" and not accounts:
            milder: Severity = "note" if finding.severity == "warning" or finding.symptom not in _HARMFUL else "warning"
            finding = replace(
                finding,
                severity=milder,
                message=f"{finding.message} The training coped with it: it explains {100 * explained:.0f} %.",
            )
        out.append(finding)
    return out


def _needs_curve(missing: Sequence[str]) -> bool:
    return any(name in ("loss", "val_loss", "start_loss") for name in missing)


def rank(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings root cause first: explained ones become notes, then severity, causal order, confidence."""
    worrying = {f.symptom: f for f in findings if f.severity != "note"}
    if worrying:
        findings = [f for f in findings if f.symptom != _ALL_IS_WELL]
    position = {name: i for i, name in enumerate(CAUSAL_ORDER)}
    causes = [
        name
        for name in CAUSAL_ORDER
        if name in worrying
        and name in EXPLAINS
        and (name not in ONLY_WHEN_SERIOUS or worrying[name].severity == "serious")
    ]
    # What two causes account for belongs to the graver one; of equally grave ones to the earlier.
    causes.sort(key=lambda name: (-SEVERITIES.index(worrying[name].severity), position[name]))
    explained_by: dict[str, str] = {}
    for cause in causes:
        for symptom in EXPLAINS[cause] & worrying.keys():
            if position[symptom] > position[cause]:
                explained_by.setdefault(symptom, cause)
    for symptom in explained_by:
        while explained_by[symptom] in explained_by:  # up to the root; causes come earlier in the order, so it ends
            explained_by[symptom] = explained_by[explained_by[symptom]]
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
        return run_statistics(what)
    if isinstance(what, Trace):
        return trace_statistics(what)
    if isinstance(what, (str, Path)):
        return curve_statistics(_curves_of_path(Path(what)), running=True)
    if isinstance(getattr(what, "run", None), Run):  # a watcher from `fallline.watch`
        return run_statistics(what.run)
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
    found |= trained_model_statistics(model) | {k: v for k, v in compiled_statistics(model).items() if k not in found}
    units, name = found.get("output_units"), found.get("loss_name")
    if name in ("categorical_crossentropy", "sparse_categorical_crossentropy") and units and units > 1:
        found["reference_loss"] = math.log(units)  # classes taken as equally frequent: an upper bound
    return found
