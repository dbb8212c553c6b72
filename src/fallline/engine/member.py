"""One member of a population: its state, one epoch of training, early stopping. Everything is traced.

Shapes below: n rows in the data, b rows in a batch, s steps in an epoch, e epochs in a chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fallline.engine.stopping import Curve, Pace, Stopping, begin_curve, begin_pace, pace, should_stop
from fallline.types import Objective

__all__ = [
    "DIVERGED",
    "RUNNING",
    "STOPPED",
    "MemberState",
    "Schedule",
    "StepSeen",
    "Task",
    "after_steps",
    "end_epoch",
    "inspect_step",
    "objective_of",
    "real_rows",
    "start_state",
    "take_rows",
    "train_epoch",
    "train_step",
    "used_weights",
]

Tree = Any  # a pytree of arrays
Array = jax.Array | np.ndarray
Numbers = dict[str, jax.Array]
Data = tuple[Tree, Tree, jax.Array | None]  # (x, y, weight) with n rows; no weight: every example counts alike

# MemberState.outcome
RUNNING, STOPPED, DIVERGED = 0, 1, 2


@dataclass(frozen=True)
class Task:
    """What one member computes, as pure functions; the engine knows neither the model nor the optimizer.

    Args:
        loss: (params, aux, numbers, x, y, weight) -> (scalar, aux): training mode. ``weight`` (b,) is 0 for padding and
            scaled so that a mean over b rows is the mean over the real rows.
        update: (grads, optimizer_state, params, numbers, rate) -> (params, optimizer_state).
        begin: () -> carry of an evaluation.
        observe: (carry, params, aux, numbers, x, y, weight, valid) -> carry: evaluation mode, one batch; ``weight``
            (b,) are the examples' own weights, ``valid`` (b,) is 0 for padding.
        finish: (carry) -> (q,) float32; the first entry is the loss that early stopping follows.
        quantities: names of the q entries.
        coupled: True when the rows of a batch influence one another, so that training batches must not be padded.
        masked: True when ``loss`` takes the keyword ``valid`` (b,), 1 for real rows and 0 for padding, and keeps the
            padding out of what it computes over the batch (batch normalisation).
        exact: True when evaluation batches must not be padded either (metrics that know no weights).
        used: (params, optimizer_state) -> the weights that are evaluated, kept and handed out; None: the parameters
            themselves. An averaging optimizer keeps them in its state.
        searches: True when ``update`` looks at the loss beyond its gradient: it gets ``objective``, an
            `fallline.types.Objective` of the step's batch, as a keyword. A gradient that it leaves unused is not
            computed: the compiler drops it.
        outputs: (params, aux, numbers, x) -> outputs in training mode; None: the loss cannot be taken apart.
        cost: (outputs, numbers, y, weight) -> scalar; goes with ``outputs``.
        penalty: (params, aux, numbers, x) -> scalar; goes with ``outputs``: loss = cost(outputs) + penalty.
    """

    loss: Callable[..., tuple[jax.Array, Tree]]
    update: Callable[..., tuple[Tree, Tree]]
    begin: Callable[[], Tree]
    observe: Callable[..., Tree]
    finish: Callable[[Tree], jax.Array]
    quantities: tuple[str, ...]
    coupled: bool = False
    masked: bool = False
    exact: bool = False
    used: Callable[[Tree, Tree], Tree] | None = None
    searches: bool = False
    outputs: Callable[..., Tree] | None = None
    cost: Callable[..., jax.Array] | None = None
    penalty: Callable[..., jax.Array] | None = None


class MemberState(NamedTuple):
    """Everything about a member that changes; its structure never does.

    ``best_*`` hold the weights of the lowest monitored loss, or empty tuples when they are not kept.
    """

    params: Tree
    aux: Tree
    optimizer: Tree
    best_params: Tree
    best_aux: Tree
    best_loss: Array  # () float32
    best_epoch: Array  # () int32, completed epochs, from 1; 0: none yet
    wait: Array  # () int32, epochs since the last improvement
    epoch: Array  # () int32, completed epochs
    outcome: Array  # () int32, RUNNING, STOPPED or DIVERGED
    bad_step: Array  # () int32, first step of the epoch with a loss that is not finite; -1: none
    curve: Curve | tuple[()] = ()  # what the stopping criterion remembers, where it needs more than `wait`
    pace: Pace | tuple[()] = ()  # the member's own factor on the rate, where something lowers it
    inside: Tree = ()  # what was seen in it (`fallline.engine.Watched`), where it is watched


class Schedule(NamedTuple):
    """The order of the examples and the rates of one chunk, made on the host.

    A member does as many steps an epoch as its own rows fill; what ``order`` holds beyond them is never looked at, so
    that members of different size, and populations of nearly the same size, share one program. ``rest``/``rest_rate``
    hold the last partial batch where padding is forbidden, else they have no rows.
    """

    order: Array  # (e, s, b) int32, row numbers; a partial batch is padded with any rows
    rates: Array  # (e, s) float32, factor on the learning rate
    rows: Array  # () int32, rows of an epoch without the rest: ceil(rows / b) <= s steps, the last may be partial
    limit: Array  # () int32, the member's last epoch
    every: Array  # () int32, evaluate behind so many epochs, and behind the last; read where a population is thinned
    rest: Array  # (e, r) int32
    rest_rate: Array  # (e,) float32


def start_state(params: Tree, aux: Tree, optimizer: Tree, stopping: Stopping, inside: Tree = ()) -> MemberState:
    """Return the state of p members before the first step; every leaf carries the members in its leading axis."""
    members = np.shape(jax.tree.leaves(params)[0])[0]
    zeros = np.zeros(members, np.int32)
    return MemberState(
        params=params,
        aux=aux,
        optimizer=optimizer,
        best_params=params if stopping.keep_best else (),
        best_aux=aux if stopping.keep_best else (),
        best_loss=np.full(members, np.inf, np.float32),
        best_epoch=zeros,
        wait=zeros,
        epoch=zeros,
        outcome=np.full(members, RUNNING, np.int32),
        bad_step=np.full(members, -1, np.int32),
        curve=begin_curve(stopping, members),
        pace=begin_pace(stopping, members, params),
        inside=inside,
    )


def take_rows(data: Tree, rows: jax.Array) -> Tree:
    """Return these rows of every array of the data."""
    # Row numbers come from our own host code and are always in range: "clip" spares the check.
    return jax.tree.map(lambda a: jnp.take(a, rows, axis=0, mode="clip"), data)


class _Moved(NamedTuple):
    """One step's result."""

    params: Tree
    aux: Tree
    optimizer: Tree
    loss: jax.Array
    grads: Tree


