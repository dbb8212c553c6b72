"""Times as people give them."""

from __future__ import annotations

import math
import re
from typing import Any

from fallline.errors import InputError

__all__ = ["parse_seconds"]

_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}


def parse_seconds(budget: Any, least: float = 0.0) -> float:
    """Return a time in seconds.

    Args:
        budget: a number of seconds; a number with a unit, ``"10 minutes"``, ``"90 s"``, ``"1.5 h"``; None: no limit.
        least: seconds; less is too small for a training.

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
    if not seconds > 0 or seconds < least:
        raise InputError(f"budget = {budget!r} is too small for one training: give seconds or minutes, '10 minutes'.")
    return seconds
