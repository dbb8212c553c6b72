"""Learning rates in proportion to the square root of a unit's inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["fan_in_factors"]


def fan_in_factors(paths: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """Return each tensor's factor on the learning rate, sqrt(inputs of its units / most inputs of any unit).

    The layer whose units have the most inputs learns at the rate that is given, the others more slowly: their units
    add up fewer terms, so that the same move of each weight would change them less than it should. A bias belongs to
    the units of its layer's kernel.

    Source: LeCun, Bottou, Orr & Mueller, Efficient BackProp, 1998, section 4.7: learning rates in proportion to the
    square root of the number of inputs to the unit.

    Args:
        paths: of the tensors, ``layer/kernel``.
        shapes: of the tensors; a kernel's last axis has the units.

    >>> fan_in_factors(["first/kernel", "first/bias", "second/kernel"], [(100, 4), (4,), (4, 1)])
    [1.0, 1.0, 0.2]
    """
    inputs: dict[str, int] = {}
    for path, shape in zip(paths, shapes, strict=True):
        layer = path.rpartition("/")[0]
        if len(shape) >= 2:
            inputs[layer] = max(inputs.get(layer, 1), math.prod(shape[:-1]))
    most = max(inputs.values(), default=1)
    return [math.sqrt(inputs.get(path.rpartition("/")[0], 1) / most) for path in paths]
