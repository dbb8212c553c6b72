"""What was measured beside the baselines, with intervals and paired differences."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from fallline.evaluate.task import BASELINES, Outcome, Task
from fallline.resampled import corrected_mean, holm
from fallline.types import Difference, Evaluation, Score

__all__ = ["add_baselines", "evaluation"]


def add_baselines(task: Task, outcome: Outcome) -> None:
    """Score the dummy and the linear model on every fold, where the targets are of a kind that they can predict."""
    from fallline.score import baselines

    if task.features is None:
        outcome.notes.append("No baselines: the targets are neither classes nor quantities, one or several a row.")
        return
    problem, alone = task.problem, len(task.folds) == 1
    shape = (len(task.folds), task.rounds)
    for who in BASELINES:
        outcome.values[who] = {name: np.full(shape, np.nan) for name in task.metrics}
        outcome.intervals[who] = {}
    for place, (train, held) in enumerate(task.folds):
        for score in baselines(problem, task.features(train), train, held, n_bootstrap=1000 if alone else 0):
            outcome.values[score.who][score.metric][place] = score.value
            if alone:
                outcome.intervals[score.who][score.metric] = (score.low, score.high)


def evaluation(task: Task, outcome: Outcome) -> Evaluation:
    """Return what was found."""
    names = tuple(outcome.values)
    held = len(np.unique(np.concatenate([held for _, held in task.folds])))
    ratio = float(np.mean([len(held) / len(train) for train, held in task.folds]))
    scores = []
    for who in names:
        for metric in task.metrics:
            mean = corrected_mean(outcome.values[who][metric].mean(axis=1), ratio)
            low, high = outcome.intervals.get(who, {}).get(metric, (mean.low, mean.high))
            scores.append(Score(metric, mean.value, low, high, "held-out folds", held, who, metric in task.rising))
    by_metric = {metric: {who: outcome.values[who][metric] for who in names} for metric in task.metrics}
    return Evaluation(
        metric=task.metric,
        higher_is_better=task.metric in task.rising,
        scheme=task.scheme if not outcome.chosen else f"{task.scheme}, nested",
        names=names,
        values=by_metric,
        scores=tuple(scores),
        differences=_differences(task, by_metric[task.metric], ratio),
        folds=tuple(task.folds),
        seeds=tuple(task.seeds or ()),
        chosen=outcome.chosen,
        selected_on=outcome.selected_on,
        trainings=outcome.trainings,
        notes=tuple(_notes(task, outcome)),
    )


def _differences(task: Task, values: Mapping[str, np.ndarray], ratio: float) -> tuple[Difference, ...]:
    """Compare all pairs on the same folds; the p-values are adjusted for their number."""
    pairs = list(itertools.combinations(values, 2))
    means = [corrected_mean((values[a] - values[b]).mean(axis=1), ratio) for a, b in pairs]
    return tuple(
        Difference(a, b, task.metric, mean.value, mean.low, mean.high, float(p), task.metric in task.rising)
        for (a, b), mean, p in zip(pairs, means, holm([mean.p for mean in means]), strict=True)
    )


def _notes(task: Task, outcome: Outcome) -> list[str]:
    notes = []
    if outcome.diverged:
        notes.append(f"{outcome.diverged} of {outcome.trainings} trainings diverged; their scores are not there.")
    if len(task.folds) == 1:
        notes.append("One hold-out: the intervals are over its rows alone; folds=5 also sees other training rows.")
    return notes + outcome.notes
