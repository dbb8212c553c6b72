"""The host's side of training: makes orders and rates, sends chunks of epochs to the device, looks in between."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from fallline.engine import RUNNING, MemberState, Population, Rows, Schedule, start_state, used_weights
from fallline.errors import InputError
from fallline.optimize import epoch_orders, rate_factors
from fallline.types import Progress

__all__ = ["Fitted", "Member", "Orders", "Plan", "fit_population"]

Tree = Any
Checkpoint = Callable[[dict[str, np.ndarray], dict[str, Any]], None]
OnProgress = Callable[[Progress], bool | None]

# Row numbers sent to the device at once: 4 million int32 are 16 MB.
_ORDER_BUDGET = 4_000_000
# An eye follows about three pictures a second; without one, the host looks in every few seconds for Ctrl-C and
# checkpoints.
_WATCHED_SECONDS, _UNWATCHED_SECONDS = 0.3, 3.0
# The curves compare training with validation on as many rows of each; at least so many, so that the curve is smooth.
# The rows are a fixed random part of the training set: evaluating all of a large one would cost a third of its
# training.
TRAIN_ROWS_EVALUATED = 1_000
_CHECKPOINT_SECONDS = 5.0


@dataclass(frozen=True)
class Member:
    """One member of a population: its seed, its rows and its numbers."""

    seed: int
    train_rows: np.ndarray
    val_rows: np.ndarray
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """How a population is trained.

    Args:
        epochs: most epochs.
        batch_size: rows per step.
        shuffle: new order in each epoch.
        schedule: name of the learning-rate schedule.
        warmup: share of the training with a rising rate.
        schedule_numbers: the schedule's own, see `fallline.optimize.rate_factors`.
        eval_batch: rows per evaluation batch.
    """

    epochs: int
    batch_size: int
    shuffle: bool = True
    schedule: str = "constant"
    warmup: float = 0.0
    schedule_numbers: Mapping[str, float] = field(default_factory=dict)
    eval_batch: int = 8192


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained population on the host.

    Args:
        state: final state, leaves with the members in the leading axis.
        seen: (p, epochs run, 1 + 2 q): running loss, q quantities on training rows, q on validation rows.
        quantities: the q names.
        seconds: training time without compilation.
        compile_seconds: time to build or load the program.
        interrupted: a stop was asked for before the end.
        steps: steps per epoch.
        used: the weights at the end as they are evaluated and handed out, leaves (p, ...).
        own_rates: (p, epochs run): each member's own factor on the learning rate; None where nothing lowers it.
    """

    state: MemberState
    seen: np.ndarray
    quantities: tuple[str, ...]
    seconds: float
    compile_seconds: float
    interrupted: bool
    steps: int
    used: Tree
    own_rates: np.ndarray | None = None


