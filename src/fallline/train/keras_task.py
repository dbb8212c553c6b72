"""Any Keras model as an engine task: the loss, metrics and optimizer that it was compiled with, or a recipe's."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.backend import compute_output_spec as symbolic  # Keras' own trainer builds its states by it

from fallline.engine import Task
from fallline.errors import InputError
from fallline.optimize import Optimizer
from fallline.train.beginning import begin_optimizer
from fallline.train.keras_steps import as_evaluated, as_trained
from fallline.train.keras_support import convolves, couples_rows, normalises, pads_evaluation
from fallline.train.keras_terms import Terms
from fallline.train.keras_weights import spreader

__all__ = ["KerasTask", "keras_task", "metric_names", "seeded"]

Tree = Any


@dataclass(frozen=True, eq=False)
class KerasTask:
    """A task with its initial values (no members' axis yet).

    Args:
        task: for the engine.
        params: trainable weights.
        aux: non-trainable weights, the states of random layers included.
        optimizer: initial optimizer state.
        numbers: what the optimizer reads.
    """

    task: Task
    params: list[np.ndarray]
    aux: list[np.ndarray]
    optimizer: Tree
    numbers: dict[str, float]


def seeded(model: keras.Model, seed: int) -> list[np.ndarray]:
    """Return the non-trainable weights, the random layers' states drawn from the seed."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    out = []
    for v in model.non_trainable_variables:
        value = np.asarray(v.value)
        if v.path.endswith("seed_generator_state"):
            value = rng.integers(0, 2**31, value.shape).astype(value.dtype)
        out.append(value)
    return out


def keras_task(
    model: keras.Model,
    *,
    optimizer: Optimizer | None,
    numbers: dict[str, float],
    seed: int,
    sample: tuple[Tree, Tree],
    weighted: bool,
    terms: Terms | None = None,
) -> KerasTask:
    """Build the task of a compiled Keras model.

    Args:
        model: built and compiled; its loss, metrics and `compute_loss` are honoured.
        optimizer: a recipe's optimizer; None: the model's own.
        numbers: what the recipe's optimizer reads.
        seed: of dropout and noise.
        sample: one small batch (x, y), to create the metrics' states and learn their names.
        weighted: whether examples carry weights.
        terms: what a recipe adds to the training loss.
    """
    model.optimizer.build(model.trainable_variables)
    own = [np.asarray(v.value) for v in model.optimizer.variables]
    names = metric_names(model, sample)
    spread = spreader(model, sample)
    metrics = [np.asarray(v.value) for v in model.metrics_variables]
    coupled, padded = couples_rows(model), pads_evaluation(model)
    masked = not coupled and not convolves(model) and bool(normalises(model))
    # Without weights and padding the loss sees no weights at all, as under Keras' own fit.
    passed = weighted or not coupled

    def forward(
        params: Tree, aux: Tree, states: Tree, x: Tree, y: Tree, weight: jax.Array | None, training: bool
    ) -> tuple[jax.Array, Tree]:
        found: tuple[jax.Array, Tree] = model.compute_loss_and_updates(
            params, aux, states, x, y, spread(weight), training=training, optimizer_variables=own
        )
        return found

    def loss(
        params: Tree, aux: Tree, numbers: Tree, x: Tree, y: Tree, weight: jax.Array, valid: jax.Array | None = None
    ) -> tuple[jax.Array, Tree]:
        aims = terms.targets(y, numbers) if terms else y
        with as_trained(model, valid):
            value, (_, out, aux, _) = forward(params, aux, metrics, x, aims, weight if passed else None, True)
        if terms:
            value = value + terms.beyond(out, y, weight, numbers) + terms.penalty(params, numbers)
        return value, aux

    update = optimizer.update if optimizer is not None else _own_update(model)
    params = [np.asarray(v.value) for v in model.trainable_variables]
    start = own
    if optimizer is not None:
        start = jax.tree.map(lambda a: a[0], begin_optimizer(optimizer, [p[None] for p in params], [seed]))
    evaluation = _evaluation(model, forward, metrics, names, weighted=weighted, padded=padded)
    task = Task(loss, update, *evaluation, ("loss", *names), coupled, masked, exact=not padded)
    if optimizer is not None and optimizer.used is not None:
        task = replace(task, used=optimizer.used)
    if optimizer is not None and optimizer.searches:
        task = replace(task, searches=True)
        # A loss of the model's own making cannot be taken apart; without one there are no outputs to compare.
        if type(model).compute_loss is keras.Model.compute_loss and model._compile_loss is not None:
            task = _taken_apart(task, model, metrics, lambda weight: spread(weight if passed else None), terms)
    return KerasTask(task, params, seeded(model, seed), start, numbers)


def _taken_apart(
    task: Task,
    model: keras.Model,
    metrics: list[np.ndarray],
    weighed: Callable[[jax.Array], Tree],
    terms: Terms | None,
) -> Task:
    """Return the task with its loss in three parts, for optimizers that search: outputs, their cost, the penalty.

    Args:
        task: of the model.
        model: compiled with a loss.
        metrics: first values of the metrics' states.
        weighed: rows' weights as the loss takes them.
        terms: what a recipe adds to the training loss.
    """

    def parted(params: Tree, aux: Tree, x: Tree) -> tuple[Tree, Tree]:
        mode = {"training": True} if model._call_has_training_arg else {}
        out, _, losses = model.stateless_call(params, aux, x, return_losses=True, **mode)
        return out, losses

    def cost(out: Tree, numbers: Tree, y: Tree, weight: jax.Array) -> jax.Array:
        # A loss per output has metrics of its own, whose states stay in here.
        with keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, metrics, strict=True))):
            aims = terms.targets(y, numbers) if terms else y
            found: jax.Array = model._compile_loss(aims, out, weighed(weight))
        return found + terms.beyond(out, y, weight, numbers) if terms else found

    def penalty(params: Tree, aux: Tree, numbers: Tree, x: Tree) -> jax.Array:
        own = sum((model._aggregate_additional_loss(one) for one in parted(params, aux, x)[1]), jnp.zeros(()))
        return own + terms.penalty(params, numbers) if terms else own

    return replace(task, outputs=lambda p, aux, _, x: parted(p, aux, x)[0], cost=cost, penalty=penalty)


