"""`fallline.experiment`: recipes trained side by side with a control, as one population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fallline.data import folds as make_folds
from fallline.errors import InputError
from fallline.experiment.paired import compare
from fallline.recipe import default
from fallline.score import score
from fallline.train import train_many
from fallline.train.api import make_recipe_problem
from fallline.train.jobs import fold_pairs
from fallline.treatments import discover, treat
from fallline.types import Comparison, Experiment, Problem, Recipe, Run

__all__ = ["experiment"]

_SEEDS, _FOLDS = 3, 5


def experiment(
    control: Any,
    treated: Any,
    x: Any = None,
    y: Any = None,
    *,
    target: str | list[str] | None = None,
    kind: str | None = None,
    seeds: int | Sequence[int] = _SEEDS,
    folds: Any = _FOLDS,
    metric: str | None = None,
    on_progress: Any = None,
) -> Experiment:
    """Train a control and treated recipes on the same seeds and folds, and say which of them helps.

    All arms are trained as one population. Each fold's held-out rows are untouched: what a recipe needs to validate it
    takes from the others. A training that is lost scores as the best constant prediction.

    Args:
        control: a `Recipe`, the name of a preset, or the `Run` of a table.
        treated: names of treatments, applied to the control each by itself; or a mapping arm -> `Recipe`.
        x: a table, as for `fallline.train`.
        y: targets, or a column's name.
        target: as for `fallline.train`.
        kind: as for `fallline.train`.
        seeds: how many, or which.
        folds: parts of the table, each held out once; or pairs (training rows, held-out rows).
        metric: by which the arms are compared, one of a run's scores; default: the first, log-loss or RMSE.
        on_progress: as for `fallline.train`.

    Raises:
        InputError: an unknown treatment, nothing to compare, or an unknown metric.
        KeyboardInterrupt: the trainings were interrupted: half-trained arms are not compared.

    Source: docs/experiments.md says how it decides, and how often it is wrong.
    """
    problem = make_recipe_problem(x, y, target, kind, None)
    base = control.recipe if isinstance(control, Run) else default(control) if isinstance(control, str) else control
    if not isinstance(base, Recipe):
        raise InputError(
            f"experiment was given a {type(control).__name__} as control; it takes a Recipe, the name of a preset, or "
            "a run of a table."
        )
    arms = _arms(base, treated, problem)
    chosen = list(range(seeds)) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    pairs = _pairs(problem, folds)
    folds = len(pairs)
    if not chosen or folds < 2:
        raise InputError(f"seeds = {seeds}, folds = {folds}: an experiment takes at least 1 seed and 2 folds.")
    runs = train_many(list(arms.values()), problem, seeds=chosen, folds=pairs, verbose=0, on_progress=on_progress)
    if any(run.outcome == "interrupted" for run in runs):
        raise KeyboardInterrupt
    name, higher = _metric(problem, pairs[0], metric)
    values = np.array([_value(run, name, problem, pairs[int(run.facts["fold"])]) for run in runs])
    table = dict(zip(arms, values.reshape(len(arms), len(chosen), folds), strict=True))
    share = float(np.mean([len(held) / len(rows) for rows, held in pairs]))
    others = {arm: scores for arm, scores in table.items() if arm != "control"}
    found = compare(table["control"], others, share=share, higher_is_better=higher)
    return _experiment(problem, table, found, name, chosen, folds)


def _pairs(problem: Problem, folds: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    if isinstance(folds, int):
        return [] if folds < 2 else list(make_folds(problem, folds=folds))
    return fold_pairs(folds, problem.y)


def _arms(base: Recipe, treated: Any, problem: Problem) -> dict[str, Recipe]:
    arms = {"control": base}
    if isinstance(treated, Mapping):
        arms |= dict(treated)
    else:
        for name in [treated] if isinstance(treated, str) else list(treated):
            arms[name] = treat(base, name, problem)
    if len(arms) < 2:
        raise InputError("There is nothing to compare: name at least one treatment, or give a mapping arm -> recipe.")
    return arms


def _constant(problem: Problem, pair: tuple[np.ndarray, np.ndarray]) -> Any:
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


def _metric(problem: Problem, pair: tuple[np.ndarray, np.ndarray], wanted: str | None) -> tuple[str, bool]:
    known = {one.metric: one.higher_is_better for one in _constant(problem, pair)}
    name = wanted or next(iter(known))
    if name not in known:
        raise InputError(f"There is no metric {name!r} for this problem; its scores are {', '.join(known)}.")
    return name, known[name]


def _value(run: Run, metric: str, problem: Problem, pair: tuple[np.ndarray, np.ndarray]) -> float:
    values = {one.metric: one.value for one in run.scores}
    if np.isfinite(values.get(metric, np.nan)):
        return float(values[metric])
    return float({one.metric: one.value for one in _constant(problem, pair)}[metric])


def _line(one: Comparison) -> str:
    return f"{one.name}: {one.mean:+.4g} [{one.low:+.4g}, {one.high:+.4g}], p = {one.p_adjusted:.3f}: {one.decision}"


def _experiment(
    problem: Problem,
    table: Mapping[str, np.ndarray],
    found: tuple[Comparison, ...],
    metric: str,
    seeds: Sequence[int],
    folds: int,
) -> Experiment:
    pages = {treatment.name: treatment for treatment in discover()}
    expected = [f"{one.name}: {pages[one.name].sections['When it helps']}" for one in found if one.name in pages]
    helping = [one.name for one in found if one.decision == "helps"]
    finding = (
        f"{' and '.join(helping)} help{'s' if len(helping) == 1 else ''}." if helping else "None helps for certain."
    )
    hints = [f"{one.more_seeds} more seeds would decide about {one.name}" for one in found if one.more_seeds]
    return Experiment(
        intent=f"Does {' or '.join(one.name for one in found)} improve the {metric}?",
        expectation=" ".join(" ".join(text.split()) for text in expected),
        method=f"{len(table)} arms, {len(seeds)} seeds and {folds} folds of {problem.n_rows} rows, the same for all; "
        "corrected resampled t-test, Holm's correction, and a bootstrap over folds that agrees.",
        result="\n".join(map(_line, found)),
        finding=finding + (f" {'; '.join(hints)}." if hints else ""),
        metric=metric,
        seeds=tuple(seeds),
        folds=folds,
        scores={arm: tuple(float(value) for value in scores.ravel()) for arm, scores in table.items()},
        comparisons=found,
    )
