"""Weights of examples whose loss has further axes: a target for each step of a sequence, or cell of a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
from keras.src.backend import compute_output_spec as symbolic  # as in keras_task

from fallline.train.keras_steps import replaced

__all__ = ["spreader"]

Tree = Any


def spreader(model: keras.Model, sample: tuple[Tree, Tree]) -> Callable[[jax.Array | None], Any]:
    """Return the function that turns weights (b,) into what the model's loss multiplies by its values.

    Keras multiplies the weights by the values of a loss from their last axis on: (b,) does not meet (b, t), or meets
    the wrong axis where t equals b. Where every example has one value, or the loss is of the model's own making, the
    weights stay as they are.

    Args:
        model: compiled, its loss built.
        sample: one small batch (x, y).
    """
    if model._compile_loss is None or type(model).compute_loss is not keras.Model.compute_loss:
        return lambda weight: weight
    x, y = keras.tree.map_structure(
        lambda a: keras.KerasTensor(a.shape, keras.backend.standardize_dtype(a.dtype)), sample
    )
    out = symbolic(model, x, training=False)
    if all(len(one.shape) <= 2 for one in keras.tree.flatten(out)):
        return lambda weight: weight
    shapes = _inner_shapes(model, x, y, out)
    if not any(shapes.values()):
        return lambda weight: weight
    if () in shapes:
        return lambda weight: None if weight is None else _spread(weight, shapes[()])
    return lambda weight: None if weight is None else _nested(shapes, weight)


def _inner_shapes(model: keras.Model, x: Tree, y: Tree, out: Tree) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """Return the path of each output that has a loss -> the axes of the loss's values behind the examples'."""
    found: dict[tuple[Any, ...], tuple[int, ...]] = {}

    def seen(path: tuple[Any, ...], original: Callable[..., Any]) -> Callable[..., Any]:
        def call(y_true: Any, y_pred: Any) -> Any:
            values = original(y_true, y_pred)
            found[path] = max(found.get(path, ()), tuple(values.shape[1:]), key=len)
            return values

        return call

    losses = model._compile_loss._flat_losses
    with replaced([(one.loss, "call", seen(tuple(one.path), one.loss.call)) for one in losses]):
        symbolic(model._compute_loss, x, y, out, None, training=False)
    return found


def _spread(weight: jax.Array, inner: tuple[int, ...]) -> jax.Array:
    return jnp.broadcast_to(weight.reshape(-1, *[1] * len(inner)), (*weight.shape, *inner))


def _nested(shapes: dict[tuple[Any, ...], tuple[int, ...]], weight: jax.Array) -> Any:
    found: dict[Any, Any] = {}  # by key or place: Keras looks an output's weights up by its path
    for path, inner in shapes.items():
        level = found
        for key in path[:-1]:
            level = level.setdefault(key, {})
        level[path[-1]] = _spread(weight, inner)
    return found
