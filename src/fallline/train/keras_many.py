"""Many trainings of one Keras model as few compiled programs: seeds, folds and recipes become members."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import keras
import numpy as np

from fallline import recipe as recipes
from fallline.engine import configure
from fallline.errors import InputError
from fallline.keras_config import without_tensorflow
from fallline.train.arrays import as_arrays, class_weights, rows_of, stack
from fallline.train.beginning import begin_optimizer
from fallline.train.evaluations import evaluations
from fallline.train.find_rate import with_rate_for_keras
from fallline.train.fitted import Fitted
from fallline.train.forking import Anatomy, Fork
from fallline.train.jobs import Fold
from fallline.train.keras_held import Judge, kept_weights, rising_metrics
from fallline.train.keras_runs import assign, loss_name, run_of
from fallline.train.keras_settings import (
    Settings,
    build,
    class_weight_of,
    compiled,
    eval_batch,
    population_of,
    recipe_optimizer,
    row_weights,
    rows_a_step,
    settings_of,
    validation_of,
)
from fallline.train.keras_support import (
    couples_rows,
    pads_evaluation,
    require_full_batch,
    require_jax,
    require_supported,
)
from fallline.train.keras_task import KerasTask, keras_task, seeded
from fallline.train.keras_terms import Terms, terms_of
from fallline.train.loop import OnProgress, fit_population
from fallline.train.many import ended_at_once, in_waves, state_bytes
from fallline.train.orders import Member, Plan, bucket
from fallline.train.postmortem import post_mortem, with_causes
from fallline.train.prepared import average_after
from fallline.types import FULL_BATCH, REDUCING, Deferred, Recipe, Run, Score

__all__ = ["anatomy_of", "begin_many_keras", "train_many_keras"]

Tree = Any

_EVALUATIONS = 20


@dataclass(frozen=True, eq=False)
class _Job:
    """One run to be made."""

    recipe: Recipe | None
    recipe_index: int
    settings: Settings
    optimizer: Any
    numbers: dict[str, float]
    terms: Terms | None
    seed: int
    drawn: bool  # the weights are drawn anew by the seed; else the model's own are the start
    fold: int | None
    rows: Fold
    held: np.ndarray  # rows to be judged on, which neither trained nor validated; none: judged on the validation rows
    rate: dict[str, Any]  # what is recorded of a learning rate that was looked for

    @property
    def who(self) -> tuple[int, int | None]:
        """Its seed and its fold."""
        return self.seed, self.fold

    def program(self, coupled: bool, exact: bool) -> tuple[Any, ...]:
        """Return what must be equal for two jobs to share a compiled program.

        Where batches must not be padded, in training or in evaluation, their numbers of rows must be equal as well.
        """
        o = self.recipe.optimizer if self.recipe is not None else None
        reacts = o is not None and o.schedule in REDUCING
        static = o and (o.name, o.nesterov, o.clip_norm > 0, reacts, o.rate_by_fan_in, o.average_from < 1.0)
        shapes = (len(self.rows[0]) if coupled or exact else 0, len(self.rows[1]) if exact else 0)
        return static, self.terms, self.settings.stopping.program(), self.settings.batch_size, shapes


@dataclass(frozen=True, eq=False)
class _Work:
    """All runs to be made, with what they share."""

    model: keras.Model
    jobs: list[_Job]
    starts: dict[int, tuple[list[np.ndarray], list[np.ndarray]]]
    data: Tree
    sample: Tree
    weighted: bool
    validated: bool

    def groups(self) -> Iterator[tuple[KerasTask, list[int]]]:
        """Yield programs, each with the places of the jobs that share it."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        coupled, exact = couples_rows(self.model), not pads_evaluation(self.model)
        for place, job in enumerate(self.jobs):
            groups.setdefault(job.program(coupled, exact), []).append(place)
        for places in groups.values():
            first = self.jobs[places[0]]
            task = keras_task(
                self.model, optimizer=first.optimizer, numbers=first.numbers, seed=0, sample=self.sample,
                weighted=self.weighted, terms=first.terms,
            )  # fmt: skip
            yield task, places


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
        given: the other arguments, see `_work`.
    """
    work, runs = _work(model, x, y, **given), {}
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
        given: the other arguments, see `_work`.

    Raises:
        InputError: ``at`` is not inside of the training.
        KeyboardInterrupt: stopped before the fork.
    """
    work, begun = _work(model, x, y, **given), {}
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


