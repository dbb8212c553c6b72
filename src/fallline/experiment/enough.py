"""How an experiment is ended early without losing what is done."""

from __future__ import annotations

__all__ = ["EnoughError"]


class EnoughError(Exception):
    """Raised by a progress function that wants no more trainings: the arms that are done count."""
