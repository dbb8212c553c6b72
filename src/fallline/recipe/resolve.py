"""What "auto" means, given the size and the kind of the problem."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fallline.errors import RecipeError
from fallline.recipe.checks import USUAL_DAMPING
from fallline.recipe.network_checks import factor_contradictions
from fallline.types import (
    FULL_BATCH,
    GRADIENT_FREE,
    INITIALIZERS_OF,
    REDUCING,
    NetworkRecipe,
    OptimizerRecipe,
    ProblemKind,
    Recipe,
    SplitRecipe,
    StoppingRecipe,
    TrainingRecipe,
)

__all__ = ["default_initializer", "own_numbers", "resolve", "resolve_reducing", "resolve_stopping"]

# Below so many rows every network is cheap and every row counts: small networks, more of them, more folds.
_SMALL, _MEDIUM = 1_000, 5_000
# An epoch of a full-batch optimizer is one step; a few hundred are what small problems take to their minimum.
_FULL_BATCH_STEPS = 300



def default_initializer(activation: str) -> str:
    """Return the initialiser that keeps the activations' variance through layers of this activation.

    >>> default_initializer("relu"), default_initializer("selu"), default_initializer("tanh")
    ('he_normal', 'lecun_normal', 'glorot_uniform')
    """
    return INITIALIZERS_OF.get(activation, "glorot_uniform")


def _pick(value: Any, auto: Any) -> Any:
    return auto if value == "auto" else value


def resolve(recipe: Recipe, *, kind: ProblemKind, n_rows: int, n_features: int, n_outputs: int) -> Recipe:
    """Return the recipe without "auto" entries; a resolved recipe is itself a valid one.

    Args:
        recipe: a checked recipe.
        kind: kind of problem.
        n_rows: rows for training and validation together.
        n_features: prepared features.
        n_outputs: width of the output layer.

    Raises:
        RecipeError: entries that the kind of problem contradicts.
    """
    mistakes = [
        *_contradictions(recipe, kind),
        *factor_contradictions(recipe),
        *_partial_batch(recipe, n_rows),
        *_unfit(recipe, kind, n_rows, n_features, n_outputs),
    ]
    if mistakes:
        raise RecipeError(mistakes)
    regression = kind in ("regression", "multioutput")
    small, full = n_rows < _SMALL, recipe.optimizer.name in FULL_BATCH
    split, members = _split(recipe, n_rows)
    training = recipe.training
    training = replace(
        training,
        epochs=_pick(training.epochs, _FULL_BATCH_STEPS if full else 128 if regression else 64),
        batch_size=n_rows
        if training.batch_size == "all"
        else _pick(training.batch_size, n_rows if full else 64 if small else 256),
        loss=_pick(training.loss, "mse" if regression else "cross_entropy"),
    )
    stopping = resolve_stopping(recipe.stopping, _patience(recipe, int(training.epochs), regression=regression))
    return replace(
        recipe,
        split=split,
        network=_network(recipe.network, kind, n_rows=n_rows, n_features=n_features, random=not full),
        optimizer=resolve_reducing(_optimizer(recipe.optimizer, regression=regression), stopping),
        training=training,
        stopping=stopping,
        ensemble=replace(
            recipe.ensemble,
            members=members,
            # The rows that judge were also the ones that chose the epoch. On few rows that choice flatters, and the
            # temperature sharpens what it should soften (wine, 178 rows: log-loss 0.068 as it is, 0.112 sharpened).
            calibrate=_pick(recipe.ensemble.calibrate, not regression and not small),
        ),
    )


def _contradictions(recipe: Recipe, kind: ProblemKind) -> Iterator[str]:
    training: TrainingRecipe = recipe.training
    if training.order == "classes" and kind not in ("binary", "multiclass"):
        yield (
            f'training.order = "classes" alternates between classes, but the problem is {kind}. Use order = "shuffled".'
        )
    if kind in ("regression", "multioutput"):
        if training.loss in ("cross_entropy", "hinge"):
            yield (
                f'training.loss = "{training.loss}" compares classes, but the problem is {kind}. '
                'Use "mse", "mae" or "huber".'
            )
        if recipe.network.output != "plain":
            yield (
                f'network.output = "{recipe.network.output}" is bounded, for labels, but the problem is {kind}. '
                'Use network.output = "plain".'
            )
        if training.label_smoothing > 0:
            yield (
                f"training.label_smoothing = {training.label_smoothing:g} moves probability between classes, "
                f"but the problem is {kind}. Use 0."
            )
        if training.class_weight != "none":
            yield (
                f'training.class_weight = "{training.class_weight}" weighs classes, but the problem is {kind}. '
                'Use "none".'
            )
        return
    if kind == "multilabel" and training.class_weight != "none":
        yield f'training.class_weight = "{training.class_weight}" weighs classes that exclude each other. Use "none".'
    if training.loss in ("mae", "huber") or (training.loss == "mse" and recipe.network.output == "plain"):
        yield (
            f'training.loss = "{training.loss}" compares quantities, but the problem is {kind}. '
            'Use "cross_entropy", "hinge" or "auto"'
            + ('; or mse with network.output = "sigmoid" or "lecun_tanh".' if training.loss == "mse" else ".")
        )


def _partial_batch(recipe: Recipe, n_rows: int) -> Iterator[str]:
    size = recipe.training.batch_size
    if recipe.optimizer.name in FULL_BATCH and size not in ("auto", "all") and int(size) < n_rows:
        yield (
            f'training.batch_size = {size} is a part of the {n_rows} rows, but optimizer.name = "'
            f'{recipe.optimizer.name}" takes all of them at every step. Use training.batch_size = "auto".'
        )


def _unfit(recipe: Recipe, kind: ProblemKind, n_rows: int, n_features: int, n_outputs: int) -> Iterator[str]:
    """What the data do not allow: more centres than rows, an image that the columns do not fill, no quantities."""
    network = recipe.network
    if network.kind == "rbf" and network.hidden != "auto" and network.hidden[0] > n_rows:
        yield (
            f"network.hidden = [{network.hidden[0]}] asks for more centres than the {n_rows:,} training rows. Use at "
            "most "
            f"[{n_rows}]; a quarter of the rows is much already."
        )
    if network.kind == "autoencoder" and (kind not in ("regression", "multioutput") or n_outputs != n_features):
        yield (
            f'network.kind = "autoencoder" reproduces its inputs, but the problem is {kind} with {n_outputs:,} '
            "output(s) "
            f"for {n_features:,} prepared columns. Give a table of numbers without gaps and no target: "
            "fl.train(recipe, x)."
        )
    if network.kind == "lenet5" and not network.image:
        yield (
            'network.kind = "lenet5" takes images, but network.image says nothing of their size. Use network.image = '
            "[height, width, channels], or give images of the shape (n, height, width, channels) as x."
        )
    elif network.kind == "lenet5" and math.prod(network.image) != n_features:
        yield (
            f"network.image = {list(network.image)} has {math.prod(network.image):,} pixels, but the table has "
            f"{n_features:,} prepared columns. LeNet-5 takes a table whose columns are the pixels, row by row, and "
            "nothing else."
        )


def _hidden(network: NetworkRecipe, *, n_rows: int, n_features: int) -> tuple[int, ...]:
    if network.kind == "lenet5":
        return (120, 84)  # LeCun, Bottou, Bengio & Haffner 1998, section II-B
    if network.kind == "rbf":
        return (max(1, min(64, n_rows // 4)),)
    if network.kind == "autoencoder":
        return (max(1, n_features // 2),)
    return (128, 128) if n_rows < _SMALL else (256, 256, 256)


def _network(
    network: NetworkRecipe, kind: ProblemKind, *, n_rows: int, n_features: int, random: bool
) -> NetworkRecipe:
    hidden = _pick(network.hidden, _hidden(network, n_rows=n_rows, n_features=n_features))
    # Mish is measured on tables; on images ReLU is the usual one.
    activation = _pick(network.activation, "relu" if network.kind == "lenet5" else "mish")
    plain = network.kind != "mlp" or not hidden
    # Where a number acts only beyond some value, waves alone find it late; on few rows the bends learn noise, of
    # quantities more than of classes, whose borders they lie at. Measured (benchmarks/README.md).
    bends = _MEDIUM if kind in ("regression", "multioutput") else _SMALL
    return replace(
        network,
        hidden=hidden,
        activation=activation,
        initializer=_pick(network.initializer, default_initializer(activation)),
        embedding=_pick(network.embedding, "none" if plain else "both" if n_rows >= bends else "periodic"),
        dropout=_pick(network.dropout, 0.0 if plain or not random else 0.15),
    )


# Numbers of the optimizers that are not of Adam's family, for which "auto" means something else.
_OWN: dict[str, dict[str, float]] = {
    # Zeiler, arXiv 1212.5701, section 4: there is no rate to choose, and rho = 0.95.
    "adadelta": {"learning_rate": 1.0, "beta_2": 0.95},
    # The usual rate of the libraries; the accumulated squares shrink it from the first step on.
    "adagrad": {"learning_rate": 0.01},
    # Chen et al., arXiv 2302.06675, section 5: 3 to 10 times less rate and 3 to 10 times more decay than AdamW has.
    "lion": {"learning_rate": 3e-4, "beta_2": 0.99, "weight_decay": 0.1},
    # Tieleman & Hinton, Coursera, lecture 6.5 (2012).
    "rmsprop": {"learning_rate": 1e-3, "momentum": 0.0, "beta_2": 0.9},
    # Every eighth step counts (`fallline.optimize.diagonal`); LeCun et al. 1998 (Proc. IEEE), section VII: mu = 0.02.
    "diagonal_lm": {"learning_rate": 0.01, "beta_2": 0.9, "damping": 0.02},
    "guess": {"learning_rate": 1.0},
    "evolution": {"learning_rate": 0.1},
    # Their own full step is tried first. Below 1e-5 of the largest, a curvature in float32 is mostly rounding.
    **{name: {"learning_rate": 1.0} for name in FULL_BATCH},
    "newton": {"learning_rate": 1.0, "damping": 1e-5},
    "gauss_newton": {"learning_rate": 1.0, "damping": 1e-5},
}


def own_numbers(optimizer: str) -> Mapping[str, float]:
    """Return what "auto" means for this optimizer alone; empty where it is as for the others.

    >>> own_numbers("adadelta")["learning_rate"], dict(own_numbers("adam"))
    (1.0, {})
    """
    return _OWN.get(optimizer, {})


def _optimizer(optimizer: OptimizerRecipe, *, regression: bool) -> OptimizerRecipe:
    name = _pick(optimizer.name, "adamw")
    usual = {
        "learning_rate": 0.01 if regression or name == "sgd" else 0.0025,
        "momentum": 0.9,
        "beta_2": 0.95,
        "weight_decay": 0.02 if name == "adamw" else 0.0,
        "damping": USUAL_DAMPING,
        **own_numbers(name),
    }
    if optimizer.learning_rate == "find":  # found before a training (`fallline.train.find_rate`); else nothing needs it
        optimizer = replace(optimizer, learning_rate="auto")
    numbers = {key: _pick(getattr(optimizer, key), value) for key, value in usual.items()}
    schedule = _pick(optimizer.schedule, "constant" if name in (*FULL_BATCH, *GRADIENT_FREE) else "cosine")
    return replace(optimizer, name=name, schedule=schedule, **numbers)


def resolve_reducing(optimizer: OptimizerRecipe, stopping: StoppingRecipe) -> OptimizerRecipe:
    """Return the section with what "auto" means for a rate that goes by the member's own training.

    The factor 0.1 after 10 epochs is what Keras' ReduceLROnPlateau does; weights that turn back say so at once.

    Args:
        optimizer: its schedule is not "auto".
        stopping: where its patience is known, the rate falls before it is at its end.

    >>> resolve_reducing(OptimizerRecipe(schedule="plateau"), StoppingRecipe(patience=12)).reduce_patience
    6
    """
    turns = optimizer.schedule == "oscillation"
    patience = 2 if turns else 10
    if optimizer.schedule == "plateau" and stopping.criterion == "patience" and stopping.patience != "auto":
        patience = max(1, min(patience, stopping.patience // 2))
    return replace(
        optimizer,
        reduce_factor=_pick(optimizer.reduce_factor, 0.5 if turns else 0.1),
        reduce_patience=_pick(optimizer.reduce_patience, patience),
    )


def resolve_stopping(stopping: StoppingRecipe, patience: int) -> StoppingRecipe:
    """Return the section without "auto": the given patience, and a threshold from the middle of Prechelt's.

    >>> resolve_stopping(StoppingRecipe(criterion="gl"), 20).alpha
    5.0
    """
    alpha = _pick(stopping.alpha, 0.75 if stopping.criterion == "pq" else 5.0)
    return replace(stopping, patience=_pick(stopping.patience, patience), alpha=alpha)


def _split(recipe: Recipe, n_rows: int) -> tuple[SplitRecipe, int]:
    """Folds and members: without a remainder, so that no fold is left unused."""
    split, asked = recipe.split, recipe.ensemble.members
    # Nothing of the past is validated on what was learned from the future.
    # Networks that were validated on different rows cannot be compared, and the best of them not be told.
    usual = 1 if split.time or recipe.ensemble.keep == "best" else 8 if n_rows < _MEDIUM else 5
    usual = max(1, min(usual, n_rows // 4))  # a fold needs a few rows
    folds = int(_pick(split.folds, usual if asked == "auto" else min(usual, int(asked))))
    members = int(_pick(asked, (2 * folds if n_rows < _SMALL else folds) if folds > 1 else 5))
    return replace(split, folds=folds), members


def _patience(recipe: Recipe, epochs: int, *, regression: bool) -> int:
    """A quarter of the epochs at a constant rate, more under one that falls: the loss may rest and then improve again.

    Measured under the cosine: networks for quantities improve up to the end (concrete: 4.29 with all epochs, 4.32 with
    a third), networks for labels are best early, and a third spares them half of the time.
    """
    if recipe.optimizer.schedule in ("constant", *REDUCING):
        return max(16, epochs // 4)
    return max(16, epochs if regression else epochs // 3)