def _work(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    given: Sequence[Recipe | None] = (None,),
    seeds: Sequence[int] | None = None,
    folds: Sequence[tuple[np.ndarray, ...]] | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    epochs: int | None = None,
    batch_size: int | None = None,
    class_weight: Any = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    early_stopping: Any = True,
) -> _Work:
    """Check what was given and divide it into jobs; see `fallline.train_many`."""
    require_jax()
    require_supported(model)
    configure()
    x, y = as_arrays(x, "x"), as_arrays(y, "y")
    n = rows_of((x, y), "x and y")
    weight = row_weights(sample_weight, n, "sample_weight")
    (x, y, weight), validation, weighted = validation_of((x, y, weight), validation_data, validation_split)
    class_weight = class_weight_of(class_weight, given, apart=folds is not None)
    if class_weight is not None:
        weight = weight * class_weights(y, class_weight)
    weighted = weighted or sample_weight is not None or class_weight is not None
    n = len(weight)
    data = (x, y, weight) if validation is None else stack((x, y, weight), validation)
    if folds is None:
        folds = [(np.arange(n), np.arange(n, len(data[2])))]
    validated = all(len(parts[1]) for parts in folds)
    build(model, x)
    model = compiled(model, x, y, given[0])
    sample = keras.tree.map_structure(lambda a: a[: min(2, n)], (x, y))

    jobs = []
    for index, one in enumerate(given):
        recipe = recipes.check(one) if one is not None else None
        optimizer, usual = recipe_optimizer(recipe, model)
        terms, more = terms_of(recipe, model) if recipe is not None else (None, {})
        for seed in [0] if seeds is None else seeds:
            for fold, parts in enumerate(folds):
                many = len(parts[0])
                own = settings_of(
                    recipe, epochs, rows_a_step(recipe, batch_size, many), shuffle, early_stopping, validated
                )
                own = _full_batch(model, recipe, own, batch_size, many)
                place = None if len(folds) == 1 else fold
                held = parts[2] if len(parts) > 2 else np.zeros(0, np.int64)
                found, rate = with_rate_for_keras(model, x, y, recipe, int(seed), batch_size, parts[0])
                numbers = usual if found is recipe else recipe_optimizer(found, model)[1]
                numbers = numbers | more | _averaged(recipe, own, many)
                numbers |= own.stopping.constants()
                jobs.append(
                    _Job(found, index, own, optimizer, numbers, terms, int(seed), seeds is not None, place,
                         (parts[0], parts[1]), held, rate)
                )  # fmt: skip

    starts = {seed: _initial(model, seed, x) for seed in {job.seed for job in jobs if job.drawn}}
    return _Work(model, jobs, starts, data, sample, weighted, validated)


def _averaged(recipe: Recipe | None, settings: Settings, rows: int) -> dict[str, float]:
    if recipe is None:
        return {}
    planned = replace(recipe.training, epochs=settings.epochs, batch_size=settings.batch_size)
    return average_after(replace(recipe, training=planned), rows)


def _full_batch(model: keras.Model, recipe: Recipe | None, settings: Settings, asked: int | None, n: int) -> Settings:
    if recipe is None or recipe.optimizer.name not in FULL_BATCH:
        return settings
    require_full_batch(
        model, recipe.optimizer.name, recipe.training.batch_size if asked is None else settings.batch_size, n
    )
    return replace(settings, batch_size=n)


def _initial(model: keras.Model, seed: int, x: Tree) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return (trainable, non-trainable) weights as the model's own initialisers draw them by this seed.

    Layers that are frozen or were adapted to data keep what they have: nothing would teach them anew.
    """
    before = random.getstate()
    try:
        random.seed(seed)  # Keras' initialisers take their seeds from here
        fresh = _copy(model)
    finally:
        random.setstate(before)
    build(fresh, x)
    kept = {
        id(v)
        for layer in model._flatten_layers(include_self=False)
        if not layer.trainable or hasattr(layer, "adapt")
        for v in layer.variables
        if not v.path.endswith("seed_generator_state")
    }
    fixed = [
        np.asarray(own.value) if id(own) in kept else drawn
        for own, drawn in zip(model.non_trainable_variables, seeded(fresh, seed), strict=True)
    ]
    return [np.asarray(v.value) for v in fresh.trainable_variables], fixed


def _first_state(model: keras.Model) -> list[np.ndarray]:
    """Return the variables of the model's optimizer as they are before the first step, whatever it has done."""
    fresh = type(model.optimizer).from_config(model.optimizer.get_config())
    fresh.build(model.trainable_variables)
    return [np.asarray(v.value) for v in fresh.variables]


def _copy(model: keras.Model) -> keras.Model:
    try:
        with without_tensorflow():
            if type(model) is keras.Sequential or type(model).__name__ == "Functional":
                fresh: keras.Model = keras.models.clone_model(model)
                return fresh
            return type(model).from_config(model.get_config())
    except (NotImplementedError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"The model {model.name!r} ({type(model).__name__}) cannot be built anew from its config, which every "
            "further run needs. Give its class a get_config() and from_config(), or train it with fl.train()."
        ) from error


def _train_group(
    work: _Work,
    task: KerasTask,
    places: Sequence[int],
    memory: int | None,
    on_progress: OnProgress | None,
    *,
    fork: Fork | None = None,
    until: int | None = None,
) -> Iterator[tuple[int, _Job, Member, Fitted, dict[int, Any]]]:
    """Train jobs of one program; yield (place, job, its member, the member alone, why it diverged)."""
    model, jobs, starts = work.model, [work.jobs[i] for i in places], work.starts

    def begin(job: _Job) -> tuple[Tree, Tree, Tree]:
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
    model: keras.Model, task: KerasTask, job: _Job, member: Member, fitted: Fitted, causes: dict[int, Any]
) -> Run:
    run = run_of(model, member, fitted, job.settings, job.recipe, evaluations(job.optimizer, fitted)[0])

    def rebuild() -> keras.Model:
        fresh = _copy(model)
        build(fresh, keras.tree.map_structure(lambda v: np.zeros((1, *v.shape[1:]), v.dtype), model.inputs))
        fresh.compile_from_config(model.get_compile_config())
        fresh.optimizer.build(fresh.trainable_variables)
        assign(fresh, task, fitted, job.settings, own_optimizer=job.optimizer is None)
        return fresh

    facts = {**with_causes(run.facts, causes), **job.rate, "recipe_index": job.recipe_index, "fold": job.fold}
    return run.with_(model=Deferred(rebuild), facts=facts, scores=_scores(model, fitted, job, member))


def _scores(model: keras.Model, fitted: Fitted, job: _Job, member: Member) -> tuple[Score, ...]:
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
