"""Curves that were recorded by optimizer steps, made into one value per epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["MOST_POINTS", "curves_by_step"]

# A training loss logged at more steps than this, with nothing that says where an epoch ends, scatters from batch to
# batch; it is read as the means of SEGMENTS equal stretches.
MOST_POINTS = 200
SEGMENTS = 100

Points = tuple[np.ndarray, np.ndarray]


def curves_by_step(points: Mapping[str, Points], epoch: Points | None = None) -> dict[str, np.ndarray]:
    """Return one value per epoch of curves that were logged by steps.

    An epoch ends where the log says so, else at the steps where the validation loss was logged; where there is neither,
    each logged step counts as an epoch, or each of a hundred equal stretches when there are many.

    Args:
        points: name -> (steps (k,), values (k,)), in any order.
        epoch: (steps (k,), epochs (k,)) as logged: whole numbers, or fractions of which 1.0 ends the first epoch.

    Returns:
        Name -> (epochs,): the mean of a training curve over the epoch, the last value of a validation curve; NaN in
        gaps. A curve ends with its last value.

    >>> steps = np.arange(1, 5)
    >>> found = curves_by_step({"loss": (steps, 1 / steps), "val_loss": (np.array([2, 4]), np.array([0.7, 0.4]))})
    >>> {name: curve.round(3).tolist() for name, curve in found.items()}
    {'loss': [0.75, 0.292], 'val_loss': [0.7, 0.4]}
    """
    ordered = {name: _in_order(*p) for name, p in points.items() if len(p[0])}
    ends = _ends(ordered, epoch)
    out: dict[str, np.ndarray] = {}
    for name, (steps, values) in ordered.items():
        group = np.searchsorted(ends, steps, side="left")
        curve = np.full(int(group.max()) + 1, np.nan)
        for at in np.unique(group):
            here = values[group == at]
            last = name.startswith("val_") or name == "learning_rate" or not np.isfinite(here[-1])
            curve[at] = here[-1] if last else np.mean(here[np.isfinite(here)])
        out[name] = curve
    return out


def _in_order(steps: np.ndarray, values: np.ndarray) -> Points:
    order = np.argsort(steps, kind="stable")
    return np.asarray(steps, np.float64)[order], np.asarray(values, np.float64)[order]


def _ends(points: Mapping[str, Points], epoch: Points | None) -> np.ndarray:
    """Return the last step of each epoch, rising; what comes after the last belongs to one more epoch."""
    if epoch is not None and len(epoch[0]):
        steps, epochs = _in_order(*epoch)
        number = np.ceil(epochs - 1e-9)
        last: np.ndarray = steps[np.append(number[1:] != number[:-1], True)]
        return last
    train = next((points[name][0] for name in ("loss", "running_loss") if name in points), np.zeros(0))
    held = np.unique(points["val_loss"][0]) if "val_loss" in points else np.zeros(0)
    if 1 < len(held) <= len(np.unique(train)):
        return held
    distinct = np.unique(train)
    if len(distinct) <= MOST_POINTS:
        return distinct
    return np.array([part[-1] for part in np.array_split(distinct, SEGMENTS)])
