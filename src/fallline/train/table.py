"""The main job: a problem and a recipe become a trained ensemble, its scores, its trace and its diagnosis."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fallline.data import as_pixels, restricted, summarise
from fallline.engine import configure
from fallline.rules import plain_checked, prepared_statistics
from fallline.train.find_rate import with_found_rate
from fallline.train.finish import finish_run
from fallline.train.inside import begin_watching, depth_of, with_inside
from fallline.train.loop import Checkpoint, OnProgress, fit_population
from fallline.train.postmortem import post_mortem, with_causes
from fallline.train.prepared import Prepared, prepare
from fallline.train.programs import begin, plan_of, program_key
from fallline.train.table_task import table_program
from fallline.train.trace import in_units
from fallline.types import Problem, Progress, Recipe, Run

__all__ = ["train_problem"]

def train_problem(
    problem: Problem,
    recipe: Recipe,
    *,
    rows: tuple[np.ndarray, np.ndarray] | None = None,
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
        rows: (training rows, untouched rows); None: as the recipe splits.
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
    started = time.perf_counter()
    say: Callable[[str], object] = (
        (lambda phase: on_progress(Progress(0, 0, phase=phase))) if on_progress else (lambda phase: None)
    )
    say("prepare")
    recipe, rate = with_found_rate(problem, recipe)
    if recipe.network.kind == "lenet5":
        problem = as_pixels(problem)
    prepared = prepare(problem, recipe, rows)
    program = table_program(program_key(prepared, problem, depth))
    plan = plan_of(prepared.recipe)
    data = (prepared.features, prepared.targets, prepared.weight)
    params, *others = begin(program, prepared, problem.kind)
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
    run = with_inside(finish_run(problem, prepared, program, fitted, scored=diagnosed), program.eyes, fitted)
    causes = post_mortem(program.population, prepared.members, plan, data, fitted, program.network.model)
    checked = _checked(problem, prepared) if diagnosed else {}
    facts = {**with_causes(run.facts, causes), **rate, **checked, "total_seconds": time.perf_counter() - started}
    run = run.with_(facts=facts, summary=summarise(problem) if diagnosed else None)
    if diagnosed:
        from fallline.diagnose import diagnose

        run = run.with_(diagnosis=diagnose(run))
    return run


def _checked(problem: Problem, prepared: Prepared) -> dict[str, Any]:
    """What the rules that speak before a training want to know of it."""
    rows, preparation = prepared.train_rows, prepared.preparation
    given = restricted(problem, rows)
    raw = preparation.raw(given.frame)
    known = prepared_statistics(prepared.recipe, given, prepared.features[rows], raw, preparation)
    return {"checked": plain_checked(known)}
