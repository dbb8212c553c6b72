"""Drawings of a search's curves; the data are made in `fallline.search.curves`."""

from __future__ import annotations

from typing import Any

from fallline.errors import optional
from fallline.search.curves import importance, u_curve
from fallline.types import Choice, Search

__all__ = ["plot_importance", "plot_u_curve"]


def _axes(ax: Any) -> Any:
    return ax if ax is not None else optional("matplotlib.pyplot", "gallery", "A drawing").subplots()[1]


def plot_u_curve(search: Search, entry: str, ax: Any = None) -> Any:
    """Draw all trials and the best over one entry; return Matplotlib's axes.

    Args:
        search: a finished search.
        entry: one that it varied.
        ax: axes to draw on; None: new ones.
    """
    curve, dimension = u_curve(search, entry), search.space[entry]
    ax = _axes(ax)
    trials = [t for t in search.trials if t.epochs is None]
    if isinstance(dimension, Choice):
        labels = [str(value) for value in curve[entry]]
        ax.plot([str(t.point[entry]) for t in trials], [t.value for t in trials], "o", color="0.7", markersize=3)
        ax.plot(labels, curve[search.metric], "o-")
    else:
        ax.plot([t.point[entry] for t in trials], [t.value for t in trials], "o", color="0.7", markersize=3)
        ax.plot(curve[entry], curve[search.metric], "o-")
        if dimension.log:
            ax.set_xscale("log")
    ax.set_xlabel(entry)
    ax.set_ylabel(f"{search.metric} (line: the best)")
    return ax


def plot_importance(search: Search, ax: Any = None) -> Any:
    """Draw each entry's share of the score's variance; return Matplotlib's axes.

    Args:
        search: a finished search.
        ax: axes to draw on; None: new ones.
    """
    found = importance(search)[::-1]
    ax = _axes(ax)
    ax.barh(found["entry"], found["share"])
    ax.set_xlabel(f"share of the variance of {search.metric}")
    return ax
