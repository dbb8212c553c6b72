"""What `fallline.improve` tells while it works, and what it hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fallline.types.diagnosis import Diagnosis
from fallline.types.experiment import Experiment
from fallline.types.recipe import Recipe
from fallline.types.run import Run, Score
from fallline.types.treatment import Design
from fallline.types.verbs import Reported

__all__ = ["End", "EventKind", "ImproveEvent", "Improvement", "LedgerEntry"]

End = Literal["nothing helps", "solved", "budget", "interrupted"]
EventKind = Literal["diagnosed", "candidates", "experiment", "decided", "stopped", "scored"]


@dataclass(frozen=True)
class ImproveEvent:
    """One step of an improvement, as soon as it is known.

    Args:
        kind: ``diagnosed``, ``candidates`` (what is to be tried, and why), ``experiment`` (it begins), ``decided``,
            ``stopped``, ``scored``.
        text: what happened, a sentence or one line an arm.
        facts: the same as plain values, ready for JSON.
        seconds: since the call.
        trainings: so far.
    """

    kind: EventKind
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    trainings: int = 0


@dataclass(frozen=True)
class LedgerEntry:
    """One experiment of an improvement.

    Args:
        number: its place, from 1.
        stage: ``screen`` (many treatments, one seed) or ``confirm`` (those that looked best, with fresh seeds and other
            folds).
        control: treatments that its control had already.
        arms: arm -> the treatments that it adds to the control.
        reasons: arm -> the symptom that it was tried for; "" where it was tried without one.
        experiment: intent, expectation, method, result, finding, and the figures.
        kept: the arm that was kept, or "".
        repeated: taken from the ledger on disk rather than trained again.
    """

    number: int
    stage: Literal["screen", "confirm"]
    control: tuple[str, ...]
    arms: Mapping[str, tuple[str, ...]]
    reasons: Mapping[str, str]
    experiment: Experiment
    kept: str = ""
    repeated: bool = False


@dataclass(frozen=True, eq=False)
class Improvement(Reported):
    """A better recipe (or Keras model), how it was found, and what it is worth.

    Args:
        better: the recipe or the design with the kept treatments; the control itself where nothing helped.
        treatments: those that were kept, in order.
        run: the better recipe, trained; None where the search was interrupted.
        scores: on rows that no choice has seen: of the ``model``, of the untreated ``control`` and of the baselines;
            with ``holdout=0`` there are no such rows, and no scores.
        ledger: every experiment.
        before: what the control's training showed.
        after: what the better one's showed.
        outcome: ``nothing helps`` (any more), ``solved`` (next to nothing is left to gain), ``budget``, or
            ``interrupted``.
        trainings: how many it took; a recipe's ensemble counts as one.
        seconds: how long it took.
    """

    better: Recipe | Design
    treatments: tuple[str, ...]
    run: Run | None
    scores: tuple[Score, ...]
    ledger: tuple[LedgerEntry, ...]
    before: Diagnosis
    after: Diagnosis
    outcome: End
    trainings: int
    seconds: float

    @property
    def recipe(self) -> Recipe:
        """The better recipe; AttributeError where a Keras model was improved."""
        if not isinstance(self.better, Recipe):
            raise AttributeError("A Keras model was improved: its design is `.better`, the trained model `.run.model`.")
        return self.better

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and numbers, ready for JSON."""
        return {
            "treatments": list(self.treatments),
            "outcome": self.outcome,
            "trainings": self.trainings,
            "seconds": self.seconds,
            "scores": [vars(score) for score in self.scores],
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "ledger": [
                {**vars(entry), "arms": {arm: list(names) for arm, names in entry.arms.items()},
                 "experiment": entry.experiment.to_dict()}
                for entry in self.ledger
            ],
        }  # fmt: skip

    def __str__(self) -> str:
        kept = ", ".join(self.treatments) or "nothing"
        cost = f"{len(self.ledger)} experiments, {self.trainings:,} trainings, {self.seconds:.0f} s"
        lines = [f"kept: {kept} ({cost}; ended by: {self.outcome})"]
        lines += [
            f"  {score.who:8} {score.metric} {score.value:.4g} [{score.low:.4g}, {score.high:.4g}]"
            for score in self.scores
            if score.metric == self.scores[0].metric
        ]
        return "\n".join(lines)
