"""All mistakes of a recipe at once: types, bounds, spelling, and entries that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fallline.errors import RecipeError
from fallline.recipe.network_checks import network_contradictions
from fallline.recipe.schema import EntryError, canonical, entries, sections, shown
from fallline.types import (
    FULL_BATCH,
    GRADIENT_FREE,
    OPTIMIZER_NUMBERS,
    SCHEDULE_NUMBERS,
    OptimizerRecipe,
    Recipe,
    StoppingRecipe,
    TrainingRecipe,
)

__all__ = ["USUAL_DAMPING", "check", "contradictions"]

# Of Levenberg-Marquardt: Madsen, Nielsen & Tingleff (2004), eq. 3.14; what a recipe states whose optimizer has none.
USUAL_DAMPING = 1e-3


def check(recipe: Recipe) -> Recipe:
    """Raise one error with every mistake of a recipe; return it in canonical form when there is none.

    Args:
        recipe: as a caller made it.

    Returns:
        an equal recipe with plain Python numbers, and tuples where lists were given, so that it can be hashed.

    Raises:
        RecipeError: values of the wrong type, out of bounds or misspelled, and entries that contradict each other.

    >>> from dataclasses import replace
    >>> bad = replace(Recipe(), optimizer=OptimizerRecipe(name="adma", learning_rate=-1.0))
    >>> try: check(bad)
    ... except RecipeError as error: print(error)
    The recipe has 2 mistakes:
      - optimizer.name = "adma" is not allowed: it takes one of "auto", "sgd", "adam", ... Did you mean 'adam'?
      - optimizer.learning_rate = -1 is not allowed: it takes a number above 0, or "auto" or "find".
    """
    if not isinstance(recipe, Recipe):
        raise RecipeError(
            [f"expected a fallline.Recipe, received {type(recipe).__name__}; default_recipe() gives one."]
        )
    mistakes: list[str] = []
    clean: dict[str, dict[str, Any]] = {}
    for section, cls in sections().items():
        part = getattr(recipe, section)
        if not isinstance(part, cls):
            mistakes.append(f"{section} holds a {type(part).__name__}; it takes a {cls.__name__}.")
    if mistakes:
        raise RecipeError(mistakes)
    for entry in entries().values():
        owner = getattr(recipe, entry.section) if entry.section else recipe
        try:
            clean.setdefault(entry.section, {})[entry.key] = canonical(entry, getattr(owner, entry.key))
        except EntryError as wrong:
            mistakes.append(str(wrong))
            # Contradictions are looked for among sound values only: the default speaks for a wrong one.
            clean.setdefault(entry.section, {})[entry.key] = entry.default
    parts = {name: replace(getattr(recipe, name), **clean[name]) for name in sections()}
    sound = replace(recipe, **clean[""], **parts)
    mistakes += contradictions(sound)
    if mistakes:
        raise RecipeError(mistakes)
    return sound


def contradictions(recipe: Recipe) -> Iterator[str]:
    """Yield one sentence for each pair of entries that cannot both be honoured.

    An entry that would be ignored counts: who changes ``optimizer.momentum`` under Adam expects an effect. Entries
    that may say "auto" (beta_2, patience) are exempt, because a resolved recipe states them whether or not they act.
    """
    yield from _split(recipe)
    yield from _prepare_and_network(recipe)
    yield from _optimizer(recipe.optimizer)
    yield from _full_batch(recipe)
    yield from _steps(recipe)
    yield from _training(recipe)


def _split(recipe: Recipe) -> Iterator[str]:
    split, members = recipe.split, recipe.ensemble.members
    folds = split.folds if split.folds != "auto" else 1
    if split.time and folds > 1:
        yield (
            f"split.folds = {folds} contradicts split.time: folds would validate on the past what was learned from the "
            "future. Use split.folds = 1."
        )
    if split.time and split.group:
        yield (
            "split.group and split.time are both given: rows can be parted by group or by time, not by both. "
            "Empty one of them."
        )
    if recipe.ensemble.keep == "best" and folds > 1:
        yield (
            f'ensemble.keep = "best" compares the networks on the same validation rows, but split.folds = {folds} '
            "validates "
            'each on others. Use split.folds = 1, or keep = "all".'
        )
    if recipe.ensemble.keep == "best" and members == 1:
        yield 'ensemble.keep = "best" chooses among networks, but ensemble.members = 1. Use e.g. ensemble.members = 5.'
    if members != "auto" and folds > members:
        yield (
            f"split.folds = {folds} needs at least as many networks, but ensemble.members = {members}: some folds "
            "would never be used. Raise ensemble.members or lower split.folds."
        )


def _prepare_and_network(recipe: Recipe) -> Iterator[str]:
    if recipe.prepare.numeric == "none" and recipe.prepare.clip > 0:
        yield (
            f'prepare.clip = {recipe.prepare.clip:g} squashes scaled numbers, but prepare.numeric = "none" leaves them '
            "as they are, so that it would destroy large values. Add prepare.clip = 0."
        )
    if recipe.prepare.numeric == "none" and recipe.prepare.whiten != "none":
        yield (
            f'prepare.whiten = "{recipe.prepare.whiten}" de-correlates scaled numbers, but prepare.numeric = "none" '
            "scales "
            'none. Use prepare.numeric = "center" or "standard".'
        )
    yield from network_contradictions(recipe)


# Numbers that only some optimizers read: the values that say nothing (those that a resolved recipe states), and what to
# do about any other.
_IDLE: dict[str, tuple[tuple[Any, ...], str]] = {
    "momentum": (("auto", 0.9), 'Use optimizer.name = "sgd", or beta_1 for the mean of the gradient.'),
    "beta_1": ((OptimizerRecipe().beta_1,), "Use optimizer.momentum."),
    "weight_decay": (("auto", 0.0), 'Use optimizer.name = "adamw", or optimizer.l2 for a penalty in the loss.'),
    "damping": (("auto", USUAL_DAMPING), 'Use optimizer.name = "lm".'),
}


# What a resolved recipe states for entries that say "auto", whether or not they act.
_RESOLVED = {"reduce_factor": 0.1, "reduce_patience": 10, "alpha": 5.0}


def _steps(recipe: Recipe) -> Iterator[str]:
    """Options of a step along the gradient, where there is none, or two that undo each other."""
    optimizer, name = recipe.optimizer, recipe.optimizer.name
    for entry, value in (("rate_by_fan_in", False), ("average_from", 1.0)):
        if name in (*FULL_BATCH, *GRADIENT_FREE) and getattr(optimizer, entry) != value:
            yield (
                f'optimizer.{entry} belongs to steps along a gradient, but optimizer.name = "{name}" chooses its steps '
                f"by the loss. Use {entry} = {shown(value)}."
            )
    if name in GRADIENT_FREE and optimizer.clip_norm > 0:
        yield (
            f'optimizer.clip_norm = {optimizer.clip_norm:g} shortens gradients, but optimizer.name = "{name}" takes '
            "none. Use clip_norm = 0."
        )
    if name in (*FULL_BATCH, *GRADIENT_FREE) and optimizer.learning_rate == "find":
        yield (
            f'optimizer.learning_rate = "find" tries steps along a gradient, but optimizer.name = "{name}" chooses its '
            'steps by the loss. Use learning_rate = "auto".'
        )
    if optimizer.rate_by_fan_in and recipe.network.rate_per_layer:
        yield (
            "optimizer.rate_by_fan_in raises the rate of wide layers and network.rate_per_layer lowers it. Use one of "
            "them: network.rate_per_layer = false, or rate_by_fan_in = false."
        )


def _full_batch(recipe: Recipe) -> Iterator[str]:
    """What would make two looks at the same loss differ, or a step other than the optimizer's own."""
    name = recipe.optimizer.name
    if name not in FULL_BATCH:
        return
    compares = f'optimizer.name = "{name}" compares losses at several points of a step'
    network = recipe.network
    if network.dropout not in ("auto", 0.0):
        yield f"network.dropout = {network.dropout:g} is random, but {compares}. Use network.dropout = 0."
    for name in ("input_noise", "input_dropout", "hidden_noise"):
        if (value := getattr(network, name)) > 0:
            yield f"network.{name} = {value:g} is random, but {compares}. Use network.{name} = 0."
    if recipe.optimizer.clip_norm > 0:
        yield (
            f"optimizer.clip_norm = {recipe.optimizer.clip_norm:g} changes gradients, but {compares} and chooses the "
            "length of its step by them. Use clip_norm = 0."
        )


