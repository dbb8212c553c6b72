"""What a strategy is: a generator that proposes candidates in rounds and is told how each did.

A round depends on earlier rounds' results alone, never on the order or the time in which they arrived: a search is the
same with any number of workers, and goes on from its journal as if it had never been stopped.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.types import Dimension

__all__ = ["Plan", "Proposal", "Rounds"]


@dataclass(frozen=True)
class Proposal:
    """A candidate.

    Args:
        point: recipe entry -> value.
        epochs: of a short training; None: as many as the recipe says.
    """

    point: Mapping[str, Any]
    epochs: int | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What a strategy is given.

    Args:
        space: entry -> dimension.
        trials: the most candidates it may propose.
        start: the recipe's own values of the entries, where it has them.
        epochs: of a whole training.
        generator: its source of randomness.
        seed: of the same.
    """

    space: Mapping[str, Dimension]
    trials: int
    start: Mapping[str, Any]
    epochs: int
    generator: np.random.Generator
    seed: int


# Yields rounds; is sent the losses of the round, lower is better, infinite where a training diverged.
Rounds = Generator[list[Proposal], list[float], None]
