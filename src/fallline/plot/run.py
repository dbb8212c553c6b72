"""Learning curves of a run, with the epoch of the lowest validation loss and the findings where they show."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.errors import InputError, nearest
from fallline.plot.style import COLOURS, new_axes
from fallline.report.figures import curves, log_floor, log_wanted
from fallline.types import Run

__all__ = ["plot_run"]


def plot_run(run: Run, quantity: str = "loss", ax: Any = None, *, findings: bool = True) -> Any:
    """Draw one quantity over the epochs, on training and validation rows; return Matplotlib's axes.

    Args:
        run: a run.
        quantity: ``loss``, or a metric: its name on training rows (``run.history.columns``).
        ax: axes to draw on; None: new ones.
        findings: mark the epochs of the diagnosis' findings.

    Raises:
        InputError: the quantity was not watched, or Matplotlib is not installed.
    """
    known = {name.removeprefix("val_") for name in run.trace.quantities}
    if quantity not in known:
        raise InputError(
            f"{quantity!r} was not watched.{nearest(quantity, known)} There is {', '.join(sorted(known))}."
        )
    found = curves(run.trace, quantity)
    ax = new_axes(ax)
    for course in found.members:
        ax.plot(np.arange(1, len(course) + 1), course, color=COLOURS["bar"], linewidth=0.6, alpha=0.5)
    for values, name, colour, dash in ((found.train, "training", "train", "-"), (found.val, "validation", "val", "--")):
        if len(values):
            ax.plot(np.arange(1, len(values) + 1), values, dash, color=COLOURS[colour], label=name, linewidth=1.8)
    if log_wanted(found.values()):
        ax.set_yscale("log")
        if log_floor(found) > found.values().min():
            ax.set_ylim(bottom=log_floor(found))
    best = run.facts.get("best_epoch")
    if isinstance(best, (int, float)) and quantity == "loss" and len(found.val):
        ax.axvline(float(best), color=COLOURS["good"], linewidth=1, linestyle=":", label=f"lowest: epoch {best:g}")
    if findings:
        _mark(ax, run)
    ax.set(xlabel="epoch", ylabel=quantity)
    ax.legend(frameon=False)
    return ax


def _mark(ax: Any, run: Run) -> None:
    """A numbered mark at the top of each epoch at which a finding shows; its name stands in the legend."""
    shown = [finding for finding in run.diagnosis if finding.epoch]
    for i, finding in enumerate(shown):
        level = COLOURS[finding.severity]
        ax.axvline(finding.epoch, color=level, linewidth=0.8, label=f"{i + 1} {finding.symptom}")
        ax.annotate(
            str(i + 1), (finding.epoch, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom",
            color="white", fontsize=8, bbox={"boxstyle": "circle,pad=0.2", "fc": level, "ec": "none"},
        )  # fmt: skip
