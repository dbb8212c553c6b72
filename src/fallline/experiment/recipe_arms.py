"""Recipes beside a control recipe: trained on the same seeds and folds of a table, and scored on the held-out rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fallline import recipe as recipes
from fallline.data import require_classes
from fallline.errors import InputError
from fallline.experiment.account import Memory, Pair, Plan, Scored
from fallline.experiment.enough import EnoughError
from fallline.score import score
from fallline.treatments import treat
from fallline.types import Problem, Recipe, Run, Score

__all__ = ["constant_scores", "recipe_key", "score_recipes"]


def recipe_key(recipe: Recipe) -> str:
    """Return what tells two recipes apart."""
    text = json.dumps(recipes.to_mapping(recipe), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def score_recipes(
    control: Recipe, treated: Any, problem: Problem, plan: Plan, *, memory: Memory | None = None
) -> Scored:
    """Train a control and treated recipes as one population and score them.

    With a memory the arms are trained one after another: they may be ended early.

    Args:
        control: the untreated recipe.
        treated: names of treatments; or a mapping arm -> `Recipe`.
        problem: the table.
        plan: seeds, folds, metric.
        memory: scores of recipes on these very folds: what stands there is not trained again, what is trained is added.
            Where ``on_progress`` raises `EnoughError`, the arms that are done by then are compared. It knows no forks.

    Raises:
        InputError: see `fallline.experiment`.
        KeyboardInterrupt: stopped.
        EnoughError: before there was anything to compare.
    """
    arms = _arms(control, treated, problem)
    pairs = plan.pairs(problem)
    require_classes(problem, pairs)
    name, higher = _metric(problem, pairs[0], plan.metric)
    if memory is None:
        table = _together(arms, problem, pairs, plan, name)
    else:
        table = _one_by_one(arms, problem, pairs, plan, name, memory)
    share = float(np.mean([len(held) / len(rows) for rows, held in pairs]))
    return Scored(table, name, higher, share, problem.n_rows, plan.fork_at)


def _arms(base: Recipe, treated: Any, problem: Problem) -> dict[str, Recipe]:
    arms = {"control": base}
    if isinstance(treated, Mapping):
        wrong = [name for name, one in treated.items() if not isinstance(one, Recipe) or name == "control"]
        if wrong:
            raise InputError(
                f"{', '.join(map(str, wrong))}: beside a control recipe every arm is a Recipe, and none is called "
                "'control'."
            )
        arms |= dict(treated)
    else:
        for name in [treated] if isinstance(treated, str) else list(treated):
            arms[name] = treat(base, name, problem)
    if len(arms) < 2:
        raise InputError("There is nothing to compare: name at least one treatment, or give a mapping arm -> recipe.")
    return arms


def _one_by_one(
    arms: Mapping[str, Recipe], problem: Problem, pairs: Sequence[Pair], plan: Plan, metric: str, memory: Memory
) -> dict[str, np.ndarray]:
    """Train arm after arm, those that are not remembered, until all are done or no more are wanted."""
    from fallline.train.many import train_recipes

    keys = {arm: [(recipe_key(recipe), int(seed), metric) for seed in plan.seeds] for arm, recipe in arms.items()}
    new = {arm: recipe for arm, recipe in arms.items() if not memory.keys() >= set(keys[arm])}
    trained = train_recipes(problem, list(new.values()), seeds=plan.seeds, folds=pairs, on_progress=plan.on_progress)
    table: dict[str, np.ndarray] = {}
    try:
        for arm in arms:
            if arm in new:
                memory.update(zip(keys[arm], _scores(next(trained), metric, problem, pairs), strict=True))
            table[arm] = np.stack([memory[key] for key in keys[arm]])
    except EnoughError:
        if len(table) < 2:
            raise
    return table


def _together(
    arms: Mapping[str, Recipe], problem: Problem, pairs: Sequence[Pair], plan: Plan, metric: str
) -> dict[str, np.ndarray]:
    """Train all arms as one population, or, where there is a fork, the control up to it and all arms from there on."""
    from fallline.train.many import train_many_problems

    runs = train_many_problems(
        problem, list(arms.values()), seeds=plan.seeds, folds=pairs, on_progress=plan.on_progress,
        fork_at=plan.fork_at, names=list(arms),
    )  # fmt: skip
    scores = _scores(runs, metric, problem, pairs)
    return dict(zip(arms, scores.reshape(len(arms), len(plan.seeds), len(pairs)), strict=True))


def _scores(runs: Sequence[Run], metric: str, problem: Problem, pairs: Sequence[Pair]) -> np.ndarray:
    """Return (trainings, folds) scores of runs, folds innermost."""
    if any(run.outcome == "interrupted" for run in runs):
        raise KeyboardInterrupt
    values = [_value(run, metric, problem, pairs[int(run.facts["fold"])]) for run in runs]
    return np.reshape(values, (-1, len(pairs)))


def constant_scores(problem: Problem, pair: Pair) -> tuple[Score, ...]:
    """Scores, on a fold's held-out rows, of the constant prediction that its training rows suggest."""
    rows, held = pair
    y = problem.y[rows]
    if problem.kind == "multiclass":
        classes = int(problem.y.max()) + 1
        guess = (np.bincount(y.astype(int), minlength=classes) + 1.0) / (len(y) + classes)
    else:
        guess = np.asarray(y.mean(axis=0))
    prediction = np.broadcast_to(guess, (len(held), *np.shape(guess)))
    return score(problem.kind, problem.y[held], prediction, n_bootstrap=0)


def _metric(problem: Problem, pair: Pair, wanted: str | None) -> tuple[str, bool]:
    known = {one.metric: one.higher_is_better for one in constant_scores(problem, pair)}
    name = wanted or next(iter(known))
    if name not in known:
        raise InputError(f"There is no metric {name!r} for this problem; its scores are {', '.join(known)}.")
    return name, known[name]


def _value(run: Run, metric: str, problem: Problem, pair: Pair) -> float:
    values = {one.metric: one.value for one in run.scores}
    if np.isfinite(values.get(metric, np.nan)):
        return float(values[metric])
    return float({one.metric: one.value for one in constant_scores(problem, pair)}[metric])
