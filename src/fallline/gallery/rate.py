"""T13: the loss while the learning rate rises, on digits or on your data."""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_digits

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row
from fallline.plot import figure

__all__ = ["show", "show_yours"]


def show(*, quick: bool = False) -> Exhibit:
    """A range test of a 64-64-10 network."""
    x, y = load_digits(return_X_y=True)
    return show_yours(fl.networks.mlp(64, 10, hidden=(64,), output="softmax"), x / 16.0, y, quick=quick)


def show_yours(model: Any, x: Any, y: Any, *, quick: bool = False) -> Exhibit:
    """A range test of your model."""
    found = fl.find_learning_rate(model, x, y, seeds=2 if quick else 8, steps=40 if quick else 150)
    made, axes = figure(size=(6.4, 4.2))
    found.plot(axes[0, 0])
    low, high = found.spread
    rows = (
        Row("suggested learning rate", f"{found.suggestion:.2g} ({low:.2g} to {high:.2g} over the seeds)"),
        Row("optimizer", found.optimizer),
    )
    remark = (
        "The loss falls where the rate is useful and explodes where it is too large; the middle of the fall is "
        "suggested."
    )
    return Exhibit("The learning rate that suits", rows, made, remark)
