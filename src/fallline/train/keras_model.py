"""Train any Keras model of the user's own by the engine: Sequential, Functional or subclassed, compiled or not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import keras
import numpy as np

from fallline import recipe as recipes
from fallline.engine import DIVERGED, STOPPED, Population, Stepwise, Stopping, configure
from fallline.errors import InputError
from fallline.optimize import fan_in_factors, make_optimizer, schedule_numbers
from fallline.recipe.checks import USUAL_DAMPING
from fallline.recipe.resolve import own_numbers, resolve_reducing, resolve_stopping
from fallline.train.arrays import as_arrays, class_weights, rows_of, split_tail, stack
from fallline.train.evaluations import evaluations
from fallline.train.halting import make_stopping, stopping_section, with_schedule
from fallline.train.inside import begin_watching, depth_of, make_eyes, with_inside
from fallline.train.keras_support import convolves, require_full_batch, require_jax, require_supported, rowwise_loss
from fallline.train.keras_task import KerasTask, keras_task
from fallline.train.loop import Fitted, OnProgress, fit_population
from fallline.train.orders import Member, Plan
from fallline.train.postmortem import post_mortem, with_causes
from fallline.train.prepared import REDUCING_NUMBERS, average_after
from fallline.train.trace import make_trace
from fallline.types import FULL_BATCH, REDUCING, OptimizerRecipe, Outcome, Recipe, Run

__all__ = ["build", "guess_loss", "row_weights", "train_keras"]

Tree = Any
_MOST_TARGETS = 10_000_000  # looked at after training: a tenth of a second and some 200 MB

# An uncompiled model is trained with the settings of the preset "simple".
_EPOCHS = 100
_BATCH = 32  # Keras' own default
_PATIENCE = 20
# Numbers per evaluation batch over the widest layer: 64 MB of float32.
_EVAL_NUMBERS = 16_000_000
# Rows whose outputs show what the output unit of a subclassed model does.
_LOOKED_AT = 256


@dataclass(frozen=True)
class Settings:
    """Keras' own keywords, resolved."""

    epochs: int
    batch_size: int
    shuffle: bool
    stopping: Stopping
    order: str = "shuffled"
    doublings: tuple[float, ...] = ()
    schedule: str = "constant"
    warmup: float = 0.0
    schedule_numbers: Mapping[str, float] = field(default_factory=dict)


def _output_activation(model: keras.Model, x: Tree) -> tuple[str, int]:
    """Return (what the output unit does: softmax, sigmoid or linear, its width)."""
    out = model(keras.tree.map_structure(lambda a: a[:_LOOKED_AT], x), training=False)
    if not hasattr(out, "shape"):
        raise InputError(
            "A model with several outputs must be compiled first, with one loss per output: model.compile(loss=[...])."
        )
    values, width = np.asarray(out), int(out.shape[-1])
    if hasattr(model, "_output_layers") or isinstance(model, keras.Sequential):
        last = model.layers[-1] if isinstance(model, keras.Sequential) else model.outputs[0]._keras_history.operation
        named = str(getattr(getattr(last, "activation", None), "__name__", type(last).__name__)).lower()
        return (named if named in ("softmax", "sigmoid") else "linear"), width
    # A subclassed model does not say which layer is its last; what comes out of it does.
    bounded = bool(((values > 0) & (values < 1)).all())
    if bounded and width > 1 and np.allclose(values.sum(axis=-1), 1.0, atol=1e-4):
        return "softmax", width
    return ("sigmoid" if bounded and len(values) >= _LOOKED_AT // 4 else "linear"), width


def guess_loss(model: keras.Model, x: Tree, y: np.ndarray) -> tuple[keras.losses.Loss, list[keras.metrics.Metric]]:
    """The loss that fits the output unit and the targets, by maximum likelihood (catalogue T1), with its accuracy."""
    activation, width = _output_activation(model, x)
    index = y.dtype.kind in "iu" and width > 1 and (y.ndim == 1 or y.shape[-1] == 1)
    if activation == "softmax" and not index:
        return keras.losses.CategoricalCrossentropy(), [keras.metrics.CategoricalAccuracy(name="accuracy")]
    # Indices of classes cannot be quantities of several units.
    if activation == "softmax" or (activation == "linear" and index):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=activation == "linear")
        return loss, [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if np.shape(y)[1:] not in ((width,), ()) or (y.ndim == 1 and width > 1):
        raise InputError(
            f"The model gives {width} value(s) per row, but the targets have the shape {y.shape}. "
            f"Give targets of the shape (rows, {width})."
        )
    if activation == "sigmoid":
        return keras.losses.BinaryCrossentropy(), [keras.metrics.BinaryAccuracy(name="accuracy")]
    return keras.losses.MeanSquaredError(), []


def _compiled(model: keras.Model, x: Tree, y: Tree, recipe: Recipe | None) -> keras.Model:
    if getattr(model, "compiled", False):
        return model
    if isinstance(y, (dict, list)):
        raise InputError(
            "A model with several outputs must be compiled first, with one loss per output: model.compile(loss=[...])."
        )
    loss, metrics = guess_loss(model, x, y)
    rate = recipe.optimizer.learning_rate if recipe is not None and recipe.optimizer.learning_rate != "auto" else 1e-3
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss, metrics=metrics)
    return model


