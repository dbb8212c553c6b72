"""Check, train and diagnose a Keras model in one call; the model that was given stays as it is."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from fallline.diagnose import diagnose, examine
from fallline.errors import FalllineError, InputError
from fallline.keras_config import anew, copied, loss_weights
from fallline.rules import plain_checked, static_statistics
from fallline.train.api import train
from fallline.types import Diagnosis, Run

__all__ = ["diagnose_training"]

# Keras' own defaults.
_EPOCHS, _BATCH = 1, 32


def diagnose_training(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    optimizer: Any = None,
    epochs: int = _EPOCHS,
    batch_size: int | None = None,
    validation_data: Any = None,
    shuffle: bool = True,
    seed: int = 0,
    on_progress: Any = None,
) -> Diagnosis:
    """Check a model and its data, train a copy of it, and say what is wrong.

    The training does what Keras' ``fit`` would do with the same arguments: all epochs, the last weights. The model that
    was given keeps its weights and its optimizer. A model or data that fallline's engine does not take is trained by
    Keras' own ``fit``, whose learning curves are then diagnosed; where that fails, too, the check alone speaks.

    Args:
        model: a Keras model, compiled or not.
        x: inputs, (n, ...).
        y: targets, as the loss expects them.
        loss: a Keras loss; by default the compiled one, else the one that fits the output.
        optimizer: a Keras optimizer or its name; by default the compiled one, else rmsprop as in Keras' compile.
        epochs: passes over the rows.
        batch_size: rows per step; default 32.
        validation_data: (x, y) of rows to validate on.
        shuffle: new order of the rows in each epoch.
        seed: of the order, of dropout and of noise.
        on_progress: as for `fallline.train`.

    Raises:
        InputError: this is no Keras model, or it cannot be trained and the check does not say why.
        KeyboardInterrupt: the training was stopped.

    >>> import keras, numpy as np
    >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1, "softmax")])
    >>> result = diagnose_training(model, x, (x[:, 0] > 0) * 1, loss="binary_crossentropy", epochs=2)
    >>> result[0].symptom
    'output-loss-mismatch'
    """
    if not isinstance(model, keras.Model):
        raise InputError(
            f"diagnose_training was given a {type(model).__name__}; it takes a Keras model. For a table and a recipe "
            "use fallline.train(...).diagnosis."
        )
    batch_size = batch_size or _BATCH
    before = static_statistics(
        model, x, y, loss=loss, optimizer=optimizer, batch_size=batch_size, epochs=epochs,
        validation_data=validation_data, shuffle=shuffle,
    )  # fmt: skip
    if before.get("missing_inputs") or before.get("missing_targets"):
        return examine(before)  # the first step would make every weight NaN: there is nothing to see in it
    kept = [np.asarray(v) for v in model.get_weights()] if model.built else None
    copy = _copy(model)
    try:
        with warnings.catch_warnings():
            # Keras warns of a softmax over one unit, once and from inside a layer; the diagnosis says it in full.
            warnings.filterwarnings("ignore", message=r"[\s\S]*softmax over axis")
            _compile(copy, model, before, loss, optimizer)
            fitting = {
                "epochs": epochs, "batch_size": batch_size, "validation_data": validation_data, "shuffle": shuffle
            }  # fmt: skip
            return _trained(copy, x, y, before, fitting, seed, on_progress)
    finally:
        if copy is model and kept is not None:
            model.set_weights(kept)


def _trained(
    copy: keras.Model, x: Any, y: Any, before: dict[str, Any], fitting: dict[str, Any], seed: int, on_progress: Any
) -> Diagnosis:
    try:
        run = train(copy, x, y, seed=seed, early_stopping=False, verbose=0, on_progress=on_progress, **fitting)
    except (FalllineError, TypeError, ValueError) as refused:  # the latter two are Keras' own, of shapes and losses
        return _by_keras(copy, x, y, before, fitting, refused)
    if run.outcome == "interrupted":
        raise KeyboardInterrupt  # half a training has other symptoms than a whole one
    seen = run.facts.get("checked", {})
    checked = {**seen, **plain_checked(before)}
    if "layers" in seen:
        checked["layers"] = seen["layers"]  # those that were trained: a subclassed model was not built before
    return diagnose(_with(run, checked))


def _with(run: Run, checked: dict[str, Any]) -> Run:
    return run.with_(facts={**run.facts, "checked": checked})


def _by_keras(
    copy: keras.Model, x: Any, y: Any, before: dict[str, Any], fitting: dict[str, Any], refused: Exception
) -> Diagnosis:
    """Train by Keras' own fit what the engine refused; the check alone speaks where that fails, too."""
    try:
        history = copy.fit(x, y, verbose=0, **fitting)
    except Exception as error:  # whatever Keras or its backend thinks of it
        alone = examine(before)
        if all(finding.severity != "serious" for finding in alone):  # slow learning is no reason for an error
            raise InputError(f"The model cannot be trained on this data: {refused}") from error
        return alone
    return diagnose(history, known=before)


def _copy(model: keras.Model) -> keras.Model:
    """Return a model of the same layers and weights; a model that cannot be copied comes back itself."""
    try:
        copy: keras.Model = copied(model)
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return model
    return copy


def _compile(copy: keras.Model, model: keras.Model, before: dict[str, Any], loss: Any, optimizer: Any) -> None:
    """Compile with what was given, else with what the model was compiled with; accuracy is watched for classes."""
    compiled = bool(getattr(model, "compiled", False))
    weights = loss_weights(model) if loss is None else None
    loss = loss if loss is not None else (model.loss if compiled else None)
    if loss is None:
        return  # the training guesses the loss that fits the output
    if optimizer is None and compiled:
        optimizer = model.optimizer
    if isinstance(optimizer, keras.optimizers.Optimizer):
        optimizer = anew(optimizer)
    labels = before.get("problem_kind") in ("binary", "multiclass", "multilabel")
    metrics = ["accuracy"] if labels else None
    copy.compile(optimizer=optimizer or "rmsprop", loss=loss, loss_weights=weights, metrics=metrics)
