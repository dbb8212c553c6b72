"""G10: a learning rate too small, right and too large; the zig-zag with and without momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.gallery.exhibit import Exhibit, Row, animated
from fallline.gallery.planes import contours, gradient_of, walk
from fallline.plot import COLOURS, SERIES, figure

__all__ = ["show"]

STEPS = 40
CURVATURES = (1.0, 20.0)  # along the two axes: stable below a rate of 2 / 20
START = (-4.0, 1.2)
# Title -> learning rate, momentum. The third rate is beyond 2 / 20; the fourth just below it.
SIX = {
    "rate 0.01: too small": (0.01, 0.0),
    "rate 0.06: right": (0.06, 0.0),
    "rate 0.102: too large": (0.102, 0.0),
    "rate 0.09: zig-zag": (0.09, 0.0),
    "rate 0.03, momentum 0.7": (0.03, 0.7),
    "rate 0.09, momentum 0.4": (0.09, 0.4),
}


def bowl(p: Any) -> Any:
    """A bowl with two curvatures."""
    return 0.5 * (CURVATURES[0] * p[0] ** 2 + CURVATURES[1] * p[1] ** 2)


def show(*, quick: bool = False) -> Exhibit:
    """Walk down one bowl six times."""
    steps = 10 if quick else STEPS
    slope = gradient_of(bowl)
    walks = {
        name: walk(slope, START, "sgd", steps, learning_rate=rate, momentum=beta) for name, (rate, beta) in SIX.items()
    }

    def picture() -> tuple[Any, list[Any]]:
        made, axes = figure(2, 3, size=(9.6, 5.2), sharex=True, sharey=True)
        x, y = np.linspace(-4.6, 2.5, 121), np.linspace(-2.6, 2.6, 121)
        for ax, name in zip(axes.ravel(), walks, strict=True):
            contours(ax, x, y, np.sqrt(bowl(np.stack(np.meshgrid(x, y)))))
            ax.plot(0, 0, "*", color=COLOURS["ink"], markersize=9)
            ax.set_title(name, fontsize=10)
            ax.set(xlim=(-4.6, 2.5), ylim=(-2.6, 2.6))
        return made, list(axes.ravel())

    def line(ax: Any, name: str, until: int) -> Any:
        return ax.plot(*walks[name][: until + 1].T, color=SERIES[0], marker="o", markersize=2.5, linewidth=1.2)[0]

    made, axes = picture()
    for ax, name in zip(axes, walks, strict=True):
        line(ax, name, steps)

    def film() -> Any:
        moving, places = picture()
        lines = [line(ax, name, 0) for ax, name in zip(places, walks, strict=True)]

        def frame(i: int) -> None:
            for drawn, name in zip(lines, walks, strict=True):
                drawn.set_data(*walks[name][: i + 1].T)

        return animated(moving, steps + 1, frame)

    rows = tuple(
        Row(f"height after {steps} steps, {name}", f"{float(bowl(places[-1])):.2g}") for name, places in walks.items()
    )
    remark = (
        "A rate above 2 / largest curvature (here 0.1) diverges; momentum adds up what points the same way and cancels "
        "the zig-zag."
    )
    return Exhibit("Learning rate and momentum", rows, made, remark, film)
