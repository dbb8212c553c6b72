"""Many trainings of one Keras model as few compiled programs: seeds, folds and recipes become members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import keras
import numpy as np

from fallline.errors import InputError
from fallline.keras_config import anew, compile_like
from fallline.train.beginning import begin_optimizer
from fallline.train.evaluations import evaluations
from fallline.train.fitted import Fitted
from fallline.train.forking import Anatomy, Fork
from fallline.train.keras_held import Judge, kept_weights, rising_metrics
from fallline.train.keras_jobs import Job, Work, copy_of, work_of
from fallline.train.keras_runs import assign, loss_name, run_of
from fallline.train.keras_settings import (
    build,
    eval_batch,
    population_of,
)
from fallline.train.keras_task import KerasTask, seeded
from fallline.train.loop import OnProgress, fit_population
from fallline.train.many import ended_at_once, in_waves, state_bytes
from fallline.train.orders import Member, Plan, bucket
from fallline.train.postmortem import post_mortem, with_causes
from fallline.types import Deferred, Recipe, Run, Score

__all__ = ["anatomy_of", "begin_many_keras", "train_many_keras"]

Tree = Any

_EVALUATIONS = 20


def train_many_keras(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    scored: bool = True,
    memory: int | None = None,
    on_progress: OnProgress | None = None,
    fork: Fork | None = None,
    **given: Any,
) -> list[Run]:
    """Train copies of a Keras model, which itself is left as it is; see `fallline.train_many`.

    Args:
        model: the model.
        x: as there.
        y: as there.
        scored: as there.
        memory: as there.
        on_progress: as there.
        fork: of `begin_many_keras`: go on from there.
        given: the other arguments, see `work_of`.
    """
    work, runs = work_of(model, x, y, **given), {}
    for task, places in work.groups():
        judge = Judge(work.model, task.task, work.data, scored=scored)
        for place, job, member, alone, causes in _train_group(work, task, places, memory, on_progress, fork=fork):
            if alone.interrupted:
                on_progress = on_progress or ended_at_once
            run = _run(work.model, task, job, member, alone, causes)
            if len(job.held):
                found = judge.judged(member, *kept_weights(alone, job.settings), job.held)
                run = run.with_(scores=found[0], held_out=found[1])
            runs[place] = run if scored else run.with_(scores=())
    return [runs[i] for i in range(len(work.jobs))]


def begin_many_keras(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    at: int,
    memory: int | None = None,
    on_progress: OnProgress | None = None,
    **given: Any,
) -> Fork:
    """Train copies of a Keras model for so many epochs, for others to go on from there.

    Args:
        model: the model.
        x: as in `fallline.train_many`.
        y: likewise.
        at: epochs.
        memory: likewise.
        on_progress: likewise.
        given: the other arguments, see `work_of`.

    Raises:
        InputError: ``at`` is not inside of the training.
        KeyboardInterrupt: stopped before the fork.
    """
    work, begun = work_of(model, x, y, **given), {}
    epochs = work.jobs[0].settings.epochs
    if not 0 < at < epochs:
        raise InputError(f"fork_at = {at} is not allowed: the control trains {epochs} epochs, so 1 to {epochs - 1}.")
    for task, places in work.groups():
        for _, job, _, alone, _ in _train_group(work, task, places, memory, on_progress, until=at):
            if alone.interrupted:
                raise KeyboardInterrupt
            begun[job.who] = (alone, anatomy_of(work.model, job.recipe))
    return Fork(at, begun)


def anatomy_of(model: keras.Model, recipe: Recipe | None = None) -> Anatomy:
    """Return what the state of a built and compiled model's training is made of.

    Args:
        model: the model.
        recipe: whose optimizer is used; None: the model's own.
    """
    names = {id(v): v.path for v in model.non_trainable_variables}
    for layer in model._flatten_layers(include_self=False):
        # The layer's name and a number: a random layer's state has a name that changes from model to model.
        names |= {id(v): f"{layer.name}/{k}" for k, v in enumerate(layer.non_trainable_variables)}
    settings: list[int] = []
    if recipe is None:
        model.optimizer.build(model.trainable_variables)
        settings = [i for i, v in enumerate(model.optimizer.variables) if v.path.endswith("learning_rate")]
    return Anatomy(
        tuple(tuple(v.shape) for v in model.trainable_variables),
        tuple(names[id(v)] for v in model.non_trainable_variables),
        recipe.optimizer.name if recipe is not None else type(model.optimizer).__name__,
        loss_name(model),
        tuple(settings),
    )


def _first_state(model: keras.Model) -> list[np.ndarray]:
    """Return the variables of the model's optimizer as they are before the first step, whatever it has done."""
    fresh = anew(model.optimizer)
    fresh.build(model.trainable_variables)
    return [np.asarray(v.value) for v in fresh.variables]


