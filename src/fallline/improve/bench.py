"""What is improved, and on which rows: the interface of tables and Keras models to the loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fallline.experiment.account import Memory
from fallline.types import Diagnosis, Experiment, Progress, Run, Score

__all__ = ["Bench", "OnProgress"]

OnProgress = Callable[[Progress], Any]


class Bench(ABC):
    """A control, the rows that choices may see, and those that they may not.

    Args:
        control: as it was given, untreated.
        folds: of an experiment.
        held_out: how many rows no choice sees; 0: none.
        about: plain values that tell improvements apart.
        pace: seconds that a training of an experiment may take, going by the last diagnosis; 0: not known.
        most_arms: of one experiment: enough that a population fills the machine, few enough that Holm's correction for
            their number leaves a clear effect visible.
        last: names of treatments that are tried behind all others.
        memory: scores that are known on the folds of each partition; (): nothing is remembered.
    """

    control: Any
    folds: int
    held_out: int
    about: Mapping[str, Any]
    pace: float = 0.0
    most_arms: int = 8
    last: tuple[str, ...] = ()
    memory: tuple[Memory, ...] = ()

    @abstractmethod
    def treated(self, subject: Any, names: tuple[str, ...]) -> Any | None:
        """Return the subject treated, or None where there is nothing to change."""

    @abstractmethod
    def viable(self, subject: Any) -> bool:
        """Return whether the subject can be trained on these rows."""

    @abstractmethod
    def key(self, subject: Any) -> str:
        """Return what tells two subjects apart."""

    @abstractmethod
    def diagnosed(self, subject: Any, on_progress: OnProgress) -> Diagnosis:
        """Train once on the rows of the choices and say what is wrong."""

    @abstractmethod
    def experiment(
        self, control: Any, arms: Mapping[str, Any], seeds: Sequence[int], partition: int, on_progress: OnProgress
    ) -> Experiment:
        """Compare arms with a control on the rows of the choices, on the folds of that partition.

        Where ``on_progress`` raises `EnoughError`, the arms that are done may be compared without the others.
        """

    def remembers(self, subject: Any, seeds: Sequence[int], partition: int) -> bool:
        """Return whether an experiment would find the subject's scores without training it."""
        key = self.key(subject)
        known = {seed for one, seed, _ in self.memory[partition] if one == key} if self.memory else set()
        return known.issuperset(seeds)

    def constant(self, metric: str) -> float | None:
        """Return what the best constant prediction scores; None where there is none to tell.

        The best possible score is 1 of what rises, and else 0.
        """
        return None

    @abstractmethod
    def finished(self, better: Any, on_progress: OnProgress) -> tuple[Run, tuple[Score, ...]]:
        """Train what was found, and score it beside the control and the baselines on the rows that no choice saw."""
