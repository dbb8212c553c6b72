"""Keras models of the user's own."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from fallline.data import folds as make_folds
from fallline.errors import InputError
from fallline.experiment.account import Plan, account
from fallline.experiment.keras_arms import score_models
from fallline.experiment.outputs import constant_outputs, labels_of, score_outputs
from fallline.improve.bench import Bench, OnProgress
from fallline.keras_config import anew, copied, fills_gaps, loss_weights
from fallline.train import diagnose_training, train
from fallline.train.arrays import as_arrays, rows_of
from fallline.treatments import design_key, design_of, facts_of, finished_model, treat
from fallline.types import Design, Diagnosis, Experiment, Run, Score

__all__ = ["KerasBench", "design_from"]

_EPOCHS, _BATCH = 100, 32  # as in `fallline.train`
_VALIDATION = 0.2  # of the rows that a diagnosis or an early stopping may see


def design_from(model: Any, loss: Any, optimizer: Any, training: Mapping[str, Any]) -> Design:
    """Return the control as a design.

    Args:
        model: a Keras model, compiled unless ``loss`` is given; a `Design`; or the `Run` of a Keras model.
        loss: in the place of the compiled one.
        optimizer: likewise; adam where there is neither.
        training: ``epochs``, ``batch_size`` and ``shuffle`` that were given; None: not said.

    Raises:
        InputError: it is no model, or has no loss.
    """
    said = {name: value for name, value in training.items() if value is not None}
    if isinstance(model, Run):
        facts = model.facts
        said = {"epochs": facts.get("planned_epochs"), "batch_size": facts.get("batch_size"), **said}
        model = model.model
    if isinstance(model, Design):
        if loss is not None or optimizer is not None:
            raise InputError("A Design brings its loss and its optimizer; leave loss and optimizer out.")
        found = model
    else:
        if not isinstance(model, keras.Model):
            raise InputError(
                f"fl.improve was given a {type(model).__name__}; it takes a Recipe, the name of a preset ('default', "
                "'simple'), a Keras model, a Design, or a Run."
            )
        if loss is not None or optimizer is not None:
            model = _recompiled(model, loss, optimizer)
        found = design_of(model)
    return found.with_(training={"epochs": _EPOCHS, "batch_size": _BATCH, **dict(found.training), **said})


def _recompiled(model: keras.Model, loss: Any, optimizer: Any) -> keras.Model:
    copy = copied(model)
    before = bool(getattr(model, "compiled", False))
    weights = loss_weights(model) if loss is None else None
    loss = loss if loss is not None else (model.loss if before else None)
    if loss is None:
        raise InputError("The model is not compiled, so that a loss must be given: fl.improve(model, x, y, loss=...).")
    kept = model.optimizer if before else None
    if optimizer is None and kept is not None:
        optimizer = anew(kept)
    copy.compile(optimizer=optimizer if optimizer is not None else "adam", loss=loss, loss_weights=weights)
    return copy


class KerasBench(Bench):
    """A Keras model's design and its rows.

    Args:
        control: the design.
        x: (n, ...) inputs, or several.
        y: (n, ...) targets.
        folds: of an experiment.
        holdout: share of the rows that no choice sees.
        metric: by which is judged; None: log-loss, RMSE, or what `fallline.experiment` compares by.
        seed: of the hold-out, the folds and the last trainings.

    Raises:
        InputError: fewer rows than folds.
    """

    most_arms = 6  # each is a compiled program of its own
    last = ("average-networks",)  # five times the layers to compile from then on, which no treatment reaches any more

    def __init__(
        self, control: Design, x: Any, y: Any, *, folds: int, holdout: float, metric: str | None, seed: int
    ) -> None:
        self.control, self.folds, self.metric, self.seed = control, folds, metric, seed
        self.x, self.y = as_arrays(x, "x", gaps=True), as_arrays(y, "y")
        rows = rows_of((self.x, self.y), "x and y")
        self._facts: dict[str, Mapping[str, Any]] = {}
        self.memory = ({}, {})
        self.inner = np.arange(rows)
        plain = isinstance(self.x, np.ndarray) and isinstance(self.y, np.ndarray)
        self.kind = facts_of(control.build(), self.x, self.y).get("kind") if plain else None
        self.held = self.inner[:0]
        if holdout:
            ((self.inner, self.held),) = make_folds(self._strata(self.inner), folds=1, share=holdout, seed=seed)
        self.held_out = len(self.held)
        self.partitions = [make_folds(self._strata(self.inner), folds=folds, seed=seed + i) for i in (0, 1)]
        digest = hashlib.sha256()
        for array in keras.tree.flatten((self.x, self.y)):
            digest.update(np.ascontiguousarray(array).tobytes())
        self.about = {
            "control": self.key(control), "data": digest.hexdigest(), "folds": folds, "holdout": holdout,
            "metric": metric, "seed": seed,
        }  # fmt: skip

    def _labels(self) -> np.ndarray | None:
        return labels_of(self.kind or "", self.y) if isinstance(self.y, np.ndarray) else None

    def _strata(self, rows: np.ndarray) -> np.ndarray:
        """Return words for classes, by which rows are stratified, or numbers that are not."""
        labels = self._labels()
        return rows.astype(float) if labels is None else labels[rows].astype(str)

    def _rows(self, rows: np.ndarray) -> tuple[Any, Any]:
        return keras.tree.map_structure(lambda array: array[rows], (self.x, self.y))  # type: ignore[no-any-return]

    # --------------------------------------------------------------------------------------------- the interface

    def treated(self, subject: Any, names: tuple[str, ...]) -> Design | None:
        """Return the design treated, or None where there is nothing to change."""
        key = self.key(subject)
        if key not in self._facts:
            self._facts[key] = facts_of(subject.build(), *self._rows(self.inner))
        try:
            found: Design = treat(subject, names, known=self._facts[key])
        except InputError:
            return None
        return found

    def viable(self, subject: Any) -> bool:
        """Return whether a model can be built of the design, and fills the gaps of these rows, where there are any."""
        try:
            return fills_gaps(subject.build(), self.x)
        except InputError:
            return False

    def key(self, subject: Any) -> str:
        """Return what tells two designs apart."""
        return design_key(subject)

    def diagnosed(self, subject: Any, on_progress: OnProgress) -> Diagnosis:
        """Check the model and the data, train once on the rows of the choices, and say what is wrong."""
        ((rows, held),) = make_folds(self._strata(self.inner), folds=1, share=_VALIDATION, seed=self.seed)
        x, y = self._rows(self.inner[rows])
        other_x, other_y = self._rows(self.inner[held])
        training = subject.training
        found = diagnose_training(
            self._drawn(subject), x, _scaled(subject, y), epochs=training["epochs"], batch_size=training["batch_size"],
            validation_data=(other_x, _scaled(subject, other_y)), shuffle=training.get("shuffle", True),
            seed=self.seed, on_progress=on_progress,
        )  # fmt: skip
        if "fill-missing" in subject.treatments:  # the rows still have their gaps, which the model fills by itself
            found = replace(found, findings=tuple(one for one in found if one.symptom != "missing-values"))
        return found

    def experiment(
        self, control: Any, arms: Mapping[str, Any], seeds: Sequence[int], partition: int, on_progress: OnProgress
    ) -> Experiment:
        """Compare designs with a control on the rows of the choices; what was trained before is remembered."""
        x, y = self._rows(self.inner)
        plan = Plan(seeds, self.partitions[partition], self.metric, on_progress=on_progress)
        found = score_models(control, arms, x, y, plan, training={}, memory=self.memory[partition])
        return account(found, seeds)

    def constant(self, metric: str) -> float | None:
        """Return what the best constant prediction scores on the rows of the choices."""
        if self.kind is None:
            return None
        y = self._rows(self.inner)[1]
        scores = score_outputs(self.kind, y, constant_outputs(self.kind, y, y))
        return {one.metric: one.value for one in scores}.get(metric)

    def finished(self, better: Any, on_progress: OnProgress) -> tuple[Run, tuple[Score, ...]]:
        """Train what was found, and score it beside the control and the constant prediction."""
        run, scores = self._last(better, "model", on_progress)
        if not self.held_out:
            return run, ()
        constant: tuple[Score, ...] = ()
        if self.kind is not None:
            known, new = self._rows(self.inner)[1], self._rows(self.held)[1]
            constant = self._score(constant_outputs(self.kind, new, known), "dummy")
        if self.key(better) == self.key(self.control):
            untreated = scores
        elif self.viable(self.control):
            untreated = self._last(self.control, "control", on_progress)[1]
        else:  # its inputs have gaps: what cannot be trained counts as in an experiment
            untreated = constant
        return run, (*scores, *(replace(one, who="control") for one in untreated), *constant)

    def _last(self, design: Design, who: str, on_progress: OnProgress) -> tuple[Run, tuple[Score, ...]]:
        """Train on all rows of the choices and score on the others, which are watched but stop nothing."""
        rows, watched = self.inner, self.held
        training = {"early_stopping": False, **dict(design.training)}
        if training["early_stopping"]:
            ((part, rest),) = make_folds(self._strata(self.inner), folds=1, share=_VALIDATION, seed=self.seed)
            rows, watched = self.inner[part], self.inner[rest]
        x, y = self._rows(rows)
        beside = None
        if len(watched):
            other = self._rows(watched)
            beside = (other[0], _scaled(design, other[1]))
        run = train(
            self._drawn(design), x, _scaled(design, y), validation_data=beside, seed=self.seed, verbose=0,
            on_progress=on_progress, **training,
        )  # fmt: skip
        if run.outcome == "interrupted":
            raise KeyboardInterrupt
        run = run.with_(model=finished_model(design, run.model))
        if not self.held_out or self.kind is None:
            return run, ()
        return run, self._score(np.asarray(run.model.predict(self._rows(self.held)[0], verbose=0)), who)

    def _score(self, outputs: np.ndarray, who: str) -> tuple[Score, ...]:
        y = self._rows(self.held)[1]
        scores = score_outputs(str(self.kind), y, outputs)
        found = [replace(one, who=who, rows="test", n=len(self.held)) for one in scores]
        return tuple(sorted(found, key=lambda one: one.metric != self.metric))

    def _drawn(self, design: Design) -> keras.Model:
        """Build the model with first weights of this seed; layers that are not trained keep theirs."""
        state = random.getstate()
        try:
            random.seed(self.seed)  # Keras' initialisers take their seeds from here
            model = design.build()
            fixed = {layer.name for layer in model._flatten_layers() if not layer.trainable_weights}
            kept = {path: weights for path, weights in design.weights.items() if path.rpartition("/")[2] in fixed}
            random.seed(self.seed)
            return design.with_(weights=kept).build()
        finally:
            random.setstate(state)


def _scaled(design: Design, y: Any) -> Any:
    if design.target_scale is None:
        return y
    centre, scale = design.target_scale
    return (y - centre) / scale
