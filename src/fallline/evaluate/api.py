"""`fallline.evaluate`: how well a way of training does on rows by which nothing was chosen.

Preparation, early stopping, and with ``nested`` the choice of the recipe happen inside each outer fold. Source:
G. Cawley, N. Talbot, "On over-fitting in model selection and subsequent selection bias in performance
evaluation" (2010).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.errors import InputError, is_count
from fallline.evaluate.nested import chosen_among, chosen_by, searched
from fallline.evaluate.summary import add_baselines, evaluation
from fallline.evaluate.task import BASELINES, Outcome, Task, scheme_of
from fallline.recipe import as_recipe
from fallline.search import (
    METRICS,
    Folds,
    Measured,
    checked_seeds,
    is_higher_better,
    measure,
    metric_of,
    partition,
    with_split,
)
from fallline.train.jobs import keras_keywords
from fallline.types import Evaluation, Recipe

__all__ = ["evaluate"]

_REFUSAL = (
    "fl.evaluate was given {}; it takes a Recipe or the name of a preset ('default', 'simple'), or several of them; "
    "or a Keras model, or several of them."
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
    time: Any = None,
    share: float = 0.2,
    seed: int = 0,
    sample_weight: Any = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    shuffle: bool | None = None,
    early_stopping: Any = None,
    class_weight: Mapping[Any, float] | None = None,
    on_progress: Any = None,
) -> Evaluation:
    """Score recipes or Keras models beside two baselines on the held-out rows of the same folds, with intervals.

    Args:
        what: a preset's name or a `Recipe`; a Keras model, which is left as it is: its weights are drawn anew for every
            training (those of layers that are frozen or were adapted to data are kept); or several of either, as a list
            or as a mapping name -> recipe, or name -> model.
        x: a table, as for `fallline.train`; for a Keras model the inputs (n, ...), or a list or dict of them. With
            y=None also the pair (x, y).
        y: targets (n, ...), or a column name; for a Keras model as its loss expects them.
        target: the target column(s) of ``x``.
        kind: the kind of problem, when it shall not be inferred.
        folds: how many (1: a hold-out); pairs (training rows, held-out rows); or a scikit-learn splitter.
        repeats: partitions into folds, each another one.
        seeds: of the trainings on every fold, or how many; default: each recipe's own, 0 for a Keras model.
        nested: choose the recipe inside each outer fold, by its training rows alone. True: among ``what``, by ``inner``
            folds; a space, as for `fallline.search`, of the one recipe; or a function of a `Problem` (that of the outer
            training rows) which returns a recipe, or something with a ``recipe``.
        inner: folds of the choice.
        strategy: of the search in a space.
        trials: candidates of that search.
        baselines: score ``dummy`` and ``linear``, too.
        metric: by which is chosen and compared; default: log-loss, or RMSE. For Keras models: accuracy where an output
            is no probability, MAE where all of them minimise it, and for targets that are neither classes nor
            quantities their loss, or one of their metrics.
        stratify: keep the classes' shares equal in all folds.
        group: rows of equal value stay together: a column's name, or labels (n,).
        time: the name of a column, for a Keras model numbers or dates (n,): train on the past, hold out what follows.
        share: of the rows to hold out when ``folds`` is 1.
        seed: of the folds.
        sample_weight: (n,) weights of the rows.
        epochs: of a Keras model; default as for `fallline.train`.
        batch_size: of a Keras model.
        shuffle: of a Keras model.
        early_stopping: of a Keras model, as for `fallline.train`; it validates on a fifth of the fold's training rows.
            Default: all epochs.
        class_weight: of a Keras model: class index -> weight.
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
    if y is None and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    contenders = _contenders(what)
    recipes = isinstance(next(iter(contenders.values())), Recipe)
    training = keras_keywords(
        beside_recipe=recipes, epochs=epochs, batch_size=batch_size, shuffle=shuffle, early_stopping=early_stopping,
        class_weight=class_weight,
    )  # fmt: skip
    given = {
        "folds": folds, "repeats": repeats, "seeds": seeds, "metric": metric, "stratify": stratify, "group": group,
        "time": time, "share": share, "seed": seed, "sample_weight": sample_weight, "on_progress": on_progress,
    }  # fmt: skip
    if recipes:
        task = _table_task(contenders, x, y, target, kind, **given)
    else:
        if x is None or y is None or target is not None or kind is not None:
            raise InputError("A Keras model is trained on x and y: fl.evaluate(model, x, y).")
        from fallline.evaluate.keras_models import model_task

        task = model_task(contenders, x, y, training, **given)
    outcome = _outcome(task, nested, inner, strategy, trials)
    if baselines:
        add_baselines(task, outcome)
    return evaluation(task, outcome)


