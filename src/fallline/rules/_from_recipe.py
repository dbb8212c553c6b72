"""Statistics from a recipe and a prepared table, as they are before a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.rules._from_data import label_statistics, order_correlation, relation_statistics, table_statistics
from fallline.rules._rates import PLAIN
from fallline.rules._statistics import constant_prediction_loss, input_statistics, target_statistics
from fallline.rules._structure import LayerFacts
from fallline.types import Problem, Recipe

__all__ = ["prepared_statistics", "problem_statistics", "recipe_layers"]


def problem_statistics(problem: Problem, features: np.ndarray, names: Sequence[str], *, scaled: bool) -> dict[str, Any]:
    """Return what is known of a table: its prepared inputs and its targets as the loss will see them.

    Args:
        problem: the table.
        features: (n, d) prepared columns.
        names: of the columns.
        scaled: whether quantities are brought to mean 0 and sd 1.
    """
    kind, y = problem.kind, np.asarray(problem.y)
    found: dict[str, Any] = {"problem_kind": kind, "n_train": len(features), "n_features": features.shape[1]}
    found |= input_statistics(features) | table_statistics(features, names)
    found["input_names"] = list(names)
    if not problem.is_classification and scaled:
        y = (y - y.mean(axis=0)) / np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0)
    found |= target_statistics(y)
    if kind in ("binary", "multiclass"):
        counts = np.bincount(problem.y, minlength=len(problem.classes))
        found["class_counts"] = {str(c): int(k) for c, k in zip(problem.classes, counts, strict=True)}
        found["loss_name"] = "binary_crossentropy" if kind == "binary" else "sparse_categorical_crossentropy"
        found["output_activation"] = "sigmoid" if kind == "binary" else "softmax"
    elif kind == "multilabel":
        found |= {"loss_name": "binary_crossentropy", "output_activation": "sigmoid"}
    else:
        found |= {"loss_name": "mse", "output_activation": "linear"}
    found["output_units"] = problem.n_outputs
    if y.ndim == 1 or y.shape[1] == 1:
        labels = kind in ("binary", "multiclass")
        found["order_correlation"] = order_correlation(y, labels=labels)
        found |= relation_statistics(features, y, labels=labels, names=names)
        if labels:
            found |= label_statistics(features, y)
    reference = constant_prediction_loss(
        found["loss_name"], found.get("class_counts"), found.get("target_sd"), found.get("target_mean")
    )
    return found if reference is None else found | {"reference_loss": reference}


def recipe_layers(recipe: Recipe, inputs: int, outputs: int) -> list[LayerFacts]:
    """Return the layers of a resolved recipe's network, each with the scale that its initialiser will give."""
    network, l2 = recipe.network, recipe.optimizer.l2 / 2.0
    layers: list[LayerFacts] = []
    before: tuple[str, ...] = ()
    if network.input_noise > 0:
        layers.append(LayerFacts("input_noise", "GaussianNoise", parents=before, rate=network.input_noise))
        before = ("input_noise",)
    width = inputs
    hidden = network.hidden if isinstance(network.hidden, tuple) else ()
    for i, units in enumerate(hidden, start=1):
        name = f"hidden_{i}"
        layers.append(
            LayerFacts(name, "Dense", network.activation, units, before, (width + 1) * units,
                       l1=recipe.optimizer.l1, l2=l2, fan_in=width)
        )  # fmt: skip
        before, width = (name,), units
        if network.normalization != "none":
            kind = f"{network.normalization.capitalize()}Normalization"
            layers.append(LayerFacts(f"normalization_{i}", kind, parents=before, weights=2 * units))
            before = (f"normalization_{i}",)
        if isinstance(network.dropout, float) and network.dropout > 0:
            layers.append(LayerFacts(f"dropout_{i}", "Dropout", parents=before, rate=network.dropout))
            before = (f"dropout_{i}",)
    layers.append(LayerFacts("output", "Dense", "linear", outputs, before, (width + 1) * outputs, l2=l2, fan_in=width))
    return layers


def prepared_statistics(
    recipe: Recipe, problem: Problem, features: np.ndarray, raw: np.ndarray, preparation: Any
) -> dict[str, Any]:
    """Return all that is known before the training of a recipe on a table.

    Args:
        recipe: resolved.
        problem: the rows to train and validate on.
        features: (n, d) their prepared columns.
        raw: (n, m) the columns as numbers, before they are prepared.
        preparation: a `fallline.data.Preparation`.
    """
    found = problem_statistics(problem, features, preparation.feature_names, scaled=recipe.prepare.target == "standard")
    numeric = preparation.n_numeric
    found["sentinels"] = table_statistics(raw[:, :numeric], preparation.feature_names[:numeric]).get("sentinels", {})
    found["layers"] = recipe_layers(recipe, features.shape[1], problem.n_outputs)
    training, optimizer = recipe.training, recipe.optimizer
    return found | {
        "batch_size": training.batch_size,
        "planned_epochs": training.epochs,
        "shuffle": training.shuffle,
        "optimizer_name": optimizer.name,
        "first_rate": optimizer.learning_rate,
        "momentum": optimizer.momentum if optimizer.name in PLAIN else 0.0,
        "rate_is_scheduled": optimizer.schedule != "constant",
    }
