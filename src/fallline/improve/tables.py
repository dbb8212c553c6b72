"""Recipes on tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fallline import recipe as recipes
from fallline.data import restricted
from fallline.errors import InputError
from fallline.experiment.account import Plan, account
from fallline.experiment.recipe_arms import constant_scores, recipe_key, score_recipes
from fallline.improve.bench import Bench, OnProgress
from fallline.search import metric_of, partition
from fallline.train import train_problem
from fallline.train.prepared import Known, prepare
from fallline.treatments import treat
from fallline.types import Diagnosis, Experiment, Problem, Recipe, Run, Score

__all__ = ["TableBench"]


class TableBench(Bench):
    """A recipe and a table.

    Args:
        control: the recipe.
        problem: the table.
        folds: of an experiment.
        holdout: share of the rows that no choice sees.
        metric: by which is judged; None: log-loss or RMSE.
        seed: of the hold-out and the folds.

    Raises:
        InputError: fewer rows than folds, a class that is absent from a fold, a recipe that contradicts the table.
    """

    def __init__(
        self, control: Recipe, problem: Problem, *, folds: int, holdout: float, metric: str | None, seed: int
    ) -> None:
        self.control, self.problem, self.folds = recipes.check(control), problem, folds
        self.metric = metric_of(problem, metric)
        own = control.split
        split: dict[str, Any] = {"group": own.group or None, "time": own.time or None, "metric": self.metric}
        rows = np.arange(problem.n_rows)
        self.rows, self.held = rows, rows[:0]
        if holdout:
            ((self.rows, self.held),) = partition(problem, 1, share=holdout, seed=seed, **split)
        self.held_out = len(self.held)
        self.inner = restricted(problem, self.rows)
        self.partitions = [partition(self.inner, folds, seed=seed + place, **split) for place in (0, 1)]
        self._known: Known = {}
        self.memory = ({}, {})
        # What contradicts the table is said before any work.
        prepare(self.inner, self.control, self.partitions[0][0], self._known)
        digest = hashlib.sha256(problem.fingerprint.encode() + np.ascontiguousarray(problem.y).tobytes())
        self.about = {
            "control": recipes.to_mapping(self.control), "data": digest.hexdigest(), "folds": folds,
            "holdout": holdout, "metric": self.metric, "seed": seed,
        }  # fmt: skip

    def treated(self, subject: Any, names: tuple[str, ...]) -> Recipe | None:
        """Return the recipe treated, or None where there is nothing to change."""
        try:
            found: Recipe = treat(subject, names, self.inner)
        except InputError:  # it does not apply, is so already, or contradicts the recipe
            return None
        return found

    def viable(self, subject: Any) -> bool:
        """Return whether the recipe suits the table."""
        try:
            prepare(self.inner, subject, self.partitions[0][0], self._known)
        except InputError:
            return False
        return True

    def key(self, subject: Any) -> str:
        """Return what tells two recipes apart."""
        return recipe_key(subject)

    def diagnosed(self, subject: Any, on_progress: OnProgress) -> Diagnosis:
        """Train once on the rows of the choices and say what is wrong."""
        none = np.arange(0)
        rows = (np.arange(self.inner.n_rows), none)
        run = _whole(train_problem(self.inner, subject, rows=rows, on_progress=on_progress, watch=True))
        # An arm's folds share a program.
        self.pace = run.facts["seconds"] + run.facts["compile_seconds"] / self.folds
        return run.diagnosis

    def experiment(
        self, control: Any, arms: Mapping[str, Any], seeds: Sequence[int], partition: int, on_progress: OnProgress
    ) -> Experiment:
        """Compare recipes with a control on the rows of the choices; what was trained before is remembered."""
        plan = Plan(seeds, self.partitions[partition], self.metric, on_progress=on_progress)
        found = score_recipes(control, arms, self.inner, plan, memory=self.memory[partition])
        return account(found, seeds)

    def constant(self, metric: str) -> float | None:
        """Return what the best constant prediction scores on the rows of the choices."""
        rows = np.arange(self.inner.n_rows)
        return {one.metric: one.value for one in constant_scores(self.inner, (rows, rows))}.get(metric)

    def finished(self, better: Any, on_progress: OnProgress) -> tuple[Run, tuple[Score, ...]]:
        """Train what was found, and score it beside the control and the baselines."""
        rows = (self.rows, self.held) if self.held_out else None
        run = _whole(train_problem(self.problem, better, rows=rows, on_progress=on_progress, watch=True))
        if rows is None:
            return run, ()
        if self.key(better) == self.key(self.control):
            control = run
        else:
            control = _whole(train_problem(self.problem, self.control, rows=rows, on_progress=on_progress))
        untreated = tuple(replace(one, who="control") for one in control.scores if one.who == "model")
        own = tuple(one for one in run.scores if one.who == "model")
        baselines = tuple(one for one in run.scores if one.who != "model")
        return run, _first((*own, *untreated, *baselines), self.metric)


def _whole(run: Run) -> Run:
    if run.outcome == "interrupted":
        raise KeyboardInterrupt
    return run


def _first(scores: tuple[Score, ...], metric: str) -> tuple[Score, ...]:
    """Put the metric of the choices first."""
    return tuple(sorted(scores, key=lambda score: score.metric != metric))
