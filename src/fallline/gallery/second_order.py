"""T10: optimizers that know the curvature against Adam: the line of G1, and a 1-8-1 network on a sine."""

from __future__ import annotations

import numpy as np

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row
from fallline.gallery.line import POINTS
from fallline.plot import DASHES, SERIES, figure
from fallline.recipe import override
from fallline.types import Run

__all__ = ["show"]

NAMES = {"lm": "Levenberg–Marquardt", "lbfgs": "L-BFGS", "adam": "Adam"}
SINE = np.linspace(-np.pi, np.pi, 100)
RATES = (0.003, 0.01, 0.03)  # Adam's; the best for each network is taken


def show(*, quick: bool = False) -> Exhibit:
    """Count what each evaluates: a gradient is 1, a loss alone is 1 (it is less), curvature times a vector is 2."""
    seeds, steps, adam = range(2 if quick else 10), 10 if quick else 500, 200 if quick else 100_000
    problems = {"seven points": ((), *POINTS), "a sine, 1-8-1": ((8,), SINE, np.sin(SINE))}
    made, axes = figure(1, 2, size=(9.6, 4.0))
    rows = []
    for ax, (title, (hidden, x, y)) in zip(axes[0], problems.items(), strict=True):
        model = fl.networks.mlp(1, 1, hidden=hidden, activation="tanh")
        ways: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for i, (name, words) in enumerate(NAMES.items()):
            given = override(fl.default_recipe("simple"), [f"optimizer.name={name}", "learning_rate=1"])
            runs = fl.train_many(
                model, x[:, None], y[:, None], recipe=given, seeds=seeds, epochs=adam if name == "adam" else steps,
                vary={"optimizer.learning_rate": RATES if name == "adam" else [1.0]},
                batch_size=len(x), early_stopping=False, verbose=0,
            )  # fmt: skip
            ways[name] = _course(runs, len(seeds))
            cost, loss = ways[name]
            middle = np.exp(np.log(np.maximum(loss, 1e-12)).mean(axis=0))
            ax.plot(cost.mean(axis=0), middle, DASHES[i], color=SERIES[i], label=words, linewidth=1.6)
        rows += [
            Row(f"Adam's cost over that of {NAMES[name]}, {title}", *_ratio(ways[name], ways["adam"]))
            for name in ("lm", "lbfgs")
        ]
        ax.set(
            xscale="log",
            yscale="log",
            title=title,
            xlabel="evaluations (a gradient: 1)",
            ylabel="lowest mean squared error",
        )
        ax.legend(frameon=False)
    rates = ", ".join(map(str, RATES))
    remark = f"Geometric means over {len(seeds)} networks. Adam at the best of the rates {rates} for each."
    return Exhibit("Optimizers that know the curvature", tuple(rows), made, remark)


def _course(runs: list[Run], seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (cost, lowest loss so far), (seeds, epochs) each, before each step; of several rates each seed's best."""
    lowest = np.stack([np.minimum.accumulate(run.trace.curve("running_loss")) for run in runs])
    loss = lowest.reshape(-1, seeds, runs[0].trace.n_epochs)
    spent = []
    for run in runs[:seeds]:
        counted = run.facts["evaluations"]
        total = counted["losses"] + counted["gradients"] + 2 * counted["products"]
        spent.append(total * np.arange(1, loss.shape[-1] + 1) / loss.shape[-1])
    best = loss[..., -1].argmin(axis=0)
    return np.array(spent), loss[best, np.arange(seeds)]


def _ratio(fast: tuple[np.ndarray, np.ndarray], adam: tuple[np.ndarray, np.ndarray]) -> tuple[str, str]:
    """How many times as much Adam evaluates to come as low as the other ends; at least so much, where it never does."""
    ratios, reached = [], 0
    for (cost, loss), (spent, slow) in zip(zip(*fast, strict=True), zip(*adam, strict=True), strict=True):
        goal = loss[-1] * 1.0001  # float32 shows little less
        ours = cost[int((loss <= goal).argmax())]
        came = bool((slow <= goal).any())
        reached += came
        ratios.append((spent[int((slow <= goal).argmax())] if came else spent[-1]) / ours)
    more = "" if reached == len(ratios) else f"at least (Adam came as low with {reached} of {len(ratios)}) "
    mean = float(np.exp(np.mean(np.log(ratios))))
    return f"{more}{mean:,.0f}" if mean >= 10 else f"{more}{mean:.1f}", "20 or more"
