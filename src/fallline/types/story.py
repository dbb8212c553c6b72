"""How a run came about: the experiments before it, what was kept of them, and what that was worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fallline.types.experiment import Experiment
from fallline.types.improvement import Improvement
from fallline.types.run import Score

__all__ = ["Step", "Story"]

_STAGES = {"screen": "screened with one seed", "confirm": "confirmed with fresh seeds"}


@dataclass(frozen=True)
class Step:
    """One experiment of a story.

    Args:
        experiment: with its five parts and its figures.
        stage: in words, e.g. ``screened`` or ``confirmed``; "" where there are no stages.
        reasons: (arm, the symptom that it was tried for).
        kept: the arm that was kept after it, or "".
    """

    experiment: Experiment
    stage: str = ""
    reasons: tuple[tuple[str, str], ...] = ()
    kept: str = ""


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

    @staticmethod
    def of(found: Improvement) -> Story:
        """Return the story of an improvement."""
        steps = tuple(
            Step(entry.experiment, _STAGES.get(entry.stage, entry.stage), tuple(entry.reasons.items()), entry.kept)
            for entry in found.ledger
        )
        return Story(steps, tuple(found.treatments), tuple(found.scores), found.outcome, found.trainings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers."""
        return asdict(self)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Story:
        """Return the story whose `to_dict` this is, lists instead of tuples allowed.

        Raises:
            KeyError, TypeError: it is not.
        """
        steps = tuple(
            Step(
                Experiment.from_dict(one["experiment"]), str(one["stage"]),
                tuple((str(arm), str(found)) for arm, found in one["reasons"]), str(one["kept"]),
            )
            for one in given["steps"]
        )  # fmt: skip
        scores = tuple(Score(**one) for one in given["scores"])
        treatments = tuple(str(one) for one in given["treatments"])
        return Story(steps, treatments, scores, str(given["ended"]), int(given["trainings"]))