def real_rows(size: int, count: jax.Array) -> jax.Array:
    """Return (size,) float32: 1 for the first ``count`` rows of a batch, 0 for the padding behind them."""
    return (jnp.arange(size) < count).astype(jnp.float32)


def _move(
    task: Task,
    numbers: Numbers,
    batch: tuple[Tree, Tree, jax.Array | None],
    carry: tuple[Tree, Tree, Tree],
    count: jax.Array,
    rate: jax.Array,
) -> _Moved:
    """Do the step of a batch (x, y, weight), of which the first ``count`` rows are real."""
    params, aux, optimizer = carry
    x, y, own = batch
    size = jax.tree.leaves(x)[0].shape[0]
    valid = real_rows(size, count)
    # Where no example has a weight of its own, none is read from memory.
    weight = (valid if own is None else own * valid) * (size / count)
    cost = partial(task.loss, valid=valid) if task.masked else task.loss
    (loss, after), grads = jax.value_and_grad(cost, has_aux=True)(params, aux, numbers, x, y, weight)
    extra = {"objective": objective_of(task, cost, numbers, (x, y, weight), aux, loss)} if task.searches else {}
    params, optimizer = task.update(grads, optimizer, params, numbers, rate, **extra)
    return _Moved(params, after, optimizer, loss, grads)


