"""What happens inside one member, looked at on the device: weights, gradients, one step, outputs of the layers.

A look takes the member as it stands, does one step on a fixed batch of its training rows and throws it away; the
training goes on as if nobody had looked. Shapes: w rows in the watch batch, L layers, k looks in a training, W numbers
a look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fallline.engine.member import (
    DIVERGED,
    Array,
    MemberState,
    Numbers,
    Schedule,
    Task,
    objective_of,
    take_rows,
    used_weights,
)
from fallline.engine.moments import Moments, dot, moments, pooled, square, squares
from fallline.engine.stopping import Pace
from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS

__all__ = ["LayerTap", "Observer", "Watched", "due", "epochs_to_look", "last_rate", "look", "seen_by", "take_apart"]

Tree = Any
Values = dict[str, jax.Array]

# Two units are twins when two random projections of their incoming weights agree to so much of the largest: equal
# weights that were moved by equal gradients differ by rounding only.
_TWIN_TOLERANCE = 1e-6
_NAN = jnp.nan


@dataclass(frozen=True)
class LayerTap:
    """What must be known of a layer to watch it.

    Args:
        weights: places of its weights (no biases) among the leaves of the parameters.
        kernel: the place of the weights whose last axis are the layer's units; None: there are no such weights.
        saturated: outputs at or below the first or at or above the second are saturated; None: there is no asymptote.
        rectifies: its activation is of the ReLU family.
        unit_axis: axis of its output that the units stand in.
    """

    weights: tuple[int, ...] = ()
    kernel: int | None = None
    saturated: tuple[float, float] | None = None
    rectifies: bool = False
    unit_axis: int = -1


class Watched(NamedTuple):
    """What was seen in one member and what is still to be looked at; a part of its state."""

    values: Array  # (k, W) float32, NaN where nobody looked (yet)
    epochs: Array  # (k,) int32, ascending: look after so many epochs; 0: before the first step
    next: Array  # () int32, the look that is due next
    rows: Array  # (w,) int32, the watch batch
    on: Array  # () bool; False: nobody looks at this member
    start: Tree  # its initial parameters


@dataclass(frozen=True, eq=False)
class Observer:
    """How one member is looked at.

    Args:
        task: what the member computes.
        layers: L taps.
        outputs: (params, aux, x) -> for each layer (output, what its activation function is given), each None where it
            is not known; evaluation mode. None: no layer can be tapped.
        gradient_rows: gradients are those of the first so many rows of the watch batch; 0: of all.
        parts: these rows are divided in so many for the gradient's noise; 1: it is not measured. The rows of the
            batch must be independent otherwise.
        curvature: look at the curvature along the step, too (one Hessian-vector product).
        iterations: of the power method that finds the sharpness; 0: it is not looked for.
    """

    task: Task
    layers: tuple[LayerTap, ...]
    outputs: Callable[[Tree, Tree, Tree], Sequence[tuple[Any, Any]]] | None = None
    gradient_rows: int = 0
    parts: int = 1
    curvature: bool = False
    iterations: int = 0

    @property
    def width(self) -> int:
        """W: every layer's statistics, then the network's."""
        return len(LAYER_STATISTICS) * len(self.layers) + len(NETWORK_STATISTICS)

    def parts_of(self, rows: Any) -> Any:
        """Return (parts, rows of a part) rows that the gradients are of.

        Args:
            rows: (w,) the watch batch.
        """
        used = min(len(rows), self.gradient_rows or len(rows)) // self.parts * self.parts
        return rows[:used].reshape(self.parts, -1)

    def gradient(
        self, numbers: Numbers, data: tuple[Tree, Tree, Any], state: MemberState, rows: Array
    ) -> tuple[jax.Array, Tree, jax.Array]:
        """Return the loss on some rows in training mode, its gradient, and the gradient's squared norm."""
        x, y, own = take_rows(data, jnp.asarray(rows))
        weight = _weight(own, rows)
        loss, grads = jax.value_and_grad(self.task.loss, has_aux=True)(state.params, state.aux, numbers, x, y, weight)
        return loss[0], grads, square(grads)

    def __call__(self, numbers: Numbers, data: tuple[Tree, Tree, Any], state: MemberState, rate: Array) -> jax.Array:
        """Return (W,) what is seen now; ``rate`` is the factor on the learning rate of the step that is thrown away."""
        parts = self.parts_of(state.inside.rows)
        if self.parts > 1:
            start = jax.tree.map(jnp.zeros_like, (jnp.zeros(()), state.params, jnp.zeros(())))

            def add(total: Tree, part: Array) -> tuple[Tree, None]:
                return jax.tree.map(jnp.add, total, self.gradient(numbers, data, state, part)), None

            total, _ = jax.lax.scan(add, start, parts)
            found = jax.tree.map(lambda a: a / self.parts, total)
        else:
            found = self.gradient(numbers, data, state, parts[0])
        return self.conclude(numbers, data, state, rate, found)

    def conclude(
        self,
        numbers: Numbers,
        data: tuple[Tree, Tree, Any],
        state: MemberState,
        rate: Array,
        found: tuple[jax.Array, Tree, jax.Array],
    ) -> jax.Array:
        """Return (W,) what is seen, given the means of what `gradient` found over the parts of the watch batch."""
        loss, grads, small = found
        rows = self.parts_of(state.inside.rows).reshape(-1)
        x, y, own = take_rows(data, rows)
        batch = (x, y, _weight(own, rows))
        extra = {}
        if self.task.searches:
            extra = {"objective": objective_of(self.task, self.task.loss, numbers, batch, state.aux, loss)}
        moved, _ = self.task.update(grads, state.optimizer, state.params, numbers, rate, **extra)
        step = jax.tree.map(lambda a, b: a - b, moved, state.params)
        tapped = sorted({i for tap in self.layers for i in tap.weights})
        weights, gradients = (
            {i: moments(leaves[i]) for i in tapped} for leaves in map(jax.tree.leaves, (state.params, grads))
        )
        seen = [_of_weights(tap, state.params, grads, step, weights, gradients) for tap in self.layers]
        if self.outputs is not None:
            x, _, _ = take_rows(data, state.inside.rows)
            for values, tap, out in zip(seen, self.layers, self.outputs(*_used(self.task, state), x), strict=True):
                values |= _of_outputs(tap, *out)
        gradient_square = squares(grads, gradients)
        network = _of_network(state, squares(state.params, weights), gradient_square, step)
        network["gradient_noise_scale"] = _noise_scale(small, gradient_square, rows.shape[0], self.parts)

        def cost(params: Tree) -> jax.Array:
            value: jax.Array = self.task.loss(params, state.aux, numbers, *batch)[0]
            return value

        if self.curvature:
            network["curvature_along_step"] = _curvature(cost, state.params, step)
        if self.iterations:
            network["sharpness"] = _sharpness(cost, state.params, self.iterations)
        flat = [values.get(name, _NAN) for name in LAYER_STATISTICS for values in seen]
        flat += [network.get(name, _NAN) for name in NETWORK_STATISTICS]
        return jnp.stack([jnp.asarray(value, jnp.float32) for value in flat])