def _outcome(task: Task, nested: Any, inner: int, strategy: str, trials: int) -> Outcome:
    """Train and score, or choose, train and score."""
    if nested is None or nested is False:
        found = task.measured(list(task.contenders.values()), task.folds)
        outcome = Outcome({name: one.values for name, one in zip(task.contenders, found, strict=True)})
        outcome.intervals = {name: one.intervals for name, one in zip(task.contenders, found, strict=True)}
        outcome.trainings = len(found) * len(task.folds) * task.rounds
        outcome.diverged = sum(one.diverged for one in found)
        return outcome
    if nested is True:
        return chosen_among(task, list(task.contenders.values()), inner)
    if not isinstance(next(iter(task.contenders.values())), Recipe):
        raise InputError("nested = True chooses among Keras models; a space or a function gives recipes.")
    if isinstance(nested, (Mapping, str, Path)):
        return searched(task, nested, inner, strategy, trials, _REFUSAL)
    if callable(nested):
        return chosen_by(task, nested, _REFUSAL)
    raise InputError(
        f"nested = {nested!r} is not allowed: it takes True, to choose among the recipes, a space, or a "
        "function of a Problem that returns a recipe."
    )


def _table_task(contenders: dict[str, Recipe], x: Any, y: Any, target: Any, kind: Any, *, folds: Any, repeats: int,
                seeds: Any, metric: Any, stratify: bool, group: Any, time: Any, share: float, seed: int,
                sample_weight: Any, on_progress: Any) -> Task:  # fmt: skip
    """Check what is to be found out about recipes."""
    from fallline.data import Preparation
    from fallline.train.api import make_recipe_problem

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
    chosen, prepare = checked_seeds(seeds), next(iter(contenders.values())).prepare

    def measured(candidates: Sequence[Any], on: Folds, intervals: bool) -> list[Measured]:
        return measure(problem, candidates, seeds=chosen, folds=on, on_progress=on_progress, intervals=intervals)

    def features(rows: np.ndarray) -> np.ndarray:
        preparation = Preparation.fit(problem, rows, prepare)
        return preparation.features(preparation.raw(problem.frame))

    return Task(
        problem=problem,
        contenders=contenders,
        folds=pairs,
        scheme=scheme_of(problem, pairs, counted, repeats, split),
        seeds=chosen,
        metrics=(metric, *(name for name in METRICS[problem.kind] if name != metric)),
        rising=frozenset(filter(is_higher_better, METRICS[problem.kind])),
        share=share,
        split={**split, "seed": seed},
        measure=measured,
        features=features,
        on_progress=on_progress,
    )


def _contenders(what: Any) -> dict[str, Any]:
    """Name the recipes, or the Keras models."""
    from fallline.train.api import is_keras_model

    if isinstance(what, Mapping):
        named = {str(name): one for name, one in what.items()}
    else:
        several = list(what) if isinstance(what, (list, tuple)) else [what]
        # The names that Keras gives count all models of the process.
        names = [one if isinstance(one, str) else getattr(one, "preset", "model") for one in several]
        if len(set(names)) < len(names):
            names = [f"{'model' if is_keras_model(one) else 'recipe'} {i + 1}" for i, one in enumerate(several)]
        named = dict(zip(names, several, strict=True))
    if not named or set(named) & set(BASELINES):
        raise InputError(
            "There is nothing to evaluate." if not named else "dummy and linear are the baselines' names; rename."
        )
    models = [name for name, one in named.items() if is_keras_model(one)]
    if models and len(models) < len(named):
        raise InputError(
            f"Keras models ({', '.join(models)}) and recipes cannot be evaluated together: they take other tables. "
            "Evaluate them one after the other, on the same folds."
        )
    return named if models else {name: as_recipe(one, _REFUSAL) for name, one in named.items()}