def _optimizer(optimizer: OptimizerRecipe) -> Iterator[str]:
    name = "adamw" if optimizer.name == "auto" else optimizer.name
    by = f'optimizer.name = "{optimizer.name}"' + (" means adamw" if optimizer.name == "auto" else "")
    if optimizer.nesterov and name != "sgd":
        yield f'optimizer.nesterov belongs to sgd, but {by}. Use optimizer.name = "sgd" or nesterov = false.'
    if optimizer.nesterov and name == "sgd" and optimizer.momentum == 0:
        yield "optimizer.nesterov needs momentum, but optimizer.momentum = 0. Use a momentum such as 0.9."
    for number, (idle, advice) in _IDLE.items():
        value = getattr(optimizer, number)
        if number not in OPTIMIZER_NUMBERS[name] and value not in idle:
            readers = ", ".join(reader for reader, numbers in OPTIMIZER_NUMBERS.items() if number in numbers)
            yield f"optimizer.{number} = {value:g} belongs to {readers}, but {by}. {advice}"
    usual = OptimizerRecipe()
    usually = "constant" if name in (*FULL_BATCH, *GRADIENT_FREE) else "cosine"
    schedule = usually if optimizer.schedule == "auto" else optimizer.schedule
    for number in dict.fromkeys(number for numbers in SCHEDULE_NUMBERS.values() for number in numbers):
        value = getattr(optimizer, number)
        if number not in SCHEDULE_NUMBERS[schedule] and value not in (getattr(usual, number), _RESOLVED.get(number)):
            able = [reader for reader, numbers in SCHEDULE_NUMBERS.items() if number in numbers]
            yield (
                f"optimizer.{number} = {value:g} belongs to {', '.join(able)}, but "
                f'optimizer.schedule = "{optimizer.schedule}". Use optimizer.schedule = "{able[0]}", or '
                f"{number} = {shown(getattr(usual, number))}."
            )
    if optimizer.schedule in ("one_cycle", "coslog4") and optimizer.warmup > 0:
        yield (
            f'optimizer.warmup = {optimizer.warmup:g} contradicts optimizer.schedule = "{optimizer.schedule}", which '
            "rises from a small rate by itself. Use optimizer.warmup = 0."
        )


