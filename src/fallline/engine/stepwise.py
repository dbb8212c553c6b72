"""The same training as a loop on the host over compiled steps, for networks that lose more inside a compiled loop.

XLA's convolutions on a CPU use all threads in a program of their own and a single one inside a loop: those of LeNet-5
on two cores, batch 256, take 310 ms a step in the scan over steps and 32 ms here. A dispatch costs some 50 us, which
only a small network would notice.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fallline.engine.devices import jit, keep_freed_memory
from fallline.engine.evaluation import Rows, observe_batch
from fallline.engine.inside import Observer, due, last_rate, seen_by
from fallline.engine.member import (
    RUNNING,
    MemberState,
    Schedule,
    Task,
    after_steps,
    end_epoch,
    train_step,
    used_weights,
)
from fallline.engine.population import Population, seen_values
from fallline.engine.stopping import Pace, Stopping

__all__ = ["Stepwise", "steps_of"]

Tree = Any


def steps_of(schedule: Schedule, index: int) -> list[tuple[Any, int, Any]]:
    """Return (rows (b,), how many of them are real, rate) of each step of one epoch of a single member's schedule."""
    size, rows = schedule.order.shape[-1], int(schedule.rows)
    steps = [
        (schedule.order[index, step], min(size, rows - step * size), schedule.rates[index, step])
        for step in range(-(-rows // size))
    ]
    if schedule.rest.shape[-1]:
        steps.append((schedule.rest[index], schedule.rest.shape[-1], schedule.rest_rate[index]))
    return steps


def _totals(losses: jax.Array, counts: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return what `after_steps` asks for: sum of losses times rows, the first step that is not finite, the rows."""
    finite = jnp.isfinite(losses)
    return jnp.sum(losses * counts), jnp.where(jnp.all(finite), -1, jnp.argmin(finite)), jnp.sum(counts)


class Stepwise(Population):
    """A population whose members are trained one after another, step by step, on one device.

    Args:
        task: what a member computes.
        stopping: when a member ends and which weights it keeps.
        capacity: most members at once.
        validated: whether validation rows are given.
        observer: looks inside the members whose states have a `Watched`; None: nobody looks.
    """

    def __init__(
        self, task: Task, stopping: Stopping, capacity: int, *, validated: bool, observer: Observer | None = None
    ) -> None:
        devices = jax.local_devices()[:1]
        if devices[0].platform == "cpu":
            keep_freed_memory()
        super().__init__(task, stopping, capacity, validated=validated, devices=devices, observer=observer)
        if observer is not None:
            self._due = jit(due)
            self._gradient = jit(observer.gradient)
            self._conclude = jit(lambda n, d, s, rate, found: seen_by(s, observer.conclude(n, d, s, rate, found)))
        self._step = jit(partial(train_step, task), donate_argnums=(2,))
        self._observe = jit(partial(observe_batch, task))
        self._finish = jit(task.finish)
        self._totals = jit(_totals)

    def thin(self) -> None:
        """Every epoch is evaluated: against a convolution's steps it costs little."""

    def _evaluate(self, numbers: Tree, data: Tree, used: Tree, aux: Tree, rows: Rows) -> jax.Array:
        carry, size = self.task.begin(), rows.batches.shape[-1]
        batches = [(batch, min(size, int(rows.rows) - i * size)) for i, batch in enumerate(rows.batches)]
        if rows.rest.shape[-1]:
            batches.append((rows.rest, len(rows.rest)))
        for batch, count in batches:
            if count > 0:
                carry = self._observe(numbers, data, carry, used, aux, batch, np.int32(count))
        found: jax.Array = self._finish(carry)
        return found

    def _epoch(
        self,
        data: Tree,
        before: MemberState,
        numbers: Tree,
        schedule: Schedule,
        index: int,
        evaluated: tuple[Rows, Rows],
    ) -> tuple[MemberState, jax.Array]:
        # The steps consume what they are given; the epoch's beginning is still needed if the member diverges.
        carry = jax.tree.map(jnp.copy, (before.params, before.aux, before.optimizer))
        losses, counts = [], []
        own = before.pace.factor if isinstance(before.pace, Pace) else 1.0
        for rows, count, rate in steps_of(schedule, index):
            carry, loss = self._step(numbers, data, carry, rows, np.int32(count), rate * own)
            losses.append(loss)
            counts.append(count)
        after, running = after_steps(before, carry, *self._totals(jnp.stack(losses), np.asarray(counts, np.float32)))
        used = used_weights(self.task, after)
        on_train = self._evaluate(numbers, data, used, after.aux, evaluated[0])
        on_val = jnp.full_like(on_train, jnp.nan)
        if self.validated:
            on_val = self._evaluate(numbers, data, used, after.aux, evaluated[1])
        monitored = on_val[0] if self.validated else on_train[0]
        state = end_epoch(
            self.stopping, before, after, running, monitored, trained=on_train[0], used=used, numbers=numbers
        )
        return state, seen_values(before, running, on_train, on_val)

    def _look(self, data: Tree, state: MemberState, numbers: Tree, schedule: Schedule, index: int) -> MemberState:
        """Look inside; the gradients of the watch batch's parts are programs of their own, not a loop."""
        assert self.observer is not None
        parts = self.observer.parts_of(np.asarray(state.inside.rows))
        found = [self._gradient(numbers, data, state, rows) for rows in parts]
        mean = jax.tree.map(lambda *values: sum(values) / len(values), *found) if len(found) > 1 else found[0]
        looked: MemberState = self._conclude(numbers, data, state, last_rate(schedule, state, index), mean)
        return looked

    def start(
        self,
        data: Tree,
        epochs: int,
        state: MemberState,
        numbers: Tree,
        schedule: Schedule,
        train_eval: Rows,
        val_eval: Rows,
    ) -> tuple[MemberState, jax.Array]:
        """Train every running member for at most ``epochs`` epochs; as `Population.start`, but it waits."""
        # Row numbers stay on the host: a batch's worth travels with its step.
        host: Tree = jax.tree.map(np.asarray, (schedule, train_eval, val_eval))
        states, seen = [], []
        for member in range(self.capacity):
            one = jax.tree.map(lambda a, i=member: a[i], (state, numbers))
            current, own = one
            plan, *evaluated = jax.tree.map(lambda a, i=member: a[i], host)
            rows = np.full((schedule.order.shape[1], self.columns), np.nan, np.float32)
            if epochs == 0 and member == 0:  # builds the programs: a step of each kind whose result is thrown away
                short = plan._replace(rows=np.minimum(plan.rows, plan.order.shape[-1]))
                few = [rows._replace(rows=np.minimum(rows.rows, rows.batches.shape[-1])) for rows in evaluated]
                self._epoch(data, current, own, short, 0, (few[0], few[1]))
                if self.observer is not None:
                    self._look(data, current, own, plan, 0)
            for index in range(epochs):
                if int(current.outcome) != RUNNING or int(current.epoch) >= int(plan.limit):
                    break
                if self.observer is not None and index == 0 and bool(self._due(current)):
                    current = self._look(data, current, own, plan, index)
                current, values = self._epoch(data, current, own, plan, index, (evaluated[0], evaluated[1]))
                rows[index] = np.asarray(values)
                if self.observer is not None and bool(self._due(current)):
                    current = self._look(data, current, own, plan, index + 1)
            states.append(current)
            seen.append(rows)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), jnp.asarray(np.stack(seen))
