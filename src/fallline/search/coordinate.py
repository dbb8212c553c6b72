"""Coordinate descent: one entry at a time, the others as they were best so far."""

from __future__ import annotations

import math

from fallline.search.space import at, levels, place
from fallline.search.strategy import Plan, Proposal, Rounds
from fallline.types import Choice

__all__ = ["rounds"]

_VALUES = 5  # of a range in its turn
_SHRINK = 0.5  # of the range around the best value from one sweep to the next


def rounds(plan: Plan) -> Rounds:
    """Sweep over the entries until nothing improves or the budget is spent; ranges halve with every sweep."""
    best = {name: plan.start.get(name, at(dimension, 0.5)) for name, dimension in plan.space.items()}
    loss, left, width = math.inf, plan.trials, 1.0
    while left > 0:
        improved = False
        for name, dimension in plan.space.items():
            if isinstance(dimension, Choice):
                values = levels(dimension, 0)
            else:
                middle = place(dimension, best[name])
                low = min(max(0.0, middle - width / 2), 1.0 - width)
                shares = [low + width * i / (_VALUES - 1) for i in range(_VALUES)]
                values = list(dict.fromkeys(at(dimension, share) for share in shares))
            # In the very first round the starting value is tried, too; later it is known.
            values = [v for v in values if v != best[name] or math.isinf(loss)][:left]
            if not values:
                continue
            losses = yield [Proposal({**best, name: value}) for value in values]
            left -= len(values)
            place_of_best = min(range(len(values)), key=lambda i: losses[i])
            if losses[place_of_best] < loss:
                loss, improved = losses[place_of_best], True
                best = {**best, name: values[place_of_best]}
            if left <= 0:
                return
        if not improved and width < 0.1:
            return
        width *= _SHRINK
