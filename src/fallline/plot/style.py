"""What all pictures share: the report's colours on white, thin axes, and one error where Matplotlib is missing."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from fallline.errors import InputError

__all__ = ["COLOURS", "DASHES", "HEAT", "SERIES", "figure", "new_axes", "plain"]

# Those of report/style.css on white, by the same names; a test compares the two. Okabe & Ito (2008): blue and vermilion
# can be told apart with every kind of colour blindness.
COLOURS: Mapping[str, str] = {
    "ink": "#1e2328",
    "soft": "#5a636d",
    "rule": "#e3dfd6",
    "train": "#0068a4",
    "val": "#bd4b00",
    "good": "#00734f",
    "note": "#3d6a8c",
    "warning": "#8a5c00",
    "serious": "#b3261e",
    "bar": "#7d97ab",
}
# Those of the live page for several runs in one picture, in its order.
SERIES: tuple[str, ...] = ("#0068a4", "#bd4b00", "#00734f", "#a3478a", "#7a5c00", "#1e2328", "#2a7ea8", "#b3261e")
# Lines that are told apart without colour, too.
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
HEAT = "cividis"  # the live page's heat maps; even for colour-blind eyes


def _matplotlib(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if not str(error.name or "").startswith("matplotlib"):
            raise
        raise InputError("Pictures need Matplotlib: pip install 'fallline[gallery]'.") from error


def new_axes(ax: Any = None, *, size: tuple[float, float] = (7.0, 4.2)) -> Any:
    """Return the axes to draw on, in the common style: the given ones, or new ones of ``size`` inches.

    Raises:
        InputError: Matplotlib is not installed.
    """
    if ax is None:
        ax = _matplotlib("matplotlib.pyplot").subplots(figsize=size, layout="constrained")[1]
    return plain(ax)


def figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (7.0, 4.2), **options: Any) -> Any:
    """Return (figure, array of axes (rows, columns)) that no window manager knows: made to be written to a file.

    Raises:
        InputError: Matplotlib is not installed.
    """
    made = _matplotlib("matplotlib.figure").Figure(figsize=size, layout="constrained")
    axes = made.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.ravel():
        plain(ax)
    return made, axes


def plain(ax: Any) -> Any:
    """Give axes the common style: no box, soft ticks, a faint grid behind everything."""
    if hasattr(ax, "spines") and "top" in ax.spines:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(COLOURS["soft"])
    ax.tick_params(colors=COLOURS["soft"], labelsize=9)
    ax.grid(True, color=COLOURS["rule"], linewidth=0.7)
    ax.set_axisbelow(True)
    return ax