def _evaluation(
    model: keras.Model,
    forward: Callable[..., tuple[jax.Array, Tree]],
    metrics: list[np.ndarray],
    names: tuple[str, ...],
    *,
    weighted: bool,
    padded: bool,
) -> tuple[Callable[[], Tree], Callable[..., Tree], Callable[[Tree], jax.Array]]:
    """Return the three parts of a task's evaluation: begin, observe, finish.

    Args:
        model: compiled.
        forward: (params, aux, states, x, y, weight, training) -> the loss and what comes with it.
        metrics: first values of the metrics' states.
        names: of the metrics that are seen.
        weighted: whether examples carry weights.
        padded: whether batches may be padded.
    """

    def begin() -> Tree:
        return (jnp.zeros(2), [jnp.asarray(v) for v in metrics])

    def observe(
        carry: Tree, params: Tree, aux: Tree, numbers: Tree, x: Tree, y: Tree, weight: jax.Array, valid: jax.Array
    ) -> Tree:
        total, states = carry
        count = jnp.sum(valid)
        w = weight if weighted else None
        if padded:
            # Weights of the mean size 1 over the real rows: penalties that do not look at rows keep their size.
            w = (weight * valid if weighted else valid) * (valid.shape[0] / count)
        # The loss has metrics of its own: one per output, and what compute_loss keeps.
        with as_trained(model):
            value, (_, out, _, states) = forward(params, aux, states, x, y, w, False)
        if names:
            own = weight * valid if weighted else valid
            scope = keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, states, strict=True)))
            with scope, as_evaluated(model, valid) if padded else contextlib.nullcontext():
                model.compute_metrics(x, y, out, own if padded else w)
            states = [scope.get_current_value(v) for v in model.metrics_variables]
        return total + jnp.stack([value * count, count]), states

    def finish(carry: Tree) -> jax.Array:
        total, states = carry
        mean: jax.Array = total[0] / total[1]
        if not names:
            return mean[None]
        with keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, states, strict=True))):
            found = model.get_metrics_result()
        return jnp.stack([mean, *(jnp.asarray(found[name], jnp.float32).reshape(()) for name in names)])

    return begin, observe, finish


def _own_update(model: keras.Model) -> Callable[..., tuple[Tree, Tree]]:
    def update(grads: Tree, state: Tree, params: Tree, numbers: Tree, rate: jax.Array) -> tuple[Tree, Tree]:
        del numbers, rate  # a compiled optimizer carries its own schedule
        new_params, new_state = model.optimizer.stateless_apply(state, grads, params)
        return new_params, new_state

    return update


def metric_names(model: keras.Model, sample: tuple[Tree, Tree]) -> tuple[str, ...]:
    """Create the metrics' variables by one batch, and return the names of the scalar ones without the loss.

    Args:
        model: built and compiled.
        sample: a small batch (x, y).

    Raises:
        InputError: the model, its loss or its metrics do not take the batch.
    """
    # Symbolically: every operation that runs by itself would be compiled by itself.
    x, y = keras.tree.map_structure(
        lambda a: keras.KerasTensor(a.shape, keras.backend.standardize_dtype(a.dtype)), sample
    )
    try:
        out = symbolic(model, x, training=False)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        shapes = keras.tree.map_structure(lambda a: ("rows", *a.shape[1:]), x)
        raise InputError(
            f"The model does not accept x of the shape {shapes}: {_reason(error)} Give what its input layer expects."
        ) from error
    try:
        symbolic(model._compute_loss, x, y, out, None, training=False)
        symbolic(model.compute_metrics, x, y, out, None)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(
            f"The model's loss or metrics do not accept these targets: {_reason(error)} "
            "Give targets of the shape that the loss expects (sparse_categorical_crossentropy: class indices; "
            "categorical_crossentropy: one-hot rows)."
        ) from error
    if model.loss is None and type(model).compute_loss is keras.Model.compute_loss and not model.losses:
        raise InputError(
            f"The model {model.name!r} was compiled without a loss: there is nothing to minimise. "
            "Compile it with one, e.g. loss='mse'."
        )

    def results(states: Tree) -> dict[str, jax.Array]:
        with keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, states, strict=True))):
            return dict(model.get_metrics_result())

    found = jax.eval_shape(results, [v.value for v in model.metrics_variables])
    return tuple(name for name, value in found.items() if name != "loss" and value.ndim == 0)


def _reason(error: Exception) -> str:
    """The line of Keras' message that says what is wrong: not the one that says where, and without its colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()] or [type(error).__name__]
    return lines[1] if lines[0].startswith("Exception encountered when calling") and len(lines) > 1 else lines[0]
