"""What output units can do: their ranges, and which of them are probabilities."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PROBABILITIES", "RANGES", "ROUNDING"]

# The values an activation can take; those not listed are unbounded. A bound is not crossed by rounding (0.1 %).
RANGES: Mapping[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, float("inf")),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, float("inf")),
    "exponential": (0.0, float("inf")),
    "elu": (-1.0, float("inf")),
    "selu": (-1.7581, float("inf")),
    "silu": (-0.2785, float("inf")),
    "gelu": (-0.17, float("inf")),
}
ROUNDING = 1e-3
PROBABILITIES = ("sigmoid", "hard_sigmoid", "softmax", "sparsemax")
