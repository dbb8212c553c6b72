"""Random search: independent draws. J. Bergstra, Y. Bengio, "Random search for hyper-parameter optimization" (2012)."""

from __future__ import annotations

from fallline.search.space import at
from fallline.search.strategy import Plan, Proposal, Rounds

__all__ = ["rounds"]


def rounds(plan: Plan) -> Rounds:
    """Propose all candidates at once."""
    drawn = plan.generator.random((plan.trials, len(plan.space)))
    yield [
        Proposal({name: at(dimension, share) for (name, dimension), share in zip(plan.space.items(), row, strict=True)})
        for row in drawn
    ]
