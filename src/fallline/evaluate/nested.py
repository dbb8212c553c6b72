"""The choice among contenders, made inside each outer fold by its training rows alone.

Source: G. Cawley, N. Talbot, "On over-fitting in model selection and subsequent selection bias in performance
evaluation" (2010).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fallline.data import restricted
from fallline.errors import InputError
from fallline.evaluate.task import Outcome, Task
from fallline.recipe import as_recipe
from fallline.search import Folds, Measured, candidates, check_strategy, make_space, partition, search
from fallline.types import Problem, Recipe

__all__ = ["chosen_among", "chosen_by", "searched"]


def _inner_folds(task: Task, inner: int) -> list[Folds]:
    """Return for each outer fold the folds of its training rows."""
    split = {**task.split}
    found = []
    for place, (train, _) in enumerate(task.folds):
        split["seed"] = (int(task.split["seed"]) + 1 + place) % 2**32
        found.append(partition(task.problem, inner, rows=train, share=task.share, metric=task.metric, **split))
    return found


def searched(task: Task, space: Any, inner: int, strategy: str, trials: int, refusal: str) -> Outcome:
    """Search in a space inside each outer fold.

    Args:
        task: of one recipe.
        space: as for `fallline.search`.
        inner: folds of the choice.
        strategy: of the search.
        trials: its candidates.
        refusal: see `chosen_by`.
    """
    if len(task.contenders) > 1:
        raise InputError("A space varies one recipe; give one, or nested = True to choose among several.")
    (recipe,) = task.contenders.values()
    if strategy in ("random", "grid"):  # the candidates do not depend on results: all outer folds share them
        listed = candidates(recipe, space, strategy, trials, int(task.split["seed"]), task.problem.kind)
        return chosen_among(task, listed, inner)
    check_strategy(strategy, trials)
    make_space(space, recipe)
    time = task.split["time"]
    kept = {"stratify": task.split["stratify"], "group": task.split["group"], "split_time": time}
    return chosen_by(
        task,
        lambda problem: search(
            recipe, problem, space=space, strategy=strategy, trials=trials, folds=inner, seeds=task.seeds,
            metric=task.metric, seed=int(task.split["seed"]), on_progress=task.on_progress, **kept,
        ),
        refusal,
    )  # fmt: skip


def chosen_among(task: Task, candidates: Sequence[Any], inner: int) -> Outcome:
    """Choose among candidates inside each outer fold; all trainings of all outer folds are one population.

    Args:
        task: what is evaluated.
        candidates: recipes, or Keras models.
        inner: folds of the choice.
    """
    if len(candidates) < 2:
        raise InputError("nested = True chooses among recipes or models: give at least two, e.g. a list of them.")
    folds = _inner_folds(task, inner)
    measured = task.measured(candidates, [pair for pairs in folds for pair in pairs])
    starts = np.cumsum([0] + [len(pairs) for pairs in folds])
    chosen, losses = [], []
    for start, stop in itertools.pairwise(starts):
        parts = [Measured({name: table[start:stop] for name, table in one.values.items()}) for one in measured]
        found = [task.loss(part) for part in parts]
        losses.append(min(found))
        chosen.append(candidates[int(np.argmin(found))])
    sign = -1.0 if task.metric in task.rising else 1.0
    outcome = _refitted(task, chosen)
    outcome.selected_on = sign * float(np.mean(losses))
    outcome.trainings += len(candidates) * int(starts[-1]) * task.rounds
    outcome.diverged += sum(one.diverged for one in measured)
    return outcome


def chosen_by(task: Task, choose: Callable[[Problem], Any], refusal: str) -> Outcome:
    """Let a function choose the recipe, which is given the training rows of each outer fold and nothing else.

    Args:
        task: what is evaluated.
        choose: the function.
        refusal: of what is no recipe, with a place for what was given.
    """
    chosen = []
    for train, _ in task.folds:
        found = choose(restricted(task.problem, train))
        recipe = found if isinstance(found, (str, Recipe)) else getattr(found, "recipe", found)
        chosen.append(as_recipe(recipe, refusal))
    return _refitted(task, chosen)


def _refitted(task: Task, chosen: Sequence[Any]) -> Outcome:
    """Train what was chosen in each fold on all of its training rows and score it on the rows held out."""
    shape = (len(task.folds), task.rounds)
    values = {name: np.full(shape, np.nan) for name in task.metrics}
    diverged, intervals = 0, {}
    for one in dict.fromkeys(chosen):
        places = [place for place, other in enumerate(chosen) if other == one]
        (found,) = task.measured([one], [task.folds[place] for place in places])
        diverged, intervals = diverged + found.diverged, found.intervals
        for name, table in found.values.items():
            values[name][places] = table
    names = {id(one): name for name, one in task.contenders.items()}
    told = tuple(one if isinstance(one, Recipe) else names[id(one)] for one in chosen)
    return Outcome({"nested": values}, {"nested": intervals}, told, trainings=shape[0] * shape[1], diverged=diverged)
