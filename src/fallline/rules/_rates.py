"""What the optimizers make of a learning rate, as far as the rules need it."""

from __future__ import annotations

__all__ = ["PLAIN", "SIGN_LIKE", "effective_rate"]

# Their step in each weight is about the rate, whatever the size of the gradient.
SIGN_LIKE = ("adam", "adamw", "adamax", "nadam", "rmsprop", "lion")
# Their step is the rate times the gradient.
PLAIN = ("sgd", "momentum", "nesterov", "gd")


def effective_rate(rate: float, optimizer: str, momentum: float) -> float:
    """Return the rate that a steady gradient sees: momentum m adds up to 1 / (1 - m) steps.

    >>> round(effective_rate(0.01, "sgd", 0.9), 6), effective_rate(0.01, "adam", 0.9)
    (0.1, 0.01)
    """
    if optimizer in PLAIN and 0 <= momentum < 1:
        return rate / (1.0 - momentum)
    return rate
