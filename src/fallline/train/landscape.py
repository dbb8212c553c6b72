"""The loss around the weights of a Keras model: along a line, or over a plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fallline.engine import configure, jit
from fallline.errors import InputError, count_mistakes, nearest
from fallline.train.api import is_keras_model
from fallline.train.arrays import as_arrays, as_inputs, rows_of
from fallline.train.gradients import whole_loss
from fallline.train.keras_settings import build, guess_loss
from fallline.train.keras_support import require_jax
from fallline.types import Landscape

__all__ = ["filter_normalised", "loss_landscape"]

Tree = Any
Weights = list[np.ndarray]

_DIRECTIONS = ("random", "line", "trajectory")
_ROWS = 4_096  # a picture needs no more


def loss_landscape(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    directions: str = "random",
    to: Any = None,
    path: Sequence[Any] | None = None,
    dimensions: int = 2,
    span: float = 1.0,
    points: int = 25,
    loss: Any = None,
    rows: int = _ROWS,
    seed: int = 0,
) -> Landscape:
    """Compute the loss at points around a model's weights; the model stays as it is.

    ``random``: Gaussian directions, each filter (the weights into one unit) scaled to the norm of the model's own, and
    biases and the tensors of normalisation layers left as they are (Li et al., arXiv 1712.09913, section 4). ``line``:
    from the model's weights at 0 to others at 1 (Goodfellow et al., arXiv 1412.6544, section 3). ``trajectory``: the
    plane that holds most of the way to the model's weights, by the principal components of weights on the way (Li et
    al., section 7.2). Moving statistics of normalisation layers are the model's everywhere.

    Args:
        model: a Keras model; its weights are the centre.
        x: inputs (n, ...), or a list or dict of them.
        y: targets (n, ...).
        directions: ``random``, ``line`` or ``trajectory``.
        to: for ``line``: the other weights: a model of the same kind, or what its ``get_weights()`` gives.
        path: for ``trajectory``: at least 2 weights on the way, oldest first, as ``to``.
        dimensions: for ``random``: 1 or 2.
        span: how far from the centre; 1: as far as the filters are long. On a line: how far beyond both ends, and on a
            trajectory beyond the path, as a share of its length.
        points: on each axis, at least 3.
        loss: a Keras loss, its name, or a function; None: what the model was compiled with, or what fits its output.
        rows: most rows that are used, drawn at random.
        seed: of the directions and the rows.

    Returns:
        the losses, with ``.plot()``.

    Raises:
        InputError: every mistake at once; weights of other shapes than the model's.

    >>> import fallline as fl
    >>> import keras, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> found = fl.loss_landscape(fl.networks.mlp(2, 1, hidden=(4,)), x, x[:, :1], points=5)
    >>> found.losses.shape, bool(np.isfinite(found.losses).all())
    ((5, 5), True)
    """
    _require(model, directions, to, path, dimensions, span, points, rows)
    require_jax()
    configure()
    x, y = as_inputs(model, x, "x"), as_arrays(y, "y")
    n = rows_of((x, y), "x and y")
    build(model, x)
    if n > rows:
        chosen = np.random.default_rng([seed, 4]).choice(n, rows, replace=False)
        x, y = keras.tree.map_structure(lambda a: a[chosen], (x, y))
    value = _loss_of(model, x, y, loss)
    centre = _trainable(model, model, "model")
    rng = np.random.default_rng(seed)
    if directions == "line":
        steps: tuple[np.ndarray, ...] = (np.linspace(-span, 1 + span, points),)
        ways = [[b - a for a, b in zip(centre, _trainable(model, to, "to"), strict=True)]]
        marks: dict[tuple[float, ...], str] = {(0.0,): "model", (1.0,): "to"}
        return Landscape(steps, _losses(value, centre, ways, steps), ("from the model's weights to the others",), marks)
    if directions == "trajectory":
        assert path is not None
        return _along(value, centre, [_trainable(model, one, "path") for one in path], span, points)
    ways = [filter_normalised(centre, rng) for _ in range(dimensions)]
    steps = (np.linspace(-span, span, points),) * dimensions
    labels = tuple(f"random direction {i + 1}, in lengths of the filters" for i in range(dimensions))
    return Landscape(steps, _losses(value, centre, ways, steps), labels, {(0.0,) * dimensions: "model"})


def filter_normalised(centre: Weights, rng: np.random.Generator) -> Weights:
    """Draw a direction whose filters are as long as the centre's; 0 for tensors of one axis.

    Source: Li et al., arXiv 1712.09913, section 4: d_ij <- d_ij / |d_ij| |w_ij|, with i the layer and j its filter.

    >>> way = filter_normalised([np.full((3, 2), 2.0), np.ones(2)], np.random.default_rng(0))
    >>> [np.linalg.norm(tensor, axis=0).round(3).tolist() for tensor in way]
    [[3.464, 3.464], 0.0]
    """
    found = []
    for w in centre:
        drawn = rng.standard_normal(w.shape)
        if w.ndim < 2:
            found.append(np.zeros_like(w))
            continue
        inside = tuple(range(w.ndim - 1))  # the last axis counts the filters
        length = np.linalg.norm(drawn.reshape(-1, w.shape[-1]), axis=0)
        own = np.sqrt(np.square(w, dtype=np.float64).sum(axis=inside))
        found.append((drawn * (own / np.maximum(length, 1e-12))).astype(w.dtype))
    return found


def _along(
    value: Callable[[Tree], jax.Array], centre: Weights, path: list[Weights], span: float, points: int
) -> Landscape:
    """The plane of the path's two main components, through the centre."""
    origin = np.concatenate([w.ravel() for w in centre])
    walked = np.stack([np.concatenate([w.ravel() for w in one]) for one in path]) - origin
    _, scale, axes = np.linalg.svd(walked, full_matrices=False)
    share = scale**2 / max(float((scale**2).sum()), 1e-30)
    places = np.concatenate([walked @ axes[:2].T, np.zeros((1, 2))])  # the way ends at the model
    margin = span * np.maximum(np.ptp(places, axis=0), 1e-6 + 0.1 * np.ptp(places))
    steps = tuple(
        np.linspace(low, high, points)
        for low, high in zip(places.min(axis=0) - margin, places.max(axis=0) + margin, strict=True)
    )
    cuts = np.cumsum([w.size for w in centre])[:-1]
    ways = [[part.reshape(w.shape) for part, w in zip(np.split(a, cuts), centre, strict=True)] for a in axes[:2]]
    labels = tuple(f"component {i + 1} of the path ({share[i]:.0%})" for i in range(2))
    return Landscape(
        steps, _losses(value, centre, ways, steps), labels, {(0.0, 0.0): "model"}, places, tuple(share[:2].tolist())
    )


