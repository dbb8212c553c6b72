"""Keras models beside a control model: trained anew on the same seeds and folds, and scored on the held-out rows.

`fallline.train_many` lets a Keras model validate on the rows that a fold holds out. An arm that stops early would then
be judged by the very rows that it stopped by; here it validates on a part of the fold's training rows instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import keras
import numpy as np

from fallline.data import require_classes
from fallline.errors import InputError
from fallline.experiment.account import Key, Memory, Pair, Plan, Scored
from fallline.experiment.enough import EnoughError
from fallline.experiment.keras_figure import VALIDATION, Data, figure_of, kind_of, strata
from fallline.experiment.outputs import labels_of
from fallline.keras_config import fills_gaps
from fallline.train.api import is_keras_model
from fallline.train.arrays import as_arrays, as_inputs, rows_of
from fallline.train.forking import Fork, refuse, shape_obstacle
from fallline.train.keras_many import anatomy_of, begin_many_keras, train_many_keras
from fallline.train.keras_settings import build, compiled
from fallline.treatments import design_key, design_of, facts_of, treat
from fallline.types import Design, Run

__all__ = ["score_models"]

Tree = Any
Known = Callable[[], Mapping[str, Any]]
# Whose networks see other inputs, or begin otherwise: in mid-run there is nothing for them to go on from.
_FROM_THE_BEGINNING = {
    **dict.fromkeys(("scale-inputs", "whiten-inputs", "fill-missing"), "it changes what the network is given"),
    "suit-initializer": "it acts on the first weights alone",
}


@dataclass(frozen=True, eq=False)
class _Arm:
    """One arm on one fold.

    Args:
        design: what it is made of; None: a model as it was given.
        model: built and compiled.
        training: keywords of its training.
    """

    design: Design | None
    model: Any
    training: Mapping[str, Any]

    @property
    def validates(self) -> bool:
        """Whether it needs rows to stop by."""
        return bool(self.training.get("early_stopping"))

    @property
    def scale(self) -> tuple[float, float]:
        """(centre, scale) of its targets."""
        return (0.0, 1.0) if self.design is None or self.design.target_scale is None else self.design.target_scale

    def equals(self, other: _Arm) -> bool:
        """Whether both are the same, so that one population can hold both."""
        if self.design is None or other.design is None:
            return self.model is other.model
        names = ("model", "compiled", "training", "target_scale")
        return all(getattr(self.design, name) == getattr(other.design, name) for name in names)


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is to be found out about: the control, and the data."""

    control: Any  # a compiled model, or a design
    model: Any  # the control, built
    training: Mapping[str, Any]
    data: Data

    def facts(self) -> list[Known]:
        """Return for each fold how to learn what treatments ask of its training rows; nothing is done twice."""

        def look(rows: np.ndarray) -> Mapping[str, Any]:
            return facts_of(self.model, *keras.tree.map_structure(lambda a: a[rows], (self.data.x, self.data.y)))

        return [cache(partial(look, rows)) for rows, _ in self.data.pairs]


