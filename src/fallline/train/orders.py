"""Which rows a member sees when, and at which rate: made on the host, chunk by chunk."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fallline.engine import Rows, Schedule
from fallline.errors import InputError
from fallline.optimize import (
    OrderStream,
    alternating_orders,
    emphasised,
    emphasised_orders,
    epoch_orders,
    next_streaks,
    rate_factors,
)
from fallline.types import TrainingRecipe

__all__ = ["Emphasis", "Member", "Orders", "Plan", "bucket", "classes_of", "emphasis_of", "in_batches"]

# Row numbers sent to the device at once: 4 million int32 are 16 MB.
_ORDER_BUDGET = 4_000_000
# So few of them (1 MB) are sent at once in any case, so that trainings of other lengths share a compiled program.
_ORDER_SMALL, _EPOCHS_SMALL = 250_000, 64


@dataclass(frozen=True)
class Emphasis:
    """How examples with a large error are emphasised.

    Args:
        times: how many times as often they come.
        share: of the examples, those of the largest losses.
        every: epochs from look to look.
        patience: looks in succession after which an example that stays among them loses its emphasis.
    """

    times: float
    share: float
    every: int
    patience: int


@dataclass(frozen=True)
class Plan:
    """How a population is trained.

    Args:
        epochs: most epochs.
        batch_size: rows per step, at the beginning.
        doublings: shares of the training at which it doubles, rising; the same for all members of a population.
        shuffle: new order in each epoch.
        order: ``shuffled``, or ``classes``: successive examples from different classes.
        emphasis: of the examples with a large error; None: no.
        schedule: name of the learning-rate schedule.
        warmup: share of the training with a rising rate.
        schedule_numbers: the schedule's own, see `fallline.optimize.rate_factors`.
        eval_batch: rows per evaluation batch.
        every: evaluate behind so many epochs, in a population that is thinned.
    """

    epochs: int
    batch_size: int
    shuffle: bool = True
    order: str = "shuffled"
    schedule: str = "constant"
    warmup: float = 0.0
    schedule_numbers: Mapping[str, float] = field(default_factory=dict)
    eval_batch: int = 8192
    every: int = 1
    doublings: tuple[float, ...] = ()
    emphasis: Emphasis | None = None


@dataclass(frozen=True)
class Member:
    """One member of a population: its seed, its rows, its numbers, and its own plan where that differs.

    Members of one population share the batch size; all else in their plans may differ.
    """

    seed: int
    train_rows: np.ndarray
    val_rows: np.ndarray
    numbers: Mapping[str, float] = field(default_factory=dict)
    plan: Plan | None = None


def emphasis_of(training: TrainingRecipe) -> Emphasis | None:
    """Return how a recipe emphasises examples; None where it does not."""
    if training.order != "errors":
        return None
    return Emphasis(training.emphasis, training.emphasis_share, training.emphasis_every, training.emphasis_patience)


def bucket(n: int) -> int:
    """Round up to five significant bits (at most 1/16 more), so that nearly equal sizes share a compiled program.

    >>> [bucket(n) for n in (5, 31, 113, 114, 569)]
    [5, 31, 116, 116, 576]
    """
    step = 1 << max(0, n.bit_length() - 5)
    return -(-n // step) * step


def _epochs_a_chunk(epochs: int, room: int) -> int:
    """Return the most epochs of a chunk, which the program is compiled for.

    Args:
        epochs: of the training.
        room: row numbers an epoch, of all places.

    >>> [_epochs_a_chunk(epochs, 400) for epochs in (2, 60, 100)], _epochs_a_chunk(2, 100_000)
    ([64, 64, 128], 2)
    """
    shared = 1 << (max(epochs, _EPOCHS_SMALL) - 1).bit_length()
    most = shared if shared * room <= _ORDER_SMALL else bucket(epochs)
    return min(most, max(1, _ORDER_BUDGET // room))


def in_batches(rows: Sequence[np.ndarray], size: int, exact: bool) -> Rows:
    """Each member's rows in batches of at most ``size``; all in one where they fit."""
    counts = np.array([len(r) for r in rows], np.int32)
    most = int(counts.max())
    if exact:  # no padding: equally many rows for all
        assert (counts == most).all(), "members that are evaluated on different numbers of rows need padding"
        size = min(size, most)
        used, full = np.stack(rows).astype(np.int32), most // size * size
        return Rows(used[:, :full].reshape(len(rows), -1, size), np.full(len(rows), full, np.int32), used[:, full:])
    batches = max(1, -(-most // size))
    size = bucket(-(-most // batches))  # equal batches, so that little is padded
    out = np.zeros((len(rows), batches * size), np.int32)
    for i, r in enumerate(rows):
        out[i, : len(r)], out[i, len(r) :] = r, r[0]
    return Rows(out.reshape(len(rows), batches, size), counts, np.zeros((len(rows), 0), np.int32))


def classes_of(targets: object) -> np.ndarray:
    """Return the class of each row, (n,).

    Args:
        targets: (n,) or (n, 1) whole numbers, or (n, classes) with the largest entry at the class.

    Raises:
        InputError: targets that are no classes.
    """
    if not isinstance(targets, np.ndarray) or targets.ndim not in (1, 2):
        raise InputError('training.order = "classes" takes one target per row. Use order = "shuffled".')
    if targets.ndim == 2 and targets.shape[1] > 1:
        found: np.ndarray = targets.argmax(axis=1)
        return found
    flat: np.ndarray = targets.reshape(-1)
    if flat.dtype.kind == "f" and not (flat == np.round(flat)).all():
        raise InputError(
            'training.order = "classes" alternates between classes, but the targets are quantities. '
            'Use order = "shuffled".'
        )
    return flat


class Orders:
    """Makes the schedule of each chunk: orders of examples and rates.

    A batch size that grows is a row of phases, each with orders of its own: arrays of another shape, which the program
    is compiled for when a phase begins. A chunk never crosses from one into the next.

    Args:
        members: p members.
        plan: of the members that have none of their own.
        coupled: batches must not be padded.
        places: of the population that they train in, at least p; the length of a chunk depends on it.
        targets: (n,) or (n, k), of all rows; their classes are needed where a plan alternates between them.
        streaks: (p, most rows) what emphasis goes by, see `fallline.optimize.next_streaks`; None: nobody has looked.
        whole: the orders of the whole training, for those of one phase.
        phase: its number, from 0: so often has the batch size doubled.
    """

    def __init__(
        self,
        members: Sequence[Member],
        plan: Plan,
        coupled: bool,
        places: int = 0,
        targets: object = None,
        *,
        streaks: np.ndarray | None = None,
        whole: Orders | None = None,
        phase: int = 0,
    ) -> None:
        self.members = tuple(members)
        self.plans = tuple(m.plan or plan for m in members)
        self.epochs = max(p.epochs for p in self.plans)
        self.classes = classes_of(targets) if any(p.order == "classes" for p in self.plans) else None
        sizes = np.array([len(m.train_rows) for m in members])
        self.batch = min(plan.batch_size << phase, int(sizes.max()))
        self.rest = int(sizes[0]) % self.batch if coupled else 0
        assert self.rest == 0 or (sizes == sizes[0]).all(), "members whose batches must not be padded are of one size"
        self.rows = sizes - self.rest
        self.full = -(-self.rows // self.batch)  # (p,) steps without the rest
        self.steps = self.full + bool(self.rest)
        self.places = bucket(int(self.full.max()))
        room = max(places, len(members)) * self.places * self.batch
        self.capacity = _epochs_a_chunk(self.epochs, room)
        # Shared by what is taken of these orders: who looks at the losses writes into it.
        most = int(sizes.max()) if any(p.emphasis is not None for p in self.plans) else 0
        self.streaks = np.zeros((len(members), most), np.uint8) if streaks is None else streaks
        self.who = np.arange(len(members))
        self.streams: dict[tuple[int, bool, str, int, int], OrderStream] = {}
        self.whole: Orders = whole or self
        self.phases: tuple[Orders, ...] = (self,)
        self.starts: tuple[int, ...] = (0,)
        if plan.doublings and whole is None:
            grown = range(1, 1 + len(plan.doublings))
            given = (members, plan, coupled, places, targets)
            others = (Orders(*given, streaks=self.streaks, whole=self, phase=k) for k in grown)
            self.phases = (self, *others)
            # The first epoch is never empty, and no two phases begin together.
            begun = [max(k, round(share * plan.epochs)) for k, share in enumerate(plan.doublings, start=1)]
            self.starts = (0, *begun)

    def take(self, chosen: np.ndarray) -> Orders:
        """Return the same for some of the members, in arrays of the same shapes."""
        other = copy.copy(self)
        other.members = tuple(self.members[i] for i in chosen)
        other.plans = tuple(self.plans[i] for i in chosen)
        other.who = self.who[chosen]
        other.rows, other.full, other.steps = self.rows[chosen], self.full[chosen], self.steps[chosen]
        if self.whole is self:
            other.whole, taken = other, [phase.take(chosen) for phase in self.phases[1:]]
            other.phases = (other, *taken)
            for phase in taken:
                phase.whole = other
        return other

    def at(self, epoch: int) -> Orders:
        """Return the orders of the phase that an epoch, counted from 0, belongs to."""
        return self.phases[sum(start <= epoch for start in self.starts) - 1]

    def until(self, epoch: int) -> int:
        """Return how many epochs from this one on a chunk may have."""
        looks = [p.emphasis.every * (epoch // p.emphasis.every + 1) for p in self.plans if p.emphasis is not None]
        ends = [start for start in (*self.starts, *looks) if start > epoch]
        return min(self.at(epoch).capacity, min([self.epochs, *ends]) - epoch)

    def looking(self, epoch: int) -> np.ndarray:
        """Return which members' losses are to be looked at before an epoch, counted from 0."""
        kinds = (plan.emphasis for plan in self.plans)
        return np.array([e is not None and epoch > 0 and epoch % e.every == 0 for e in kinds], bool)

    def emphasise(self, member: int, losses: np.ndarray) -> None:
        """Take notice of the losses (n,) of one member's training rows."""
        emphasis, i = self.plans[member].emphasis, self.who[member]
        assert emphasis is not None
        self.streaks[i, : len(losses)] = next_streaks(self.streaks[i, : len(losses)], losses, emphasis.share)

    def steps_before(self, member: int, epoch: int) -> int:
        """Return how many steps a member has done before an epoch, counted from 0."""
        ends = (*self.starts[1:], max(epoch, self.starts[-1]))
        parts = zip(self.phases, self.starts, ends, strict=True)
        return sum(int(o.steps[member]) * max(0, min(end, epoch) - start) for o, start, end in parts)

    def chunk(self, first: int, epochs: int) -> Schedule:
        """Return the schedule of so many epochs from this one, counted from 0; the rest of the capacity is empty."""
        if self.at(first) is not self and self.whole is self:
            return self.at(first).chunk(first, epochs)
        p, used = len(self.members), self.places * self.batch
        order = np.zeros((p, self.capacity, used), np.int32)
        rest = np.zeros((p, self.capacity, self.rest), np.int32)
        rates = np.ones((p, self.capacity, self.places), np.float32)
        rest_rate = np.ones((p, self.capacity), np.float32)
        drawn: dict[tuple[int, bool, str, int, int], np.ndarray] = {}
        for i, (member, plan) in enumerate(zip(self.members, self.plans, strict=True)):
            # Members that differ in their numbers alone see the same orders: draw them once.
            own = -1 if plan.emphasis is None else int(self.who[i])  # each goes by its own losses
            key = (member.seed, plan.shuffle, plan.order, id(member.train_rows), own)
            if key not in drawn:
                stream = self.streams.setdefault(key, OrderStream())
                drawn[key] = self._draw(member, plan, first, epochs, own, stream)
            rows, steps = int(self.rows[i]), int(self.steps[i])
            order[i, :epochs, :rows], order[i, :epochs, rows:] = drawn[key][:, :rows], member.train_rows[0]
            rest[i, :epochs] = drawn[key][:, rows:]
            if plan.schedule != "constant" or plan.warmup:
                begun = self.whole.steps_before(i, first)
                factors = self.whole.factors(i, np.arange(begun, begun + epochs * steps)).reshape(epochs, steps)
                rates[i, :epochs, : self.full[i]] = factors[:, : self.full[i]]
                rest_rate[i, :epochs] = factors[:, -1]
        return Schedule(
            order=order.reshape(p, self.capacity, self.places, self.batch),
            rates=rates,
            rows=self.rows.astype(np.int32),
            limit=np.array([plan.epochs for plan in self.plans], np.int32),
            every=np.array([plan.every for plan in self.plans], np.int32),
            rest=rest,
            rest_rate=rest_rate,
        )

    def _draw(
        self, member: Member, plan: Plan, first: int, epochs: int, own: int, stream: OrderStream
    ) -> np.ndarray:
        rows = member.train_rows
        if plan.emphasis is not None:
            chosen = emphasised(self.streaks[own, : len(rows)], plan.emphasis.patience)
            times = plan.emphasis.times
            return emphasised_orders(rows, chosen, times, seed=member.seed, first_epoch=first, epochs=epochs)
        if self.classes is not None and plan.order == "classes":
            return alternating_orders(rows, self.classes[rows], seed=member.seed, first_epoch=first, epochs=epochs)
        return epoch_orders(
            rows, seed=member.seed, first_epoch=first, epochs=epochs, shuffle=plan.shuffle, stream=stream
        )

    def factors(self, member: int, steps: np.ndarray) -> np.ndarray:
        """Return the factors on one member's learning rate at these steps, counted from 0."""
        plan = self.plans[member]
        return rate_factors(
            plan.schedule,
            steps,
            self.steps_before(member, plan.epochs),
            warmup=plan.warmup,
            learning_rate=float(self.members[member].numbers.get("learning_rate", 1.0)),
            numbers=plan.schedule_numbers,
        )