def objective_of(
    task: Task, loss: Callable[..., Any], numbers: Numbers, batch: tuple[Tree, Tree, jax.Array], aux: Tree, value: Any
) -> Objective:
    """Return a step's loss, taken apart so far as the task can be, for updates that look beyond its gradient.

    Args:
        task: what the member computes.
        loss: its loss, as a step calls it.
        numbers: its numbers.
        batch: (x, y, weight) of the step.
        aux: its non-trainable weights.
        value: the loss at the member's parameters.
    """
    x, y, weight = batch
    outputs, cost, penalty = task.outputs, task.cost, task.penalty
    whole = partial(Objective, value, lambda params: loss(params, aux, numbers, x, y, weight)[0])
    if outputs is None or cost is None or penalty is None:
        return whole()

    def row(params: Tree, i: Any) -> Tree:
        alone = outputs(params, aux, numbers, jax.tree.map(lambda a: a[i][None], x))
        return jax.tree.map(lambda a: a[0], alone)

    return whole(
        lambda params: outputs(params, aux, numbers, x),
        lambda out: cost(out, numbers, y, weight),
        lambda params: penalty(params, aux, numbers, x),
        None if task.coupled or task.masked else row,
    )


def train_step(
    task: Task, numbers: Numbers, data: Data, carry: Tree, rows: jax.Array, count: jax.Array, rate: jax.Array
) -> tuple[Tree, jax.Array]:
    """Do one step on the first ``count`` of the rows (b,); return the new (params, aux, optimizer) and the loss."""
    moved = _move(task, numbers, take_rows(data, rows), carry, count, rate)
    return (moved.params, moved.aux, moved.optimizer), moved.loss


class StepSeen(NamedTuple):
    """Which parts of one step were finite."""

    batch: Array  # () bool
    loss: Array  # () bool
    gradients: Array  # (t,) bool, one per parameter tensor
    params: Array  # (t,) bool, after the step


def inspect_step(
    task: Task, numbers: Numbers, data: Data, carry: Tree, rows: jax.Array, count: jax.Array, rate: jax.Array
) -> tuple[Tree, StepSeen]:
    """Do one step as training does it, and tell which of its parts are finite.

    Args:
        task: what the member computes.
        numbers: its numbers.
        data: (x, y, weight) with n rows.
        carry: (params, aux, optimizer state).
        rows: (b,) int32, rows of the batch.
        count: how many of them are real; the others are padding.
        rate: factor on the learning rate.
    """

    def finite(tree: Tree) -> jax.Array:
        return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)])

    batch = take_rows(data, rows)
    moved = _move(task, numbers, batch, carry, count, rate)
    seen = StepSeen(jnp.all(finite(batch)), jnp.isfinite(moved.loss), finite(moved.grads), finite(moved.params))
    return (moved.params, moved.aux, moved.optimizer), seen


def train_epoch(
    task: Task, numbers: Numbers, data: Data, state: MemberState, schedule: Schedule, index: jax.Array
) -> tuple[MemberState, jax.Array]:
    """Run the steps of one epoch of the chunk; return the new state and the mean loss over its rows."""
    size, rest = schedule.order.shape[-1], schedule.rest.shape[-1]
    steps = (schedule.rows + size - 1) // size
    own = state.pace.factor if isinstance(state.pace, Pace) else 1.0

    def body(step: jax.Array, carry: Tree) -> Tree:
        learned, total, bad = carry
        count = jnp.minimum(size, schedule.rows - step * size)
        batch = (schedule.order[index, step], count, schedule.rates[index, step] * own)
        learned, loss = train_step(task, numbers, data, learned, *batch)
        bad = jnp.where((bad < 0) & ~jnp.isfinite(loss), step, bad)
        return learned, total + loss * count, bad

    start = ((state.params, state.aux, state.optimizer), jnp.zeros(()), jnp.full((), -1, jnp.int32))
    learned, total, bad = jax.lax.fori_loop(0, steps, body, start)
    if rest:
        last = (schedule.rest[index], jnp.asarray(rest), schedule.rest_rate[index] * own)
        learned, loss = train_step(task, numbers, data, learned, *last)
        total, bad = total + loss * rest, jnp.where((bad < 0) & ~jnp.isfinite(loss), steps, bad)
    return after_steps(state, learned, total, bad, jnp.asarray(schedule.rows + rest))