def score_models(
    control: Any,
    treated: Any,
    x: Any,
    y: Any,
    plan: Plan,
    *,
    training: Mapping[str, Any],
    memory: Memory | None = None,
) -> Scored:
    """Train a control and treated models, each as one population, and score them.

    Where ``on_progress`` raises `EnoughError`, the arms that are done by then are compared.

    Args:
        control: a Keras model, a `Design`, or the `Run` of a Keras model.
        treated: names of treatments; or a mapping arm -> model or `Design`.
        x: (n, ...) inputs.
        y: (n, ...) targets.
        plan: seeds, folds, metric.
        training: keywords of the training.
        memory: scores of designs on these very folds: what stands there is not trained again, what is trained is added.

    Raises:
        InputError: see `fallline.experiment`.
        KeyboardInterrupt: stopped.
        EnoughError: before there was anything to compare.
    """
    subject = _subject(control, x, y, training, plan)
    data, facts = subject.data, subject.facts()
    # arm -> its form on each fold
    arms = {name: _shared([make(known) for known in facts]) for name, make in _makers(subject, treated).items()}
    if plan.fork_at is not None:
        _require_forks(arms, plan.fork_at)
    judged = figure_of(data, {name: forms[0].model for name, forms in arms.items()}, plan.metric)
    untrainable = [name for name, forms in arms.items() if not all(fills_gaps(arm.model, data.x) for arm in forms)]
    if plan.fork_at is not None or len(untrainable) == len(arms):
        as_inputs(arms["control"][0].model, data.x, "x")  # says what is wrong with them
    split = {name: any(arm.validates for arm in forms) for name, forms in arms.items()}
    if plan.fork_at is not None:  # rows that the control trained on cannot validate what goes on from it
        split = dict.fromkeys(arms, any(split.values()))
    fork: Fork | None = None
    table: dict[str, np.ndarray] = {}
    for name, forms in arms.items():
        parts = [data.parts(pair, split[name]) for pair in data.pairs]
        if plan.fork_at is not None and fork is None:
            fork = begin_many_keras(
                forms[0].model, data.x, data.y, at=plan.fork_at, seeds=plan.seeds, folds=parts,
                on_progress=plan.on_progress, **_keywords(forms[0]),
            )  # fmt: skip
        keys = _keys(forms, plan.seeds, judged.name) if memory is not None and fork is None else []
        if memory is not None and keys and all(key in memory for key in keys):
            table[name] = np.stack([memory[key] for key in keys])
            continue
        if name in untrainable:
            table[name] = np.array([[judged.lost(data, fold) for fold in range(len(data.pairs))] for _ in plan.seeds])
            continue
        try:
            runs = _trained(data, forms, parts, plan, fork, judged.own)
        except EnoughError:
            if len(table) < 2:
                raise
            break
        rows = [[judged.value(runs[s, f], data, f, forms[f].scale) for f in range(len(data.pairs))]
                for s in plan.seeds]  # fmt: skip
        table[name] = np.array(rows)
        if memory is not None:
            memory.update(zip(keys, table[name], strict=False))
    share = float(np.mean([len(held) / len(rows) for rows, held in data.pairs]))
    stopping = [name for name in table if split[name]]
    notes = [f"{VALIDATION:.0%} of each fold's training rows validate for {', '.join(stopping)}."] if stopping else []
    if untrainable:
        notes.append(f"The inputs have gaps (NaN), on which nothing is trained for {', '.join(untrainable)}.")
    return Scored(
        judged.filled(table), judged.name, judged.higher_is_better, share, rows_of(data.x, "x"), plan.fork_at,
        tuple(notes),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ the arms


def _subject(control: Any, x: Any, y: Any, training: Mapping[str, Any], plan: Plan) -> _Subject:
    x, y = as_arrays(x, "x", gaps=True), as_arrays(y, "y")
    rows_of((x, y), "x and y")
    if isinstance(control, Run):
        if control.recipe is not None:
            raise InputError(
                "This run's model was trained by a recipe's optimizer, which no treatment of a Keras model can reach. "
                "Compile the model with an optimizer and give the model itself."
            )
        facts = control.facts
        said = {"epochs": facts.get("planned_epochs"), "batch_size": facts.get("batch_size")}
        said["early_stopping"] = True if facts.get("n_validation") and facts.get("restored") else None
        training = {name: value for name, value in said.items() if value is not None} | dict(training)
        control = control.model
    if isinstance(control, Design):
        model, training = control.build(), dict(control.training) | dict(training)
        control = control.with_(training=training)
    else:
        build(control, x)
        model = control = compiled(control, x, y, None)
    kind = kind_of(model, x, y)
    return _Subject(control, model, training, Data(x, y, kind, _pairs(kind, y, plan)))


def _pairs(kind: str | None, y: Tree, plan: Plan) -> list[Pair]:
    pairs, labels = plan.pairs(strata(kind, y)), labels_of(kind or "", y)
    if labels is not None:
        require_classes(labels, pairs)
    return pairs


def _makers(subject: _Subject, treated: Any) -> dict[str, Callable[[Known], _Arm]]:
    """Return arm -> (what is known of a fold's training rows) -> the arm on that fold; the control first."""
    makers: dict[str, Callable[[Known], _Arm]] = {"control": partial(_given, subject, subject.control)}
    if isinstance(treated, Mapping):
        for name, one in treated.items():
            if name == "control" or not (isinstance(one, Design) or is_keras_model(one)):
                raise InputError(
                    f"{name}: beside a Keras model every arm is a Keras model or a Design, and none is called "
                    "'control'."
                )
            makers[str(name)] = partial(_given, subject, one)
    else:
        base = subject.control
        if not isinstance(base, Design):
            base = design_of(base, **subject.training)
        for name in [treated] if isinstance(treated, str) else list(treated):
            makers[name] = partial(_treated, subject, base, name)
    if len(makers) < 2:
        raise InputError("There is nothing to compare: name at least one treatment, or give a mapping arm -> model.")
    return makers


def _treated(subject: _Subject, base: Design, name: str, known: Known) -> _Arm:
    return _given(subject, treat(base, name, known=known()), known)


def _given(subject: _Subject, one: Any, known: Known) -> _Arm:
    if isinstance(one, Design):
        return _Arm(one, None, dict(subject.training) | dict(one.training))
    build(one, subject.data.x)
    return _Arm(None, compiled(one, subject.data.x, subject.data.y, None), subject.training)


def _shared(forms: list[_Arm]) -> list[_Arm]:
    """Build each form of an arm once; folds on which it is the same share it."""
    found: list[_Arm] = []
    for one in forms:
        same = next((other for other in found if other.equals(one)), None)
        if same is None and one.design is not None:
            same = _Arm(one.design, one.design.build(), one.training)
        found.append(same or one)
    return found


def _keys(forms: list[_Arm], seeds: Sequence[int], metric: str) -> list[Key]:
    """Return by what the scores of each seed are remembered; none where an arm differs from fold to fold."""
    design = forms[0].design
    if design is None or any(form is not forms[0] for form in forms):
        return []
    own = design_key(design.with_(training=dict(forms[0].training)))
    return [(own, int(seed), metric) for seed in seeds]


def _keywords(arm: _Arm) -> dict[str, Any]:
    """Return the keywords of its training, for `fallline.train_many`."""
    found = {name: value for name, value in arm.training.items() if value is not None}
    return {"early_stopping": False, **found}


def _require_forks(arms: Mapping[str, list[_Arm]], at: int) -> None:
    control = anatomy_of(arms["control"][0].model)
    obstacles = {}
    for name, forms in arms.items():
        design = forms[0].design
        done = design.treatments if design is not None else ()
        why = next((_FROM_THE_BEGINNING[name] for name in done if name in _FROM_THE_BEGINNING), "")
        if not why and forms[0].scale != arms["control"][0].scale:
            why = "it changes what the network is given"
        obstacles[name] = why or shape_obstacle(control, anatomy_of(forms[0].model))
    refuse(obstacles, at)


# ------------------------------------------------------------------------------------------------- the trainings


def _trained(
    data: Data,
    forms: list[_Arm],
    parts: list[tuple[np.ndarray, ...]],
    plan: Plan,
    fork: Fork | None,
    scored: bool,
) -> dict[tuple[int, int], Run]:
    """Return (seed, fold) -> run of one arm; the folds on which it is the same are one population."""
    found: dict[tuple[int, int], Run] = {}
    for form in {id(one): one for one in forms}.values():
        own = [place for place, one in enumerate(forms) if one is form]
        alone = len(own) == 1
        names = {(s, None if alone else i): (s, place) for s in plan.seeds for i, place in enumerate(own)}
        moved = None if fork is None else Fork(fork.at, {new: fork.found[old] for new, old in names.items()})
        centre, scale = form.scale
        y = data.y if form.scale == (0.0, 1.0) else (data.y - centre) / scale
        runs = train_many_keras(
            form.model, data.x, y, seeds=plan.seeds, folds=[parts[i] for i in own], scored=scored,
            on_progress=plan.on_progress, fork=moved, **_keywords(form),
        )  # fmt: skip
        if any(run.outcome == "interrupted" for run in runs):
            raise KeyboardInterrupt
        found |= dict(zip(names.values(), runs, strict=True))
    return found
