"""`fallline.search`: candidates from a space, judged on the same folds with the same seeds."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from fallline import recipe as recipes
from fallline.errors import InputError, count_mistakes, is_count, nearest
from fallline.recipe.schema import entries
from fallline.search import coordinate, grid, halving, random, tpe, zoom
from fallline.search.border import beyond, border_findings, luck_findings
from fallline.search.cluster import RayWorkers
from fallline.search.journal import Journal, key_of
from fallline.search.measure import Folds, Measured, is_higher_better, measure, metric_of
from fallline.search.partition import checked_seeds, partition, with_split
from fallline.search.space import Space, apply, levels, make_space
from fallline.search.strategy import Plan, Proposal, Rounds
from fallline.types import Choice, Finding, Problem, Range, Recipe, Search, Trial
from fallline.types.duration import parse_seconds

__all__ = ["STRATEGIES", "candidates", "check_strategy", "search"]

STRATEGIES: dict[str, Callable[[Plan], Rounds]] = {
    "random": random.rounds,
    "grid": grid.rounds,
    "coordinate": coordinate.rounds,
    "zoom": zoom.rounds,
    "halving": halving.rounds,
    "hyperband": halving.hyperband,
    "tpe": tpe.rounds,
}
# Trainings of one call: what an interruption can lose, and how often the time is looked at.
_TOGETHER = 96
_WIDENED_VALUES = 3  # beyond an edge, at each widening
_REFUSAL = (
    "fl.search was given {}; it takes the Recipe that is to be varied, or the name of a preset ('default', 'simple')."
)


class _OverBudgetError(Exception):
    """The time that a search may take is over."""


def search(
    what: Any = "default",
    x: Any = None,
    space: Any = "default",
    *,
    y: Any = None,
    target: str | list[str] | None = None,
    kind: str | None = None,
    strategy: str = "random",
    trials: int = 30,
    budget: float | str | None = None,
    seeds: Any = None,
    folds: Any = 5,
    metric: str | None = None,
    stratify: bool = True,
    group: str | None = None,
    split_time: str | None = None,
    seed: int = 0,
    widen: int = 2,
    journal: Any = None,
    engine: str = "local",
    on_progress: Any = None,
    on_trial: Callable[[Trial], Any] | None = None,
) -> Search:
    """Search for better values of recipe entries.

    Args:
        what: the `Recipe` that is varied, or a preset's name.
        x: a table, as for `fallline.train`; with y=None also the pair (x, y).
        space: entry -> `log`, `uniform`, `integer`, `choice` or a list; a TOML file's path; ``"default"``.
        y: targets, or a column name.
        target: the target column(s) of ``x``.
        kind: the kind of problem, when it shall not be inferred.
        strategy: ``random``, ``grid``, ``coordinate``, ``zoom``, ``halving``, ``hyperband``, or ``tpe`` (extra
            ``optuna``).
        trials: candidates; for ``hyperband`` short trainings count, too.
        budget: time after which no further trainings are begun: seconds, ``"90 s"``, ``"10 minutes"``; None: no limit.
        seeds: of the trainings on every fold, or how many; default: the recipe's.
        folds: how many (1: a hold-out), pairs of rows, or a scikit-learn splitter.
        metric: by which is judged; default: log-loss, or RMSE.
        stratify: keep the classes' shares equal in all folds.
        group: the name of a column whose equal values stay together.
        split_time: the name of a column: train on the past, hold out what follows.
        seed: of the folds and of the strategy: the same search again.
        widen: how often a range with the best value on its border is widened.
        journal: a file that remembers finished trials: the same call goes on where it was stopped.
        engine: where trials are trained: ``local``, or ``ray`` (extra ``ray``): by one worker for each CPU of the Ray
            cluster that ``RAY_ADDRESS`` names, or of one that is started on this machine. A worker that dies loses
            nothing that was finished.
        on_progress: called with a `Progress` between chunks of epochs.
        on_trial: called with every `Trial` as soon as it is there.

    Returns:
        the trials, the best, and findings of the border check. The best score was selected on: `fallline.evaluate` with
        ``nested`` says what to expect.

    Raises:
        InputError: before any training: mistakes of the space, an unknown strategy, a budget too small for it, fewer
            rows than folds, a class that is absent from a fold, the journal of another search.

    >>> import fallline as fl
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> found = fl.search("simple", (x, x[:, 0]), {"training.epochs": [1, 2]}, strategy="grid", trials=2, folds=2)
    >>> len(found.trials), found.best.point["training.epochs"] in (1, 2)
    (2, True)
    """
    from fallline.train.api import make_recipe_problem

    recipe = recipes.as_recipe(what, _REFUSAL)
    if y is None and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    _numbers(strategy, trials, budget, seed, widen, engine)
    checked = make_space(space, recipe)
    problem = make_recipe_problem(x, y, target, kind, None)
    if isinstance(space, str) and space == "default":
        checked = make_space(space, recipe, problem.kind)
    metric = metric_of(problem, metric)
    counted = is_count(folds)
    group = group or (recipe.split.group or None if counted else None)
    split_time = split_time or (recipe.split.time or None if counted else None)
    recipe = with_split(recipe, group, split_time)
    pairs = partition(
        problem, folds, seed=seed, stratify=stratify, group=group, time=split_time, metric=metric
    )  # fmt: skip
    chosen = checked_seeds(seeds)
    about = {
        "recipe": recipes.to_mapping(recipe), "space": _plain(checked), "strategy": strategy, "trials": trials,
        "seed": seed, "seeds": chosen, "metric": metric, "widen": widen, "data": _digest(problem, pairs),
    }  # fmt: skip
    work = _Work(
        problem, recipe, checked, pairs, chosen, metric, Journal(journal, about),
        time.monotonic() + parse_seconds(budget), on_progress, on_trial,
    )  # fmt: skip
    return work.search(strategy, _plan(problem, recipe, checked, pairs, trials, seed), widen, engine)


def candidates(recipe: Recipe, space: Any, strategy: str, trials: int, seed: int = 0, kind: str = "") -> list[Recipe]:
    """Return the recipes that random or grid search would try, which do not depend on results."""
    check_strategy(strategy, trials)
    checked = make_space(space, recipe, kind)
    plan = Plan(checked, trials, {}, 1, np.random.default_rng(seed), seed)
    return [apply(recipe, proposal.point) for proposal in next(STRATEGIES[strategy](plan))]


@dataclass(eq=False)
class _Work:
    """A search under way."""

    problem: Problem
    recipe: Recipe
    space: Space
    folds: Folds
    seeds: list[int] | None
    metric: str
    journal: Journal
    deadline: float
    on_progress: Any
    on_trial: Callable[[Trial], Any] | None
    trials: list[Trial] = field(default_factory=list)
    trainings: int = 0
    workers: RayWorkers | None = None  # None: trials are trained here

    def search(self, strategy: str, plan: Plan, widen: int, engine: str) -> Search:
        """Do it all; Ctrl-C and the end of the budget leave what was found by then."""
        outcome: Literal["completed", "interrupted", "budget"] = "completed"
        findings: list[Finding] = []
        try:
            with contextlib.ExitStack() as stack:
                if engine == "ray":
                    self.workers = stack.enter_context(RayWorkers(self.problem, self.seeds, self.folds))
                self.run(STRATEGIES[strategy](plan))
                findings = self.widened(widen)
        except KeyboardInterrupt:
            outcome = "interrupted"
        except _OverBudgetError:
            outcome = "budget"
        return self.result(strategy, outcome, findings)

    def run(self, rounds: Rounds) -> None:
        """Let a strategy propose until it ends."""
        try:
            proposals = next(rounds)
            while True:
                proposals = rounds.send(self.judge(proposals))
        except StopIteration:
            return

    def judge(self, proposals: list[Proposal]) -> list[float]:
        """Return the losses of a round; what the journal knows is not trained again."""
        new = {key_of(p): p for p in proposals if key_of(p) not in self.journal.known}
        try:
            self._train(list(new.values()))
        finally:
            for proposal in proposals:
                known = self.journal.known.get(key_of(proposal))
                if known is not None:
                    self._append(proposal, known)
        return [self.journal.known[key_of(p)].loss(self.metric) for p in proposals]

    def _train(self, new: list[Proposal]) -> None:
        if not new:
            return
        if time.monotonic() >= self.deadline and self.trials:
            raise _OverBudgetError

        def done(place: int, measured: Measured) -> None:
            self.journal.add(new[place], measured)
            self.trainings += next(iter(measured.values.values())).size
            if time.monotonic() >= self.deadline and place + 1 < len(new):
                raise _OverBudgetError

        recipes = [self._recipe_of(p) for p in new]
        if self.workers is not None:
            self.workers.measure(recipes, done)
            return
        measure(
            self.problem, recipes, seeds=self.seeds, folds=self.folds,
            on_progress=self.on_progress, each=done, together=_TOGETHER,
        )  # fmt: skip

    def _recipe_of(self, proposal: Proposal) -> Recipe:
        recipe = apply(self.recipe, proposal.point)
        if proposal.epochs is None:
            return recipe
        return replace(recipe, training=replace(recipe.training, epochs=proposal.epochs))

    def _append(self, proposal: Proposal, measured: Measured) -> None:
        table = measured.values[self.metric]
        trial = Trial(
            len(self.trials), dict(proposal.point), float(table.mean()), tuple(map(tuple, table.tolist())),
            proposal.epochs, measured.diverged, apply(self.recipe, proposal.point),
        )  # fmt: skip
        self.trials.append(trial)
        if self.on_trial is not None:
            self.on_trial(trial)

    def widened(self, times: int) -> list[Finding]:
        """Try values beyond the edges that the best lies on; return the findings that are left."""
        for _ in range(times):
            proposals = []
            best = self.result("", "completed", []).best
            for name, finding in self._borders():
                old = self.space[name]
                assert isinstance(old, Range)
                upwards = finding.evidence["edge"] == "largest"
                new = beyond(old, name, upwards)
                edge, end = (old.high, new.high) if upwards else (old.low, new.low)
                if edge == end:
                    continue
                self.space = {**self.space, name: new}
                outside = replace(old, low=min(edge, end), high=max(edge, end))
                further = [value for value in levels(outside, _WIDENED_VALUES + 1) if value != edge]
                proposals += [Proposal({**best.point, name: value}) for value in further]
            if not proposals:
                break
            self.judge(proposals)
        return [finding for _, finding in self._borders()]

    def _borders(self) -> list[tuple[str, Finding]]:
        full = [trial for trial in self.trials if trial.epochs is None]
        return list(border_findings(self.space, full, is_higher_better(self.metric)))

    def result(self, strategy: str, outcome: Any, findings: list[Finding]) -> Search:
        """Return what was found so far."""
        held = len(np.unique(np.concatenate([held for _, held in self.folds])))
        better = is_higher_better(self.metric)
        found = Search(self.metric, better, strategy, self.space, tuple(self.trials), tuple(findings), outcome,
                       self.trainings, held)  # fmt: skip
        if not self.trials or not strategy:
            return found
        return replace(found, findings=(*findings, *luck_findings(self.trials, held, found.best.value, better)))


# -------------------------------------------------------------------------------------------------------- checks


def check_strategy(strategy: str, trials: Any) -> None:
    """Refuse a strategy that does not exist and a number that is none.

    Raises:
        InputError: what is allowed.
    """
    mistakes = list(_strategy_mistakes(strategy, trials))
    if mistakes:
        raise InputError(" ".join(mistakes))


def _strategy_mistakes(strategy: str, trials: Any) -> Iterator[str]:
    if strategy not in STRATEGIES:
        yield (
            f"strategy = {strategy!r} is not allowed: it takes one of {', '.join(STRATEGIES)}."
            f"{nearest(str(strategy), STRATEGIES)}"
        )
    yield from count_mistakes(trials=(trials, 1))


def _numbers(strategy: str, trials: Any, budget: Any, seed: Any, widen: Any, engine: str) -> None:
    """Say everything that is wrong with the plain arguments at once."""
    mistakes = [*_strategy_mistakes(strategy, trials), *count_mistakes(seed=(seed, 0), widen=(widen, 0))]
    try:
        parse_seconds(budget)
    except InputError as error:
        mistakes.append(str(error))
    if engine not in ("local", "ray"):
        mistakes.append(
            f"engine = {engine!r} is not allowed: it takes 'local' or 'ray'.{nearest(str(engine), ('local', 'ray'))}"
        )
    if mistakes:
        raise InputError(" ".join(mistakes))


def _plan(problem: Problem, recipe: Recipe, space: Space, folds: Folds, trials: int, seed: int) -> Plan:
    from fallline.train.prepared import prepare

    resolved = prepare(problem, recipe, folds[0]).recipe
    start = {}
    for name, dimension in space.items():
        section = getattr(resolved, entries()[name].section) if entries()[name].section else resolved
        value = getattr(section, entries()[name].key)
        inside = (
            value in dimension.values
            if isinstance(dimension, Choice)
            else not isinstance(value, (str, tuple)) and dimension.low <= value <= dimension.high
        )
        if inside:
            start[name] = value
    return Plan(space, trials, start, int(resolved.training.epochs), np.random.default_rng(seed), seed)


def _plain(space: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {type(d).__name__: list(vars(d).values())} for name, d in space.items()}


def _digest(problem: Problem, folds: Folds) -> str:
    """Tell tables and folds apart."""
    found = hashlib.sha256(problem.fingerprint.encode() + np.ascontiguousarray(problem.y).tobytes())
    for pair in folds:
        for rows in pair:
            found.update(rows.tobytes())
    return found.hexdigest()
