"""Train any Keras model of the user's own by the engine: Sequential, Functional or subclassed, compiled or not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import jax
import keras
import numpy as np

from fallline import recipe as recipes
from fallline.engine import configure
from fallline.errors import InputError, is_count
from fallline.train.evaluations import evaluations
from fallline.train.find_rate import with_rate_for_keras
from fallline.train.fitted import Fitted
from fallline.train.inside import Eyes, begin_watching, depth_of, make_eyes, with_inside
from fallline.train.keras_data import keras_data
from fallline.train.keras_runs import assign, checked_before, run_of, target_range
from fallline.train.keras_settings import (
    Settings,
    average_numbers,
    build,
    compiled,
    eval_batch,
    population_of,
    recipe_optimizer,
    rows_a_step,
    settings_of,
    with_all_rows,
)
from fallline.train.keras_support import require_jax, require_supported, require_trainable
from fallline.train.keras_task import KerasTask, keras_task
from fallline.train.keras_terms import terms_of
from fallline.train.loop import OnProgress, fit_population
from fallline.train.orders import Member
from fallline.train.postmortem import post_mortem, with_causes
from fallline.types import Recipe, Run

__all__ = ["train_keras"]

Tree = Any


def train_keras(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    validation_data: Any = None,
    validation_split: float = 0.0,
    epochs: int | None = None,
    batch_size: int | Literal["all"] | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    seed: int = 0,
    early_stopping: Any = True,
    recipe: Recipe | None = None,
    on_progress: OnProgress | None = None,
    watch: Any = False,
) -> Run:
    """Train a Keras model in place; see `fallline.train`."""
    require_jax()
    depth, every = depth_of(watch)
    require_supported(model)
    if not is_count(seed, least=0) or seed >= 2**32:
        raise InputError(f"seed = {seed!r} is not allowed: it takes a whole number from 0 to {2**32 - 1}.")
    configure()
    began = time.perf_counter()
    recipe = recipes.check(recipe) if recipe is not None else None
    data = keras_data(
        model, x, y, [recipe], validation_data=validation_data, validation_split=validation_split,
        sample_weight=sample_weight, class_weight=class_weight,
    )  # fmt: skip
    x, y, n, validated = data.x, data.y, data.rows, data.validation is not None
    build(model, x)
    require_trainable(model)
    model = compiled(model, x, y, recipe)
    rows = rows_a_step(recipe, batch_size, n)
    recipe, rate = with_rate_for_keras(model, x, y, recipe, seed, batch_size)
    settings = settings_of(recipe, epochs, rows, shuffle, early_stopping, validated)
    settings = with_all_rows(model, recipe, settings, batch_size, n)
    checked = checked_before(model, x, y, settings, data.validation, weighted=data.weighted, own=recipe is None)
    optimizer, numbers = recipe_optimizer(recipe, model)
    terms, more = terms_of(recipe, model) if recipe is not None else (None, {})
    numbers |= more | average_numbers(recipe, settings, n) | settings.stopping.constants()
    task = keras_task(
        model, optimizer=optimizer, numbers=numbers, seed=seed, sample=data.sample, weighted=data.weighted, terms=terms
    )
    whole = data.whole
    member = Member(seed, np.arange(n), np.arange(n, len(whole[2])), numbers)
    eyes = make_eyes(model, task.task, depth, data.sample[0]) if depth else None
    fitted, causes = _fitted(model, task, member, settings, whole, eyes=eyes, every=every, on_progress=on_progress)
    assign(model, task, fitted, settings, own_optimizer=optimizer is None)
    run = run_of(model, member, fitted, settings, recipe, evaluations(optimizer, fitted)[0])
    facts = {
        **with_causes(run.facts, causes), **target_range(model, y), **rate, "checked": checked,
        "total_seconds": time.perf_counter() - began,
    }  # fmt: skip
    run = with_inside(run.with_(facts=facts), eyes, fitted)
    from fallline.diagnose import diagnose

    return run.with_(diagnosis=diagnose(run))


def _fitted(
    model: keras.Model,
    task: KerasTask,
    member: Member,
    settings: Settings,
    whole: Tree,
    *,
    eyes: Eyes | None,
    every: int,
    on_progress: OnProgress | None,
) -> tuple[Fitted, dict[int, Any]]:
    """Train one member; return what came out, and why it diverged.

    Args:
        model: built and compiled.
        task: of the model.
        member: its rows and numbers.
        settings: how long, in which batches.
        whole: (x, y, weight) of all rows.
        eyes: that look inside; None: nobody looks.
        every: after so many epochs; 0: as seldom as it should cost.
        on_progress: as in `fallline.train`.
    """
    plan = settings.plan(eval_batch(model, settings.batch_size, len(member.train_rows)))
    population = population_of(model)(
        task.task, settings.stopping.program(), 1, validated=bool(len(member.val_rows)),
        observer=eyes.observer if eyes is not None else None,
    )  # fmt: skip
    start = jax.tree.map(lambda a: np.asarray(a)[None], (task.params, task.aux, task.optimizer))
    inside = begin_watching(eyes, [member], plan, start[0], every)
    fitted = fit_population(population, [member], plan, whole, *start, on_progress=on_progress, inside=inside)
    return fitted, post_mortem(population, [member], plan, whole, fitted, model)
