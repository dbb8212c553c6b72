"""The gradient check: backpropagation against central differences, in float64, for any Keras model and loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.flatten_util import ravel_pytree

from fallline.engine import configure
from fallline.errors import InputError, is_count
from fallline.train.arrays import as_arrays, as_inputs, rows_of
from fallline.train.in_double import double_copy, doubles
from fallline.train.keras_data import row_weights
from fallline.train.keras_settings import build, guess_loss
from fallline.train.keras_support import require_jax
from fallline.types import GradientCheck, TensorCheck

__all__ = ["check_gradients", "whole_loss"]

Tree = Any

_EPS = float(np.finfo(np.float64).eps)
# The step that balances rounding (eps / h) with the third derivative (h^2): Nocedal & Wright (2006), eq. 8.7. A second,
# shorter one stays on one side of most kinks that the first one crosses.
_STEPS = (_EPS ** (1 / 3), _EPS ** (1 / 3) / 8)
# Rounding of a difference quotient, generously: that of some ten operations on the loss, over the shorter step.
_ROUNDING = 10 * _EPS / _STEPS[1]


class _Compared(NamedTuple):
    """Of one tensor, (k,) each."""

    gradient: np.ndarray
    difference: np.ndarray
    gap: np.ndarray  # |gradient - difference|, 0 at a kink
    kink: np.ndarray  # bool


def check_gradients(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    sample_weight: Any = None,
    training: bool = False,
    entries: int | None = 10,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientCheck:
    """Compare the derivatives of a model's loss with central differences, tensor by tensor, in float64.

    The derivative by a weight w is compared with (E(w + h) - E(w - h)) / 2h (Bishop, Pattern Recognition and Machine
    Learning, 2006, eq. 5.69), E with all penalties. The model is left as it is: a copy computes in float64. In
    training mode batch normalisation takes the batch's statistics, and dropout the same mask in every evaluation.
    Where E has a kink (a unit at the corner of its ReLU), there is no derivative: that entry is not compared.

    Args:
        model: a Keras model: Sequential, Functional, or subclassed with ``get_config``.
        x: inputs (n, ...), or a list or dict of them; a few rows suffice, and every evaluation takes all of them.
        y: targets (n, ...).
        loss: a Keras loss, its name, or a function; None: what the model was compiled with, or what fits its output.
        sample_weight: (n,) weights of the rows.
        training: check the model as it is while training.
        entries: how many entries of each tensor, drawn at random; None: all.
        tolerance: the largest relative error of a tensor that passes: |g - d| / (|g| + |d|) over its entries.
        seed: of the drawing.

    Returns:
        the check, true when all tensors pass; ``.failed`` are those that do not, ``print`` shows it as a table.

    Raises:
        InputError: the model cannot be copied, or computes in float32 whatever its policy says.

    >>> import fallline as fl
    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
    >>> found = fl.check_gradients(model, np.ones((4, 2)), np.ones((4, 1)), loss="mse")
    >>> bool(found), found.passes_saved
    (True, 26)
    """
    require_jax()
    configure()
    _require_numbers(entries, tolerance)
    x, y = as_inputs(model, x, "x"), as_arrays(y, "y")
    n = rows_of((x, y), "x and y")
    weight = None if sample_weight is None else row_weights(sample_weight, n, "sample_weight")
    build(model, x)
    if not model.trainable_variables:
        raise InputError(f"The model {model.name!r} has no trainable weights: there is no gradient to check.")
    if loss is None:
        compiled = getattr(model, "compiled", False)
        loss = model.loss if compiled else guess_loss(model, x, y)[0]
    paths = [v.path.removeprefix(f"{model.name}/") for v in model.trainable_variables]
    with doubles():
        x, y, weight = jax.tree.map(_double, (x, y, weight))
        copied = double_copy(model, keras.tree.map_structure(lambda a: a[:1], x), loss)
        params = [jnp.asarray(v.value) for v in copied.trainable_variables]
        value = whole_loss(copied, x, y, weight, training)
        return _checked(value, params, paths, training, entries, tolerance, np.random.default_rng(seed))


def whole_loss(model: keras.Model, x: Tree, y: Tree, weight: Any, training: bool) -> Callable[[Tree], jax.Array]:
    """Return (params) -> the loss with all penalties; states stay what they are, random ones too."""
    model.optimizer.build(model.trainable_variables)
    model._compute_loss(x, y, model(x, training=False), weight, training=training)  # makes the metrics' variables
    optimizer, aux, metrics = (
        [jnp.asarray(v.value) for v in variables]
        for variables in (model.optimizer.variables, model.non_trainable_variables, model.metrics_variables)
    )

    def value(params: Tree) -> jax.Array:
        found: jax.Array = model.compute_loss_and_updates(
            params, aux, metrics, x, y, weight, training=training, optimizer_variables=optimizer
        )[0]
        return found

    return value


def _double(array: Any) -> Any:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _require_numbers(entries: Any, tolerance: Any) -> None:
    if entries is not None and not is_count(entries, least=1):
        raise InputError(
            f"entries = {entries!r} is not allowed: it takes a whole number of at least 1, or None for all."
        )
    if not isinstance(tolerance, (int, float)) or not 0.0 < tolerance < 1.0:
        raise InputError(f"tolerance = {tolerance!r} is not allowed: it takes a number between 0 and 1.")


def _checked(
    value: Any,
    params: list[jax.Array],
    paths: list[str],
    training: bool,
    entries: int | None,
    tolerance: float,
    rng: np.random.Generator,
) -> GradientCheck:
    flat, unravel = ravel_pytree(params)

    def of(w: jax.Array) -> jax.Array:
        found: jax.Array = value(unravel(w))
        return found

    program = jax.jit(jax.value_and_grad(of)).lower(flat).compile()
    if "f32[" in str(program.as_text()):  # what does not reach the loss, as a metric, is no longer in there
        raise InputError(
            "A layer or the loss computes in float32 whatever its policy says, too coarse for central differences. "
            "Let it cast to self.compute_dtype, or to the dtype of its inputs."
        )
    at, gradient = program(flat)
    sizes = [p.size for p in params]
    starts = np.cumsum([0, *sizes[:-1]])
    chosen = [
        start + (np.arange(size) if entries is None else np.sort(rng.choice(size, min(entries, size), replace=False)))
        for start, size in zip(starts, sizes, strict=True)
    ]
    around = _around(of, flat, np.concatenate(chosen))
    found, begin = [], 0
    for path, tensor, start, indices in zip(paths, params, starts, chosen, strict=True):
        part = slice(begin, begin + len(indices))
        begin += len(indices)
        compared = _compare(float(at), np.asarray(gradient)[indices], around[part], np.asarray(flat)[indices])
        found.append(_tensor(path, tensor.shape, indices - start, compared, float(at), tolerance))
    return GradientCheck(tuple(found), float(at), tolerance, training, int(flat.size))


def _widths(weights: Any) -> Any:
    """Return the steps (2, k) for weights (k,)."""
    return np.asarray(_STEPS)[:, None] * np.maximum(1.0, np.abs(weights))


def _around(of: Any, flat: jax.Array, indices: np.ndarray) -> np.ndarray:
    """Return the loss (k, 2, 2) for each index: longer and shorter step, above and below."""

    def moved(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        index, steps = pair
        return jnp.stack([jnp.stack([of(flat.at[index].add(sign * h)) for sign in (1.0, -1.0)]) for h in steps])

    steps = jnp.asarray(_widths(np.asarray(flat)[indices]).T)
    program = jax.jit(lambda *pair: jax.lax.map(moved, pair))
    return np.asarray(program(jnp.asarray(indices), steps))


def _compare(at: float, gradient: np.ndarray, around: np.ndarray, weights: np.ndarray) -> _Compared:
    h = _widths(weights)
    above, below = around[:, :, 0].T, around[:, :, 1].T
    central, forward, backward = (above - below) / (2 * h), (above - at) / h, (at - below) / h
    # Of a smooth loss the two sides come together with the step; at a kink they do not.
    apart = np.abs(forward - backward)
    kink = (apart[1] > 0.5 * apart[0]) & (apart[1] > 10 * _ROUNDING * max(abs(at), 1.0))
    gaps = np.abs(gradient - central)
    nearest = np.nanargmin(np.where(np.isnan(gaps), np.inf, gaps), axis=0)
    columns = np.arange(len(gradient))
    return _Compared(gradient, central[nearest, columns], np.where(kink, 0.0, gaps[nearest, columns]), kink)


def _tensor(
    path: str, shape: tuple[int, ...], indices: np.ndarray, compared: _Compared, at: float, tolerance: float
) -> TensorCheck:
    scale = float(np.linalg.norm(compared.gradient) + np.linalg.norm(compared.difference))
    # Below this the difference quotients are rounding; what is within it cannot be told from 0.
    least = _ROUNDING * max(abs(at), _EPS) * math.sqrt(len(indices)) / tolerance
    error = float(np.linalg.norm(compared.gap)) / max(scale, least) if np.isfinite(scale) else float("nan")
    worst = int(np.argmax(np.where(np.isnan(compared.gap), np.inf, compared.gap)))
    return TensorCheck(
        path=path,
        shape=tuple(int(d) for d in shape),
        checked=int((~compared.kink).sum()),
        error=error,
        worst=tuple(int(i) for i in np.unravel_index(int(indices[worst]), shape)) if shape else (),
        gradient=float(compared.gradient[worst]),
        difference=float(compared.difference[worst]),
        passed=bool(error <= tolerance),
    )