def _stopping(early_stopping: Any, validated: bool) -> Stopping:
    """What ``early_stopping`` means: False, True, a patience, a Keras EarlyStopping, or like a StoppingRecipe."""
    if early_stopping is False or early_stopping is None:
        return Stopping(keep_best=False)
    if early_stopping is True:
        return Stopping(patience=_PATIENCE) if validated else Stopping(keep_best=False)
    if not validated:
        raise InputError(
            "early_stopping needs validation rows. Give validation_data or validation_split, or early_stopping=False."
        )
    if isinstance(early_stopping, (int, np.integer)) and early_stopping > 0:
        return Stopping(patience=int(early_stopping))
    if isinstance(early_stopping, keras.callbacks.EarlyStopping):
        if early_stopping.monitor != "val_loss" or early_stopping.mode == "max":
            raise InputError(
                f"EarlyStopping(monitor={early_stopping.monitor!r}, mode={early_stopping.mode!r}) is not supported: "
                "fallline stops by the smallest 'val_loss'."
            )
        if early_stopping.baseline is not None or early_stopping.start_from_epoch:
            raise InputError(
                "EarlyStopping's baseline and start_from_epoch are not supported. "
                "Leave them out, or train with the model's own fit."
            )
        return Stopping(
            patience=max(1, early_stopping.patience),
            min_delta=abs(float(early_stopping.min_delta)),
            keep_best=bool(early_stopping.restore_best_weights),
        )
    section = stopping_section(early_stopping)
    if section is not None:
        return make_stopping(resolve_stopping(section, _PATIENCE), validated=True, schedule="constant")
    raise InputError(
        f"early_stopping = {early_stopping!r} is not allowed: it takes False, True, "
        "a patience in epochs (a whole number above 0), a criterion ('gl', 'pq', 'up' or 'patience'), the entries of a "
        "recipe's [stopping] section as a dict, that section itself, or "
        "keras.callbacks.EarlyStopping(monitor='val_loss')."
    )


def _positive(name: str, value: Any, default: int) -> int:
    if value is None or value == "auto":
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} = {value!r} is not allowed: it takes a whole number of at least 1.")
    return int(value)


