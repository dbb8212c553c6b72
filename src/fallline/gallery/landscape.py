"""W3: the loss around a minimum and the way there; or around your model's."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import make_circles

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row
from fallline.plot import figure
from fallline.recipe import override

__all__ = ["show", "show_yours"]


def show(*, quick: bool = False) -> Exhibit:
    """Train a small network for longer and longer, and look at the loss around where it ends."""
    x, y = make_circles(500, factor=0.5, noise=0.1, random_state=0)
    x, y = x.astype(np.float32), y.astype(np.float32)
    model = fl.networks.mlp(2, 1, hidden=(16, 16), output="sigmoid", seed=1)
    epochs = [1, 2, 3, 5] if quick else [1, 2, 3, 4, 6, 8, 11, 15, 20, 30, 40]
    recipe = override(fl.default_recipe("simple"), ["learning_rate=0.01"])
    runs = fl.train_many(model, x, y, recipe=recipe, vary={"training.epochs": epochs}, early_stopping=False, verbose=0)
    way = [model.get_weights(), *(run.model.get_weights() for run in runs[:-1])]
    end, points = runs[-1].model, 9 if quick else 41
    plane = fl.loss_landscape(end, x, y, directions="trajectory", path=way, span=0.25, points=points)
    around = fl.loss_landscape(end, x, y, span=1.0, points=points)
    made, axes = figure(1, 2, size=(10.4, 4.2))
    plane.plot(axes[0, 0]).set_title("the plane of the way")
    around.plot(axes[0, 1]).set_title("random directions")
    rows = (
        Row("loss at the end", f"{around.losses[points // 2, points // 2]:.4f}"),
        Row(
            "share of the way's spread in two directions",
            f"{sum(plane.explained):.0%}",
            "40 % to 90 % (Li et al., 2018)",
        ),
    )
    remark = "A training of some hundred weights takes place almost in a plane; the minimum's bowl is smooth there."
    return Exhibit("The loss around a minimum", rows, made, remark)


def show_yours(model: Any, x: Any, y: Any, *, quick: bool = False) -> Exhibit:
    """Look at the loss around your model's weights."""
    points = 7 if quick else 31
    plane = fl.loss_landscape(model, x, y, points=points)
    line = fl.loss_landscape(model, x, y, points=4 * points + 1, dimensions=1)
    made, axes = figure(1, 2, size=(10.4, 4.2))
    line.plot(axes[0, 0]).set_title("along one random direction")
    plane.plot(axes[0, 1]).set_title("along two")
    rows = (
        Row("loss of the model", f"{line.losses[2 * points]:.4g}"),
        Row("lowest loss that was seen", f"{min(plane.losses.min(), line.losses.min()):.4g}"),
    )
    return Exhibit("The loss around your model", rows, made)
