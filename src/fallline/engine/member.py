"""One member of a population: its state, one epoch of training, evaluation, early stopping. Everything is traced.

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
    "Rows",
    "Schedule",
    "StepSeen",
    "Task",
    "after_steps",
    "end_epoch",
    "evaluate",
    "inspect_step",
    "observe_batch",
    "start_state",
    "train_epoch",
    "train_step",
    "used_weights",
]

Tree = Any  # a pytree of arrays
Array = jax.Array | np.ndarray
Numbers = dict[str, jax.Array]

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
        coupled: True when the rows of a batch influence one another (batch normalisation), so that training batches
            must not be padded.
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

    ``rest``/``rest_rate`` hold the last partial batch where padding is forbidden, else they have no rows.
    """

    order: Array  # (e, s, b) int32, row numbers; padding repeats rows of the member
    rates: Array  # (e, s) float32, factor on the learning rate
    valid: Array  # (s, b) float32, 0 for padding; each step has at least one row that is none
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


def _take(data: Tree, rows: jax.Array) -> Tree:
    # Row numbers come from our own host code and are always in range: "clip" spares the check.
    return jax.tree.map(lambda a: jnp.take(a, rows, axis=0, mode="clip"), data)


class _Moved(NamedTuple):
    """One step's result."""

    params: Tree
    aux: Tree
    optimizer: Tree
    loss: jax.Array
    grads: Tree


def _move(
    task: Task,
    numbers: Numbers,
    batch: tuple[Tree, Tree, jax.Array],
    carry: tuple[Tree, Tree, Tree],
    valid: jax.Array,
    rate: jax.Array,
) -> _Moved:
    """Do the step of a batch (x, y, weight)."""
    params, aux, optimizer = carry
    x, y, weight = batch
    weight = weight * valid * (valid.shape[0] / jnp.sum(valid))
    (loss, after), grads = jax.value_and_grad(task.loss, has_aux=True)(params, aux, numbers, x, y, weight)
    extra = {"objective": _objective(task, numbers, (x, y, weight), aux, loss)} if task.searches else {}
    params, optimizer = task.update(grads, optimizer, params, numbers, rate, **extra)
    return _Moved(params, after, optimizer, loss, grads)


def _objective(task: Task, numbers: Numbers, batch: tuple[Tree, Tree, jax.Array], aux: Tree, value: Any) -> Objective:
    x, y, weight = batch
    outputs, cost, penalty = task.outputs, task.cost, task.penalty
    whole = partial(Objective, value, lambda params: task.loss(params, aux, numbers, x, y, weight)[0])
    if outputs is None or cost is None or penalty is None:
        return whole()
    return whole(
        lambda params: outputs(params, aux, numbers, x),
        lambda out: cost(out, numbers, y, weight),
        lambda params: penalty(params, aux, numbers, x),
    )


def train_step(
    task: Task,
    numbers: Numbers,
    data: tuple[Tree, Tree, jax.Array],
    carry: Tree,
    rows: jax.Array,
    valid: jax.Array,
    rate: jax.Array,
) -> tuple[Tree, tuple[jax.Array, jax.Array]]:
    """Do one step; return the new (params, aux, optimizer), the loss, and how many rows it is a mean of."""
    moved = _move(task, numbers, _take(data, rows), carry, valid, rate)
    return (moved.params, moved.aux, moved.optimizer), (moved.loss, jnp.sum(valid))


class StepSeen(NamedTuple):
    """Which parts of one step were finite."""

    batch: Array  # () bool
    loss: Array  # () bool
    gradients: Array  # (t,) bool, one per parameter tensor
    params: Array  # (t,) bool, after the step


def inspect_step(
    task: Task,
    numbers: Numbers,
    data: tuple[Tree, Tree, jax.Array],
    carry: Tree,
    rows: jax.Array,
    valid: jax.Array,
    rate: jax.Array,
) -> tuple[Tree, StepSeen]:
    """Do one step as training does it, and tell which of its parts are finite.

    Args:
        task: what the member computes.
        numbers: its numbers.
        data: (x, y, weight) with n rows.
        carry: (params, aux, optimizer state).
        rows: (b,) int32, rows of the batch.
        valid: (b,) float32, 0 for padding.
        rate: factor on the learning rate.
    """

    def finite(tree: Tree) -> jax.Array:
        return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)])

    batch = _take(data, rows)
    moved = _move(task, numbers, batch, carry, valid, rate)
    seen = StepSeen(jnp.all(finite(batch)), jnp.isfinite(moved.loss), finite(moved.grads), finite(moved.params))
    return (moved.params, moved.aux, moved.optimizer), seen


