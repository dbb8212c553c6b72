"""Pictures in Python: Matplotlib axes of runs, traces, diagnoses, experiments and landscapes, in the report's colours.

One file a noun. Each function takes axes or makes them, draws, and returns the axes, so that a user can restyle them.
The nouns find it by name (``run.plot()``); Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from fallline.plot.diagnosis import plot_diagnosis
from fallline.plot.experiment import plot_experiment
from fallline.plot.landscape import plot_landscape
from fallline.plot.layers import plot_layers
from fallline.plot.markdown import write_markdown
from fallline.plot.run import plot_run
from fallline.plot.style import COLOURS, DASHES, HEAT, SERIES, figure, new_axes, plain

__all__ = [
    "COLOURS",
    "DASHES",
    "HEAT",
    "SERIES",
    "figure",
    "new_axes",
    "plain",
    "plot_diagnosis",
    "plot_experiment",
    "plot_landscape",
    "plot_layers",
    "plot_run",
    "write_markdown",
]
