"""The loss along a line or over a plane in the space of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.types.verbs import verb

__all__ = ["Landscape"]


@dataclass(frozen=True, eq=False)
class Landscape:
    """Losses at points of the weight space, ``centre + a * direction 1 + b * direction 2``.

    Args:
        axes: one or two arrays of coordinates, (a,) and (b,).
        losses: (a,) or (a, b) mean loss with all penalties, in evaluation mode; infinite where it is no number.
        labels: what the axes are.
        marks: coordinates -> name of a point worth a mark.
        path: (k, 2) coordinates of weights on the way, or None.
        explained: share of the path's spread that the plane holds, per axis; () without a path.
    """

    axes: tuple[np.ndarray, ...]
    losses: np.ndarray
    labels: tuple[str, ...]
    marks: Mapping[tuple[float, ...], str] = field(default_factory=dict)
    path: np.ndarray | None = None
    explained: tuple[float, ...] = ()

    @property
    def lowest(self) -> tuple[float, ...]:
        """Coordinates of the lowest loss that was seen."""
        place = np.unravel_index(int(np.argmin(self.losses)), self.losses.shape)
        return tuple(float(axis[i]) for axis, i in zip(self.axes, place, strict=True))

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss; return Matplotlib's axes.

        Args:
            ax: axes to draw on; None: new ones.
        """
        return verb("fallline.plot:plot_landscape")(self, ax)
