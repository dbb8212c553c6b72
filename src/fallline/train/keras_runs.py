"""What a Keras model has become by a training, and what its run records."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fallline.engine import DIVERGED, STOPPED
from fallline.keras_config import settle
from fallline.rules._from_model import output_shape, output_statistics
from fallline.train.fitted import Fitted
from fallline.train.keras_settings import Settings
from fallline.train.keras_task import KerasTask
from fallline.train.orders import Member
from fallline.train.trace import make_trace
from fallline.types import Outcome, Recipe, Run

__all__ = ["assign", "checked_before", "loss_name", "run_of", "target_range"]

Tree = Any
_MOST_TARGETS = 10_000_000  # looked at after training: a tenth of a second and some 200 MB


def assign(model: keras.Model, task: KerasTask, fitted: Fitted, settings: Settings, *, own_optimizer: bool) -> None:
    """Give the model its trained weights: the best ones when they were kept, as Keras' restore_best_weights does."""
    state = fitted.state
    best = settings.stopping.keep_best and int(np.asarray(state.best_epoch)[0]) > 0
    params, aux = (state.best_params, state.best_aux) if best else (fitted.used, state.aux)
    for v, value in zip(model.trainable_variables, params, strict=True):
        v.assign(np.asarray(value)[0])
    for v, value in zip(model.non_trainable_variables, aux, strict=True):
        v.assign(np.asarray(value)[0])
    settle(model)
    if own_optimizer:
        for v, value in zip(model.optimizer.variables, state.optimizer, strict=True):
            v.assign(np.asarray(value)[0])
        if not best:
            # Moving averages take their place, where asked for.
            model.optimizer.finalize_variable_values(model.trainable_variables)


def target_range(model: keras.Model, y: Tree) -> dict[str, Any]:
    """What the targets are, for the rule that compares them with the output: JAX trains on class 3 of 3 unmoved."""
    from fallline.rules._statistics import target_statistics

    shape = output_shape(model)
    by_cell = shape is not None and len(shape) > 2  # what was checked before knows more
    if not isinstance(y, np.ndarray) or y.ndim > 2 or y.size > _MOST_TARGETS or by_cell:
        return {}
    return {name: value for name, value in target_statistics(y).items() if name != "target_sd"}


def checked_before(
    model: keras.Model, x: Tree, y: Tree, settings: Settings, validation: Tree | None, *, weighted: bool, own: bool
) -> dict[str, Any]:
    """What the rules ask of model and data before the first step: afterwards the weights say nothing of their start."""
    from fallline.rules import plain_checked, static_statistics

    if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray):
        return {}
    found = static_statistics(
        model,
        x,
        y,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        shuffle=settings.shuffle,
        validation_data=validation,
    )
    # Weighted rows have another best constant prediction, and a recipe brings an optimizer of its own.
    unknown = {"reference_loss"} if weighted else set()
    unknown |= set() if own else {"optimizer_name", "first_rate", "momentum", "rate_is_scheduled"}
    return plain_checked({name: value for name, value in found.items() if name not in unknown})


def run_of(
    model: keras.Model,
    member: Member,
    fitted: Fitted,
    settings: Settings,
    recipe: Recipe | None,
    counted: dict[str, int],
) -> Run:
    """Make the run of a population of one.

    Args:
        model: as it was compiled.
        member: who was trained.
        fitted: what came out; a population of this member alone.
        settings: how it was trained.
        recipe: of the user, if any.
        counted: how often its loss was looked at.
    """
    n, n_validation, seed = len(member.train_rows), len(member.val_rows), member.seed
    state = fitted.state
    code, best = int(np.asarray(state.outcome)[0]), int(np.asarray(state.best_epoch)[0])
    outcome: Outcome = "completed"
    if fitted.interrupted:
        outcome = "interrupted"
    elif code in (STOPPED, DIVERGED):
        outcome = "stopped_early" if code == STOPPED else "diverged"
    names = ("running_loss", *fitted.quantities, *(f"val_{name}" for name in fitted.quantities))
    seen = fitted.seen if n_validation else fitted.seen[:, :, : 1 + len(fitted.quantities)]
    trace = make_trace(seen, names[: seen.shape[2]], np.asarray(state.epoch))
    bad = int(np.asarray(state.bad_step)[0])
    facts: dict[str, Any] = {
        "name": model.name,
        "n_train": n,
        "n_validation": n_validation,
        "planned_epochs": settings.epochs,
        "stopped_epoch": int(np.asarray(state.epoch)[0]),
        "best_epoch": best,
        "restored": bool(settings.stopping.keep_best and best),
        "steps_per_epoch": int(fitted.steps.max()),
        "evaluations": counted,
        "batch_size": settings.batch_size,
        "seed": seed,
        "loss": loss_name(model),
        "parameters": int(model.count_params()),
        "seconds": fitted.seconds,
        "compile_seconds": fitted.compile_seconds,
        "output": _output(model),
        "members": [
            {
                "seed": seed,
                "outcome": outcome,
                "epochs": int(np.asarray(state.epoch)[0]),
                "best_epoch": best,
                "best_val_loss": float(np.asarray(state.best_loss)[0]),
                "evaluations": counted,
                **({"bad_step": bad} if bad >= 0 else {}),
            }
        ],
    }
    return Run(model=model, trace=trace, outcome=outcome, recipe=recipe, facts=facts)


def _output(model: keras.Model) -> dict[str, Any]:
    """Name the output's activation and width, as far as the model says what makes its output."""
    found = output_statistics(model)
    return {"activation": found.get("output_activation", ""), "units": found.get("output_units")}


def loss_name(model: keras.Model) -> str:
    """Return the name of the loss that a model was compiled with."""
    loss = model.loss
    return loss if isinstance(loss, str) else str(getattr(loss, "name", getattr(loss, "__name__", type(loss).__name__)))