def _batches(rows: Sequence[np.ndarray], size: int, exact: bool) -> Rows:
    """Each member's rows in batches of at most ``size``; all in one where they fit."""
    most = max(len(r) for r in rows)
    if exact:  # no padding: all members are evaluated on equally many rows, the fewest that one has
        most = min(len(r) for r in rows)
        size = min(size, most)
        count = most // size
        used = np.stack([np.asarray(r[:most], np.int32) for r in rows])
        full = used[:, : count * size].reshape(len(rows), count, size)
        return Rows(full, np.ones(full.shape, np.float32), used[:, count * size :])
    count = max(1, -(-most // size))
    size = -(-most // count)  # equal batches, so that little is padded
    out = np.zeros((len(rows), count * size), np.int32)
    weight = np.zeros((len(rows), count * size), np.float32)
    for i, r in enumerate(rows):
        out[i, : len(r)], out[i, len(r) :], weight[i, : len(r)] = r, r[0], 1.0
    return Rows(
        out.reshape(len(rows), count, size), weight.reshape(len(rows), count, size), np.zeros((len(rows), 0), np.int32)
    )


class Orders:
    """Makes the schedule of each chunk: orders of examples and rates."""

    def __init__(self, members: Sequence[Member], plan: Plan, coupled: bool) -> None:
        self.members, self.plan = members, plan
        sizes = [len(m.train_rows) for m in members]
        # Where padding is forbidden all members take equally many rows an epoch: the fewest that one has.
        rows = min(sizes) if coupled else max(sizes)
        self.batch = min(plan.batch_size, rows)
        self.rows, self.coupled = rows, coupled
        self.rest = rows % self.batch if coupled else 0
        self.full = rows // self.batch if coupled else -(-rows // self.batch)
        self.steps = self.full + (1 if self.rest else 0)
        self.capacity = int(min(plan.epochs, max(1, _ORDER_BUDGET // (len(members) * self.steps * self.batch))))
        valid = np.zeros((len(members), self.full * self.batch), np.float32)
        for i, n in enumerate(sizes):
            # A member that is too small to reach the last step starts its order over: a step of padding alone would
            # divide by its 0 rows.
            short = n <= (self.full - 1) * self.batch
            valid[i, : valid.shape[1] if short else n] = 1.0
        self.valid = valid.reshape(len(members), self.full, self.batch)

    def chunk(self, first: int, epochs: int) -> Schedule:
        """Return the schedule of so many epochs from this one, counted from 0; the rest of the capacity is empty."""
        p, used = len(self.members), self.full * self.batch
        order = np.zeros((p, self.capacity, used), np.int32)
        rest = np.zeros((p, self.capacity, self.rest), np.int32)
        for i, member in enumerate(self.members):
            drawn = epoch_orders(
                member.train_rows, seed=member.seed, first_epoch=first, epochs=epochs, shuffle=self.plan.shuffle
            )
            order[i, :epochs] = drawn[:, np.arange(used) % drawn.shape[1]]  # beyond its rows: padding, or over again
            rest[i, :epochs] = drawn[:, used : used + self.rest]
        step = np.arange(first * self.steps, (first + self.capacity) * self.steps)
        rates = self.rates(step).reshape(p, self.capacity, self.steps)
        return Schedule(
            order=order.reshape(p, self.capacity, self.full, self.batch),
            rates=rates[..., : self.full],
            valid=self.valid,
            rest=rest,
            rest_rate=rates[..., -1],
        )

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return each member's factors on its learning rate at some steps, (p, steps) float32."""
        own = [float(m.numbers.get("learning_rate", 1.0)) for m in self.members]
        if self.plan.schedule != "bottou" or len(set(own)) == 1:  # the same for all
            return np.broadcast_to(self._factors(steps, own[0]), (len(own), len(steps)))
        return np.stack([self._factors(steps, rate) for rate in own])

    def _factors(self, steps: np.ndarray, learning_rate: float) -> np.ndarray:
        return rate_factors(
            self.plan.schedule,
            steps,
            self.plan.epochs * self.steps,
            warmup=self.plan.warmup,
            learning_rate=learning_rate,
            numbers=self.plan.schedule_numbers,
        )


def _flat(state: MemberState) -> dict[str, np.ndarray]:
    return {f"state_{i:04d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}


def _unflat(state: MemberState, arrays: Mapping[str, np.ndarray]) -> MemberState:
    leaves, structure = jax.tree.flatten(state)
    loaded = [arrays[f"state_{i:04d}"] for i in range(len(leaves))]
    for old, new in zip(leaves, loaded, strict=True):
        if np.shape(old) != np.shape(new):
            raise InputError(
                f"The checkpoint belongs to another network: a tensor of shape {np.shape(new)} "
                f"where {np.shape(old)} is expected."
            )
    restored: MemberState = jax.tree.unflatten(structure, loaded)
    return restored


@contextlib.contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the chunk is in our hands: the program consumes the state that it is given.

    A handler that somebody installed is left alone; it decides for itself.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


class _Session:
    """One training under way."""

    def __init__(
        self,
        population: Population,
        members: Sequence[Member],
        plan: Plan,
        data: Tree,
        on_progress: OnProgress | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.population, self.plan = population, plan
        self.on_progress, self.checkpoint = on_progress, checkpoint
        self.orders = Orders(members, plan, population.task.coupled)
        rows = [_some(m.train_rows, len(m.val_rows)) for m in members]
        exact = population.task.exact
        self.train_eval = population.place(_batches(rows, plan.eval_batch, exact))
        val = [m.val_rows if population.validated else m.train_rows[:1] for m in members]
        self.val_eval = population.place(_batches(val, plan.eval_batch, exact))
        self.data = population.place(data, shared=True)
        self.numbers = population.place(
            {k: np.array([m.numbers[k] for m in members], np.float32) for k in members[0].numbers}
        )
        self.q = len(population.task.quantities)
        self.seen: list[np.ndarray] = []
        self.done = 0
        self.interrupted = False
        self.before = 0.0  # seconds spent before a resume

    def dispatch(self, state: MemberState, epochs: int) -> tuple[MemberState, jax.Array]:
        schedule = self.population.place(self.orders.chunk(self.done, epochs))
        return self.population.start(self.data, epochs, state, self.numbers, schedule, self.train_eval, self.val_eval)

    def restore(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        self.done, self.before = int(meta["epochs_done"]), float(meta["seconds"])
        if self.done:
            self.seen = [np.asarray(arrays["seen"])]

    def save(self, state: MemberState, seconds: float) -> None:
        if self.checkpoint is not None:
            seen = (
                np.concatenate(self.seen, axis=1)
                if self.seen
                else np.zeros((self.population.members, 0, self.population.columns), np.float32)
            )
            host = jax.tree.map(lambda a: np.asarray(a)[: self.population.members], state)
            self.checkpoint({**_flat(host), "seen": seen}, {"epochs_done": self.done, "seconds": seconds})

    def report(self, running: np.ndarray, seconds: float, phase: str = "train") -> bool:
        if self.on_progress is None:
            return False
        loss = val = float("nan")
        if self.seen:
            last = self.seen[-1]
            rows = [r[np.flatnonzero(~np.isnan(r[:, 0]))[-1]] for r in last if (~np.isnan(r[:, 0])).any()]
            if rows:
                loss, val = float(np.mean([r[1] for r in rows])), float(np.mean([r[1 + self.q] for r in rows]))
        event = Progress(
            epoch=self.done,
            epochs=self.plan.epochs,
            loss=loss,
            val_loss=val,
            active=int(running.sum()),
            members=self.population.members,
            seconds=seconds,
            phase=phase,
            curves=_curves(self.seen[-1], self.population) if self.seen else {},
        )
        return bool(self.on_progress(event))

    def run(self, state: MemberState) -> tuple[MemberState, float]:
        target = _WATCHED_SECONDS if self.on_progress else _UNWATCHED_SECONDS
        watched = self.on_progress is not None or self.checkpoint is not None
        growth = 8.0 if watched else math.inf
        size = 1  # measures an epoch
        began = saved = time.perf_counter()
        running = np.asarray(state.outcome)[: self.population.members] == RUNNING
        try:
            while self.done < self.plan.epochs and running.any():
                size = max(1, min(size, self.orders.capacity, self.plan.epochs - self.done))
                start = time.perf_counter()
                with _interrupt_held_back():
                    state, seen = self.dispatch(state, size)
                    self.seen.append(np.asarray(seen)[: self.population.members, :size])
                    self.done += size
                now = time.perf_counter()
                running = np.asarray(state.outcome)[: self.population.members] == RUNNING
                if self.report(running, self.before + now - began):
                    self.interrupted = bool(running.any()) and self.done < self.plan.epochs
                    break
                if self.checkpoint is not None and now - saved > _CHECKPOINT_SECONDS:
                    self.save(state, self.before + now - began)
                    saved = time.perf_counter()
                size = max(1, int(size * min(growth, target / max(now - start, 1e-4))))
        except KeyboardInterrupt:
            running = np.asarray(state.outcome)[: self.population.members] == RUNNING
            self.interrupted = bool(running.any()) and self.done < self.plan.epochs
        return state, self.before + time.perf_counter() - began


def _curves(seen: np.ndarray, population: Population) -> dict[str, tuple[float, ...]]:
    """Return the means over the members of what (members, epochs, quantities) shows, where at least half have one."""
    names = population.task.quantities
    names = ("running_loss", *names, *(f"val_{name}" for name in names if population.validated))
    count = (~np.isnan(seen)).sum(axis=0)
    mean = np.where(2 * count >= len(seen), np.nansum(seen, axis=0, dtype=np.float64) / np.maximum(count, 1), np.nan)
    return {name: tuple(mean[:, i].tolist()) for i, name in enumerate(names)}


def _some(rows: np.ndarray, validating: int) -> np.ndarray:
    """A fixed random part of the rows, for the evaluation on training data."""
    wanted = max(TRAIN_ROWS_EVALUATED, validating)
    if len(rows) <= wanted:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, wanted, replace=False))


def fit_population(
    population: Population,
    members: Sequence[Member],
    plan: Plan,
    data: Tree,
    params: Tree,
    aux: Tree,
    optimizer: Tree,
    *,
    on_progress: OnProgress | None = None,
    checkpoint: Checkpoint | None = None,
    resume: tuple[Mapping[str, np.ndarray], Mapping[str, Any]] | None = None,
) -> Fitted:
    """Train all members to their end.

    Args:
        population: the compiled program.
        members: p members.
        plan: epochs, batches, schedule.
        data: (x, y, weight) with n rows, shared by all members.
        params: initial weights, leaves (p, ...).
        aux: initial non-trainable weights, leaves (p, ...).
        optimizer: initial optimizer state, leaves (p, ...).
        on_progress: called between chunks; True asks for a stop.
        checkpoint: called every few seconds and at an interruption with everything that a resume needs.
        resume: what ``checkpoint`` was given; the result is the one of an uninterrupted training, bit for bit.
    """
    session = _Session(population, members, plan, data, on_progress, checkpoint)
    state = start_state(params, aux, optimizer, population.stopping)
    if resume is not None:
        state = _unflat(state, resume[0])
        session.restore(*resume)
    session.report(np.asarray(state.outcome) == RUNNING, 0.0, "compile")
    placed = population.place_state(state)
    began = time.perf_counter()
    placed, _ = session.dispatch(placed, 0)  # no epoch: builds or loads the program
    jax.block_until_ready(placed)
    compiled = time.perf_counter() - began
    placed, seconds = session.run(placed)
    if session.interrupted:
        session.save(placed, seconds)
    final = jax.tree.map(lambda a: np.asarray(a)[: population.members], placed)
    seen = (
        np.concatenate(session.seen, axis=1)
        if session.seen
        else np.zeros((len(members), 0, population.columns), np.float32)
    )
    watched = 1 + 2 * session.q
    return Fitted(
        final,
        seen[..., :watched],
        population.task.quantities,
        seconds,
        compiled,
        session.interrupted,
        session.orders.steps,
        used_weights(population.task, final),
        seen[..., watched] if population.stopping.reduces else None,
    )
