"""Multi-resolution search: a coarse look at everything, then ever closer around the best."""

from __future__ import annotations

import math

from fallline.search.space import at, place
from fallline.search.strategy import Plan, Proposal, Rounds
from fallline.types import Choice

__all__ = ["rounds"]

_RESOLUTIONS = 4
_SHRINK = 0.4  # of every range from one resolution to the next


def rounds(plan: Plan) -> Rounds:
    """Propose random candidates in boxes that shrink around the best so far; choices stay open in the first half."""
    best: dict[str, object] = {}
    loss, width, left = math.inf, 1.0, plan.trials
    for resolution in range(_RESOLUTIONS):
        count = min(left, math.ceil(plan.trials / _RESOLUTIONS))
        if count <= 0:
            return
        drawn = plan.generator.random((count, len(plan.space)))
        proposals = []
        for row in drawn:
            point = {}
            for (name, dimension), share in zip(plan.space.items(), row, strict=True):
                if isinstance(dimension, Choice):
                    closed = bool(best) and 2 * resolution >= _RESOLUTIONS
                    point[name] = best[name] if closed else at(dimension, share)
                else:
                    middle = place(dimension, best[name]) if best else 0.5
                    low = min(max(0.0, middle - width / 2), 1.0 - width)
                    point[name] = at(dimension, low + width * share)
            proposals.append(Proposal(point))
        losses = yield proposals
        left -= count
        first = min(range(count), key=lambda i: losses[i])
        if losses[first] < loss:
            loss, best = losses[first], dict(proposals[first].point)
        width *= _SHRINK
