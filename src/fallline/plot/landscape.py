"""The loss around a point: a curve along a line, contours over a plane, with the path that was walked."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.plot.style import COLOURS, HEAT, new_axes
from fallline.types import Landscape

__all__ = ["plot_landscape"]

_LEVELS = 18


def plot_landscape(landscape: Landscape, ax: Any = None) -> Any:
    """Draw the loss over its line or plane; return Matplotlib's axes.

    Args:
        landscape: what `fallline.loss_landscape` saw.
        ax: axes to draw on; None: new ones.

    Raises:
        InputError: Matplotlib is not installed.
    """
    ax = new_axes(ax, size=(6.4, 4.8))
    loss = np.where(np.isfinite(landscape.losses), landscape.losses, np.nan)
    if len(landscape.axes) == 1:
        ax.plot(landscape.axes[0], loss, color=COLOURS["train"], linewidth=1.8)
        for place, name in landscape.marks.items():
            ax.axvline(place[0], color=COLOURS["soft"], linewidth=0.8, linestyle=":")
            ax.annotate(name, (place[0], 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=9)
        ax.set(xlabel=landscape.labels[0], ylabel="loss")
        return ax
    low = float(np.nanmin(loss))
    above = loss - low
    # The floor of the contours: half of what the lowest neighbours of the minimum show.
    floor = float(np.nanquantile(above[above > 0], 0.02)) if (above > 0).any() else 1.0
    shown = np.log10(np.maximum(above, floor))
    drawn = ax.contourf(landscape.axes[0], landscape.axes[1], shown.T, levels=_LEVELS, cmap=HEAT)
    bar = ax.figure.colorbar(drawn, ax=ax, label=f"log10(loss − {low:.3g})")
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=COLOURS["soft"], labelsize=8)
    ax.grid(False)
    if landscape.path is not None:
        ax.plot(*landscape.path.T, color="white", linewidth=3)
        ax.plot(*landscape.path.T, color=COLOURS["val"], linewidth=1.6, marker="o", markersize=3)
    for place, name in landscape.marks.items():
        ax.plot(*place, marker="*", markersize=13, color="white", markeredgecolor=COLOURS["ink"])
        ax.annotate(name, place, xytext=(8, 8), textcoords="offset points", color="white", fontsize=9)
    ax.set(xlabel=landscape.labels[0], ylabel=landscape.labels[1])
    return ax