def train_epoch(
    task: Task,
    numbers: Numbers,
    data: tuple[Tree, Tree, jax.Array],
    state: MemberState,
    schedule: Schedule,
    index: jax.Array,
) -> tuple[MemberState, jax.Array]:
    """Run the steps of one epoch of the chunk; return the new state and the mean loss over its rows."""
    carry = (state.params, state.aux, state.optimizer)

    def body(carry: Tree, xs: Tree) -> tuple[Tree, tuple[jax.Array, jax.Array]]:
        rows, valid, rate = xs
        return train_step(task, numbers, data, carry, rows, valid, rate)

    own = state.pace.factor if isinstance(state.pace, Pace) else 1.0
    steps = (schedule.order[index], schedule.valid, schedule.rates[index] * own)
    carry, (losses, counts) = jax.lax.scan(body, carry, steps)
    if schedule.rest.shape[-1]:
        ones = jnp.ones(schedule.rest.shape[-1], jnp.float32)
        rest = (schedule.rest[index], ones, schedule.rest_rate[index] * own)
        carry, (loss, count) = train_step(task, numbers, data, carry, *rest)
        losses, counts = jnp.append(losses, loss), jnp.append(counts, count)
    return after_steps(state, carry, losses, counts)


def after_steps(state: MemberState, carry: Tree, losses: jax.Array, counts: jax.Array) -> tuple[MemberState, jax.Array]:
    """Return the state behind the steps of an epoch, and the mean loss over its rows.

    Args:
        state: before the epoch.
        carry: (params, aux, optimizer) behind its last step.
        losses: (s,) the steps' losses.
        counts: (s,) the rows that they are means of.
    """
    finite = jnp.isfinite(losses)
    bad = jnp.where(jnp.all(finite), -1, jnp.argmin(finite)).astype(jnp.int32)
    params, aux, optimizer = carry
    running = jnp.sum(losses * counts) / jnp.sum(counts)
    return state._replace(params=params, aux=aux, optimizer=optimizer, bad_step=bad), running


class Rows(NamedTuple):
    """Rows to evaluate on, in batches; ``rest`` holds the last partial batch where padding is forbidden."""

    batches: Array  # (m, b) int32
    valid: Array  # (m, b) float32, 0 for padding
    rest: Array  # (r,) int32


def observe_batch(
    task: Task,
    numbers: Numbers,
    data: tuple[Tree, Tree, jax.Array],
    carry: Tree,
    params: Tree,
    aux: Tree,
    rows: jax.Array,
    valid: jax.Array,
) -> Tree:
    """Add one batch of rows to an evaluation's carry."""
    x, y, weight = _take(data, rows)
    return task.observe(carry, params, aux, numbers, x, y, weight, valid)


def evaluate(
    task: Task, numbers: Numbers, data: tuple[Tree, Tree, jax.Array], params: Tree, aux: Tree, rows: Rows
) -> jax.Array:
    """Evaluate in evaluation mode, batch by batch; return (q,) quantities."""

    def body(carry: Tree, xs: Tree) -> tuple[Tree, None]:
        return observe_batch(task, numbers, data, carry, params, aux, *xs), None

    carry = task.begin()
    if rows.batches.shape[0] == 1:  # one batch holds all rows: no loop, so that XLA may use its threads
        carry, _ = body(carry, (rows.batches[0], rows.valid[0]))
    elif rows.batches.shape[0]:
        carry, _ = jax.lax.scan(body, carry, (rows.batches, rows.valid))
    if rows.rest.shape[-1]:
        carry, _ = body(carry, (rows.rest, jnp.ones(rows.rest.shape[-1], jnp.float32)))
    return task.finish(carry)


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
    epoch = before.epoch + 1
    finite = jnp.isfinite(running) & jnp.isfinite(monitored)
    improved = finite & (monitored < before.best_loss - stopping.min_delta) & (epoch >= stopping.first_best)
    wait = jnp.where(improved, 0, before.wait + 1)
    curve, stops = should_stop(stopping, before.curve, epoch, running if trained is None else trained, monitored)
    if stopping.criterion == "patience" and stopping.patience:
        stops = wait >= stopping.patience
    outcome = jnp.where(finite, jnp.where(stops, STOPPED, RUNNING), DIVERGED).astype(jnp.int32)
    params, aux, optimizer = _select(
        finite, (after.params, after.aux, after.optimizer), (before.params, before.aux, before.optimizer)
    )
    best = (before.best_params, before.best_aux)
    if stopping.keep_best:
        best = _select(improved, (after.params if used is None else used, after.aux), best)
    own = pace(stopping, before.pace, numbers or {}, monitored, before.params, after.params)
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
