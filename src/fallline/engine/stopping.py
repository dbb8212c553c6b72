"""When a member ends, and when its learning rate falls: decisions at the end of an epoch, inside the compiled program.

What no member uses has no state and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["CONSTANTS", "Curve", "Pace", "Stopping", "begin_curve", "begin_pace", "pace", "should_stop"]

Tree = Any
Array = jax.Array | np.ndarray


# The constants of a stopping -> their names among a member's numbers.
CONSTANTS = {name: f"stop_{name}" for name in ("patience", "min_delta", "alpha", "strip", "successive")}


@dataclass(frozen=True)
class Stopping:
    """When a member ends, which weights it keeps, and what its learning rate reacts to.

    What is kept and which criterion it is are compiled in. So are the constants, unless a member's numbers have them
    under the names of `CONSTANTS`: members that differ in them alone share one program.

    The classes GL, PQ and UP are those of Prechelt, Early stopping - but when?, 1998, section 2.2, with E_va the
    monitored loss, E_opt its lowest value so far and E_tr the training loss after the epoch:

    - gl: the generalisation loss GL = 100 (E_va / E_opt - 1) exceeds alpha;
    - pq: at the end of a strip of k epochs GL / P_k exceeds alpha, with the training progress
      P_k = 1000 (sum E_tr / (k min E_tr) - 1) over the strip;
    - up: E_va has risen from strip's end to strip's end, s times in succession.

    Args:
        patience: epochs without improvement before the member stops, as Keras' EarlyStopping counts them; 0: never.
        min_delta: the smallest decrease that counts as an improvement.
        keep_best: keep the weights of the lowest loss.
        first_best: epochs before this one never become best (a schedule's rough beginning).
        criterion: ``patience``, ``gl``, ``pq`` or ``up``.
        alpha: threshold in percent (gl), or in percent per per-mille of progress (pq).
        strip: k, epochs of a strip (pq, up).
        successive: s, strips in succession (up).
        reduces: what lowers the learning rate, by the numbers ``reduce_*`` of `pace`: "" (nothing), ``plateau`` or
            ``oscillation``.
    """

    patience: int = 0
    min_delta: float = 0.0
    keep_best: bool = True
    first_best: int = 1
    criterion: str = "patience"
    alpha: float = 5.0
    strip: int = 5
    successive: int = 2
    reduces: str = ""

    @property
    def stops(self) -> bool:
        """Whether a member may end before its last epoch."""
        return self.criterion != "patience" or self.patience > 0

    def constant(self, name: str, numbers: Mapping[str, Any]) -> Any:
        """Return a constant, a member's own where it has one."""
        return numbers.get(CONSTANTS[name], getattr(self, name))

    def constants(self) -> dict[str, float]:
        """Return the constants as a member's numbers; they go with `program`."""
        return {number: float(getattr(self, name)) for name, number in CONSTANTS.items()}

    def program(self) -> Stopping:
        """Return what of it has to be compiled in, where the members' numbers have the constants."""
        usual = {name: getattr(Stopping(), name) for name in CONSTANTS}
        return replace(self, **{**usual, "patience": min(1, self.patience)})


class Curve(NamedTuple):
    """What Prechelt's criteria remember of a member's curves."""

    lowest: Array  # () float32, E_opt
    total: Array  # () float32, sum of the training losses of this strip
    low: Array  # () float32, their minimum
    previous: Array  # () float32, E_va at the end of the strip before
    rises: Array  # () int32, strips in succession at whose end it had risen


class Pace(NamedTuple):
    """A member's own factor on the learning rate, and what it goes by."""

    factor: Array  # () float32
    wait: Array  # () int32, epochs that speak for a decrease
    lowest: Array  # () float32, the lowest monitored loss (plateau)
    move: Tree  # the weights' move in the epoch before (oscillation), else ()


def begin_curve(stopping: Stopping, members: int) -> Curve | tuple[()]:
    """Return the memory of p members before the first epoch; empty where the criterion needs none."""
    if stopping.criterion not in ("gl", "pq", "up"):
        return ()
    infinite = np.full(members, np.inf, np.float32)
    return Curve(infinite, np.zeros(members, np.float32), infinite, infinite, np.zeros(members, np.int32))


def begin_pace(stopping: Stopping, members: int, params: Tree) -> Pace | tuple[()]:
    """Return the paces of p members before the first epoch; empty where nothing lowers the learning rate."""
    if not stopping.reduces:
        return ()
    move = jax.tree.map(np.zeros_like, params) if stopping.reduces == "oscillation" else ()
    ones = np.ones(members, np.float32)
    return Pace(ones, np.zeros(members, np.int32), np.full(members, np.inf, np.float32), move)


def should_stop(
    stopping: Stopping,
    curve: Curve | tuple[()],
    epoch: Array,
    trained: jax.Array,
    monitored: jax.Array,
    numbers: Mapping[str, Any] | None = None,
) -> tuple[Curve | tuple[()], jax.Array]:
    """Return the memory behind an epoch, and whether one of Prechelt's criteria stops the member there.

    Args:
        stopping: the criterion and its constants.
        curve: the memory before.
        epoch: () completed epochs, from 1.
        trained: () E_tr, the training loss after the epoch.
        monitored: () E_va.
        numbers: the member's; its own constants among them.
    """
    alpha, strip = (stopping.constant(name, numbers or {}) for name in ("alpha", "strip"))
    if not isinstance(curve, Curve):
        return curve, jnp.asarray(False)
    lowest = jnp.minimum(curve.lowest, monitored)
    # By its absolute value, so that losses below 0, which Prechelt does not have, keep the sense of a rise.
    lost = jnp.where(monitored > lowest, 100.0 * (monitored - lowest) / jnp.abs(lowest), 0.0)
    if stopping.criterion == "gl":
        return curve._replace(lowest=lowest), lost > alpha
    begins, ends = (epoch - 1) % strip == 0, epoch % strip == 0
    total = jnp.where(begins, 0.0, curve.total) + trained
    low = jnp.where(begins, trained, jnp.minimum(curve.low, trained))
    rises = jnp.where(monitored > curve.previous, curve.rises + 1, 0)
    after = Curve(
        lowest=lowest,
        total=total,
        low=low,
        previous=jnp.where(ends, monitored, curve.previous),
        rises=jnp.where(ends, rises, curve.rises).astype(jnp.int32),
    )
    if stopping.criterion == "up":
        return after, ends & (rises >= stopping.constant("successive", numbers or {}))
    progress = 1000.0 * (total - strip * low) / (strip * jnp.abs(low))
    # As a product: a training loss that rests has progress 0, by which one cannot divide.
    return after, ends & (lost > alpha * progress)


def pace(
    stopping: Stopping,
    before: Pace | tuple[()],
    numbers: dict[str, jax.Array],
    monitored: jax.Array,
    old: Tree,
    new: Tree,
) -> Pace | tuple[()]:
    """Return a member's pace behind an epoch.

    Under ``plateau`` the rate falls when the monitored loss has not improved for some epochs, as Keras'
    ReduceLROnPlateau counts them. Under ``oscillation`` it falls when the weight vector turns back: the inner product
    of the epoch's move with that of the epoch before is negative. Source: LeCun, Bottou, Orr & Mueller, Efficient
    BackProp, 1998, section 4.7 (decrease the rate when the weight vector oscillates, after Darken & Moody 1992); the
    inner product of successive moves as the sign of it: Pflug, Monatshefte fuer Mathematik 110, 1990.

    Args:
        stopping: what it reacts to.
        before: the pace of the epoch.
        numbers: ``reduce_factor``, ``reduce_patience`` (epochs that speak for a decrease, in succession) and
            ``reduce_min_delta`` (the smallest decrease that counts as an improvement).
        monitored: () the loss behind the epoch.
        old: the weights before it.
        new: the weights behind it.
    """
    if not isinstance(before, Pace):
        return before
    if stopping.reduces == "plateau":
        calm: jax.Array = monitored < before.lowest - numbers["reduce_min_delta"]
        lowest, move = jnp.minimum(before.lowest, jnp.where(calm, monitored, jnp.inf)), before.move
    else:
        move = jax.tree.map(lambda a, b: a - b, new, old)
        products = jax.tree.map(lambda a, b: jnp.sum(a * b), move, before.move)
        calm, lowest = jnp.stack(jax.tree.leaves(products)).sum() >= 0.0, jnp.asarray(before.lowest)
    wait = jnp.where(calm, 0, before.wait + 1)
    falls = wait >= numbers["reduce_patience"]
    factor = jnp.where(falls, before.factor * numbers["reduce_factor"], before.factor)
    return Pace(factor, jnp.where(falls, 0, wait).astype(jnp.int32), lowest, move)
