"""From what the device saw to a Trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.train.fitted import Fitted
from fallline.types import Progress, Trace

__all__ = ["in_units", "make_trace", "trace_of"]


def make_trace(seen: np.ndarray, names: tuple[str, ...], epochs: np.ndarray) -> Trace:
    """Build a trace.

    Args:
        seen: (members, epochs, quantities) float32.
        names: of the quantities.
        epochs: (members,) epochs that each member ran. The last one of a diverged member is NaN: it is the evidence.
            Behind an epoch whose running loss is finite, NaN says that nobody evaluated.
    """
    ran = np.arange(seen.shape[1])[None, :] < epochs[:, None]
    looked = ~np.isnan(seen) | ~np.isfinite(seen[:, :, :1])
    member, epoch, quantity = np.nonzero(ran[:, :, None] & looked)
    return Trace.from_columns(
        {
            "member": member,
            "epoch": epoch + 1,
            "layer": np.full(len(member), "", object),
            "quantity": np.array(names, object)[quantity],
            "value": seen[member, epoch, quantity].astype(np.float64),
        }
    )


def _unit(name: str, prepared: Any) -> float:
    """What a quantity is multiplied by to be in the target's units."""
    scale = np.asarray(prepared.preparation.target_scale, float)
    return float(scale.ravel()[0]) if name.endswith("rmse") and scale.size == 1 else 1.0


def in_units(event: Progress, prepared: Any) -> Progress:
    """Return a table's progress with the quantities of regression in the target's units."""
    curves = {name: tuple(_unit(name, prepared) * v for v in curve) for name, curve in event.curves.items()}
    return replace(event, curves=curves)


def trace_of(fitted: Fitted, prepared: Any) -> Trace:
    """Build the trace of a table's population; quantities of regression are given in the target's units."""
    seen = fitted.seen.astype(np.float64)
    names = ("running_loss", *fitted.quantities, *(f"val_{name}" for name in fitted.quantities))
    for i, name in enumerate(names):
        seen[:, :, i] *= _unit(name, prepared)
    rates = float(prepared.recipe.optimizer.learning_rate) * fitted.factors
    watched = np.concatenate([seen, rates[:, :, None]], axis=2)
    return make_trace(watched, (*names, "learning_rate"), np.asarray(fitted.state.epoch))
