"""G1: a line through seven points, fitted by gradient descent: a network with no hidden layer."""

from __future__ import annotations

import numpy as np

import fallline as fl
from fallline.gallery.conditioning import condition
from fallline.gallery.exhibit import Exhibit, Row
from fallline.gallery.planes import contours
from fallline.plot import COLOURS, figure
from fallline.recipe import override

__all__ = ["POINTS", "show"]

X = np.array([2.4, 2.8, 3.2, 3.6, 4.0, 4.2, 5.0])
Y = np.array([1.7, 1.85, 1.79, 1.95, 2.1, 2.0, 2.7])
POINTS = (X, Y)
START = (-1.5, 6.5)  # slope and intercept
RATE = 0.06  # below 2 over the largest curvature, 28.6


def show(*, quick: bool = False) -> Exhibit:
    """Train the line for longer and longer from the same start, and draw where it was."""
    model = fl.networks.mlp(1, 1, hidden=())
    model.set_weights([np.array([[START[0]]], np.float32), np.array([START[1]], np.float32)])
    descent = override(fl.default_recipe("simple"), ["optimizer.name=sgd", "momentum=0", f"learning_rate={RATE}"])
    epochs = [1, 2, 3, 4, 5, 6, 8, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, *([] if quick else [5120])]
    runs = fl.train_many(
        model, X[:, None], Y[:, None], recipe=descent, vary={"training.epochs": epochs}, batch_size=7,
        early_stopping=False, verbose=0,
    )  # fmt: skip
    weights = [START, *((float(w[0, 0]), float(b[0])) for w, b in (run.model.get_weights() for run in runs))]
    slope, intercept = weights[-1]
    error = float(np.mean((slope * X + intercept - Y) ** 2))

    made, axes = figure(1, 2, size=(9.6, 4.0))
    fit, bowl = axes[0]
    fit.plot(X, Y, "o", color=COLOURS["ink"], markersize=6, label="the seven points")
    ends = np.array([2.2, 5.2])
    for (slope_then, intercept_then), dash in zip((weights[0], weights[3], weights[-1]), (":", "--", "-"), strict=True):
        step = 0 if dash == ":" else epochs[2] if dash == "--" else epochs[-1]
        fit.plot(ends, slope_then * ends + intercept_then, dash, color=COLOURS["train"], label=f"after {step:,} steps")
    fit.set(xlabel="x", ylabel="y", ylim=(0.5, 4.5), title="the line")
    fit.legend(frameon=False)
    m, b = np.meshgrid(np.linspace(-2, 4, 121), np.linspace(-6, 8, 121))
    mse = np.mean((m[..., None] * X + b[..., None] - Y) ** 2, axis=-1)
    contours(bowl, m[0], b[:, 0], np.log10(mse))
    bowl.plot(*np.array(weights).T, color=COLOURS["val"], marker="o", markersize=3.5, linewidth=1.4, label="the way")
    bowl.plot(*weights[-1], "*", color=COLOURS["ink"], markersize=12, label="least squares")
    bowl.set(xlabel="slope m", ylabel="intercept b", title="its error, a long bowl")
    bowl.legend(frameon=False, loc="lower left")
    rows = (
        Row("slope m", f"{slope:.5f}", "0.33559"),
        Row("intercept b", f"{intercept:.5f}", "0.80472"),
        Row("mean squared error", f"{error:.5f}", "0.01805"),
    )
    remark = (
        f"The bowl is {np.sqrt(condition(np.c_[X, np.ones(7)])[1]):.0f} times as long as wide: descent is quick across "
        "it, and takes thousands of steps along it."
    )
    return Exhibit("A line through seven points", rows, made, remark)
