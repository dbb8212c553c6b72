"""Treated arms against a control: paired scores, an interval, a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallline.experiment.enough import EnoughError
from fallline.experiment.paired import compare

if TYPE_CHECKING:
    from fallline.experiment.arms import experiment

__all__ = ["EnoughError", "compare", "experiment"]


def __getattr__(name: str) -> Any:
    if name != "experiment":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fallline.experiment.arms import experiment  # brings the training along

    return experiment
