"""The host's side of training: makes orders and rates, sends chunks of epochs to the device, looks in between."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import numpy as np

from fallline.engine import (
    RUNNING,
    STOPPED,
    MemberState,
    Population,
    Schedule,
    Stepwise,
    Watched,
    jit,
    row_losses,
    start_state,
    used_weights,
)
from fallline.errors import InputError
from fallline.train.fitted import Begun, Fitted
from fallline.train.guards import interrupt_held_back, memory_told
from fallline.train.orders import Member, Orders, Plan, bucket, in_batches
from fallline.types import Progress

__all__ = ["fit_population"]

Tree = Any
Checkpoint = Callable[[dict[str, np.ndarray], dict[str, Any]], None]
OnProgress = Callable[[Progress], bool | None]

# An eye follows about three pictures a second; without one, the host looks in every few seconds for Ctrl-C and
# checkpoints.
_WATCHED_SECONDS, _UNWATCHED_SECONDS = 0.3, 3.0
# The curves compare training with validation on as many rows of each; at least so many, so that the curve is smooth.
# The rows are a fixed random part of the training set: evaluating all of a large one would cost a third of its
# training.
TRAIN_ROWS_EVALUATED = 1_000
_CHECKPOINT_SECONDS = 5.0
# For the size of the first chunk alone: what a step costs beside its arithmetic, and the speed of that.
_STEP_SECONDS, _FLOPS = 1e-5, 1e10
# Larger data are given as they are: a copy with some empty rows behind it would cost more than compiling once more.
_MOST_PADDED = 256 * 1024 * 1024
# A device with so many times its fair share of what is left to do gives some of it away.
_UNEVEN = 1.3


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


class _Session:
    """One training under way.

    ``places`` (capacity,) says which member stands at which place of the population, -1: none. Members that have ended
    leave when the others are dealt out anew; what they ended with is in ``state``, which holds all, on the host.
    """

    def __init__(
        self,
        population: Population,
        members: Sequence[Member],
        plan: Plan,
        data: Tree,
        state: MemberState,
        on_progress: OnProgress | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.population, self.members, self.state = population, members, state
        self.on_progress, self.checkpoint = on_progress, checkpoint
        self.watched = on_progress is not None or checkpoint is not None
        self.target = _WATCHED_SECONDS if on_progress else _UNWATCHED_SECONDS
        self.orders = Orders(members, plan, population.task.coupled, population.capacity, data[1])
        rows = [_some(m.train_rows, len(m.val_rows)) for m in members]
        val = [m.val_rows if population.validated else m.train_rows[:1] for m in members]
        exact = population.task.exact
        numbers = {k: np.array([m.numbers[k] for m in members], np.float32) for k in members[0].numbers}
        self.host = (numbers, in_batches(rows, plan.eval_batch, exact), in_batches(val, plan.eval_batch, exact))
        self.data = population.place(_shared(data), shared=True)
        self.limits = np.array([p.epochs for p in self.orders.plans])
        self.q = len(population.task.quantities)
        self.seen = np.full((len(members), self.orders.epochs, population.columns), np.nan, np.float32)
        self.done = 0
        self.ahead: tuple[int, int, Future[Schedule]] | None = None
        self.interrupted = False
        self.row_losses: Callable[..., jax.Array] | None = None  # compiled when it is needed
        self.before = 0.0  # seconds spent before a resume
        self.end = self.orders.epochs

    def arrange(self, members: np.ndarray) -> MemberState:
        """Deal these members out to the devices, so that each has about equally much to do; return their state."""
        devices = len(self.population.devices)
        work = self.orders.steps[members] * (self.limits[members] - self.done)
        places = np.full((devices, self.population.capacity // devices), -1)
        loads, held = np.zeros(devices), np.zeros(devices, int)
        for index in np.argsort(-work, kind="stable"):  # the longest first, each to the device with the least to do
            free = np.flatnonzero(held < places.shape[1])
            device = free[np.argmin(loads[free])]
            places[device, held[device]] = members[index]
            loads[device], held[device] = loads[device] + work[index], held[device] + 1
        self.places = places.ravel()
        filled = np.where(self.places < 0, members[0], self.places)  # an empty place holds a copy that has ended
        self.current = self.orders.take(filled)
        numbers, on_train, on_val = jax.tree.map(lambda a: a[filled], self.host)
        self.placed = tuple(self.population.place(tree) for tree in (numbers, on_train, on_val))
        state: MemberState = jax.tree.map(lambda a: np.asarray(a)[filled], self.state)
        ended = np.where(self.places < 0, STOPPED, state.outcome).astype(np.int32)
        return self.population.place_state(state._replace(outcome=ended))

    def gather(self, placed: MemberState) -> MemberState:
        """Return the state of all members on the host."""
        held = self.places >= 0

        def put(whole: Any, part: Any) -> np.ndarray:
            out: np.ndarray = np.array(whole)
            out[self.places[held]] = np.asarray(part)[held]
            return out

        found: MemberState = jax.tree.map(put, self.state, placed)
        self.state = found
        return found

    def dispatch(self, state: MemberState, epochs: int) -> tuple[MemberState, jax.Array]:
        schedule = self.population.place(self.drawn(epochs))
        numbers, on_train, on_val = self.placed
        return self.population.start(self.data, epochs, state, numbers, schedule, on_train, on_val)

    def drawn(self, epochs: int) -> Schedule:
        """Return the schedule of so many epochs from here on, drawn beforehand or now."""
        if self.ahead is not None and self.ahead[:2] == (self.done, epochs):
            found: Schedule = self.ahead[2].result()
            return found
        return self.current.chunk(self.done, epochs)

    def build(self, state: MemberState) -> MemberState:
        """Compile or load the program, by a chunk without epochs; draw the first chunk's orders meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            first = self.fitting(self.first_size())
            if not any(plan.order == "errors" for plan in self.orders.plans):  # that order waits for the first losses
                self.ahead = (self.done, first, pool.submit(self.current.chunk, self.done, first))
            placed, _ = self.dispatch(state, 0)
            jax.block_until_ready(placed)
        return placed

    def fitting(self, size: int) -> int:
        """Return how many epochs the next chunk may have, of so many wanted."""
        return max(1, min(size, self.orders.until(self.done), self.end - self.done))

    def restore(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        self.done, self.before = int(meta["epochs_done"]), float(meta["seconds"])
        self.seen[:, : self.done] = arrays["seen"]
        if "streaks" in arrays:
            self.orders.streaks[:] = arrays["streaks"]

    def take_over(self, begun: Fitted) -> None:
        """Go on where others have come to; what they have shown belongs to these, too."""
        self.done = begun.seen.shape[1]
        if begun.quantities == self.population.task.quantities:
            self.seen[:, : self.done, : begun.seen.shape[2]] = begun.seen
        if begun.streaks.shape == self.orders.streaks.shape:
            self.orders.streaks[:] = begun.streaks

    def save(self, state: MemberState, seconds: float) -> None:
        if self.checkpoint is not None:
            arrays = {**_flat(self.gather(state)), "seen": self.seen[:, : self.done]}
            if self.orders.streaks.any():
                arrays["streaks"] = self.orders.streaks.copy()
            self.checkpoint(arrays, {"epochs_done": self.done, "seconds": seconds})

    def emphasise(self, state: MemberState, running: np.ndarray) -> None:
        """Look at the loss of every example, for the members whose order goes by it, where it is time."""
        due = np.flatnonzero(self.current.looking(self.done) & running)
        if not len(due):
            return
        task = self.population.task
        if self.row_losses is None:
            self.row_losses = jit(partial(row_losses, task))
        used, aux = jax.tree.map(np.asarray, (used_weights(task, state), state.aux))
        for place in due:
            member = self.current.members[place]
            params, fixed = jax.tree.map(lambda a, i=place: a[i], (used, aux))
            numbers = {key: np.float32(value) for key, value in member.numbers.items()}
            batches = in_batches([member.train_rows], self.current.plans[place].eval_batch, False).batches[0]
            losses = [np.asarray(self.row_losses(numbers, self.data, params, fixed, batch)) for batch in batches]
            self.current.emphasise(int(place), np.concatenate(losses)[: len(member.train_rows)])

    def report(self, running: int, last: int, seconds: float, phase: str = "train") -> bool:
        """Tell the caller; ``last``: epochs of the chunk that has just ended."""
        if self.on_progress is None:
            return False
        chunk = self.seen[:, self.done - last : self.done]
        latest = [r[np.flatnonzero(~np.isnan(r[:, 0]))[-1]] for r in chunk if (~np.isnan(r[:, 0])).any()]
        loss, val = np.mean([[r[1], r[1 + self.q]] for r in latest], axis=0) if latest else (math.nan, math.nan)
        event = Progress(
            epoch=self.done,
            epochs=self.orders.epochs,
            loss=float(loss),
            val_loss=float(val),
            active=running,
            members=len(self.members),
            seconds=seconds,
            phase=phase,
            curves=_curves(chunk, self.population) if last else {},
        )
        return bool(self.on_progress(event))

    def running(self, state: MemberState) -> np.ndarray:
        """Return which places hold a member that has epochs to go."""
        going: np.ndarray = (np.asarray(state.outcome) == RUNNING) & (self.limits[self.places] > self.done)
        going &= self.places >= 0
        return going

    def first_size(self) -> int:
        """Epochs of the first chunk, by a rough estimate that is small enough; the next ones go by what it took."""
        if self.watched or isinstance(self.population, Stepwise):
            return 1  # who watches is shown the first epoch at once; a convolution's arithmetic is not told by weights
        weights = sum(np.size(leaf) for leaf in jax.tree.leaves(self.state.params)) / len(self.members)
        step = _STEP_SECONDS + 6.0 * weights * self.orders.batch / _FLOPS
        share = -(-len(self.members) // len(self.population.devices))
        return int(0.25 * self.target / (step * share * int(self.orders.steps.max())))

    def run(self, state: MemberState) -> tuple[MemberState, float]:
        growth, size = (8.0 if self.watched else math.inf), self.first_size()
        began = saved = time.perf_counter()
        running = self.running(state)
        try:
            while running.any() and self.done < self.end:
                size = self.fitting(size)
                start = time.perf_counter()
                with interrupt_held_back():
                    self.emphasise(state, running)
                    state, seen = self.dispatch(state, size)
                    held = self.places >= 0
                    self.seen[self.places[held], self.done : self.done + size] = np.asarray(seen)[held, :size]
                    self.done += size
                now = time.perf_counter()
                running = self.running(state)
                if self.report(int(running.sum()), size, self.before + now - began):
                    self.interrupted = bool(running.any())
                    break
                if self.checkpoint is not None and now - saved > _CHECKPOINT_SECONDS:
                    self.save(state, self.before + now - began)
                    saved = time.perf_counter()
                if self.uneven(running):
                    self.gather(state)
                    state = self.arrange(self.places[running])
                    running = self.running(state)
                size = max(1, int(size * min(growth, self.target / max(now - start, 1e-4))))
        except KeyboardInterrupt:
            running = self.running(state)
            self.interrupted = bool(running.any())
        return state, self.before + time.perf_counter() - began

    def uneven(self, running: np.ndarray) -> bool:
        """Whether one device has so much more to do than a fair share that moving members pays."""
        devices = len(self.population.devices)
        work = running * self.current.steps * (self.limits[self.places] - self.done)
        loads = work.reshape(devices, -1).sum(axis=1)
        return bool(loads.max() > _UNEVEN * max(loads.mean(), work.max()))


def _curves(seen: np.ndarray, population: Population) -> dict[str, tuple[float, ...]]:
    """Return the means over the members of what (members, epochs, quantities) shows, where at least half have one."""
    names = population.task.quantities
    names = ("running_loss", *names, *(f"val_{name}" for name in names if population.validated))
    count = (~np.isnan(seen)).sum(axis=0)
    mean = np.where(2 * count >= len(seen), np.nansum(seen, axis=0, dtype=np.float64) / np.maximum(count, 1), np.nan)
    return {name: tuple(mean[:, i].tolist()) for i, name in enumerate(names)}


def _shared(data: Tree) -> Tree:
    """Return the data as the program takes them: no weights where all are 1, rows rounded up to a common size."""
    x, y, weight = data
    if weight is not None and (np.asarray(weight) == 1.0).all():
        weight = None
    leaves = jax.tree.leaves((x, y))
    extra = bucket(len(leaves[0])) - len(leaves[0])
    if not extra or sum(leaf.nbytes for leaf in leaves) > _MOST_PADDED:
        return x, y, weight
    pad = lambda a: np.concatenate([a, np.zeros((extra, *np.shape(a)[1:]), a.dtype)])  # noqa: E731
    return jax.tree.map(pad, (x, y, weight))


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
    inside: Watched | tuple[()] = (),
    until: int | None = None,
    begun: Begun | None = None,
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
        inside: when to look inside them, where the population has an observer.
        until: leave off behind this epoch, as if the training went on.
        begun: go on from there; the epochs, the schedules and the orders count on.
    """
    state = start_state(params, aux, optimizer, population.stopping, inside)
    if begun is not None:
        state = begun.onto(state)
    if resume is not None:
        state = _unflat(state, resume[0])
    session = _Session(population, members, plan, data, state, on_progress, checkpoint)
    if resume is not None:
        session.restore(*resume)
    if begun is not None:
        session.take_over(begun.fitted)
    if until is not None:
        session.end = min(session.end, until)
    session.report(int((np.asarray(state.outcome) == RUNNING).sum()), 0, 0.0, "compile")
    began = time.perf_counter()
    with memory_told(len(members), session.orders.batch):
        placed = session.build(session.arrange(np.arange(len(members))))
        compiled = time.perf_counter() - began
        placed, seconds = session.run(placed)
    if session.interrupted:
        session.save(placed, seconds)
    final = session.gather(placed)
    orders, seen, watched = session.orders, session.seen[:, : session.done], 1 + 2 * session.q
    last = np.arange(1, session.done + 1)
    ends = [[orders.steps_before(i, epoch) - 1 for epoch in last.tolist()] for i in range(len(members))]
    factors = np.stack([orders.factors(i, np.array(end, np.int64)) for i, end in enumerate(ends)])
    if population.stopping.reduces:
        factors = factors * seen[..., watched]
    if begun is not None:
        factors[:, : begun.fitted.factors.shape[1]] = begun.fitted.factors
    return Fitted(
        final,
        seen[..., :watched],
        population.task.quantities,
        seconds,
        compiled,
        session.interrupted,
        orders.steps,
        np.array([orders.steps_before(i, int(n)) for i, n in enumerate(final.epoch)]),
        used_weights(population.task, final),
        factors,
        orders.streaks,
    )
