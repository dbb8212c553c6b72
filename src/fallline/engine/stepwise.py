"""The same training as a loop on the host over compiled steps, for networks that lose more inside a compiled loop.

XLA's convolutions on a CPU use all threads in a program of their own and a single one inside a loop: LeNet-5 on two
cores, batch 256, took 202 ms a step in the scan over steps and 75 ms here (Keras' own fit: 73 ms). A dispatch costs
some 50 us, which only a small network would notice.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fallline.engine.inside import Observer, due, last_rate, seen_by
from fallline.engine.member import (
    RUNNING,
    MemberState,
    Rows,
    Schedule,
    Task,
    after_steps,
    end_epoch,
    observe_batch,
    train_step,
    used_weights,
)
from fallline.engine.population import Population, seen_values
from fallline.engine.stopping import Pace, Stopping

__all__ = ["Stepwise"]

Tree = Any


class Stepwise(Population):
    """A population whose members are trained one after another, step by step, on one device.

    Args:
        task: what a member computes.
        stopping: when a member ends and which weights it keeps.
        members: number of members.
        validated: whether validation rows are given.
        observer: looks inside the members whose states have a `Watched`; None: nobody looks.
    """

    def __init__(
        self, task: Task, stopping: Stopping, members: int, *, validated: bool, observer: Observer | None = None
    ) -> None:
        devices = jax.local_devices()[:1]
        super().__init__(task, stopping, members, validated=validated, devices=devices, observer=observer)
        if observer is not None:
            self._due = jax.jit(due)
            self._gradient = jax.jit(observer.gradient)
            self._conclude = jax.jit(lambda n, d, s, rate, found: seen_by(s, observer.conclude(n, d, s, rate, found)))
        self._step = jax.jit(partial(train_step, task), donate_argnums=(2,))
        self._observe = jax.jit(partial(observe_batch, task))
        self._finish = jax.jit(task.finish)

    def _evaluate(self, numbers: Tree, data: Tree, used: Tree, aux: Tree, rows: Rows) -> jax.Array:
        carry = self.task.begin()
        for batch, valid in zip(rows.batches, rows.valid, strict=True):
            carry = self._observe(numbers, data, carry, used, aux, batch, valid)
        if rows.rest.shape[-1]:
            ones = np.ones(rows.rest.shape[-1], np.float32)
            carry = self._observe(numbers, data, carry, used, aux, rows.rest, ones)
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
        for step in range(schedule.order.shape[1]):
            carry, (loss, count) = self._step(
                numbers,
                data,
                carry,
                schedule.order[index, step],
                schedule.valid[step],
                schedule.rates[index, step] * own,
            )
            losses.append(loss)
            counts.append(count)
        if schedule.rest.shape[-1]:
            ones = np.ones(schedule.rest.shape[-1], np.float32)
            carry, (loss, count) = self._step(
                numbers, data, carry, schedule.rest[index], ones, schedule.rest_rate[index] * own
            )
            losses.append(loss)
            counts.append(count)
        after, running = after_steps(before, carry, jnp.stack(losses), jnp.stack(counts))
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
        parts = np.asarray(state.inside.rows).reshape(self.observer.parts, -1)
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
        for member in range(self.members):
            one = jax.tree.map(lambda a, i=member: a[i], (state, numbers))
            current, own = one
            plan, *evaluated = jax.tree.map(lambda a, i=member: a[i], host)
            rows = np.full((schedule.order.shape[1], self.columns), np.nan, np.float32)
            if epochs == 0 and member == 0:  # builds the programs: a step of each kind whose result is thrown away
                short = plan._replace(order=plan.order[:, :1], valid=plan.valid[:1], rates=plan.rates[:, :1])
                few = [rows._replace(batches=rows.batches[:1], valid=rows.valid[:1]) for rows in evaluated]
                self._epoch(data, current, own, short, 0, (few[0], few[1]))
                if self.observer is not None:
                    self._look(data, current, own, plan, 0)
            for index in range(epochs):
                if int(current.outcome) != RUNNING:
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
