"""Reading the inside of a run: what the rules about layers share. Statistics are (t, L), NaN where there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fallline.types.inside import median_of_known

__all__ = ["hidden", "lasting", "name_of", "relative"]


def name_of(names: Sequence[str] | None, index: int) -> str:
    """Return a layer's name, or its number."""
    return str(names[index]) if names is not None and index < len(names) else f"layer {index}"


def hidden(values: np.ndarray, output: int | None) -> np.ndarray:
    """Return the layers with a finite value somewhere, the output layer and what follows it left out."""
    found = np.flatnonzero(np.isfinite(values).any(axis=0))
    chosen: np.ndarray = found if output is None else found[found < output]
    return chosen


def lasting(values: np.ndarray) -> np.ndarray:
    """Return the median over the second half of the looks, per layer: what stayed, not what passed."""
    late = values[len(values) // 2 :]
    # Where a statistic was never finite there is nothing that stayed.
    return np.where(np.isfinite(late).any(axis=0), median_of_known(late), np.nan)


def relative(gradient: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return gradient norms as a share of the weights' norms, per look and layer."""
    gradient, weight = np.asarray(gradient, np.float64), np.asarray(weight, np.float64)
    if gradient.shape != weight.shape:
        return np.full(gradient.shape, np.nan)
    share = np.full(gradient.shape, np.nan)
    np.divide(gradient, weight, out=share, where=weight > 0)
    return share