def _losses(
    value: Callable[[Tree], jax.Array], centre: Weights, ways: list[Weights], steps: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Return the loss at every point of the grid; infinite where it is no number."""
    grid = np.stack([g.ravel() for g in np.meshgrid(*steps, indexing="ij")], axis=-1).astype(np.float32)

    def at(point: jax.Array) -> jax.Array:
        moved = [w + sum(point[i] * way[k].astype(w.dtype) for i, way in enumerate(ways)) for k, w in enumerate(centre)]
        return value(moved)

    found = np.asarray(jit(lambda points: jax.lax.map(at, points))(grid), np.float64)
    return np.where(np.isfinite(found), found, np.inf).reshape([len(s) for s in steps])


def _loss_of(model: keras.Model, x: Tree, y: Tree, loss: Any) -> Callable[[Tree], jax.Array]:
    """Return (trainable weights) -> the mean loss with all penalties, in evaluation mode."""
    if loss is None and getattr(model, "compiled", False):
        return whole_loss(model, x, y, None, False)
    chosen = keras.losses.get(loss) if loss is not None else guess_loss(model, x, y)[0]
    if chosen is None:
        raise InputError("loss: there is none to compute. Give a Keras loss, its name, or a function (y, outputs).")
    aux = [jnp.asarray(v.value) for v in model.non_trainable_variables]

    def value(params: Tree) -> jax.Array:
        out, _, penalties = model.stateless_call(params, aux, x, training=False, return_losses=True)
        found: jax.Array = jnp.mean(chosen(y, out)) + sum(penalties)
        return found

    return value


def _trainable(model: keras.Model, given: Any, name: str) -> Weights:
    """Return the trainable weights of a model, or of a list like its ``get_weights()`` or its trainable ones."""
    own = model.trainable_variables
    if is_keras_model(given):
        found = [np.asarray(v.value) for v in given.trainable_variables]
    else:
        found = [np.asarray(w) for w in given]
        if len(found) == len(model.weights) != len(own):
            ids = {id(v) for v in own}
            found = [w for w, v in zip(found, model.weights, strict=True) if id(v) in ids]
    if [w.shape for w in found] != [tuple(v.shape) for v in own]:
        raise InputError(
            f"{name} has weights of the shapes {[w.shape for w in found]}; the model's are "
            f"{[tuple(v.shape) for v in own]}. Give a model of the same kind, or what its get_weights() returns."
        )
    return found


def _require(
    model: Any, directions: Any, to: Any, path: Any, dimensions: Any, span: Any, points: Any, rows: Any
) -> None:
    wrong = []
    if not is_keras_model(model):
        wrong.append(f"A landscape is that of a Keras model; {type(model).__name__} is none (a run has run.model).")
    if directions not in _DIRECTIONS:
        wrong.append(
            f"directions = {directions!r} is not allowed: it takes one of {', '.join(_DIRECTIONS)}."
            f"{nearest(str(directions), _DIRECTIONS)}"
        )
    if (directions == "line") != (to is not None):
        wrong.append('to belongs to directions = "line", and is needed there: the weights at the other end.')
    if (directions == "trajectory") != (path is not None) or (path is not None and len(path) < 2):
        wrong.append('path belongs to directions = "trajectory": at least 2 weights on the way, oldest first.')
    if dimensions not in (1, 2):
        wrong.append(f"dimensions = {dimensions!r} is not allowed: it takes 1 or 2.")
    if not isinstance(span, (int, float)) or isinstance(span, bool) or not 0 <= span < 1e6 or (
        directions == "random" and span == 0
    ):  # fmt: skip
        wrong.append(f"span = {span!r} is not allowed: it takes a number above 0.")
    wrong += count_mistakes(points=(points, 3), rows=(rows, 1))
    if wrong:
        raise InputError(" ".join(wrong))
