"""How often a training looked at its loss: what makes optimizers of different kinds comparable."""

from __future__ import annotations

import jax
import numpy as np

from fallline.optimize import Optimizer
from fallline.train.fitted import Fitted

__all__ = ["evaluations"]


def evaluations(optimizer: Optimizer | None, fitted: Fitted) -> list[dict[str, int]]:
    """Return for each member its ``losses``, ``gradients`` and curvature ``products`` over a step's batch.

    Args:
        optimizer: of the recipe; None: a Keras model's own, which takes one gradient a step.
        fitted: the members after training; a diverged one is counted up to its last finite epoch.
    """
    if optimizer is None or optimizer.evaluated is None:
        return [{"losses": 0, "gradients": int(n), "products": 0} for n in fitted.steps_done]
    counts = jax.tree.map(np.asarray, optimizer.evaluated(fitted.state.optimizer))
    return [{key: int(values[i]) for key, values in counts._asdict().items()} for i in range(len(counts.gradients))]
