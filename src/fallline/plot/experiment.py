"""What every arm of an experiment gained: each pair of trainings, the mean with its interval, the decision."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.plot.style import COLOURS, new_axes
from fallline.types import Decision, Experiment

__all__ = ["plot_experiment"]

_LEVELS: dict[Decision, str] = {"helps": "good", "hurts": "serious", "cannot tell": "soft"}
_SPREAD, _BELOW = 0.3, 0.22  # height that the seeds of an arm take, and how far below it their mean lies
_MOST_ROOM = 0.08  # beside the outermost mark, of the width


def plot_experiment(experiment: Experiment, ax: Any = None) -> Any:
    """Draw the gains of the treated arms over the control; return Matplotlib's axes.

    A dot is one fold with one seed (each seed has a line of its own), the diamond their mean, the bar its 95 %
    interval; the colour and the words on the right say what was decided.

    Args:
        experiment: what was found.
        ax: axes to draw on; None: new ones.

    Raises:
        InputError: Matplotlib is not installed.
    """
    arms = experiment.comparisons
    ax = new_axes(ax, size=(7.4, 1.2 + 0.75 * max(1, len(arms))))
    ax.grid(False, axis="y")
    ax.axvline(0, color=COLOURS["ink"], linewidth=1)
    seeds = max(1, len(experiment.seeds))
    lines = np.linspace(-_SPREAD, 0.0, seeds) if seeds > 1 else np.zeros(1)
    for place, one in enumerate(arms):
        colour = COLOURS[_LEVELS[one.decision]]
        gains = np.reshape(one.differences, (seeds, -1))
        heights = np.broadcast_to(place + lines[:, None], gains.shape)
        ax.plot(gains.ravel(), heights.ravel(), "o", color=COLOURS["bar"], markersize=3.5, alpha=0.7, linewidth=0)
        if np.isfinite([one.low, one.high]).all():
            ax.plot([one.low, one.high], [place + _BELOW] * 2, color=colour, linewidth=2.4, solid_capstyle="butt")
        ax.plot(one.mean, place + _BELOW, "D", color=colour, markersize=7, markeredgecolor="white")
        ax.annotate(
            f"{one.mean:+.3g}\n{one.decision}", (1.0, place), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", va="center", color=colour, fontsize=9,
        )  # fmt: skip
    ends = [v for one in arms for v in (0.0, one.low, one.high, *one.differences) if np.isfinite(v)] or [0.0]
    room = _MOST_ROOM * ((max(ends) - min(ends)) or 1.0)
    ax.set(
        xlim=(min(ends) - room, max(ends) + room),
        ylim=(max(1, len(arms)) - 0.5, -0.5),
        xlabel=f"gain in {experiment.metric} over the control (right of 0: better)",
    )
    ax.set_yticks(range(len(arms)), [one.name for one in arms], color=COLOURS["ink"])
    return ax
