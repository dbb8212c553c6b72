"""What many trainings of one Keras model are: jobs, their first weights, and the programs that they share."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fallline import recipe as recipes
from fallline.engine import configure
from fallline.errors import InputError
from fallline.keras_config import cloned, own_functions, without_tensorflow
from fallline.train.find_rate import with_rate_for_keras
from fallline.train.jobs import Fold
from fallline.train.keras_data import keras_data
from fallline.train.keras_settings import (
    Settings,
    average_numbers,
    build,
    compiled,
    recipe_optimizer,
    rows_a_step,
    settings_of,
    with_all_rows,
)
from fallline.train.keras_support import (
    couples_rows,
    pads_evaluation,
    require_jax,
    require_supported,
    require_trainable,
)
from fallline.train.keras_task import KerasTask, keras_task, seeded
from fallline.train.keras_terms import Terms, terms_of
from fallline.types import REDUCING, Recipe

__all__ = ["Job", "Work", "copy_of", "work_of"]

Tree = Any


@dataclass(frozen=True, eq=False)
class Job:
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
class Work:
    """All runs to be made, with what they share."""

    model: keras.Model
    jobs: list[Job]
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


def work_of(
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
) -> Work:
    """Check what was given and divide it into jobs; see `fallline.train_many`."""
    require_jax()
    require_supported(model)
    configure()
    data = keras_data(
        model, x, y, given, validation_data=validation_data, validation_split=validation_split,
        sample_weight=sample_weight, class_weight=class_weight, apart=folds is not None,
    )  # fmt: skip
    x, y, whole = data.x, data.y, data.whole
    if folds is None:
        folds = [(np.arange(data.rows), np.arange(data.rows, len(whole[2])))]
    validated = all(len(parts[1]) for parts in folds)
    build(model, x)
    require_trainable(model)
    model = compiled(model, x, y, given[0])

    jobs = []
    for index, one in enumerate(given):
        recipe = recipes.check(one) if one is not None else None
        optimizer, usual = recipe_optimizer(recipe, model)
        terms, more = terms_of(recipe, model) if recipe is not None else (None, {})
        for seed, (fold, parts) in itertools.product([0] if seeds is None else seeds, enumerate(folds)):
            many = len(parts[0])
            own = settings_of(recipe, epochs, rows_a_step(recipe, batch_size, many), shuffle, early_stopping, validated)
            own = with_all_rows(model, recipe, own, batch_size, many)
            found, rate = with_rate_for_keras(model, x, y, recipe, int(seed), batch_size, parts[0])
            numbers = usual if found is recipe else recipe_optimizer(found, model)[1]
            numbers = numbers | more | average_numbers(recipe, own, many) | own.stopping.constants()
            job = Job(
                recipe=found, recipe_index=index, settings=own, optimizer=optimizer, numbers=numbers, terms=terms,
                seed=int(seed), drawn=seeds is not None, fold=None if len(folds) == 1 else fold,
                rows=(parts[0], parts[1]), held=parts[2] if len(parts) > 2 else np.zeros(0, np.int64), rate=rate,
            )  # fmt: skip
            jobs.append(job)
    starts = {seed: _first_weights(model, seed, x) for seed in {job.seed for job in jobs if job.drawn}}
    return Work(model, jobs, starts, whole, data.sample, data.weighted, validated)


def _first_weights(model: keras.Model, seed: int, x: Tree) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return (trainable, non-trainable) weights as the model's own initialisers draw them by this seed.

    Layers that are frozen or were adapted to data keep what they have: nothing would teach them anew.
    """
    before = random.getstate()
    try:
        random.seed(seed)  # Keras' initialisers take their seeds from here
        fresh = copy_of(model)
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


def copy_of(model: keras.Model) -> keras.Model:
    """Return a model of the same layers with weights of its own, neither built nor compiled.

    Raises:
        InputError: its class does not say how it is made.
    """
    try:
        if type(model) is keras.Sequential or type(model).__name__ == "Functional":
            fresh: keras.Model = cloned(model)
            return fresh
        with without_tensorflow(), keras.saving.custom_object_scope(own_functions(model)):
            return type(model).from_config(model.get_config())
    except (NotImplementedError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"The model {model.name!r} ({type(model).__name__}) cannot be built anew from its config, which every "
            "further run needs. Give its class a get_config() and from_config(), or train it with fl.train()."
        ) from error
