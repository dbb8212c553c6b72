"""Successive halving and Hyperband: many short trainings, then longer ones of the best.

Source: L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar, "Hyperband: a novel bandit-based approach to
hyperparameter optimization", JMLR 18 (2018), algorithm 1. The resource are epochs; every rung trains anew, under its
own whole schedule, so that the rungs' cost is a geometric series and a rung's score is that of a finished training.
"""

from __future__ import annotations

import math

from fallline.errors import InputError
from fallline.search.space import at
from fallline.search.strategy import Plan, Proposal, Rounds

__all__ = ["hyperband", "rounds"]

ETA = 3  # of each rung one in so many goes on; the paper's choice


def _draw(plan: Plan, count: int) -> list[dict[str, object]]:
    drawn = plan.generator.random((count, len(plan.space)))
    return [
        {name: at(dimension, share) for (name, dimension), share in zip(plan.space.items(), row, strict=True)}
        for row in drawn
    ]


def _bracket(plan: Plan, count: int, halvings: int) -> Rounds:
    """Draw candidates, and let the best of each rung go on with ETA times the epochs; the last rung trains wholly."""
    points = _draw(plan, count)
    for rung in range(halvings + 1):
        epochs = max(1, round(plan.epochs / ETA ** (halvings - rung)))
        losses = yield [Proposal(point, None if rung == halvings else epochs) for point in points]
        kept = max(1, len(points) // ETA)
        order = sorted(range(len(points)), key=lambda i: (losses[i], i))[:kept]
        points = [points[i] for i in order]


def _most_halvings(epochs: int) -> int:
    return int(math.log(max(epochs, 1)) / math.log(ETA) + 1e-9)


def rounds(plan: Plan) -> Rounds:
    """Run one bracket; ``trials`` counts the candidates drawn at the beginning.

    Raises:
        InputError: fewer candidates, or epochs, than one halving needs.
    """
    halvings = min(_most_halvings(plan.epochs), int(math.log(max(plan.trials, 1)) / math.log(ETA) + 1e-9))
    if halvings < 1:
        raise InputError(
            f"trials = {plan.trials} with {plan.epochs} epochs are too few to halve: at least {ETA} candidates and "
            f"{ETA} epochs are needed. Allow more, or use 'random'."
        )
    yield from _bracket(plan, plan.trials, halvings)


def hyperband(plan: Plan) -> Rounds:
    """Run brackets from the boldest (most candidates, shortest trainings) to plain random search.

    ``trials`` counts all trainings, short ones, too; brackets that do not fit into it any more are left out.

    Raises:
        InputError: the budget is too small for one bracket with a halving.
    """
    top, left, ran = _most_halvings(plan.epochs), plan.trials, False
    for halvings in range(min(top, 4), -1, -1):
        count = math.ceil((min(top, 4) + 1) / (halvings + 1) * ETA**halvings)
        cost = sum(max(1, count // ETA**rung) for rung in range(halvings + 1))
        if cost > left:
            continue
        left, ran = left - cost, True
        yield from _bracket(plan, count, halvings)
    if not ran:
        raise InputError(
            f"trials = {plan.trials} is too small for one bracket of Hyperband. Allow at least 20 trials, or use "
            "'halving'."
        )