def _train_group(
    work: Work,
    task: KerasTask,
    places: Sequence[int],
    memory: int | None,
    on_progress: OnProgress | None,
    *,
    fork: Fork | None = None,
    until: int | None = None,
) -> Iterator[tuple[int, Job, Member, Fitted, dict[int, Any]]]:
    """Train jobs of one program; yield (place, job, its member, the member alone, why it diverged)."""
    model, jobs, starts = work.model, [work.jobs[i] for i in places], work.starts

    def begin(job: Job) -> tuple[Tree, Tree, Tree]:
        params, aux = starts[job.seed] if job.drawn else (task.params, seeded(model, job.seed))
        if job.optimizer is None:
            return params, aux, first if job.drawn else task.optimizer
        state = begin_optimizer(job.optimizer, [np.asarray(p)[None] for p in params], [job.seed])
        return params, aux, jax.tree.map(lambda a: a[0], state)

    first = _first_state(model) if jobs[0].optimizer is None else []
    keep_best = jobs[0].settings.stopping.keep_best
    one = jax.tree.map(lambda a: np.asarray(a)[None], begin(jobs[0]))
    plan = jobs[0].settings.plan(eval_batch(model, jobs[0].settings.batch_size, max(len(j.rows[0]) for j in jobs)))
    for wave in in_waves(len(jobs), state_bytes(one, keep_best=keep_best), memory):
        members = [
            Member(j.seed, j.rows[0], j.rows[1], j.numbers, _thinned(j.settings.plan(plan.eval_batch)))
            for j in (jobs[i] for i in wave)
        ]
        kind, stopping = population_of(model), jobs[0].settings.stopping.program()
        population = kind(task.task, stopping, bucket(len(members)), validated=work.validated)
        population.thin()
        state = jax.tree.map(lambda *leaves: np.stack(leaves), *(begin(jobs[i]) for i in wave))
        begun = None
        if fork is not None:
            begun = fork.begun([jobs[i].who for i in wave], anatomy_of(model, jobs[0].recipe))
        fitted = fit_population(
            population, members, plan, work.data, *state, on_progress=on_progress, until=until, begun=begun
        )
        causes = post_mortem(population, members, plan, work.data, fitted, model)
        for i, place in enumerate(wave):
            alone = fitted.take(np.array([i]))
            yield places[int(place)], jobs[place], members[i], alone, {0: causes[i]} if i in causes else {}


def _thinned(plan: Plan) -> Plan:
    """Where nothing depends on it, a training among many is evaluated some twenty times, not behind every epoch."""
    return replace(plan, every=max(1, plan.epochs // _EVALUATIONS))


def _run(
    model: keras.Model, task: KerasTask, job: Job, member: Member, fitted: Fitted, causes: dict[int, Any]
) -> Run:
    run = run_of(model, member, fitted, job.settings, job.recipe, evaluations(job.optimizer, fitted)[0])

    def rebuild() -> keras.Model:
        fresh = copy_of(model)
        build(fresh, keras.tree.map_structure(lambda v: np.zeros((1, *v.shape[1:]), v.dtype), model.inputs))
        compile_like(fresh, model)
        fresh.optimizer.build(fresh.trainable_variables)
        assign(fresh, task, fitted, job.settings, own_optimizer=job.optimizer is None)
        return fresh

    facts = {**with_causes(run.facts, causes), **job.rate, "recipe_index": job.recipe_index, "fold": job.fold}
    return run.with_(model=Deferred(rebuild), facts=facts, scores=_scores(model, fitted, job, member))


def _scores(model: keras.Model, fitted: Fitted, job: Job, member: Member) -> tuple[Score, ...]:
    """The quantities on the held-out rows, for the weights that the run keeps."""
    epochs, best = int(np.asarray(fitted.state.epoch)[0]), int(np.asarray(fitted.state.best_epoch)[0])
    kept = best if job.settings.stopping.keep_best and best else epochs
    if not len(member.val_rows) or not kept:
        return ()
    q = len(fitted.quantities)
    values = fitted.seen[0, kept - 1, 1 + q : 1 + 2 * q]
    if np.isnan(values).all():
        return ()  # stopped between two evaluations
    rising = rising_metrics(model)
    return tuple(
        Score(name, float(value), rows="validation", n=len(member.val_rows), higher_is_better=name in rising)
        for name, value in zip(fitted.quantities, values, strict=True)
    )
