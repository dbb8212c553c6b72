"""`fallline.train`: one call for tables and for Keras models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from fallline import recipe as recipes
from fallline.errors import InputError
from fallline.train.jobs import fold_pairs, seeds_of, varied
from fallline.train.progress import progress_printer, say_kind
from fallline.types import Problem, Recipe, Run

__all__ = ["is_keras_model", "make_recipe_problem", "train", "train_many"]


def is_keras_model(value: Any) -> bool:
    """Return whether it is a Keras model, of whatever class."""
    # By name, so that a table can be trained without importing Keras first.
    return any(c.__module__.partition(".")[0] == "keras" and c.__name__ == "Model" for c in type(value).__mro__)


def train(
    what: Any = "default",
    x: Any = None,
    y: Any = None,
    *,
    target: str | list[str] | None = None,
    kind: str | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    epochs: int | None = None,
    batch_size: int | Literal["all"] | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    verbose: int | str = "auto",
    seed: int | None = None,
    early_stopping: Any = True,
    recipe: Recipe | None = None,
    on_progress: Any = None,
    watch: bool | int | str = True,
    stop_when_lost: bool = False,
) -> Run:
    """Train a network: a Keras model of your own on arrays, or a recipe's ensemble on a table.

    Args:
        what: a Keras model (Sequential, Functional, subclassed; compiled or not; trained in place), a `Recipe`, or the
            name of a preset: ``"default"`` or ``"simple"``.
        x: for a Keras model: the inputs (n, ...), an array or a list or dict of arrays. For a recipe: a frame, array or
            sparse matrix (n, columns), a `Problem`, or the path of a table; for ``network.kind = "lenet5"`` also images
            (n, h, w) or (n, h, w, c); for ``"autoencoder"`` a table of numbers, and no ``y``.
        y: targets (n, ...); for a recipe also a column name. What the model's loss accepts.
        target: for a recipe: the target column(s) of ``x``, instead of ``y``.
        kind: for a recipe: the kind of problem, when it shall not be inferred; which was inferred, and why, is said in
            a line where ``verbose`` shows progress, and stands in ``run.facts["kind"]`` and ``["why"]``.
        validation_data: for a Keras model: (x, y) or (x, y, weights). A recipe makes its own folds.
        validation_split: for a Keras model: the share of the last rows that validate.
        epochs: most epochs; default 100 for a Keras model.
        batch_size: rows per step, or "all"; default 32 for a Keras model.
        class_weight: class index -> weight, or "balanced" (Keras model); a recipe has ``training.class_weight``.
        sample_weight: (n,) weights of the rows.
        shuffle: new order of the rows in each epoch.
        verbose: 0 silent; 1 a line now and then; "auto": 1 on a terminal.
        seed: same seed, same result on the same machine; default 0, or the recipe's.
        early_stopping: True: stop by validation loss (patience 20) and restore the best weights, if there are
            validation rows; False: run all epochs and keep the last weights, as Keras' ``fit`` does; a patience; one
            of Prechelt's criteria, ``"gl"``, ``"pq"`` or ``"up"``; entries of a recipe's stopping section as a dict,
            ``{"criterion": "gl", "alpha": 3.0}``; a Keras EarlyStopping.
        recipe: for a Keras model: from this recipe optimizer, schedule, l1, l2 and their factors, label smoothing,
            class weights, epochs, batches, their order and growth, and stopping (what it says beyond its preset of
            networks, preparation, splits and ensembles is an error that says how the model is told); None: what the
            model was compiled with, or Adam at 0.001 and the loss that fits the output layer.
        on_progress: called with a `Progress` between chunks of epochs; returning True ends the training there.
        watch: look inside the layers while they train (weights, gradients, steps, outputs), into ``.trace.inside``;
            True: now and then, as seldom as it should cost; False: never; k: every k epochs; "all": also the curvature
            along the step and the sharpness. Of a recipe's ensemble the first two networks are watched. Watching
            changes no weight.
        stop_when_lost: end a training that is lost (exploded, dead, flat for a third of its epochs); ``facts["lost"]``
            and the diagnosis say why.

    Returns:
        the run: ``.model``, ``.history``, ``.trace``, ``.outcome``, ``.diagnosis``, ``.predict(x)``, ``.save(path)``.

    Raises:
        InputError: what was given, what is allowed, what to do.

    >>> import fallline as fl
    >>> import keras, numpy as np
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    >>> run = fl.train(model, x, x**2, epochs=5, early_stopping=False, verbose=0)
    >>> run.outcome, len(run.history)
    ('completed', 5)
    """
    progress = on_progress or progress_printer(verbose)
    lost = None
    if stop_when_lost:
        from fallline.train.lost import LostWatch

        progress = lost = LostWatch(progress)
    if is_keras_model(what):
        _only_arrays("train", x, y, target, kind)
        from fallline.train.keras_model import train_keras

        run = train_keras(
            what,
            x,
            y,
            validation_data=validation_data,
            validation_split=validation_split,
            epochs=epochs,
            batch_size=batch_size,
            class_weight=class_weight,
            sample_weight=sample_weight,
            shuffle=shuffle,
            seed=_seed(seed, recipe),
            early_stopping=early_stopping,
            recipe=recipe,
            on_progress=progress,
            watch=watch,
        )
    else:
        chosen = _recipe(what, recipe, epochs, batch_size, shuffle, seed, early_stopping)
        _only_for_keras(
            validation_data=validation_data, validation_split=validation_split or None, class_weight=class_weight
        )
        run = _by_recipe(chosen, x, y, target, kind, sample_weight, progress, watch, verbose)
    return run if lost is None else lost.ended(run)


def _by_recipe(
    chosen: Recipe,
    x: Any,
    y: Any,
    target: Any,
    kind: str | None,
    sample_weight: Any,
    progress: Any,
    watch: Any,
    verbose: int | str,
) -> Run:
    from fallline.train.table import train_problem

    chosen, x = _images(chosen, x)
    if chosen.network.kind == "autoencoder" and y is None and target is None and not isinstance(x, Problem):
        problem = _reconstruction(x, kind, sample_weight)
    else:
        problem = make_recipe_problem(x, y, target, kind, sample_weight)
        say_kind(problem, verbose)
    return train_problem(problem, chosen, on_progress=progress, watch=watch)


def _seed(given: int | None, recipe: Recipe | None) -> int:
    if given is not None:
        return given
    return recipe.seed if isinstance(recipe, Recipe) else 0


def _images(recipe: Recipe, x: Any) -> tuple[Recipe, Any]:
    """Images (n, h, w[, c]) as rows of pixels, and the recipe that says so."""
    if recipe.network.kind != "lenet5" or getattr(x, "ndim", 0) < 3:
        return recipe, x
    from fallline.data import flat_images

    rows, image = flat_images(x)
    if recipe.network.image not in ((), image):
        raise InputError(
            f"network.image = {list(recipe.network.image)}, but x holds images of {list(image)}. Leave network.image "
            "empty."
        )
    return replace(recipe, network=replace(recipe.network, image=image)), rows


def _reconstruction(x: Any, kind: str | None, sample_weight: Any) -> Problem:
    from pathlib import Path

    from fallline.data import read_table, reconstruction_problem

    if kind is not None:
        raise InputError("An autoencoder reproduces its inputs: leave kind out.")
    if x is None:
        raise InputError("There is nothing to learn from: give a table of numbers as x.")
    if isinstance(x, (str, Path)):
        return reconstruction_problem(read_table(x), sample_weight=sample_weight, source=str(x))
    return reconstruction_problem(x, sample_weight=sample_weight)


def train_many(
    what: Any = "default",
    x: Any = None,
    y: Any = None,
    *,
    seeds: Iterable[int] | int | None = None,
    folds: Any = None,
    vary: Mapping[str, Iterable[Any]] | None = None,
    recipe: Recipe | Sequence[Recipe] | None = None,
    target: str | list[str] | None = None,
    kind: str | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    epochs: int | None = None,
    batch_size: int | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    early_stopping: Any = True,
    scored: bool = True,
    memory: int | None = None,
    verbose: int | str = "auto",
    on_progress: Any = None,
) -> list[Run]:
    """Train a network many times, with other seeds, other folds, other recipes, as few compiled programs.

    Trainings that differ in numbers alone (seed, rows, learning rate, momentum, betas, penalties, rates of dropout and
    noise, label smoothing, schedule, epochs) share one program and are spread over all cores; others are grouped. Each
    ends by itself, at its own early stopping or divergence, and gives what it would have given alone.

    Args:
        what: a Keras model, which is left as it is; a `Recipe`, the name of a preset, or several of them.
        x: for a Keras model: the inputs (n, ...). For recipes: a table, as for `fallline.train`. With y=None also
            the pair (x, y).
        y: targets (n, ...), or a column name.
        seeds: one training for each; or how many. For a Keras model its initialisers draw the weights anew by the seed,
            but those of layers that are frozen or adapted to data, and its optimizer begins anew; without ``seeds``
            what it has is the start.
        folds: one training for each of: pairs (training rows, held-out rows) of row numbers or of booleans; a
            scikit-learn splitter; or a number of folds (shuffled, stratified for classes). A recipe keeps the held-out
            rows untouched for the score and splits its validation rows from the others; a Keras model validates on
            them, unless it is given triples (training, validation, held-out rows), the second of which may be empty.
        vary: recipe entry -> values, e.g. ``{"optimizer.learning_rate": [0.1, 0.01]}``: every combination.
        recipe: for a Keras model: one or several recipes, as in `fallline.train`.
        target: as for `fallline.train`.
        kind: as for `fallline.train`.
        validation_data: for a Keras model without folds, as for `fallline.train`.
        validation_split: likewise.
        epochs: most epochs.
        batch_size: rows per step.
        class_weight: for a Keras model: class index -> weight.
        sample_weight: (n,) weights of the rows.
        shuffle: new order of the rows in each epoch.
        early_stopping: as for `fallline.train`.
        scored: score every run on its held-out rows (without intervals).
        memory: bytes that the members may take at once; default: half of what is free. More members than fit are
            trained in waves, one after another.
        verbose: 0 silent; 1 a line now and then; "auto": 1 on a terminal.
        on_progress: called with a `Progress` between chunks of epochs; returning True ends the trainings under way.

    Returns:
        one run each: recipes outermost, then seeds, then folds; ``run.facts`` names its ``recipe_index``, ``seed`` and
        ``fold``. A run's model is built when it is first asked for.

    Raises:
        InputError: what was given, what is allowed, what to do.

    >>> import fallline as fl
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 80)[:, None]
    >>> runs = fl.train_many("simple", (x, x[:, 0] ** 2), seeds=2, folds=4, epochs=3)
    >>> len(runs), runs[-1].facts["seed"], runs[-1].facts["fold"], runs[-1].scores[0].n
    (8, 1, 3, 20)
    """
    progress = on_progress or progress_printer(verbose)
    if y is None and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    chosen = None if seeds is None else seeds_of(seeds)
    if is_keras_model(what):
        _only_arrays("train_many", x, y, target, kind)
        return _many_of_keras(
            what, x, y, folds, recipe, vary,
            seeds=chosen, validation_data=validation_data, validation_split=validation_split, epochs=epochs,
            batch_size=batch_size, class_weight=class_weight, sample_weight=sample_weight, shuffle=shuffle,
            early_stopping=early_stopping, scored=scored, memory=memory, on_progress=progress,
        )  # fmt: skip
    several = [what] if isinstance(what, (str, Recipe)) or not isinstance(what, Sequence) else list(what)
    _only_for_keras(recipe=recipe, validation_data=validation_data, validation_split=validation_split or None,
                    class_weight=class_weight)  # fmt: skip
    named = [_recipe(one, None, epochs, batch_size, shuffle, None, early_stopping) for one in several]
    from fallline.train.many import train_many_problems

    problem = make_recipe_problem(x, y, target, kind, sample_weight)
    say_kind(problem, verbose)
    return train_many_problems(
        problem,
        varied(named, vary),
        seeds=chosen,
        folds=None if folds is None else fold_pairs(folds, problem.y),
        scored=scored,
        memory=memory,
        on_progress=progress,
    )


def _many_of_keras(
    model: Any,
    x: Any,
    y: Any,
    folds: Any,
    recipe: Recipe | Sequence[Recipe] | None,
    vary: Mapping[str, Iterable[Any]] | None,
    **given: Any,
) -> list[Run]:
    if folds is not None and (given["validation_data"] is not None or given["validation_split"]):
        raise InputError("A fold's held-out rows validate: give folds, or validation_data, or validation_split.")
    from fallline.train.keras_many import train_many_keras

    chosen: list[Recipe] = [] if recipe is None else [recipe] if isinstance(recipe, Recipe) else list(recipe)
    if vary and recipe is None:
        chosen = [recipes.default("simple")]
    pairs = None if folds is None else fold_pairs(folds, y, validated=True)
    return train_many_keras(model, x, y, given=varied(chosen, vary) or [None], folds=pairs, **given)


def _only_arrays(call: str, x: Any, y: Any, target: Any, kind: Any) -> None:
    if x is None or y is None:
        raise InputError(f"A Keras model is trained on x and y: fl.{call}(model, x, y).")
    if target is not None or kind is not None:
        raise InputError("target and kind belong to tables trained by a recipe; for a Keras model give x and y.")


def _only_for_keras(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"{name} belongs to Keras models; a recipe makes its own folds and weights: "
                "see split.folds, split.validation and training.class_weight."
            )


def _recipe(
    what: Any,
    recipe: Recipe | None,
    epochs: int | None,
    batch_size: int | Literal["all"] | None,
    shuffle: bool,
    seed: int | None,
    early_stopping: Any,
) -> Recipe:
    if isinstance(what, str):
        what = recipes.default(what)
    if not isinstance(what, Recipe) or recipe is not None:
        given = type(what).__name__ if not isinstance(what, Recipe) else "a recipe twice"
        raise InputError(
            f"fl.train was given {given} first; it takes a Keras model, a Recipe, "
            "or the name of a preset ('default', 'simple')."
        )
    training = replace(
        what.training,
        shuffle=shuffle and what.training.shuffle,
        epochs=what.training.epochs if epochs is None else epochs,
        batch_size=what.training.batch_size if batch_size is None else batch_size,
    )
    stopping = what.stopping
    if early_stopping is False:
        stopping = replace(stopping, criterion="none", restore_best=False)
    elif isinstance(early_stopping, int) and not isinstance(early_stopping, bool):
        stopping = replace(stopping, criterion="patience", patience=early_stopping)
    elif early_stopping is not True:
        from fallline.train.halting import stopping_section

        section = stopping_section(early_stopping)
        if section is None:
            raise InputError(
                f"early_stopping = {early_stopping!r} is not allowed for a recipe: it takes True, False, a patience, a "
                "criterion ('gl', 'pq', 'up' or 'patience'), the entries of [stopping] as a dict, or a StoppingRecipe."
            )
        stopping = section
    return replace(what, training=training, stopping=stopping, seed=what.seed if seed is None else seed)


def make_recipe_problem(x: Any, y: Any, target: Any, kind: str | None, sample_weight: Any) -> Problem:
    """Return the problem that a recipe is trained on: as it is, of a file, a frame or arrays."""
    from pathlib import Path

    from fallline.data import make_problem, read_table

    if isinstance(x, Problem):
        return x
    if x is None:
        raise InputError(
            "There is nothing to learn from: give a table as x, and y or target, "
            "e.g. fl.train('default', frame, target='price')."
        )
    source = ""
    if isinstance(x, (str, Path)):
        x, source = read_table(x), str(x)
    return make_problem(x, y, target=target, kind=kind, sample_weight=sample_weight, source=source)
