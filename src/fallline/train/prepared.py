"""A problem made ready for the engine: rows split, columns prepared, the recipe resolved, the members named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import recipe as recipes
from fallline.data import Preparation, fold_rows, split_rows
from fallline.errors import DataError
from fallline.recipe.resolve import resolve
from fallline.train.halting import make_stopping
from fallline.train.orders import Member
from fallline.types import Problem, Recipe

__all__ = ["NUMBERS", "REDUCING_NUMBERS", "Prepared", "average_after", "prepare"]

REDUCING_NUMBERS = ("reduce_factor", "reduce_patience", "reduce_min_delta")
# Numbers of the optimizer that are traced: recipes that differ in them alone share one compiled program.
NUMBERS = (
    "learning_rate", "momentum", "beta_1", "beta_2", "weight_decay", "damping", "l2", "l1", "clip_norm", "activity_l2",
    "activity_l1", *REDUCING_NUMBERS,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Prepared:
    """A problem ready for the engine.

    Args:
        recipe: resolved.
        preparation: fitted on the training rows.
        features: (n, d) float32, all rows.
        targets: (n,) or (n, k): standardised float32, or int32 labels.
        weight: (n,) float32, mean 1 over the training rows.
        train_rows: rows for training and validation.
        test_rows: untouched rows.
        members: seeds and rows of the population.
    """

    recipe: Recipe
    preparation: Preparation
    features: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    members: tuple[Member, ...]


def _weights(problem: Problem, rows: np.ndarray, balanced: bool) -> np.ndarray:
    weight = (
        np.ones(problem.n_rows) if problem.sample_weight is None else np.asarray(problem.sample_weight, float).copy()
    )
    if balanced and problem.kind in ("binary", "multiclass"):
        counts = np.bincount(problem.y[rows], minlength=len(problem.classes))
        weight *= (len(rows) / (len(counts) * np.maximum(counts, 1)))[problem.y]
    scaled: np.ndarray = (weight / max(weight[rows].mean(), 1e-12)).astype(np.float32)
    return scaled


def _member_seed(seed: int, index: int) -> int:
    """A member's seed depends on the recipe's seed and its own place alone, not on the size of the population."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def _folds(problem: Problem, recipe: Recipe, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """One (train, validation) pair per member; a new partition for every round of folds."""
    wanted, folds = int(recipe.ensemble.members), int(recipe.split.folds)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    while len(pairs) < wanted:
        # One validation set for all members, when there is one fold: they differ in their weights alone.
        shift = 0 if folds == 1 else len(pairs) // folds
        # Modulo: a recipe may have the largest seed that scikit-learn's splitters take.
        pairs += fold_rows(problem, rows, recipe.split, folds, (recipe.seed + shift) % 2**32)
    return pairs[:wanted]


Known = dict[Any, tuple[Any, np.ndarray, np.ndarray]]


def prepare(
    problem: Problem, recipe: Recipe, rows: tuple[np.ndarray, np.ndarray] | None = None, known: Known | None = None
) -> Prepared:
    """Split, fit the preparation on training rows, and resolve the recipe.

    Args:
        problem: the problem.
        recipe: of the user.
        rows: (training rows, untouched rows) of an outer fold; None: as the recipe splits.
        known: where preparations are kept between calls: recipes that prepare the same rows alike share one.
    """
    recipe = recipes.check(recipe)
    assert recipe.optimizer.learning_rate != "find"  # see `fallline.train.find_rate.with_found_rate`
    train_rows, test_rows = split_rows(problem, recipe.split, recipe.seed) if rows is None else rows
    channels = (*recipe.network.image, 0, 0, 0)[2]
    key = (recipe.prepare, channels, train_rows.tobytes())
    if known is None or key not in known:
        preparation = Preparation.fit(problem, train_rows, recipe.prepare, channels=channels)
        found = (preparation, preparation.features(preparation.raw(problem.frame)), _targets(problem, preparation))
        if known is not None:
            known[key] = found
    preparation, features, targets = found if known is None else known[key]
    if features.shape[1] == 0:
        raise DataError(
            "No column is left to learn from: every input column is constant, empty, or left out. "
            "Give columns that vary."
        )
    recipe = resolve(
        recipe, kind=problem.kind, n_rows=len(train_rows), n_features=features.shape[1], n_outputs=problem.n_outputs
    )
    o = recipe.optimizer
    numbers = {name: float(getattr(o, name)) for name in NUMBERS}
    numbers["label_smoothing"] = recipe.training.label_smoothing
    numbers |= make_stopping(recipe.stopping, validated=True, schedule=o.schedule).constants()
    members = tuple(
        Member(_member_seed(recipe.seed, i), train, val, {**numbers, **average_after(recipe, len(train))})
        for i, (train, val) in enumerate(_folds(problem, recipe, train_rows))
    )
    weight = _weights(problem, train_rows, recipe.training.class_weight == "balanced")
    return Prepared(recipe, preparation, features, targets, weight, train_rows, test_rows, members)


def average_after(recipe: Recipe, rows: int) -> dict[str, float]:
    """Return the step behind which a member's weights are averaged, by the name that its optimizer reads.

    Args:
        recipe: its epochs and batch size are not "auto".
        rows: that the member trains on.
    """
    training = recipe.training
    starts = (0.0, *training.batch_doublings)
    steps = 0.0
    for phase, (start, end) in enumerate(zip(starts, (*starts[1:], 1.0), strict=True)):
        share = max(0.0, min(end, recipe.optimizer.average_from) - start)
        steps += share * int(training.epochs) * -(-rows // min(int(training.batch_size) << phase, rows))
    return {"average_after": float(int(steps))}


def _targets(problem: Problem, preparation: Preparation) -> np.ndarray:
    if problem.is_classification:
        return problem.y.astype(np.int32)
    center, scale = _row(preparation.target_center, problem), _row(preparation.target_scale, problem)
    scaled: np.ndarray = ((problem.y - center) / scale).astype(np.float32)
    return scaled


def _row(values: Any, problem: Problem) -> Any:
    values = np.asarray(values, float)
    return values[0] if problem.y.ndim == 1 else values