def _eval_batch(model: keras.Model, batch: int, n: int) -> int:
    if not rowwise_loss(model):
        return batch  # the loss of a batch depends on the batch: evaluate in Keras' own
    outputs = [
        out
        for layer in model.layers
        if getattr(layer, "_inbound_nodes", None)
        for out in keras.tree.flatten(layer.output)
    ]
    widths = [int(np.prod([d or 1 for d in out.shape[1:]])) for out in outputs]
    return max(batch, min(8192, n, _EVAL_NUMBERS // max([1, *widths] if widths else [4096])))


def train_keras(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    validation_data: Any = None,
    validation_split: float = 0.0,
    epochs: int | None = None,
    batch_size: int | Literal["all"] | None = None,
    class_weight: Mapping[Any, float] | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    seed: int = 0,
    early_stopping: Any = True,
    recipe: Recipe | None = None,
    on_progress: OnProgress | None = None,
    watch: Any = False,
) -> Run:
    """Train a Keras model in place; see `fallline.train`."""
    require_jax()
    depth, every = depth_of(watch)
    require_supported(model)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise InputError(f"seed = {seed!r} is not allowed: it takes a whole number from 0 to {2**32 - 1}.")
    configure()
    began = time.perf_counter()
    recipe = recipes.check(recipe) if recipe is not None else None
    x, y = as_arrays(x, "x"), as_arrays(y, "y")
    n = rows_of((x, y), "x and y")
    weight = row_weights(sample_weight, n, "sample_weight")
    (x, y, weight), validation, weighted = _validation((x, y, weight), validation_data, validation_split)
    if class_weight is not None:  # as under Keras' fit, the validation rows keep their own weights
        weight = weight * class_weights(y, class_weight)
    weighted = weighted or sample_weight is not None or class_weight is not None
    n = len(weight)
    build(model, x)
    model = _compiled(model, x, y, recipe)
    rows = _rows_a_step(recipe, batch_size, n)
    settings = _settings(recipe, epochs, rows, shuffle, early_stopping, validation is not None)
    if recipe is not None and recipe.optimizer.name in FULL_BATCH:
        asked = recipe.training.batch_size if batch_size is None else settings.batch_size
        require_full_batch(model, recipe.optimizer.name, asked, n)
        settings = replace(settings, batch_size=n)
    checked = _checked(model, x, y, settings, validation, weighted=weighted, own=recipe is None)
    optimizer, numbers = _recipe_optimizer(recipe, model)
    if recipe is not None:
        planned = replace(recipe.training, epochs=settings.epochs, batch_size=settings.batch_size)
        numbers |= average_after(replace(recipe, training=planned), n)
    sample = keras.tree.map_structure(lambda a: a[: min(2, n)], (x, y))
    task = keras_task(model, optimizer=optimizer, numbers=numbers, seed=seed, sample=sample, weighted=weighted)
    data = (x, y, weight) if validation is None else stack((x, y, weight), validation)
    member = Member(seed, np.arange(n), np.arange(n, len(data[2])), numbers)
    plan = Plan(
        settings.epochs,
        settings.batch_size,
        shuffle=settings.shuffle,
        order=settings.order,
        doublings=settings.doublings,
        schedule=settings.schedule,
        warmup=settings.warmup,
        schedule_numbers=settings.schedule_numbers,
        eval_batch=_eval_batch(model, settings.batch_size, n),
    )
    # XLA's convolutions on a CPU lose their threads inside a compiled loop.
    kind = Stepwise if convolves(model) and jax.default_backend() == "cpu" else Population
    eyes = make_eyes(model, task.task, depth, sample[0]) if depth else None
    observer = eyes.observer if eyes is not None else None
    population = kind(task.task, settings.stopping, 1, validated=validation is not None, observer=observer)
    start = jax.tree.map(lambda a: np.asarray(a)[None], (task.params, task.aux, task.optimizer))
    inside = begin_watching(eyes, [member], plan, start[0], every)
    fitted = fit_population(population, [member], plan, data, *start, on_progress=on_progress, inside=inside)
    _assign(model, task, fitted, settings, own_optimizer=optimizer is None)
    run = _run(model, fitted, settings, recipe, n, validation, seed, evaluations(optimizer, fitted)[0])
    causes = post_mortem(population, [member], plan, data, fitted, model)
    facts = {
        **with_causes(run.facts, causes),
        **_target_range(y),
        "checked": checked,
        "total_seconds": time.perf_counter() - began,
    }
    run = with_inside(run.with_(facts=facts), eyes, fitted)
    from fallline.diagnose import diagnose

    return run.with_(diagnosis=diagnose(run))


def row_weights(given: Any, n: int, name: str) -> np.ndarray:
    """Return (n,) weights, ones where none are given; InputError for a wrong number of them, or negative ones."""
    if given is None:
        return np.ones(n, np.float32)
    weight = as_arrays(given, name)
    if np.shape(weight) != (n,) or (weight < 0).any() or not weight.any():
        raise InputError(
            f"{name} of shape {np.shape(weight)} is not allowed: it takes {n} numbers >= 0, one per row, not all 0."
        )
    return np.asarray(weight, np.float32)


def _validation(data: Tree, given: Any, share: float) -> tuple[Tree, Tree | None, bool]:
    """Return (training data, validation data or None, whether the latter has weights of its own)."""
    if given is not None:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise InputError("validation_data takes (x, y) or (x, y, sample_weight).")
        vx, vy = as_arrays(given[0], "validation x"), as_arrays(given[1], "validation y")
        m = rows_of((vx, vy), "validation_data")
        weight = row_weights(given[2] if len(given) == 3 else None, m, "validation sample_weight")
        x, y, _ = data
        for name, mine, theirs in (("x", x, vx), ("y", y, vy)):
            shapes = [keras.tree.map_structure(lambda a: ("rows", *np.shape(a)[1:]), tree) for tree in (mine, theirs)]
            if shapes[0] != shapes[1]:
                raise InputError(
                    f"{name} has the shape {shapes[0]} in training but {shapes[1]} in validation_data; they must agree."
                )
        return data, (vx, vy, weight), len(given) == 3 and given[2] is not None
    if share:
        return *split_tail(data, share), False
    return data, None, False


def build(model: keras.Model, x: Tree) -> None:
    """Build a model whose input shape is only known from the data."""
    if not model.built or not model.variables:
        model(keras.tree.map_structure(lambda a: a[:1], x), training=False)


def _rows_a_step(recipe: Recipe | None, batch_size: Any, n: int) -> Any:
    """Return the batch size that is asked for, the keyword before the recipe."""
    asked = batch_size if batch_size is not None or recipe is None else recipe.training.batch_size
    return n if isinstance(asked, str) and asked == "all" else asked


def _settings(
    recipe: Recipe | None, epochs: Any, batch_size: Any, shuffle: bool, early_stopping: Any, validated: bool
) -> Settings:
    training = recipe.training if recipe is not None else None
    if recipe is not None and early_stopping is True:
        early_stopping = recipe.stopping if validated else False
    optimizer = recipe.optimizer if recipe is not None else OptimizerRecipe()
    return Settings(
        epochs=_positive("epochs", epochs if epochs is not None or training is None else training.epochs, _EPOCHS),
        batch_size=_positive("batch_size", batch_size, _BATCH),
        shuffle=bool(shuffle) and (training is None or training.shuffle),
        order="shuffled" if training is None else training.order,
        doublings=() if training is None else training.batch_doublings,
        stopping=with_schedule(_stopping(early_stopping, validated), optimizer.schedule),
        schedule=optimizer.schedule if optimizer.schedule != "auto" else "constant",
        warmup=optimizer.warmup,
        schedule_numbers=schedule_numbers(optimizer),
    )


def _recipe_optimizer(recipe: Recipe | None, model: keras.Model | None = None) -> tuple[Any, dict[str, float]]:
    """The recipe's optimizer for a foreign model; None when there is no recipe, so that the model's own is used."""
    if recipe is None:
        return None, {}
    o = recipe.optimizer
    name = "adamw" if o.name == "auto" else o.name
    if o.l1 or o.l2:
        raise InputError(
            "optimizer.l1 and l2 act on fallline's own networks; "
            "give your Keras layers a kernel_regularizer, or use weight_decay with adamw."
        )
    factors = None
    if o.rate_by_fan_in and model is not None:
        variables = model.trainable_variables
        factors = fan_in_factors([v.path for v in variables], [tuple(v.shape) for v in variables])
    made = make_optimizer(
        name, nesterov=o.nesterov, clip=o.clip_norm > 0, factors=factors, averaged=o.average_from < 1.0
    )
    usual = {"learning_rate": 1e-3, "momentum": 0.9, "beta_2": 0.999, "weight_decay": 0.01, "damping": USUAL_DAMPING}
    usual |= own_numbers(name)
    values = {key: getattr(o, key) for key in made.numbers if key != "average_after"}
    numbers = {key: float(usual[key] if value == "auto" else value) for key, value in values.items()}
    if o.schedule in REDUCING:
        reducing = resolve_reducing(o, recipe.stopping)
        numbers |= {key: float(getattr(reducing, key)) for key in REDUCING_NUMBERS}
    return made, numbers


def _assign(model: keras.Model, task: KerasTask, fitted: Fitted, settings: Settings, *, own_optimizer: bool) -> None:
    """Give the model its trained weights: the best ones when they were kept, as Keras' restore_best_weights does."""
    state = fitted.state
    best = settings.stopping.keep_best and int(np.asarray(state.best_epoch)[0]) > 0
    params, aux = (state.best_params, state.best_aux) if best else (fitted.used, state.aux)
    for v, value in zip(model.trainable_variables, params, strict=True):
        v.assign(np.asarray(value)[0])
    for v, value in zip(model.non_trainable_variables, aux, strict=True):
        v.assign(np.asarray(value)[0])
    if own_optimizer:
        for v, value in zip(model.optimizer.variables, state.optimizer, strict=True):
            v.assign(np.asarray(value)[0])
        if not best:
            # Moving averages take their place, where asked for.
            model.optimizer.finalize_variable_values(model.trainable_variables)


def _target_range(y: Tree) -> dict[str, Any]:
    """What the targets are, for the rule that compares them with the output: JAX trains on class 3 of 3 unmoved."""
    from fallline.rules._statistics import target_statistics

    if not isinstance(y, np.ndarray) or y.ndim > 2 or y.size > _MOST_TARGETS:
        return {}
    return {name: value for name, value in target_statistics(y).items() if name != "target_sd"}


def _checked(
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


def _run(
    model: keras.Model,
    fitted: Fitted,
    settings: Settings,
    recipe: Recipe | None,
    n: int,
    validation: Tree | None,
    seed: int,
    counted: dict[str, int],
) -> Run:
    state = fitted.state
    code, best = int(np.asarray(state.outcome)[0]), int(np.asarray(state.best_epoch)[0])
    outcome: Outcome = "completed"
    if fitted.interrupted:
        outcome = "interrupted"
    elif code in (STOPPED, DIVERGED):
        outcome = "stopped_early" if code == STOPPED else "diverged"
    names = ("running_loss", *fitted.quantities, *(f"val_{name}" for name in fitted.quantities))
    seen = fitted.seen if validation is not None else fitted.seen[:, :, : 1 + len(fitted.quantities)]
    trace = make_trace(seen, names[: seen.shape[2]], np.asarray(state.epoch))
    bad = int(np.asarray(state.bad_step)[0])
    last = model.layers[-1]
    facts: dict[str, Any] = {
        "name": model.name,
        "n_train": n,
        "n_validation": 0 if validation is None else len(validation[2]),
        "planned_epochs": settings.epochs,
        "stopped_epoch": int(np.asarray(state.epoch)[0]),
        "best_epoch": best,
        "restored": bool(settings.stopping.keep_best and best),
        "steps_per_epoch": int(fitted.steps.max()),
        "evaluations": counted,
        "batch_size": settings.batch_size,
        "seed": seed,
        "loss": _loss_name(model),
        "parameters": int(model.count_params()),
        "seconds": fitted.seconds,
        "compile_seconds": fitted.compile_seconds,
        "output": {"activation": _activation_name(last), "units": _width(model)},
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


def _width(model: keras.Model) -> int | None:
    """Units of the output layer; None for several outputs, and for subclassed models, which do not say."""
    shape = getattr(model, "output_shape", None)
    return int(shape[-1]) if isinstance(shape, tuple) and shape and isinstance(shape[-1], int) else None


def _activation_name(layer: Any) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def _loss_name(model: keras.Model) -> str:
    loss = model.loss
    return loss if isinstance(loss, str) else str(getattr(loss, "name", getattr(loss, "__name__", type(loss).__name__)))
