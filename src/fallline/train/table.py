"""The main job: a problem and a recipe become a trained ensemble, its scores, its trace and its diagnosis."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.data import as_pixels, summarise
from fallline.engine import DIVERGED, STOPPED, configure
from fallline.optimize import schedule_numbers
from fallline.train.beginning import begin_optimizer
from fallline.train.calibration import fit_temperature, out_of_fold, probabilities, tempered
from fallline.train.facts import table_facts
from fallline.train.inside import Depth, begin_watching, depth_of, with_inside
from fallline.train.loop import Checkpoint, Fitted, OnProgress, fit_population
from fallline.train.orders import Member, Plan
from fallline.train.postmortem import post_mortem, with_causes
from fallline.train.prepared import Prepared, prepare
from fallline.train.pretrained import pretrained
from fallline.train.table_task import ProgramKey, TableProgram, table_program
from fallline.train.trace import in_units, trace_of
from fallline.types import (
    REDUCING,
    SCHEDULE_NUMBERS,
    HeldOut,
    OptimizerRecipe,
    Outcome,
    Problem,
    ProblemKind,
    Progress,
    Recipe,
    Run,
    Score,
)

__all__ = ["train_problem"]

_BOOTSTRAP_SEED = 0


# Traced, or of the host: neutral in a program's key.
_USUAL_SCHEDULE = {
    number: getattr(OptimizerRecipe(), number) for numbers in SCHEDULE_NUMBERS.values() for number in numbers
}


def _program(prepared: Prepared, problem: Problem, depth: Depth) -> TableProgram:
    recipe = prepared.recipe
    # What is traced or irrelevant to the program is neutral in its key, so that it does not compile again.
    optimizer = replace(
        recipe.optimizer,
        learning_rate=1.0,
        momentum=0.5,
        beta_1=0.5,
        beta_2=0.5,
        weight_decay=0.0,
        damping=0.5,
        warmup=0.0,
        schedule=recipe.optimizer.schedule if recipe.optimizer.schedule in REDUCING else "constant",
        **_USUAL_SCHEDULE,
        average_from=float(recipe.optimizer.average_from == 1.0),
        l1=float(recipe.optimizer.l1 > 0),
        l2=float(recipe.optimizer.l2 > 0),
        # Both are read once one of them is on.
        activity_l1=float(recipe.optimizer.activity_l1 > 0 or recipe.optimizer.activity_l2 > 0),
        activity_l2=0.0,
        clip_norm=float(recipe.optimizer.clip_norm > 0),
    )
    training = replace(
        recipe.training,
        epochs=1,
        batch_size=1,
        batch_doublings=(),
        shuffle=True,
        order="shuffled",
        class_weight="none",
    )
    static = replace(Recipe(), network=recipe.network, optimizer=optimizer, training=training, stopping=recipe.stopping)
    return table_program(
        ProgramKey(
            static,
            problem.kind,
            prepared.features.shape[1],
            prepared.preparation.n_numeric,
            problem.n_outputs,
            len(prepared.members),
            True,
            depth,
        )
    )


def _begin(program: TableProgram, prepared: Prepared, kind: ProblemKind) -> tuple[Any, Any, Any]:
    """Initial weights and optimizer state, members in the leading axis."""
    members, network = prepared.members, program.network
    drawn = [network.initial(m.seed, prepared.features[m.train_rows] if network.needs_data else None) for m in members]
    if prepared.recipe.pretraining.method != "none":
        drawn = [
            (pretrained(network, prepared, kind, m, trainable, fixed), fixed)
            for m, (trainable, fixed) in zip(members, drawn, strict=True)
        ]
    params = [np.stack(values) for values in zip(*(d[0] for d in drawn), strict=True)]
    aux = [np.stack(values) for values in zip(*(d[1] for d in drawn), strict=True)]
    return params, aux, begin_optimizer(program.optimizer, params, [m.seed for m in members])


def train_problem(
    problem: Problem,
    recipe: Recipe,
    *,
    on_progress: OnProgress | None = None,
    checkpoint: Checkpoint | None = None,
    resume: tuple[Mapping[str, np.ndarray], Mapping[str, Any]] | None = None,
    diagnosed: bool = True,
    watch: bool | int | str = False,
) -> Run:
    """Train the recipe's ensemble on a problem.

    Args:
        problem: from `fallline.data.make_problem`.
        recipe: entries that say "auto" are resolved by the problem's size and kind.
        on_progress: called between chunks of epochs; returning True ends the training there.
        checkpoint: called every few seconds with (arrays, meta); giving both back as ``resume`` continues bit for bit.
        resume: see ``checkpoint``.
        diagnosed: look for symptoms, score against baselines and summarise the data; False spares that time.
        watch: look inside the first members, see `fallline.train`.

    Returns:
        the run; its outcome is ``interrupted`` when a stop was asked for.

    Raises:
        RecipeError: every mistake of the recipe at once.
        DataError: no usable column, too few rows for the folds.
    """
    depth, every = depth_of(watch)
    configure()
    began = time.perf_counter()
    say: Callable[[str], object] = (
        (lambda phase: on_progress(Progress(0, 0, phase=phase))) if on_progress else (lambda phase: None)
    )
    say("prepare")
    if recipe.network.kind == "lenet5":
        problem = as_pixels(problem)
    prepared = prepare(problem, recipe)
    recipe = prepared.recipe
    program = _program(prepared, problem, depth)
    plan = Plan(
        int(recipe.training.epochs),
        int(recipe.training.batch_size),
        shuffle=recipe.training.shuffle,
        order=recipe.training.order,
        doublings=recipe.training.batch_doublings,
        schedule=recipe.optimizer.schedule,
        warmup=recipe.optimizer.warmup,
        schedule_numbers=schedule_numbers(recipe.optimizer),
    )
    data = (prepared.features, prepared.targets, prepared.weight)
    params, *others = _begin(program, prepared, problem.kind)
    fitted = fit_population(
        program.population,
        prepared.members,
        plan,
        data,
        params,
        *others,
        on_progress=(lambda event: on_progress(in_units(event, prepared))) if on_progress else None,
        checkpoint=checkpoint,
        resume=resume,
        inside=begin_watching(program.eyes, prepared.members, plan, params, every),
    )
    say("score")
    run = with_inside(_finish(problem, prepared, program, fitted, scored=diagnosed), program.eyes, fitted)
    causes = post_mortem(program.population, prepared.members, plan, data, fitted, program.network.model)
    facts = {**with_causes(run.facts, causes), "total_seconds": time.perf_counter() - began}
    run = run.with_(facts=facts, summary=summarise(problem) if diagnosed else None)
    if diagnosed:
        from fallline.diagnose import diagnose

        run = run.with_(diagnosis=diagnose(run))
    return run


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


def _finish(problem: Problem, prepared: Prepared, program: TableProgram, fitted: Fitted, *, scored: bool) -> Run:
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
    temperature, oof_rows, oof = _calibrate(problem, prepared, program, params, aux, used)
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
    raw = prepared.preparation.raw(problem.frame)
    model = export_model(program.network, params, aux, prepared.preparation, raw.shape[1], finish)
    scores: tuple[Score, ...] = ()
    held: HeldOut | None = None
    if scored and not (len(alive) == 0 and fitted.seen.shape[1]):
        scores, held = _score(problem, prepared, model, raw, oof_rows, oof)
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


def _calibrate(
    problem: Problem, prepared: Prepared, program: TableProgram, params: Any, aux: Any, members: tuple[Member, ...]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return (temperature, rows, predictions on rows whose members were not trained on them, in the target's units)."""
    out = np.asarray(program.outputs(params, aux, prepared.features[prepared.train_rows]))
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
    problem: Problem, prepared: Prepared, model: Any, raw: np.ndarray, oof_rows: np.ndarray, oof: np.ndarray
) -> tuple[tuple[Score, ...], HeldOut]:
    """Score on untouched rows; without any, on each row by the members that were not trained on it."""
    from fallline.score import baselines, score
    from fallline.train.prediction import apply_model

    rows, name = (prepared.test_rows, "test") if len(prepared.test_rows) else (oof_rows, "out_of_fold")
    prediction = apply_model(model, raw[rows]) if name == "test" else oof
    if prediction.ndim == 2 and prediction.shape[1] == 1 and problem.y.ndim == 1:
        prediction = prediction[:, 0]
    y = problem.y[rows]
    weight = None if problem.sample_weight is None else problem.sample_weight[rows]
    scores = score(problem.kind, y, prediction, rows=name, seed=_BOOTSTRAP_SEED, sample_weight=weight)
    if name == "test":
        scores += baselines(problem, prepared.features, prepared.train_rows, rows, seed=_BOOTSTRAP_SEED)
    return scores, HeldOut(y, prediction, name)