def take_apart(values: np.ndarray, layers: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return looks (..., W) as the layers' statistics, name -> (..., L), and the network's, name -> (...)."""
    inner = len(LAYER_STATISTICS) * layers
    table = values[..., :inner].reshape(*values.shape[:-1], len(LAYER_STATISTICS), layers)
    of_layers = {name: table[..., i, :] for i, name in enumerate(LAYER_STATISTICS)} if layers else {}
    return of_layers, {name: values[..., inner + i] for i, name in enumerate(NETWORK_STATISTICS)}


# ------------------------------------------------------------------------------------------------ when to look


def due(state: MemberState) -> jax.Array:
    """Return () bool: a look is due now. A diverged member has nothing to show."""
    watched: Watched = state.inside
    last = watched.epochs.shape[0] - 1
    now = watched.epochs[jnp.minimum(watched.next, last)] == state.epoch
    return jnp.asarray(watched.on & (watched.next <= last) & now & (state.outcome != DIVERGED))


def epochs_to_look(state: MemberState, most: jax.Array) -> jax.Array:
    """Return how many epochs there are to the next look, at most ``most``."""
    watched: Watched = state.inside
    last = watched.epochs.shape[0] - 1
    wait = watched.epochs[jnp.minimum(watched.next, last)] - state.epoch
    return jnp.where(watched.on & (watched.next <= last) & (wait >= 0), jnp.minimum(wait, most), most)


def last_rate(schedule: Schedule, state: MemberState, index: Array | int) -> jax.Array:
    """Return the factor on the rate of the last step before epoch ``index`` of a chunk; before any, of the first."""
    steps = (schedule.rows - 1) // schedule.order.shape[-1] + 1
    last = schedule.rest_rate if schedule.rest.shape[-1] else jnp.asarray(schedule.rates)[:, steps - 1]
    rate = jnp.where(index > 0, jnp.asarray(last)[jnp.maximum(index - 1, 0)], schedule.rates[0, 0])
    return rate * state.pace.factor if isinstance(state.pace, Pace) else rate


def seen_by(state: MemberState, values: jax.Array) -> MemberState:
    """Return the state with (W,) values as its next look."""
    watched: Watched = state.inside
    values = jax.lax.dynamic_update_index_in_dim(watched.values, values, watched.next, 0)
    return state._replace(inside=watched._replace(values=values, next=watched.next + 1))


def look(
    observer: Observer, numbers: Numbers, data: tuple[Tree, Tree, Any], state: MemberState, rate: Array
) -> MemberState:
    """Return the state with one more look in it."""
    return seen_by(state, observer(numbers, data, state, rate))


# ---------------------------------------------------------------------------------------------- the statistics


def _weight(own: Any, rows: Array) -> jax.Array:
    return jnp.ones(np.shape(rows)[0], jnp.float32) if own is None else own


def _used(task: Task, state: MemberState) -> tuple[Tree, Tree]:
    return used_weights(task, state), state.aux


def _ratio(above: jax.Array, below: jax.Array) -> jax.Array:
    return jnp.where(below > 0, above / below, _NAN)


def _of_weights(
    tap: LayerTap, params: Tree, grads: Tree, step: Tree, weights: dict[int, Moments], gradients: dict[int, Moments]
) -> Values:
    if not tap.weights:
        return {}
    weight = pooled([weights[i] for i in tap.weights])
    gradient = pooled([gradients[i] for i in tap.weights])
    slopes, moves = jax.tree.leaves(grads), jax.tree.leaves(step)
    found: Values = {
        "weight_mean": weight.mean, "weight_sd": weight.sd, "weight_norm": jnp.sqrt(weight.square),
        "gradient_mean": gradient.mean, "gradient_sd": gradient.sd, "gradient_norm": jnp.sqrt(gradient.square),
        "gradient_max": jnp.max(jnp.stack([jnp.max(jnp.abs(slopes[i].astype(jnp.float32))) for i in tap.weights])),
        "update_norm": jnp.sqrt(square([moves[i] for i in tap.weights])),
    }  # fmt: skip
    found["update_ratio"] = _ratio(found["update_norm"], found["weight_norm"])
    if tap.kernel is not None:
        found["twin_share"] = _twin_share(jax.tree.leaves(params)[tap.kernel].astype(jnp.float32))
    return found


def _twin_share(kernel: jax.Array) -> jax.Array:
    """Share of units (last axis) whose incoming weights equal another unit's.

    Equal columns have equal projections, and sorting brings them together: u log u instead of u^2 comparisons.
    """
    columns = kernel.reshape(-1, kernel.shape[-1])
    directions = np.random.default_rng(0).standard_normal((2, columns.shape[0])).astype(np.float32)
    first, second = jax.lax.sort(tuple(directions @ columns), num_keys=1)
    scale = jnp.max(jnp.sqrt(jnp.sum(jnp.square(columns), axis=0)))
    near = (jnp.abs(jnp.diff(first)) <= _TWIN_TOLERANCE * scale) & (
        jnp.abs(jnp.diff(second)) <= _TWIN_TOLERANCE * scale
    )
    edge = jnp.zeros(1, bool)
    return jnp.mean(jnp.concatenate([edge, near]) | jnp.concatenate([near, edge]), dtype=jnp.float32)


def _of_outputs(tap: LayerTap, output: Any, given: Any) -> Values:
    found: Values = {}
    if given is not None:
        found["preactivation_sd"] = moments(given).sd
    if output is None or not output.size:
        return found
    out = output.astype(jnp.float32)
    all_of_it = moments(out)
    sd, rms = all_of_it.sd, jnp.sqrt(all_of_it.square / all_of_it.entries)
    found |= {"activation_mean": all_of_it.mean, "activation_sd": sd, "activation_rms": rms}
    units = jnp.moveaxis(out, tap.unit_axis, -1) if out.ndim > 1 else out[:, None]
    rest = tuple(range(units.ndim - 1))
    high, low = jnp.max(units, axis=rest), jnp.min(units, axis=rest)
    shares: Values = {"zero_share": jnp.mean(out == 0, dtype=jnp.float32), "constant_share": jnp.mean(high == low)}
    if tap.rectifies:
        shares["dead_share"] = jnp.mean(high <= 0, dtype=jnp.float32)
    if tap.saturated is not None:
        bottom, top = tap.saturated
        shares["saturated_share"] = jnp.mean((out < bottom) | (out > top), dtype=jnp.float32)
    # A comparison with NaN is false, which would read as health.
    return found | {name: jnp.where(jnp.isfinite(sd), share, _NAN) for name, share in shares.items()}


def _of_network(state: MemberState, weight_square: jax.Array, gradient_square: jax.Array, step: Tree) -> Values:
    norm = jnp.sqrt(weight_square)
    return {
        "gradient_norm": jnp.sqrt(gradient_square),
        "weight_norm": norm,
        "update_ratio": _ratio(jnp.sqrt(square(step)), norm),
        "distance_from_start": jnp.sqrt(square(jax.tree.map(lambda a, b: a - b, state.params, state.inside.start))),
    }


def _noise_scale(small: jax.Array, big: jax.Array, rows: int, parts: int) -> jax.Array:
    """The simple noise scale tr(Sigma) / |G|^2 in examples, from squared norms over parts and over the whole.

    Both are the unbiased estimates of McCandlish et al., arXiv 1812.06162, equations A.2 and A.3; NaN where noise hides
    the gradient.
    """
    if parts == 1:
        return jnp.asarray(_NAN)
    part = rows / parts
    gradient = (rows * big - part * small) / (rows - part)
    trace = (small - big) / (1 / part - 1 / rows)
    return jnp.where(gradient > 0, trace / gradient, _NAN)


def _hessian_times(cost: Callable[[Tree], jax.Array], params: Tree, direction: Tree) -> Tree:
    """H d by the derivative of the gradient along d (Pearlmutter, Neural Computation 6, 1994, equation 3)."""
    product: Tree = jax.jvp(jax.grad(cost), (params,), (direction,))[1]
    return product


def _curvature(cost: Callable[[Tree], jax.Array], params: Tree, step: Tree) -> jax.Array:
    """d^T H d / d^T d for the step d: the second derivative of the loss along the unit step."""
    return _ratio(dot(step, _hessian_times(cost, params, step)), square(step))


def _sharpness(cost: Callable[[Tree], jax.Array], params: Tree, iterations: int) -> jax.Array:
    """The Hessian's eigenvalue of largest magnitude, by the power method from a fixed random direction."""
    rng = np.random.default_rng(0)
    start = jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape), p.dtype), params)

    def unit(tree: Tree) -> Tree:
        size = jnp.sqrt(square(tree))
        return jax.tree.map(lambda a: jnp.where(size > 0, a / size, a), tree)

    def turn(_: int, carry: tuple[Tree, jax.Array]) -> tuple[Tree, jax.Array]:
        direction, _value = carry
        product = _hessian_times(cost, params, direction)
        return unit(product), dot(direction, product)

    found: jax.Array = jax.lax.fori_loop(0, iterations, turn, (unit(start), jnp.zeros(())))[1]
    return found
