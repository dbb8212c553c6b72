"""Many members as one compiled program.

On CPUs each core is a device and trains its share of the members one after another, every member in its own loop that
ends when the member ends (measured on two cores, 16 members of 30-128-128-128-1, batch 64: 66 us per member-step,
against 112 for one batched `vmap` and 118 for a `vmap` per device). On GPUs the members of a device run batched by
`vmap`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, Sharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from fallline.engine.devices import compiler_options, member_devices
from fallline.engine.evaluation import Rows, evaluate
from fallline.engine.inside import Observer, due, epochs_to_look, last_rate, look
from fallline.engine.member import RUNNING, STOPPED, MemberState, Schedule, Task, end_epoch, train_epoch, used_weights
from fallline.engine.stopping import Pace, Stopping

__all__ = ["Population", "columns", "seen_values"]

Tree = Any


def columns(task: Task, stopping: Stopping) -> int:
    """Return how many values are seen in an epoch: 1 + 2 q, and the factor on the rate where something lowers it."""
    return 1 + 2 * len(task.quantities) + (1 if stopping.reduces else 0)


def seen_values(before: MemberState, running: jax.Array, on_train: jax.Array, on_val: jax.Array) -> jax.Array:
    """Return (columns,) what was seen in the epoch that began with ``before``."""
    own = [before.pace.factor[None]] if isinstance(before.pace, Pace) else []
    return jnp.concatenate([running[None], on_train, on_val, *own])


def _member_chunk(
    task: Task,
    stopping: Stopping,
    validated: bool,
    thinned: bool,
    observer: Observer | None,
    data: Tree,
    epochs: jax.Array,
    state: MemberState,
    numbers: dict[str, jax.Array],
    schedule: Schedule,
    train_eval: Rows,
    val_eval: Rows,
) -> Tree:
    """Train one member for at most ``epochs`` epochs; return its state and what was seen, (e, columns)."""
    capacity = schedule.order.shape[0]
    seen = jnp.full((capacity, columns(task, stopping)), jnp.nan, jnp.float32)

    def going(carry: Tree) -> jax.Array:
        index, state, _ = carry
        runs: jax.Array = (index < epochs) & (state.epoch < schedule.limit) & (state.outcome == RUNNING)
        return runs

    def judge(after: MemberState, used: Tree) -> tuple[jax.Array, jax.Array]:
        on_train = evaluate(task, numbers, data, used, after.aux, train_eval)
        if not validated:
            return on_train, jnp.full_like(on_train, jnp.nan)
        return on_train, evaluate(task, numbers, data, used, after.aux, val_eval)

    def epoch(carry: Tree) -> Tree:
        index, before, seen = carry
        after, running = train_epoch(task, numbers, data, before, schedule, index)
        used = used_weights(task, after)
        if thinned:
            done = before.epoch + 1
            nothing = jnp.full(len(task.quantities), jnp.nan, jnp.float32)
            now = (done % schedule.every == 0) | (done == schedule.limit)
            on_train, on_val = jax.lax.cond(now, judge, lambda *_: (nothing, nothing), after, used)
            trained = monitored = running
        else:
            on_train, on_val = judge(after, used)
            trained, monitored = on_train[0], on_val[0] if validated else on_train[0]
        state = end_epoch(stopping, before, after, running, monitored, trained=trained, used=used, numbers=numbers)
        return index + 1, state, seen.at[index].set(seen_values(before, running, on_train, on_val))

    start = (jnp.zeros((), jnp.int32), state, seen)
    if observer is None:
        _, state, seen = jax.lax.while_loop(going, epoch, start)
        return state, seen

    def stretch(carry: Tree) -> Tree:
        """Go on to the next look, or to the end, and look."""
        index, state, seen = carry
        end = index + epochs_to_look(state, epochs - index)
        index, state, seen = jax.lax.while_loop(lambda c: going(c) & (c[0] < end), epoch, (index, state, seen))
        rate = last_rate(schedule, state, index)
        state = jax.lax.cond(due(state), lambda s: look(observer, numbers, data, s, rate), lambda s: s, state)
        return index, state, seen

    _, state, seen = jax.lax.while_loop(going, stretch, start)
    return state, seen


class Population:
    """A compiled program for up to ``capacity`` members of one task.

    Args:
        task: what a member computes.
        stopping: when a member ends and which weights it keeps.
        capacity: most members at once; rounded up, so that every device has equally many places. A place that no
            member takes costs its share of memory and no time.
        validated: whether validation rows are given; else early stopping follows the training loss.
        devices: devices to use; default: all, at most one per member.
        observer: looks inside the members whose states have a `Watched`; None: nobody looks.
    """

    def __init__(
        self,
        task: Task,
        stopping: Stopping,
        capacity: int,
        *,
        validated: bool,
        devices: list[jax.Device] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.observer = observer
        self.thinned = False
        self.task, self.stopping, self.validated = task, stopping, validated
        self.devices = devices or member_devices(capacity)
        self.columns = columns(task, stopping)
        self.capacity = -(-capacity // len(self.devices)) * len(self.devices)
        self._mesh = Mesh(np.array(self.devices), ("member",))
        # A single device is named as the program's results name it: another name would cost every chunk a slow call.
        alone = SingleDeviceSharding(self.devices[0]) if len(self.devices) == 1 else None
        self._split: Sharding = alone or NamedSharding(self._mesh, P("member"))
        self._whole: Sharding = alone or NamedSharding(self._mesh, P())
        self._compiled: Callable[..., Tree] | None = None

    def thin(self) -> None:
        """Evaluate only behind every so many epochs (see `Schedule.every`), unless something depends on each."""
        self.thinned = not (self.stopping.keep_best or self.stopping.stops or self.stopping.reduces)

    def program(self, state: MemberState) -> Any:
        """Return the jitted function behind `start`; the settings of its compilation go by the members' size."""
        if self._compiled is None:
            weights = sum(int(np.prod(np.shape(leaf)[1:])) for leaf in jax.tree.leaves(state.params))
            options = compiler_options(self.devices[0].platform, weights, len(self.devices))
            self._compiled = jax.jit(self._spread(self._share), donate_argnums=(2,), compiler_options=options)
        return self._compiled

    def _share(self, data: Tree, epochs: jax.Array, state: Tree, *others: Tree) -> Tree:
        """Train the members that one device holds."""
        one: Callable[..., Tree] = partial(
            _member_chunk, self.task, self.stopping, self.validated, self.thinned, self.observer, data, epochs
        )
        size = self.capacity // len(self.devices)
        if size == 1:
            squeezed = jax.tree.map(lambda a: a[0], (state, *others))
            return jax.tree.map(lambda a: a[None], one(*squeezed))
        if self.devices[0].platform == "cpu":
            return jax.lax.map(lambda args: one(*args), (state, *others))
        return jax.vmap(one)(state, *others)

    def _spread(self, share: Callable[..., Tree]) -> Callable[..., Tree]:
        if len(self.devices) == 1:
            return share
        split, whole = P("member"), P()
        return jax.shard_map(
            share, mesh=self._mesh, in_specs=(whole, whole, *[split] * 5), out_specs=split, check_vma=False
        )

    def place(self, tree: Tree, *, shared: bool = False) -> Tree:
        """Put arrays on the devices: whole on each, or members (leading axis, padded by repetition) spread over all."""
        if shared:
            return jax.device_put(tree, self._whole)

        def pad(a: Any) -> Any:
            a = np.asarray(a)
            extra = self.capacity - len(a)
            return np.concatenate([a, np.repeat(a[:1], extra, axis=0)]) if extra else a

        return jax.device_put(jax.tree.map(pad, tree), self._split)

    def place_state(self, state: MemberState) -> MemberState:
        """Put the members' states (leading axis p <= capacity) on the devices; empty places have ended already."""
        placed: MemberState = self.place(state)
        extra = self.capacity - len(np.asarray(state.outcome))
        if extra:
            ended = np.concatenate([np.asarray(state.outcome), np.full(extra, STOPPED, np.int32)])
            placed = placed._replace(outcome=jax.device_put(ended, self._split))
        return placed

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
        """Train every running member for at most ``epochs`` epochs; ``state`` is consumed. Does not wait.

        Returns:
            The new state and what was seen, (capacity, e, columns) float32: running loss, then q quantities on training
            rows, then q on validation rows, then the member's own factor on the rate where something lowers it; NaN
            where a member had ended; both on the devices.
        """
        found: tuple[MemberState, jax.Array] = self.program(state)(
            data, np.asarray(epochs, np.int32), state, numbers, schedule, train_eval, val_eval
        )
        return found
