"""How a run came about: the experiments before it, what was kept of them, and what that was worth."""

from __future__ import annotations

from dataclasses import dataclass

from fallline.types import Experiment, Score

__all__ = ["Step", "Story"]


@dataclass(frozen=True)
class Step:
    """One experiment of a story.

    Args:
        experiment: with its five parts and its figures.
        stage: in words, e.g. ``screened`` or ``confirmed``; "" where there are no stages.
        reasons: (arm, the symptom that it was tried for).
        kept: the treatments that were kept after it; empty: none.
    """

    experiment: Experiment
    stage: str = ""
    reasons: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Story:
    """All experiments behind a run.

    Args:
        steps: in their order.
        treatments: what the run's recipe was changed by, in order.
        scores: on rows that no choice has seen: of the ``model``, of the untreated ``control``, of the baselines.
        ended: why it ended, in words.
        trainings: how many it took; 0: not known.
    """

    steps: tuple[Step, ...]
    treatments: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    ended: str = ""
    trainings: int = 0
