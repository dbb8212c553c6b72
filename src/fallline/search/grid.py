"""Grid search: every combination of evenly spaced values."""

from __future__ import annotations

import itertools
import math

from fallline.errors import InputError
from fallline.search.space import levels
from fallline.search.strategy import Plan, Proposal, Rounds
from fallline.types import Choice

__all__ = ["rounds"]


def rounds(plan: Plan) -> Rounds:
    """Propose the largest grid within the budget: equally many values of every range, all of every choice.

    Raises:
        InputError: the budget is too small for two values of every range.
    """
    fixed = math.prod(len(d.values) for d in plan.space.values() if isinstance(d, Choice))
    count = 2
    if math.prod(len(levels(d, 2)) for d in plan.space.values()) > plan.trials:
        free = sum(not isinstance(d, Choice) for d in plan.space.values())
        raise InputError(
            f"trials = {plan.trials} is too small for a grid: {fixed} combination(s) of the choices and two values of "
            f"each of {free} range(s) make {fixed * 2**free}. Allow more trials, search fewer entries, or use 'random'."
        )
    while count < plan.trials and math.prod(len(levels(d, count + 1)) for d in plan.space.values()) <= plan.trials:
        count += 1
    names = list(plan.space)
    values = [levels(plan.space[name], count) for name in names]
    yield [Proposal(dict(zip(names, chosen, strict=True))) for chosen in itertools.product(*values)]
