"""What a learning-rate range test saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["RateSweep"]


@dataclass(frozen=True, eq=False)
class RateSweep:
    """Losses of several networks while their learning rate rose, and the rates that they suggest.

    Args:
        rates: (s,) learning rates, rising by a constant factor.
        losses: (p, s) smoothed training losses, NaN from where a network's loss exploded.
        valley: (p,) rate in the middle of the longest fall of each network's loss.
        steepest: (p,) rate at which each network's loss fell fastest.
        optimizer: name of the learning algorithm.
    """

    rates: np.ndarray
    losses: np.ndarray
    valley: np.ndarray
    steepest: np.ndarray
    optimizer: str

    @property
    def suggestion(self) -> float:
        """The networks' geometric mean of ``valley``."""
        return float(np.exp(np.log(self.valley).mean()))

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ``valley``: how far a suggestion depends on the seed."""
        return float(self.valley.min()), float(self.valley.max())

    def __str__(self) -> str:
        low, high = self.spread
        steepest = float(np.exp(np.log(self.steepest).mean()))
        return (
            f"learning rate {self.suggestion:.2g} for {self.optimizer} ({low:.2g} to {high:.2g} over "
            f"{len(self.valley)} networks; the loss falls fastest at {steepest:.2g})"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses over the rates with the suggestion; return Matplotlib's axes.

        Args:
            ax: axes to draw on; None: new ones.
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        ax.semilogx(self.rates, self.losses.T, color="0.6", linewidth=1)
        ax.axvspan(*self.spread, alpha=0.15)
        ax.axvline(self.suggestion, label=f"{self.suggestion:.2g}")
        ax.set_xlabel("learning rate")
        ax.set_ylabel("training loss (smoothed)")
        ax.legend(title=self.optimizer)
        return ax
