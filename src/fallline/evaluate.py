"""`fallline.evaluate`: how well a way of training does on rows by which nothing was chosen.

Preparation, early stopping, and with ``nested`` the choice of the recipe happen inside each outer fold. Source:
G. Cawley, N. Talbot, "On over-fitting in model selection and subsequent selection bias in performance
evaluation" (2010).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.data import restricted
from fallline.errors import InputError, is_count
from fallline.recipe import as_recipe
from fallline.resampled import corrected_mean, holm
from fallline.search import (
    METRICS,
    Folds,
    Measured,
    candidates,
    check_strategy,
    checked_seeds,
    is_higher_better,
    make_space,
    measure,
    metric_of,
    partition,
    search,
    with_split,
)
from fallline.types import Difference, Evaluation, Problem, Recipe, Score

__all__ = ["evaluate"]

BASELINES = ("dummy", "linear")
_REFUSAL = (
    "fl.evaluate was given {}; it takes a Recipe or the name of a preset ('default', 'simple'), or several of them. "
    "For a Keras model: fl.train_many(model, x, y, folds=5)."
)


def evaluate(
    what: Any = "default",
    x: Any = None,
    y: Any = None,
    *,
    target: str | list[str] | None = None,
    kind: str | None = None,
    folds: Any = 5,
    repeats: int = 1,
    seeds: Any = None,
    nested: Any = None,
    inner: int = 5,
    strategy: str = "random",
    trials: int = 20,
    baselines: bool = True,
    metric: str | None = None,
    stratify: bool = True,
    group: Any = None,
    time: str | None = None,
    share: float = 0.2,
    seed: int = 0,
    sample_weight: Any = None,
    on_progress: Any = None,
) -> Evaluation:
    """Score recipes beside two baselines on the held-out rows of the same folds, with intervals.

    Args:
        what: a preset's name or a `Recipe`; or several of them, as a list or as a mapping name -> recipe.
        x: a table, as for `fallline.train`; with y=None also the pair (x, y).
        y: targets (n, ...), or a column name.
        target: the target column(s) of ``x``.
        kind: the kind of problem, when it shall not be inferred.
        folds: how many (1: a hold-out); pairs (training rows, held-out rows); or a scikit-learn splitter.
        repeats: partitions into folds, each another one.
        seeds: of the trainings on every fold, or how many; default: each recipe's own.
        nested: choose the recipe inside each outer fold, by its training rows alone. True: among ``what``, by ``inner``
            folds; a space, as for `fallline.search`, of the one recipe; or a function of a `Problem` (that of the outer
            training rows) which returns a recipe, or something with a ``recipe``.
        inner: folds of the choice.
        strategy: of the search in a space.
        trials: candidates of that search.
        baselines: score ``dummy`` and ``linear``, too.
        metric: by which is chosen and compared; default: log-loss, or RMSE.
        stratify: keep the classes' shares equal in all folds.
        group: rows of equal value stay together: a column's name, or labels (n,).
        time: the name of a column: train on the past, hold out what follows.
        share: of the rows to hold out when ``folds`` is 1.
        seed: of the folds.
        sample_weight: (n,) weights of the rows.
        on_progress: called with a `Progress` between chunks of epochs.

    Raises:
        InputError: before any training: fewer rows than folds, a class that is absent from a fold, and all that
            `fallline.train_many` finds.

    >>> import fallline as fl
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 60)[:, None]
    >>> brief = fl.default_recipe("simple")
    >>> found = fl.evaluate(brief, (x, 3 * x[:, 0]), folds=3)
    >>> found.names, found.values["rmse"]["simple"].shape
    (('simple', 'dummy', 'linear'), (3, 1))
    """
    task = _task(
        what, x, y, target=target, kind=kind, folds=folds, repeats=repeats, seeds=seeds, metric=metric,
        stratify=stratify, group=group, time=time, share=share, seed=seed, sample_weight=sample_weight,
        on_progress=on_progress,
    )  # fmt: skip
    if nested is None or nested is False:
        found = task.measured(list(task.contenders.values()), task.folds)
        outcome = _Outcome({name: one.values for name, one in zip(task.contenders, found, strict=True)})
        outcome.intervals = {name: one.intervals for name, one in zip(task.contenders, found, strict=True)}
        outcome.trainings = len(found) * len(task.folds) * task.rounds
        outcome.diverged = sum(one.diverged for one in found)
    elif nested is True:
        outcome = _chosen_among(task, list(task.contenders.values()), _inner_folds(task, inner))
    elif isinstance(nested, (Mapping, str, Path)):
        outcome = _searched(task, nested, inner, strategy, trials)
    elif callable(nested):
        outcome = _chosen_by(task, nested)
    else:
        raise InputError(
            f"nested = {nested!r} is not allowed: it takes True, to choose among the recipes, a space, or a "
            "function of a Problem that returns a recipe."
        )
    if baselines:
        _add_baselines(task, outcome)
    return _evaluation(task, outcome)


@dataclass(frozen=True, eq=False)
class _Task:
    """What is to be evaluated, checked."""

    problem: Problem
    contenders: dict[str, Recipe]
    folds: Folds
    scheme: str
    seeds: list[int] | None
    metric: str
    share: float
    split: Mapping[str, Any]  # how folds are made of rows again
    on_progress: Any

    @property
    def rounds(self) -> int:
        """Trainings of a recipe on a fold."""
        return 1 if self.seeds is None else len(self.seeds)

    def measured(self, candidates: Sequence[Recipe], folds: Folds) -> list[Measured]:
        return measure(self.problem, candidates, seeds=self.seeds, folds=folds, on_progress=self.on_progress,
                       intervals=len(self.folds) == 1 and folds[0][1] is self.folds[0][1])  # fmt: skip


@dataclass(eq=False)
class _Outcome:
    """What the trainings gave: contender -> metric -> (folds, seeds), and (low, high) of a single hold-out."""

    values: dict[str, dict[str, np.ndarray]]
    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    chosen: tuple[Recipe, ...] = ()
    selected_on: float = float("nan")
    trainings: int = 0
    diverged: int = 0


def _task(what: Any, x: Any, y: Any, *, target: Any, kind: Any, folds: Any, repeats: int, seeds: Any, metric: Any,
          stratify: bool, group: Any, time: Any, share: float, seed: int, sample_weight: Any,
          on_progress: Any) -> _Task:  # fmt: skip
    from fallline.train.api import make_recipe_problem

    contenders = _contenders(what)
    if y is None and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    problem = make_recipe_problem(x, y, target, kind, sample_weight)
    if time is not None and not isinstance(time, str):
        raise InputError("time takes a column's name: the validation rows of each training are parted by it, too.")
    own = {recipe.split.group for recipe in contenders.values()}, {recipe.split.time for recipe in contenders.values()}
    counted = is_count(folds)
    if counted and group is None and time is None and len(own[0]) == len(own[1]) == 1:
        group, time = next(iter(own[0])) or None, next(iter(own[1])) or None
    contenders = {name: with_split(recipe, group, time) for name, recipe in contenders.items()}
    if group is not None and not isinstance(group, str):
        labels = np.asarray(group)
        if labels.shape != (problem.n_rows,):
            raise InputError(f"group has the shape {labels.shape}; it takes {problem.n_rows} labels, one per row.")
        problem = replace(problem, groups=labels)
        group = None
    metric = metric_of(problem, metric)
    split = {"stratify": stratify, "group": group, "time": time}
    pairs = partition(problem, folds, repeats=repeats, seed=seed, share=share, metric=metric, **split)
    scheme = _scheme(problem, pairs, counted, repeats, split)
    return _Task(problem, contenders, pairs, scheme, checked_seeds(seeds), metric, share,
                 {**split, "seed": seed}, on_progress)  # fmt: skip


def _contenders(what: Any) -> dict[str, Recipe]:
    """Name the recipes."""
    if isinstance(what, Mapping):
        named = {str(name): as_recipe(one, _REFUSAL) for name, one in what.items()}
    else:
        several = list(what) if isinstance(what, (list, tuple)) else [what]
        found = [as_recipe(one, _REFUSAL) for one in several]
        names = [one if isinstance(one, str) else one.preset for one in several]
        if len(set(names)) < len(names):
            names = [f"recipe {i + 1}" for i in range(len(names))]
        named = dict(zip(names, found, strict=True))
    if not named or set(named) & set(BASELINES):
        raise InputError(
            "There is no recipe to evaluate." if not named else "dummy and linear are the baselines' names; rename."
        )
    return named


def _scheme(problem: Problem, pairs: Folds, counted: bool, repeats: int, split: Mapping[str, Any]) -> str:
    """Say in words how the rows were parted."""
    if not counted:
        return f"{len(pairs)} given folds"
    words = "hold-out" if len(pairs) == 1 else f"{len(pairs) // repeats} folds"
    if repeats > 1:
        words += f" x {repeats} repeats"
    if split["time"]:
        return f"{words} in time by {split['time']}"
    if split["group"] or problem.groups is not None:
        return f"{words} by group"
    return words + (", stratified" if problem.is_classification and split["stratify"] else "")


# -------------------------------------------------------------------------------------------------------- nested


def _inner_folds(task: _Task, inner: int) -> list[Folds]:
    """Return for each outer fold the folds of its training rows."""
    split = {**task.split}
    found = []
    for place, (train, _) in enumerate(task.folds):
        split["seed"] = (int(task.split["seed"]) + 1 + place) % 2**32
        found.append(partition(task.problem, inner, rows=train, share=task.share, metric=task.metric, **split))
    return found


def _searched(task: _Task, space: Any, inner: int, strategy: str, trials: int) -> _Outcome:
    """Search in a space inside each outer fold."""
    if len(task.contenders) > 1:
        raise InputError("A space varies one recipe; give one, or nested = True to choose among several.")
    (recipe,) = task.contenders.values()
    if strategy in ("random", "grid"):  # the candidates do not depend on results: all outer folds share them
        listed = candidates(recipe, space, strategy, trials, int(task.split["seed"]), task.problem.kind)
        return _chosen_among(task, listed, _inner_folds(task, inner))
    check_strategy(strategy, trials)
    make_space(space, recipe)
    time = task.split["time"]
    kept = {"stratify": task.split["stratify"], "group": task.split["group"], "split_time": time}
    return _chosen_by(
        task,
        lambda problem: search(
            recipe, problem, space=space, strategy=strategy, trials=trials, folds=inner, seeds=task.seeds,
            metric=task.metric, seed=int(task.split["seed"]), on_progress=task.on_progress, **kept,
        ),
    )  # fmt: skip


def _chosen_among(task: _Task, candidates: Sequence[Recipe], inner: list[Folds]) -> _Outcome:
    """Choose among candidates inside each outer fold; all trainings of all outer folds are one population."""
    if len(candidates) < 2:
        raise InputError("nested = True chooses among recipes: give at least two, e.g. a list of them.")
    measured = task.measured(candidates, [pair for pairs in inner for pair in pairs])
    starts = np.cumsum([0] + [len(pairs) for pairs in inner])
    chosen, losses = [], []
    for start, stop in itertools.pairwise(starts):
        parts = [Measured({name: table[start:stop] for name, table in one.values.items()}) for one in measured]
        losses.append(min(part.loss(task.metric) for part in parts))
        chosen.append(candidates[int(np.argmin([part.loss(task.metric) for part in parts]))])
    sign = -1.0 if is_higher_better(task.metric) else 1.0
    outcome = _refitted(task, chosen)
    outcome.selected_on = sign * float(np.mean(losses))
    outcome.trainings += len(candidates) * int(starts[-1]) * task.rounds
    outcome.diverged += sum(one.diverged for one in measured)
    return outcome


def _chosen_by(task: _Task, choose: Callable[[Problem], Any]) -> _Outcome:
    """Let a function choose the recipe, which is given the training rows of each outer fold and nothing else."""
    chosen = []
    for train, _ in task.folds:
        found = choose(restricted(task.problem, train))
        recipe = found if isinstance(found, (str, Recipe)) else getattr(found, "recipe", found)
        chosen.append(as_recipe(recipe, _REFUSAL))
    return _refitted(task, chosen)


def _refitted(task: _Task, chosen: Sequence[Recipe]) -> _Outcome:
    """Train each fold's chosen recipe on all of its training rows and score it on the rows held out."""
    shape = (len(task.folds), task.rounds)
    values = {name: np.full(shape, np.nan) for name in METRICS[task.problem.kind]}
    diverged, intervals = 0, {}
    for recipe in dict.fromkeys(chosen):
        places = [place for place, one in enumerate(chosen) if one == recipe]
        (found,) = task.measured([recipe], [task.folds[place] for place in places])
        diverged, intervals = diverged + found.diverged, found.intervals
        for name, table in found.values.items():
            values[name][places] = table
    return _Outcome({"nested": values}, {"nested": intervals}, tuple(chosen), trainings=shape[0] * shape[1],
                    diverged=diverged)  # fmt: skip


