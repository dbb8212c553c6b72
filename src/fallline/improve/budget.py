"""What an improvement may cost: time, trainings, or both."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field
from typing import Any

from fallline.errors import InputError
from fallline.experiment import EnoughError

__all__ = ["Budget", "OverBudgetError", "parse_seconds"]

_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_SHORTEST = 1.0  # seconds: less is no training but a mistake in the unit


class OverBudgetError(EnoughError):
    """What an improvement may cost is spent."""


def parse_seconds(budget: Any) -> float:
    """Return a time in seconds.

    Args:
        budget: a number of seconds; a number with a unit, ``"10 minutes"``, ``"90 s"``, ``"1.5 h"``; None: no limit.

    Raises:
        InputError: it is none of these, or too short for any training.

    >>> parse_seconds("10 minutes"), parse_seconds(30), parse_seconds("1.5h")
    (600.0, 30.0, 5400.0)
    """
    if budget is None:
        return math.inf
    seconds = math.nan
    if isinstance(budget, (int, float)) and not isinstance(budget, bool):
        seconds = float(budget)
    elif isinstance(budget, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", budget.lower())
        unit = found.group(2) if found else "?"
        factor = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s")) or (1 if unit == "" else math.nan)
        seconds = float(found.group(1)) * factor if found else math.nan
    if math.isnan(seconds):
        raise InputError(
            f"budget = {budget!r} is not allowed: it takes seconds, or a number with a unit: '90 s', '10 minutes', "
            "'2 h'."
        )
    if seconds < _SHORTEST:
        raise InputError(f"budget = {budget!r} is too small for one training: give seconds or minutes, '10 minutes'.")
    return seconds


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
