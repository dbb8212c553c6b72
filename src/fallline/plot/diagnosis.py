"""The findings of a diagnosis as bars: how sure, how grave."""

from __future__ import annotations

import textwrap
from typing import Any

from fallline.plot.style import COLOURS, new_axes
from fallline.types import Diagnosis

__all__ = ["plot_diagnosis"]

_LETTERS = 96  # of a line of a message


def plot_diagnosis(diagnosis: Diagnosis, ax: Any = None) -> Any:
    """Draw the findings, most important first: bar: confidence; colour and word: severity; return Matplotlib's axes.

    Args:
        diagnosis: of a run, or of what is planned.
        ax: axes to draw on; None: new ones.

    Raises:
        InputError: Matplotlib is not installed.
    """
    found = list(diagnosis)
    ax = new_axes(ax, size=(9.0, 1.0 + 0.85 * max(1, len(found))))
    ax.grid(False)
    for i, finding in enumerate(found):
        ax.barh(i, finding.confidence, height=0.28, color=COLOURS[finding.severity])
        message = textwrap.fill(finding.message, _LETTERS)
        ax.text(0, i + 0.22, message, va="top", fontsize=8, color=COLOURS["soft"])
    if not found:
        ax.text(0.5, 0, "nothing was found", ha="center", va="center", color=COLOURS["good"])
    ax.set_yticks(range(len(found)), [f"{f.symptom}\n({f.severity})" for f in found], color=COLOURS["ink"])
    ax.set(xlim=(0, 1), ylim=(max(1, len(found)) - 0.2, -0.4), xlabel="confidence")
    return ax