def after_steps(
    state: MemberState, carry: Tree, total: jax.Array, bad: jax.Array, rows: jax.Array
) -> tuple[MemberState, jax.Array]:
    """Return the state behind the steps of an epoch, and the mean loss over its rows.

    Args:
        state: before the epoch.
        carry: (params, aux, optimizer) behind its last step.
        total: sum over the steps of their loss times their rows.
        bad: the first step with a loss that is not finite; -1: none.
        rows: of the epoch.
    """
    params, aux, optimizer = carry
    return state._replace(params=params, aux=aux, optimizer=optimizer, bad_step=bad.astype(jnp.int32)), total / rows


def _select(condition: jax.Array, new: Tree, old: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def used_weights(task: Task, state: MemberState) -> Tree:
    """Return the weights that are evaluated and kept."""
    return state.params if task.used is None else task.used(state.params, state.optimizer)


def end_epoch(
    stopping: Stopping,
    before: MemberState,
    after: MemberState,
    running: jax.Array,
    monitored: jax.Array,
    *,
    trained: jax.Array | None = None,
    used: Tree = None,
    numbers: Numbers | None = None,
) -> MemberState:
    """Close an epoch: count it, keep the best weights, lower the rate, stop, or call the member diverged.

    A diverged member gets the state from before the epoch back, so that its weights stay finite and the failing step
    can be replayed and named.

    Args:
        stopping: when the member ends.
        before: the state before the epoch.
        after: the state behind its last step.
        running: () mean loss over its steps.
        monitored: () the loss that stopping follows.
        trained: () the training loss behind the epoch; None: ``running``.
        used: the weights that were evaluated; None: the parameters.
        numbers: the member's numbers, where something lowers its rate.
    """
    epoch, numbers = before.epoch + 1, numbers or {}
    finite = jnp.isfinite(running) & jnp.isfinite(monitored)
    needed = before.best_loss - stopping.constant("min_delta", numbers)
    improved = finite & (monitored < needed) & (epoch >= stopping.first_best)
    wait = jnp.where(improved, 0, before.wait + 1)
    after_it = running if trained is None else trained
    curve, stops = should_stop(stopping, before.curve, epoch, after_it, monitored, numbers)
    if stopping.criterion == "patience" and stopping.patience:
        stops = wait >= stopping.constant("patience", numbers)
    outcome = jnp.where(finite, jnp.where(stops, STOPPED, RUNNING), DIVERGED).astype(jnp.int32)
    params, aux, optimizer = _select(
        finite, (after.params, after.aux, after.optimizer), (before.params, before.aux, before.optimizer)
    )
    best = (before.best_params, before.best_aux)
    if stopping.keep_best:
        best = _select(improved, (after.params if used is None else used, after.aux), best)
    own = pace(stopping, before.pace, numbers, monitored, before.params, after.params)
    return MemberState(
        params=params,
        aux=aux,
        optimizer=optimizer,
        best_params=best[0],
        best_aux=best[1],
        best_loss=jnp.where(improved, monitored, before.best_loss),
        best_epoch=jnp.where(improved, epoch, before.best_epoch).astype(jnp.int32),
        wait=wait.astype(jnp.int32),
        epoch=epoch,
        outcome=outcome,
        bad_step=after.bad_step,
        curve=curve,
        # The failing epoch is done again as it was: at the rate that it had.
        pace=_select(finite, own, before.pace),
        inside=before.inside,
    )
