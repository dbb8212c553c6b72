"""An experiment as its account: what was asked, expected, done and found."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data import folds as make_folds
from fallline.errors import InputError, is_count
from fallline.experiment.paired import compare
from fallline.train.jobs import fold_pairs
from fallline.treatments import discover
from fallline.types import Comparison, Experiment, Problem

__all__ = ["Key", "Memory", "Pair", "Plan", "Scored", "account"]

Pair = tuple[np.ndarray, np.ndarray]  # (training rows, held-out rows)
Key = tuple[str, int, str]  # of an arm, the seed, the metric
Memory = MutableMapping[Key, np.ndarray]  # -> (folds,) scores


@dataclass(frozen=True, eq=False)
class Plan:
    """What is the same for all arms.

    Args:
        seeds: of the trainings.
        folds: how many, or pairs of rows.
        metric: by which the arms are compared; None: the usual one for the targets.
        fork_at: epochs of the control behind which the arms part; None: they have nothing in common.
        on_progress: as for `fallline.train`; returning True ends the experiment.
    """

    seeds: Sequence[int]
    folds: Any
    metric: str | None = None
    fork_at: int | None = None
    on_progress: Any = None

    def pairs(self, about: Problem | np.ndarray) -> list[Pair]:
        """Return the folds.

        Args:
            about: the table; or targets (n,): words for classes, by which folds are stratified, or numbers.

        Raises:
            InputError: there is one fold alone.
        """
        if is_count(self.folds):
            found = make_folds(about, folds=int(self.folds))
        else:
            found = fold_pairs(self.folds, about.y if isinstance(about, Problem) else about)
        if len(found) < 2:
            raise InputError(f"folds has {len(found)} pair: an experiment takes at least 1 seed and 2 folds.")
        return found


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of all arms.

    Args:
        table: arm -> (seeds, folds) scores; the first is the control.
        metric: what they are.
        higher_is_better: its direction.
        share: n_test / n_train of a fold.
        rows: of the table.
        fork_at: epochs behind which the arms part; None: they have nothing in common.
        notes: sentences on what was done.
    """

    table: Mapping[str, np.ndarray]
    metric: str
    higher_is_better: bool
    share: float
    rows: int
    fork_at: int | None = None
    notes: tuple[str, ...] = ()


def _line(one: Comparison) -> str:
    return f"{one.name}: {one.mean:+.4g} [{one.low:+.4g}, {one.high:+.4g}], p = {one.p_adjusted:.3f}: {one.decision}"


def _listed(names: Sequence[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def account(scored: Scored, seeds: Sequence[int]) -> Experiment:
    """Decide about every arm, and put it into words.

    Args:
        scored: the scores.
        seeds: of the trainings.
    """
    table, control = dict(scored.table), next(iter(scored.table))
    others = {arm: scores for arm, scores in table.items() if arm != control}
    found = compare(table[control], others, share=scored.share, higher_is_better=scored.higher_is_better)
    folds = table[control].shape[1]
    pages = {treatment.name: treatment for treatment in discover()}
    expected = [f"{one.name}: {pages[one.name].sections['When it helps']}" for one in found if one.name in pages]
    parted = "" if scored.fork_at is None else f", from epoch {scored.fork_at} of the control on"
    decided = {word: [one.name for one in found if one.decision == word] for word in ("helps", "hurts")}
    words = [
        f"{_listed(names, 'and')} {word if len(names) == 1 else word[:-1]}." for word, names in decided.items() if names
    ]
    hints = [
        f"{one.more_seeds} more {'seed' if one.more_seeds == 1 else 'seeds'} would decide about {one.name}."
        for one in found
        if one.more_seeds
    ]
    how = (
        f"{len(table)} arms, {len(seeds)} seed{'s' * (len(seeds) > 1)} and {folds} folds of {scored.rows} rows, the "
        "same for all; corrected resampled t-test, Holm's correction, and a bootstrap over folds that agrees."
    )
    return Experiment(
        intent=f"Does {_listed([one.name for one in found], 'or')} improve the {scored.metric}{parted}?",
        expectation=" ".join(" ".join(text.split()) for text in expected),
        method=" ".join((how, *scored.notes)),
        result="\n".join(map(_line, found)),
        finding=" ".join([*(words or ["Nothing can be told for certain."]), *hints]),
        metric=scored.metric,
        higher_is_better=scored.higher_is_better,
        seeds=tuple(seeds),
        folds=folds,
        fork_at=scored.fork_at,
        scores={arm: tuple(float(value) for value in scores.ravel()) for arm, scores in table.items()},
        comparisons=found,
    )
