"""What a population has come to, on the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from fallline.engine import MemberState

__all__ = ["Begun", "Fitted"]

Tree = Any


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
        steps: (p,) steps per epoch, at the beginning where the batch size grows.
        steps_done: (p,) steps that each member has done.
        used: the weights at the end as they are evaluated and handed out, leaves (p, ...).
        factors: (p, epochs run) factor on the learning rate at the last step of each epoch; NaN where something lowers
            a member's own and the member had ended.
        streaks: (p, most rows) which examples were emphasised at last, see `fallline.train.orders.Orders`.
    """

    state: MemberState
    seen: np.ndarray
    quantities: tuple[str, ...]
    seconds: float
    compile_seconds: float
    interrupted: bool
    steps: np.ndarray
    steps_done: np.ndarray
    used: Tree
    factors: np.ndarray
    streaks: np.ndarray

    def take(self, members: np.ndarray) -> Fitted:
        """Return some of the members."""
        state, used = jax.tree.map(lambda a: np.asarray(a)[members], (self.state, self.used))
        # A population runs as long as its last member; these may have ended before.
        ran = max(1, int(np.asarray(state.epoch).max()))
        return replace(
            self,
            state=state,
            seen=self.seen[members, :ran],
            steps=self.steps[members],
            used=used,
            factors=self.factors[members, :ran],
            streaks=self.streaks[members],
        )


@dataclass(frozen=True, eq=False)
class Begun:
    """What other trainings had come to when these parted from them.

    Args:
        fitted: those trainings, one for each member.
        onto: (state before the first step) -> the state that goes on from there.
    """

    fitted: Fitted
    onto: Callable[[MemberState], MemberState]
