"""A statistic of every layer over the epochs, as a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.errors import InputError, nearest
from fallline.plot.style import COLOURS, HEAT, new_axes
from fallline.report.figures import log_wanted
from fallline.types import LAYER_STATISTICS, Trace

__all__ = ["plot_layers"]

_MOST_TICKS = 12


def plot_layers(trace: Trace, statistic: str = "gradient_norm", ax: Any = None) -> Any:
    """Draw one statistic of the layers as a heat map of layers x epochs; return Matplotlib's axes.

    Args:
        trace: of a run that was watched from inside.
        statistic: of `fallline.types.LAYER_STATISTICS`; the median over the members is shown, on a logarithmic scale
            where the values span decades.
        ax: axes to draw on; None: new ones.

    Raises:
        InputError: nobody looked inside, there is no such statistic, or Matplotlib is not installed.
    """
    if statistic not in LAYER_STATISTICS:
        known = ", ".join(LAYER_STATISTICS)
        raise InputError(
            f"There is no statistic {statistic!r}.{nearest(statistic, LAYER_STATISTICS)} There is {known}."
        )
    seen = {} if trace.inside is None else trace.inside.statistics()
    if trace.inside is None or f"layer_{statistic}" not in seen:
        why = "" if trace.inside is None else trace.inside.reason
        raise InputError(f"{statistic} was not watched in this training: train with watch=True. {why}".rstrip())
    values = np.asarray(seen[f"layer_{statistic}"]).T  # (L, t)
    rows = np.flatnonzero(~np.isnan(values).all(axis=1))
    values, names = values[rows], [trace.inside.layers[i] for i in rows]
    ax = new_axes(ax, size=(7.0, 1.4 + 0.36 * len(names)))
    ax.grid(False)
    norm = None
    if log_wanted(values):
        from matplotlib.colors import LogNorm

        norm = LogNorm()
    mesh = ax.imshow(values, aspect="auto", cmap=HEAT, norm=norm, interpolation="nearest")
    bar = ax.figure.colorbar(mesh, ax=ax, label=statistic.replace("_", " "))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=COLOURS["soft"], labelsize=8)
    ticks = np.unique(np.linspace(0, values.shape[1] - 1, _MOST_TICKS).round().astype(int))
    ax.set_xticks(ticks, [str(trace.inside.epochs[i]) for i in ticks])
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("epoch")
    return ax
