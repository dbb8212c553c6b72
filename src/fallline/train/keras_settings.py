"""The keywords of a Keras training, checked and resolved: what the user gave, the recipe's, or what fits the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import keras
import numpy as np

from fallline.engine import Population, Stepwise, Stopping
from fallline.errors import InputError, is_count
from fallline.optimize import fan_in_factors, make_optimizer, schedule_numbers
from fallline.recipe.checks import USUAL_DAMPING
from fallline.recipe.resolve import own_numbers, resolve_reducing, resolve_stopping
from fallline.train.halting import make_stopping, stopping_section, with_schedule
from fallline.train.keras_support import convolves, require_full_batch, require_row_losses, rowwise_loss
from fallline.train.keras_terms import penalty_shares, require_acting
from fallline.train.orders import Emphasis, Plan, emphasis_of
from fallline.train.prepared import REDUCING_NUMBERS, average_after
from fallline.types import FULL_BATCH, REDUCING, OptimizerRecipe, Recipe

__all__ = [
    "Settings",
    "average_numbers",
    "build",
    "compiled",
    "eval_batch",
    "guess_loss",
    "output_unit",
    "population_of",
    "recipe_optimizer",
    "rows_a_step",
    "settings_of",
    "with_all_rows",
]

Tree = Any

# An uncompiled model is trained with the settings of the preset "simple".
_EPOCHS = 100
_BATCH = 32  # Keras' own default
_PATIENCE = 20
# Numbers per evaluation batch over the widest layer: 64 MB of float32.
_EVAL_NUMBERS = 16_000_000
_CONVOLVED_ROWS = 256  # at once: LeNet-5 on 1,000 images takes 65 ms in one piece, 44 in four
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
    emphasis: Emphasis | None = None

    def plan(self, eval_batch: int) -> Plan:
        """Return how a member is trained by them."""
        return Plan(
            self.epochs,
            self.batch_size,
            shuffle=self.shuffle,
            order=self.order,
            doublings=self.doublings,
            schedule=self.schedule,
            warmup=self.warmup,
            schedule_numbers=self.schedule_numbers,
            eval_batch=eval_batch,
            emphasis=self.emphasis,
        )


def population_of(model: keras.Model) -> type[Population]:
    """Return how members of this model are trained: XLA's convolutions on a CPU lose their threads in a loop."""
    return Stepwise if convolves(model) and jax.default_backend() == "cpu" else Population


def output_unit(model: keras.Model, x: Tree) -> tuple[str, int]:
    """Return (what the output unit does: softmax, sigmoid or linear, its width)."""
    out = model(keras.tree.map_structure(lambda a: a[:_LOOKED_AT], x), training=False)
    if not hasattr(out, "shape"):
        raise InputError(
            "A model with several outputs must be compiled first, with one loss per output: model.compile(loss=[...])."
        )
    values, width = np.asarray(out), int(out.shape[-1])
    if hasattr(model, "_output_layers") or isinstance(model, keras.Sequential):
        outputs = getattr(model, "outputs", None)  # none, where a layer of one's own says nothing of its shapes
        return (_unit(outputs[0]) if outputs else _does(model.layers[-1])), width
    # A subclassed model does not say which layer is its last; what comes out of it does.
    bounded = bool(((values > 0) & (values < 1)).all())
    if bounded and width > 1 and np.allclose(values.sum(axis=-1), 1.0, atol=1e-4):
        return "softmax", width
    return ("sigmoid" if bounded and len(values) >= _LOOKED_AT // 4 else "linear"), width


def _unit(tensor: Any) -> str:
    """Return what the layer does that a symbolic output comes from; of a mean of networks, what they all do.

    A mean of probabilities is one, too: an average of networks is judged as each of them would be.
    """
    layer, node, place = tensor._keras_history
    inner = getattr(layer, "outputs", None) if isinstance(layer, keras.Model) else None
    if inner:
        return _unit(inner[place])
    if isinstance(layer, keras.layers.Average):
        units = {_unit(one) for one in layer._inbound_nodes[node].input_tensors}
        return units.pop() if len(units) == 1 else "linear"
    return _does(layer)


def _does(layer: Any) -> str:
    named = str(getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__)).lower()
    return named if named in ("softmax", "sigmoid") else "linear"


def guess_loss(model: keras.Model, x: Tree, y: np.ndarray) -> tuple[keras.losses.Loss, list[keras.metrics.Metric]]:
    """The loss that fits the output unit and the targets, by maximum likelihood (catalogue T1), with its accuracy."""
    activation, width = output_unit(model, x)
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