def _training(recipe: Recipe) -> Iterator[str]:
    training, stopping = recipe.training, recipe.stopping
    output = recipe.network.output
    if output != "plain" and training.loss != "mse":
        yield (
            f'network.output = "{output}" is trained to reach its targets by training.loss = "mse", but training.loss '
            "= "
            f'"{training.loss}". Use loss = "mse", or output = "plain".'
        )
    if training.target_values != TrainingRecipe.target_values and output == "plain":
        yield (
            f'training.target_values = "{training.target_values}" belongs to a bounded output unit, but network.output '
            "= "
            '"plain". Use network.output = "sigmoid" or "lecun_tanh", or target_values = "inside".'
        )
    if training.label_smoothing > 0 and training.loss not in ("auto", "cross_entropy"):
        yield (
            f"training.label_smoothing = {training.label_smoothing:g} moves probability between classes, but "
            f'training.loss = "{training.loss}" compares quantities. Use label_smoothing = 0 or loss = "cross_entropy".'
        )
    yield from _growth(recipe)
    yield from _order(recipe)
    yield from _stopping(stopping)
    patient = stopping.patience if stopping.criterion == "patience" else "auto"
    waits = recipe.optimizer.reduce_patience if recipe.optimizer.schedule == "plateau" else "auto"
    if patient != "auto" and waits != "auto" and waits >= patient:
        yield (
            f"optimizer.reduce_patience = {waits} never lowers the rate: the training stops at stopping.patience = "
            f"{patient}. Use a smaller reduce_patience or a larger patience."
        )


def _order(recipe: Recipe) -> Iterator[str]:
    training, usual = recipe.training, TrainingRecipe()
    if training.order != "shuffled" and not training.shuffle:
        yield (
            f'training.order = "{training.order}" draws a new order in each epoch, but training.shuffle = false keeps '
            'the given one. Use shuffle = true, or order = "shuffled".'
        )
    if training.order == "errors" and recipe.optimizer.name in FULL_BATCH:
        yield (
            'training.order = "errors" shows some examples more often than others, but optimizer.name = "'
            f'{recipe.optimizer.name}" takes all rows at every step. Use order = "shuffled".'
        )
    for number in ("emphasis", "emphasis_share", "emphasis_every", "emphasis_patience"):
        value, idle = getattr(training, number), getattr(usual, number)
        if training.order != "errors" and value != idle:
            yield (
                f'training.{number} = {value:g} belongs to order = "errors", but training.order = "{training.order}". '
                f'Use order = "errors", or {number} = {shown(idle)}.'
            )


def _growth(recipe: Recipe) -> Iterator[str]:
    shares = recipe.training.batch_doublings
    if list(shares) != sorted(set(shares)):
        yield f"training.batch_doublings = {shown(shares)} must rise: give each share once, the smallest first."
    if shares and (recipe.training.batch_size == "all" or recipe.optimizer.name in FULL_BATCH):
        yield (
            f"training.batch_doublings = {shown(shares)} grows a batch that holds all rows already. Give a batch_size, "
            "or batch_doublings = []."
        )


# Numbers that only some criteria read, and those.
_READ_BY = {"alpha": ("gl", "pq"), "strip": ("pq", "up"), "successive": ("up",)}


def _stopping(stopping: StoppingRecipe) -> Iterator[str]:
    if stopping.criterion == "none" and stopping.min_delta > 0:
        yield (
            f'stopping.min_delta = {stopping.min_delta:g} has no effect under stopping.criterion = "none". '
            'Use criterion = "patience", or min_delta = 0.'
        )
    usual = StoppingRecipe()
    for number, readers in _READ_BY.items():
        value = getattr(stopping, number)
        idle = getattr(usual, number)
        if stopping.criterion not in readers and value not in (idle, _RESOLVED.get(number)):
            yield (
                f"stopping.{number} = {value:g} belongs to {' and '.join(readers)}, but stopping.criterion = "
                f'"{stopping.criterion}". Use criterion = "{readers[0]}", or {number} = {shown(idle)}.'
            )
