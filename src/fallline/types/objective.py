"""The loss of one batch as a function of the weights, for optimizers that look at more than its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Evaluations", "Objective"]

Tree = Any


class Evaluations(NamedTuple):
    """How often a loss was looked at, each time over the step's whole batch; numbers or () int32 arrays.

    A Jacobian of k outputs, the derivatives of every row's outputs by the weights, counts as k gradients: it is one
    backward pass for each row and output, and one gradient of the batch is one backward pass for each row. What is done
    with the numbers afterwards (matrix products, solving equations, the averages of Adam) is counted nowhere.
    """

    losses: Any  # without gradient
    gradients: Any  # each with its loss
    products: Any  # curvature times a vector, about two gradients each


@dataclass(frozen=True, eq=False)
class Objective:
    """One batch's loss in training mode; every evaluation sees the same rows, states and random numbers.

    Where the task can take its loss apart, ``loss(p) = cost(outputs(p)) + penalty(p)``; else these three are None.

    Args:
        value: () the loss at the weights before the step.
        loss: (params) -> () the loss at other weights.
        outputs: (params) -> the network's outputs, a tree of arrays (b, ...).
        cost: (outputs) -> () their mean loss, convex in the outputs.
        penalty: (params) -> () what is added for the weights themselves.
        row_outputs: (params, i) -> the outputs of row i alone; None: rows of a batch influence one another.
    """

    value: Any
    loss: Callable[[Tree], Any]
    outputs: Callable[[Tree], Tree] | None = None
    cost: Callable[[Tree], Any] | None = None
    penalty: Callable[[Tree], Any] | None = None
    row_outputs: Callable[[Tree, Any], Tree] | None = None
