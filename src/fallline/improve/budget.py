"""What an improvement may cost: time, trainings, or both."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from fallline.experiment import EnoughError

__all__ = ["SHORTEST", "Budget", "OverBudgetError"]

SHORTEST = 1.0  # seconds: less is no training but a mistake in the unit


class OverBudgetError(EnoughError):
    """What an improvement may cost is spent."""


@dataclass(eq=False)
class Budget:
    """What is left of it.

    Args:
        seconds: from the making of this on.
        trainings: in all; None: any number.
        kept_back: seconds that the end will need: experiments stop before.
        last_trainings: trainings that the end will need.
    """

    seconds: float
    trainings: int | None = None
    kept_back: float = 0.0
    last_trainings: int = 0
    begun: float = field(default_factory=lambda: time.monotonic())
    spent: int = 0
    pace: float = 0.0  # seconds a training of the last experiment took; before the first, by a guess
    guessed: bool = False

    def elapsed(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.begun

    def over(self) -> bool:
        """Return whether the time for experiments is over."""
        return self.elapsed() >= self.seconds - self.kept_back

    def affords(self, each: int) -> int:
        """Return how many arms of so many trainings each can still be trained, by the pace of the last experiment."""
        left = math.inf if self.trainings is None else self.trainings - self.last_trainings - self.spent
        if self.pace:
            time_for = (self.seconds - self.kept_back - self.elapsed()) / self.pace
            # By a guess nobody gives up: the control and one arm are tried.
            left = min(left, max(time_for, 2 * each) if self.guessed else time_for)
        return 10**6 if left == math.inf else max(0, int(left // each))

    def guess(self, pace: float) -> None:
        """Expect so many seconds a training, until an experiment tells."""
        self.pace, self.guessed = pace, True

    def took(self, trainings: int, seconds: float) -> None:
        """Remember what an experiment took."""
        self.spent += trainings
        self.pace, self.guessed = seconds / trainings, False
