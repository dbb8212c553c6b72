"""`fallline.experiment`: treated arms trained side by side with a control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fallline.errors import InputError, is_count
from fallline.experiment.account import Plan, account
from fallline.recipe import default
from fallline.train.api import is_keras_model, make_recipe_problem
from fallline.train.jobs import distinct_seeds, keras_keywords
from fallline.types import Design, Experiment, Recipe, Run

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
    fork_at: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    shuffle: bool | None = None,
    early_stopping: Any = None,
    class_weight: Mapping[Any, float] | None = None,
    on_progress: Any = None,
) -> Experiment:
    """Train a control and treated arms on the same seeds and folds, and say which of them helps.

    Recipes are trained as one population, each Keras model as one. Each fold's held-out rows are untouched: they are
    neither trained nor validated on, and what a treatment asks of the data it is told of the other rows alone. A
    training that is lost scores as the best constant prediction.

    Args:
        control: a `Recipe`, the name of a preset, or the `Run` of a table; or a Keras model, a `Design`, or the `Run`
            of a Keras model. A model's weights are drawn anew by each seed.
        treated: names of treatments, applied to the control each by itself; or a mapping arm -> `Recipe`, or arm ->
            Keras model or `Design`.
        x: a table, as for `fallline.train`; for a Keras model the inputs (n, ...), or a list or dict of them.
        y: targets, or a column's name; for a Keras model (n, ...).
        target: as for `fallline.train`.
        kind: as for `fallline.train`.
        seeds: how many, or which.
        folds: parts of the table, each held out once; or pairs (training rows, held-out rows).
        metric: by which the arms are compared; of tables, classes and quantities ``log_loss``, ``accuracy``, ``auc``,
            ``rmse``, ``mae``, ``r2``, by default log-loss or RMSE (accuracy, where a model's outputs are no
            probabilities); of other targets of a Keras model its loss (the default) or one of its metrics.
        fork_at: the control is trained for so many epochs, and all arms go on from there, with its weights, the state
            of its optimizer and its place in the schedule: what if it had been treated at that epoch? Treatments that
            change the network's inputs, the shapes of its weights or its first weights cannot be tried in mid-run.
        epochs: of a Keras model; default as for `fallline.train`.
        batch_size: of a Keras model.
        shuffle: of a Keras model.
        early_stopping: of a Keras model, as for `fallline.train`; the arms that stop early validate on a fifth of the
            fold's training rows. Default: all epochs.
        class_weight: of a Keras model: class index -> weight.
        on_progress: as for `fallline.train`; returning True ends the experiment.

    Raises:
        InputError: an unknown treatment, nothing to compare, an unknown metric, an arm that cannot be forked.
        KeyboardInterrupt: stopped; what was trained is lost.

    Source: docs/experiments.md says how it decides, and how often it is wrong.
    """
    if (is_count(seeds) and seeds < 1) or (is_count(folds) and folds < 2):
        raise InputError(f"seeds = {seeds}, folds = {folds}: an experiment takes at least 1 seed and 2 folds.")
    if fork_at is not None and not is_count(fork_at, least=1):
        raise InputError(f"fork_at = {fork_at!r} is not allowed: it takes a number of epochs, at least 1.")
    plan = Plan(distinct_seeds(seeds), folds, metric, fork_at, on_progress)
    if y is None and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    recipe = _recipe_of(control)
    training = keras_keywords(
        beside_recipe=recipe is not None, epochs=epochs, batch_size=batch_size, shuffle=shuffle,
        early_stopping=early_stopping, class_weight=class_weight,
    )  # fmt: skip
    if recipe is not None:
        from fallline.experiment.recipe_arms import score_recipes

        problem = make_recipe_problem(x, y, target, kind, None)
        return account(score_recipes(recipe, treated, problem, plan), plan.seeds)
    if not (isinstance(control, (Design, Run)) or is_keras_model(control)):
        raise InputError(
            f"experiment was given a {type(control).__name__} as control; it takes a Recipe, the name of a preset, a "
            "Keras model, a Design, or a Run."
        )
    if x is None or y is None or target is not None or kind is not None:
        raise InputError("A Keras model is trained on x and y: fl.experiment(model, treatments, x, y).")
    from fallline.experiment.keras_arms import score_models

    return account(score_models(control, treated, x, y, plan, training=training), plan.seeds)


def _recipe_of(control: Any) -> Recipe | None:
    """Return the recipe that is the control; None for a Keras model."""
    if isinstance(control, (str, Path)):
        if Path(control).is_dir():
            raise InputError(f"{control} is a folder; open the run in it first: fl.experiment(fl.load(...), ...).")
        return default(str(control))
    if isinstance(control, Run):
        return control.recipe if control.preparation is not None else None
    return control if isinstance(control, Recipe) else None