# ----------------------------------------------------------------------------------------------------- baselines


def _add_baselines(task: _Task, outcome: _Outcome) -> None:
    """Score the dummy and the linear model on every fold, prepared by its training rows."""
    from fallline.data import Preparation
    from fallline.score import baselines

    problem, alone = task.problem, len(task.folds) == 1
    prepare = next(iter(task.contenders.values())).prepare
    shape = (len(task.folds), task.rounds)
    for who in BASELINES:
        outcome.values[who] = {name: np.full(shape, np.nan) for name in METRICS[problem.kind]}
        outcome.intervals[who] = {}
    for place, (train, held) in enumerate(task.folds):
        preparation = Preparation.fit(problem, train, prepare)
        features = preparation.features(preparation.raw(problem.frame))
        for score in baselines(problem, features, train, held, n_bootstrap=1000 if alone else 0):
            outcome.values[score.who][score.metric][place] = score.value
            if alone:
                outcome.intervals[score.who][score.metric] = (score.low, score.high)


# ------------------------------------------------------------------------------------------------------- summary


def _evaluation(task: _Task, outcome: _Outcome) -> Evaluation:
    names = tuple(outcome.values)
    held = len(np.unique(np.concatenate([held for _, held in task.folds])))
    ratio = float(np.mean([len(held) / len(train) for train, held in task.folds]))
    order = (task.metric, *(name for name in METRICS[task.problem.kind] if name != task.metric))
    scores = []
    for who in names:
        for metric in order:
            mean = corrected_mean(outcome.values[who][metric].mean(axis=1), ratio)
            low, high = outcome.intervals.get(who, {}).get(metric, (mean.low, mean.high))
            scores.append(Score(metric, mean.value, low, high, "held-out folds", held, who, is_higher_better(metric)))
    by_metric = {metric: {who: outcome.values[who][metric] for who in names} for metric in order}
    return Evaluation(
        metric=task.metric,
        higher_is_better=is_higher_better(task.metric),
        scheme=task.scheme if not outcome.chosen else f"{task.scheme}, nested",
        names=names,
        values=by_metric,
        scores=tuple(scores),
        differences=_differences(by_metric[task.metric], task.metric, ratio),
        folds=tuple(task.folds),
        seeds=tuple(task.seeds or ()),
        chosen=outcome.chosen,
        selected_on=outcome.selected_on,
        trainings=outcome.trainings,
        notes=tuple(_notes(task, outcome)),
    )


def _differences(values: Mapping[str, np.ndarray], metric: str, ratio: float) -> tuple[Difference, ...]:
    """Compare all pairs on the same folds; the p-values are adjusted for their number."""
    pairs = list(itertools.combinations(values, 2))
    means = [corrected_mean((values[a] - values[b]).mean(axis=1), ratio) for a, b in pairs]
    return tuple(
        Difference(a, b, metric, mean.value, mean.low, mean.high, float(p), is_higher_better(metric))
        for (a, b), mean, p in zip(pairs, means, holm([mean.p for mean in means]), strict=True)
    )


def _notes(task: _Task, outcome: _Outcome) -> list[str]:
    notes = []
    if outcome.diverged:
        notes.append(f"{outcome.diverged} of {outcome.trainings} trainings diverged; their scores are not there.")
    if len(task.folds) == 1:
        notes.append("One hold-out: the intervals are over its rows alone; folds=5 also sees other training rows.")
    return notes