def compiled(model: keras.Model, x: Tree, y: Tree, recipe: Recipe | None) -> keras.Model:
    """Return the model, compiled: one that was not gets the loss that fits its output unit, and Adam."""
    if getattr(model, "compiled", False):
        return model
    if isinstance(y, (dict, list)):
        raise InputError(
            "A model with several outputs must be compiled first, with one loss per output: model.compile(loss=[...])."
        )
    loss, metrics = guess_loss(model, x, y)
    asked = recipe.optimizer.learning_rate if recipe is not None else "auto"
    rate = 1e-3 if isinstance(asked, str) else asked
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
    if not is_count(value, least=1):
        raise InputError(f"{name} = {value!r} is not allowed: it takes a whole number of at least 1.")
    return int(value)


def eval_batch(model: keras.Model, batch: int, n: int) -> int:
    """Return how many rows an evaluation takes at once."""
    if not rowwise_loss(model):
        return batch  # the loss of a batch depends on the batch: evaluate in Keras' own
    if convolves(model):
        return max(batch, min(_CONVOLVED_ROWS, n))
    outputs = [
        out
        for layer in model.layers
        if getattr(layer, "_inbound_nodes", None)
        for out in keras.tree.flatten(layer.output)
    ]
    widths = [int(np.prod([d or 1 for d in out.shape[1:]])) for out in outputs]
    return max(batch, min(8192, n, _EVAL_NUMBERS // max([1, *widths] if widths else [4096])))


def build(model: keras.Model, x: Tree) -> None:
    """Build a model whose input shape is only known from the data."""
    if not model.built or not model.variables:
        model(keras.tree.map_structure(lambda a: a[:1], x), training=False)


def rows_a_step(recipe: Recipe | None, batch_size: Any, n: int) -> Any:
    """Return the batch size that is asked for, the keyword before the recipe."""
    asked = batch_size if batch_size is not None or recipe is None else recipe.training.batch_size
    return n if isinstance(asked, str) and asked == "all" else asked


def settings_of(
    recipe: Recipe | None, epochs: Any, batch_size: Any, shuffle: bool, early_stopping: Any, validated: bool
) -> Settings:
    """Return the keywords of a training resolved, the recipe's where they are not given."""
    training = recipe.training if recipe is not None else None
    if recipe is not None and early_stopping is True:
        early_stopping = recipe.stopping if validated else False
    optimizer = recipe.optimizer if recipe is not None else OptimizerRecipe()
    if training is not None and training.order != "shuffled" and not shuffle:
        raise InputError(
            f'shuffle=False keeps the given order, but the recipe says training.order = "{training.order}". Use one.'
        )
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
        emphasis=None if training is None else emphasis_of(training),
    )


def recipe_optimizer(recipe: Recipe | None, model: keras.Model | None = None) -> tuple[Any, dict[str, float]]:
    """The recipe's optimizer for a foreign model; None when there is no recipe, so that the model's own is used."""
    if recipe is None:
        return None, {}
    require_acting(recipe)
    if model is not None:
        require_row_losses(model, recipe)
    o = recipe.optimizer
    name = "adamw" if o.name == "auto" else o.name
    factors = None
    if o.rate_by_fan_in and model is not None:
        variables = model.trainable_variables
        factors = fan_in_factors([v.path for v in variables], [tuple(v.shape) for v in variables])
    decayed = penalty_shares(model, o.penalty_factors) if o.penalty_factors and model is not None else None
    made = make_optimizer(
        name, nesterov=o.nesterov, clip=o.clip_norm > 0, factors=factors, decayed=decayed,
        averaged=o.average_from < 1.0,
    )  # fmt: skip
    usual = {"learning_rate": 1e-3, "momentum": 0.9, "beta_2": 0.999, "weight_decay": 0.01, "damping": USUAL_DAMPING}
    usual |= own_numbers(name)
    values = {key: getattr(o, key) for key in made.numbers if key != "average_after"}
    numbers = {key: float(usual[key] if isinstance(value, str) else value) for key, value in values.items()}
    if o.schedule in REDUCING:
        reducing = resolve_reducing(o, recipe.stopping)
        numbers |= {key: float(getattr(reducing, key)) for key in REDUCING_NUMBERS}
    return made, numbers


def with_all_rows(model: keras.Model, recipe: Recipe | None, settings: Settings, asked: Any, n: int) -> Settings:
    """Return the settings with all of the n rows in a step, where the recipe's optimizer needs them.

    Raises:
        InputError: another batch size was asked for, or the model does not allow it.
    """
    if recipe is None or recipe.optimizer.name not in FULL_BATCH:
        return settings
    require_full_batch(
        model, recipe.optimizer.name, recipe.training.batch_size if asked is None else settings.batch_size, n
    )
    return replace(settings, batch_size=n)


def average_numbers(recipe: Recipe | None, settings: Settings, rows: int) -> dict[str, float]:
    """Return what an averaging optimizer must know of a training on so many rows; {} without a recipe."""
    if recipe is None:
        return {}
    planned = replace(recipe.training, epochs=settings.epochs, batch_size=settings.batch_size)
    return average_after(replace(recipe, training=planned), rows)
