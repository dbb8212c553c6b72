"""G2: guessing weights against following the gradient, at equal cost."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row, final, measure
from fallline.gallery.line import POINTS
from fallline.plot import DASHES, SERIES, figure
from fallline.recipe import override
from fallline.types import Run

__all__ = ["show"]

# A gradient costs about two forward passes more than the loss alone (Baydin et al., JMLR 18, 2018, section 3.2).
PASSES = {"guess": 1, "sgd": 3}
WORDS = {"guess": "guessing", "sgd": "gradient descent"}


def show(*, quick: bool = False) -> Exhibit:
    """Train the line (2 weights) and a 64-15-10 network on digits (1,135 weights) by both."""
    x, y = load_digits(return_X_y=True)
    x, y = x[: 200 if quick else None] / 16.0, y[: 200 if quick else None]
    seeds, budget = range(2 if quick else 5), 300 if quick else 10_000
    line = (fl.networks.mlp(1, 1, hidden=()), POINTS[0][:, None], POINTS[1][:, None], 0.06)
    digits = (fl.networks.mlp(64, 10, hidden=(15,), activation="sigmoid", output="softmax"), x, y, 1.0)
    made, axes = figure(1, 2, size=(9.6, 4.0))
    rows = []
    for ax, name, (model, inputs, targets, rate) in zip(
        axes[0], ("a line: 2 weights", f"digits: {digits[0].count_params():,} weights"), (line, digits), strict=True
    ):
        for i, (way, passes) in enumerate(PASSES.items()):
            spread = rate if way == "sgd" else 1.0
            recipe = override(
                fl.default_recipe("simple"),
                [f"optimizer.name={way}", f"learning_rate={spread}", *(["momentum=0"] if way == "sgd" else [])],
            )
            runs = fl.train_many(
                model, inputs, targets, recipe=recipe, seeds=seeds, batch_size=len(inputs), epochs=budget // passes,
                early_stopping=False, verbose=0,
            )  # fmt: skip
            curve = _lowest(runs)
            ax.plot(
                passes * np.arange(1, curve.shape[1] + 1),
                curve.mean(axis=0),
                DASHES[i],
                color=SERIES[i],
                label=WORDS[way],
            )
            ax.fill_between(
                passes * np.arange(1, curve.shape[1] + 1),
                curve.min(axis=0),
                curve.max(axis=0),
                color=SERIES[i],
                alpha=0.15,
                lw=0,
            )
            rows.append(Row(f"loss, {name}, {WORDS[way]}", measure(final(runs, "loss"))))
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="forward passes over all rows (a gradient: 3)",
            ylabel="lowest loss",
            title=name,
        )
        ax.legend(frameon=False)
    mnist = fl.networks.mlp(784, 10, hidden=(15,))
    biases = sum(int(np.prod(v.shape)) for v in mnist.trainable_variables if len(v.shape) == 1)
    counted = f"{mnist.count_params() - biases:,} weights, {biases} biases"
    rows.append(Row("a 784-15-10 network", counted, "11,910 weights, 25 biases"))
    rows += [Row(f"guesses for a grid of 10 values, {n} weights", f"{10**n:,}", f"10^{n}") for n in (2, 3)]
    remark = (
        f"Bands: from the lowest to the highest of {len(seeds)} seeds. Two weights can be guessed; a thousand cannot."
    )
    return Exhibit("Guessing weights", tuple(rows), made, remark)


def _lowest(runs: list[Run]) -> np.ndarray:
    return np.minimum.accumulate(np.stack([run.trace.curve("running_loss") for run in runs]), axis=1)
