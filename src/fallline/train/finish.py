"""From trained members to a run: the exported model, its calibration, its scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.engine import DIVERGED, STOPPED
from fallline.train.calibration import fit_temperature, out_of_fold, probabilities, tempered
from fallline.train.facts import table_facts
from fallline.train.fitted import Fitted
from fallline.train.orders import Member
from fallline.train.prediction import apply_model
from fallline.train.prepared import Prepared
from fallline.train.table_task import TableProgram
from fallline.train.trace import trace_of
from fallline.types import Deferred, HeldOut, Outcome, Problem, Run, Score

__all__ = ["finish_run"]

_BOOTSTRAP_SEED, _RESAMPLES = 0, 1000


def _alive(fitted: Fitted) -> np.ndarray:
    """Members that can predict: all that have finite weights worth keeping."""
    outcome, best = np.asarray(fitted.state.outcome), np.asarray(fitted.state.best_epoch)
    return np.flatnonzero((outcome != DIVERGED) | (best > 0))


def _outcome(fitted: Fitted) -> Outcome:
    codes = np.asarray(fitted.state.outcome)
    if fitted.interrupted:
        return "interrupted"
    if (codes == DIVERGED).all():
        return "diverged"
    return "stopped_early" if (codes == STOPPED).any() else "completed"


def finish_run(
    problem: Problem, prepared: Prepared, program: TableProgram, fitted: Fitted, *, scored: bool, many: bool = False
) -> Run:
    """Make a run of a trained population.

    Args:
        problem: as it was given.
        prepared: made ready.
        program: what trained the members.
        fitted: the members.
        scored: compute scores and keep the predictions behind them.
        many: one of many runs: the model is built when somebody asks for it, the predictions come from the members
            themselves, and the scores have no intervals and no baselines beside them.
    """
    from fallline.network.export import Finish, export_model

    recipe, members, state = prepared.recipe, prepared.members, fitted.state
    # Before the first improvement (an interruption in the first epoch) the best weights are the initial ones.
    restored = recipe.stopping.restore_best
    params, aux = (state.best_params, state.best_aux) if restored else (fitted.used, state.aux)
    alive = _alive(fitted)
    chosen = alive if len(alive) else np.arange(len(members))
    if recipe.ensemble.keep == "best":
        chosen = chosen[[int(np.argmin(np.asarray(state.best_loss)[chosen]))]]
    params, aux = [np.asarray(p)[chosen] for p in params], [np.asarray(a)[chosen] for a in aux]
    used = tuple(members[i] for i in chosen)
    out = np.asarray(program.outputs(params, aux, prepared.features[prepared.train_rows]))
    temperature, oof_rows, oof = _calibrate(problem, prepared, out, used)
    regression = not problem.is_classification
    train_y = problem.y[prepared.train_rows]
    finish = Finish(
        problem.kind,
        temperature,
        center=np.atleast_1d(prepared.preparation.target_center) if regression else None,
        scale=np.atleast_1d(prepared.preparation.target_scale) if regression else None,
        low=np.atleast_1d(train_y.min(axis=0)) if regression and recipe.prepare.clip_target else None,
        high=np.atleast_1d(train_y.max(axis=0)) if regression and recipe.prepare.clip_target else None,
        output=recipe.network.output,
        target_values=recipe.training.target_values,
    )

    def export() -> Any:
        width = prepared.preparation.raw(problem.frame.head(1)).shape[1]
        return export_model(program.network, params, aux, prepared.preparation, width, finish)

    model = Deferred(export) if many else export()
    scores: tuple[Score, ...] = ()
    held: HeldOut | None = None
    if scored and not (len(alive) == 0 and fitted.seen.shape[1]):
        test = prepared.test_rows
        if not len(test):
            predicted = oof
        elif many:
            predicted = _ensemble(problem, prepared, program.outputs(params, aux, prepared.features[test]), finish)
        else:
            predicted = apply_model(model, prepared.preparation.raw(problem.frame.iloc[test]))
        scores, held = _score(problem, prepared, test if len(test) else oof_rows, predicted, many=many)
    run = Run(
        model=model,
        trace=trace_of(fitted, prepared),
        outcome=_outcome(fitted),
        recipe=recipe,
        scores=scores,
        held_out=held,
        preparation=prepared.preparation,
    )
    return run.with_(facts=table_facts(problem, prepared, program, fitted, temperature, used))


def _ensemble(problem: Problem, prepared: Prepared, out: np.ndarray, finish: Any) -> np.ndarray:
    """What the exported model makes of the members' raw outputs (p, n, k): the same numbers, without building it."""
    if problem.is_classification:
        p = probabilities(problem.kind, out, finish.output, finish.target_values).mean(axis=0)
        return p if finish.temperature == 1.0 else tempered(p, finish.temperature, problem.kind == "multiclass")
    units: np.ndarray = out.astype(np.float64).mean(axis=0) * finish.scale + finish.center
    return units if finish.low is None else np.clip(units, finish.low, finish.high)


def _calibrate(
    problem: Problem, prepared: Prepared, out: np.ndarray, members: tuple[Member, ...]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return (temperature, rows, predictions on rows whose members were not trained on them, in the target's units).

    ``out`` (p, n, k): the members' raw outputs on all rows to train and validate on.
    """
    place = np.full(problem.n_rows, -1)
    place[prepared.train_rows] = np.arange(len(prepared.train_rows))
    local = tuple(replace(m, val_rows=place[m.val_rows]) for m in members)
    unit = (prepared.recipe.network.output, prepared.recipe.training.target_values)
    if problem.is_classification:
        rows, p = out_of_fold(probabilities(problem.kind, out, *unit), local, len(prepared.train_rows))
        rows = prepared.train_rows[rows]
        if not prepared.recipe.ensemble.calibrate or not np.isfinite(p).all():
            return 1.0, rows, p
        multiclass = problem.kind == "multiclass"
        temperature = fit_temperature(p, problem.y[rows], prepared.weight[rows], multiclass)
        if int(prepared.recipe.split.folds) > 1:
            # Here few members judge each row, and an average of few is more sure of itself than the ensemble, which
            # needs no cooling of its own (measured on letter: 0.055 as it is, 0.062 with the members' 1.57).
            temperature = min(temperature, 1.0)
        return temperature, rows, tempered(p, temperature, multiclass)
    rows, z = out_of_fold(out.astype(np.float64), local, len(prepared.train_rows))
    units = z * np.atleast_1d(prepared.preparation.target_scale) + np.atleast_1d(prepared.preparation.target_center)
    return 1.0, prepared.train_rows[rows], units


def _score(
    problem: Problem, prepared: Prepared, rows: np.ndarray, prediction: np.ndarray, *, many: bool
) -> tuple[tuple[Score, ...], HeldOut]:
    """Score on untouched rows; without any, on each row by the members that were not trained on it."""
    from fallline.score import baselines, score

    name = "test" if len(prepared.test_rows) else "out_of_fold"
    if prediction.ndim == 2 and prediction.shape[1] == 1 and problem.y.ndim == 1:
        prediction = prediction[:, 0]
    y = problem.y[rows]
    weight = None if problem.sample_weight is None else problem.sample_weight[rows]
    resamples = 0 if many else _RESAMPLES
    scores = score(
        problem.kind, y, prediction, rows=name, seed=_BOOTSTRAP_SEED, n_bootstrap=resamples, sample_weight=weight
    )
    if name == "test" and not many:
        scores += baselines(problem, prepared.features, prepared.train_rows, rows, seed=_BOOTSTRAP_SEED)
    return scores, HeldOut(y, prediction, name, np.asarray(rows, np.int64))
