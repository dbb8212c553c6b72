"""All mistakes of a recipe at once: types, bounds, spelling, and entries that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fallline.errors import RecipeError
from fallline.recipe.schema import EntryError, canonical, entries, sections, shown
from fallline.types import (
    FULL_BATCH,
    OPTIMIZER_NUMBERS,
    SCHEDULE_NUMBERS,
    NetworkRecipe,
    OptimizerRecipe,
    Recipe,
    StoppingRecipe,
    TrainingRecipe,
)

__all__ = ["USUAL_DAMPING", "check", "contradictions"]

# Of Levenberg-Marquardt: Madsen, Nielsen & Tingleff (2004), eq. 3.14; what a recipe states whose optimizer has none.
USUAL_DAMPING = 1e-3

# Two 5 x 5 convolutions with pooling leave one pixel of so many (`fallline.network.lenet5`).
_SMALLEST_IMAGE = 12


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
      - optimizer.learning_rate = -1 is not allowed: it takes a number above 0, or "auto".
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
    yield from _training(recipe)


# What each kind of network does not have: the entry, the values that say nothing, and why.
_WITHOUT: dict[str, dict[str, tuple[tuple[Any, ...], str]]] = {
    "rbf": {
        "activation": (("auto", "mish"), "radial units have an activation of their own"),
        "initializer": (("auto", "he_normal"), "the centres come from k-means"),
        "normalization": (("none",), "radial units answer between 0 and 1"),
        "embedding": (("auto", "none"), "the units measure distances between the inputs themselves"),
    },
    "lenet5": {"embedding": (("auto", "none"), "the inputs are pixels")},
    "autoencoder": {"embedding": (("auto", "none"), "its inputs are its targets")},
}


def _kind(recipe: Recipe) -> Iterator[str]:
    """What the kind of network contradicts."""
    network, kind = recipe.network, recipe.network.kind
    for entry, (idle, why) in _WITHOUT.get(kind, {}).items():
        value = getattr(network, entry)
        if value not in idle:
            yield (
                f'network.{entry} = "{value}" has no place in network.kind = "{kind}": {why}. Use {entry} = '
                f'"{idle[0]}".'
            )
    if kind == "lenet5" and len(network.image) not in (0, 3):  # none yet: images as x bring their own
        yield (
            f'network.kind = "lenet5" takes images, but network.image = {list(network.image)}. Use network.image = '
            "[height, width, channels], or give images of the shape (n, height, width, channels) as x."
        )
    if kind == "lenet5" and network.image and min(network.image[:2]) < _SMALLEST_IMAGE:
        yield (
            f"network.image = {list(network.image)} is too small for LeNet-5, which needs at least {_SMALLEST_IMAGE} x "
            f'{_SMALLEST_IMAGE} pixels. Enlarge the images, or use network.kind = "mlp".'
        )
    if kind == "lenet5" and recipe.prepare.whiten != "none":
        yield 'prepare.whiten mixes the pixels, and LeNet-5 looks at their places. Use prepare.whiten = "none".'
    if kind != "lenet5" and network.image:
        yield (
            f'network.image belongs to lenet5, but network.kind = "{kind}". Use network.kind = "lenet5", or '
            "network.image = []."
        )
    if kind == "rbf" and network.hidden != "auto" and len(network.hidden) != 1:
        yield (
            f"network.hidden = {list(network.hidden)} has {len(network.hidden)} layers, but rbf has one: the number of "
            "centres. Use e.g. network.hidden = [50]."
        )
    if kind == "autoencoder" and network.hidden == ():
        yield "network.hidden = [] leaves an autoencoder no layer for its code. Use e.g. network.hidden = [64, 8]."
    yield from _groups_and_factors(recipe)


def _groups_and_factors(recipe: Recipe) -> Iterator[str]:
    network, factors = recipe.network, recipe.optimizer.penalty_factors
    usual = {"mlp": (128, 256), "lenet5": (120, 84)}  # what "auto" may become
    units = usual.get(network.kind, ()) if network.hidden == "auto" else network.hidden
    filters = (6, 16) if network.kind == "lenet5" else ()
    if network.normalization == "group" and network.kind == "autoencoder" and network.hidden == "auto":
        yield 'network.normalization = "group" divides hidden layers, but network.hidden = "auto". Give network.hidden.'
    if network.normalization == "group":
        odd = [u for u in (*filters, *units) if u % network.groups]
        if odd:
            yield (
                f"network.groups = {network.groups} does not divide layers of {', '.join(map(str, odd))} units. Choose "
                "groups that divide every hidden layer (lenet5: 2)."
            )
    elif network.groups != NetworkRecipe.groups:
        yield (
            f'network.groups = {network.groups} belongs to normalization = "group", but network.normalization = '
            f'"{network.normalization}". Use "group", or groups = {NetworkRecipe.groups}.'
        )
    if not factors:
        return
    if network.hidden == "auto":
        yield (
            'optimizer.penalty_factors names layers, but network.hidden = "auto" has not said how many there are. Give '
            "network.hidden, or penalty_factors = []."
        )
        return
    mirrored = len(units) - 1 if network.kind == "autoencoder" else 0
    wanted = (0 if network.kind == "rbf" else len(filters) + len(units) + mirrored) + 1
    if len(factors) != wanted:
        yield (
            f"optimizer.penalty_factors has {len(factors)} numbers, but the network has {wanted} layers with kernels "
            "(the output's is the last). Give one per layer, or []."
        )


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
    yield from _kind(recipe)
    network = recipe.network
    if network.initializer_scale != 1.0 and network.initializer not in ("random_normal", "random_uniform"):
        yield (
            f"network.initializer_scale = {network.initializer_scale:g} belongs to random_normal and random_uniform, "
            "but "
            f'network.initializer = "{network.initializer}" finds its own. Use one of the two, or initializer_scale = '
            "1."
        )
    if network.hidden == () and network.hidden_noise > 0:
        yield "network.hidden_noise disturbs hidden outputs, but network.hidden = [] has none. Use hidden_noise = 0."
    if network.hidden == ():
        if network.dropout not in ("auto", 0.0):
            yield "network.dropout silences hidden units, but network.hidden = [] has none. Use network.dropout = 0."
        if network.normalization != "none":
            yield (
                f'network.normalization = "{network.normalization}" follows hidden layers, but network.hidden = [] has '
                'none. Use network.normalization = "none".'
            )


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


def _full_batch(recipe: Recipe) -> Iterator[str]:
    """What would make two looks at the same loss differ, or a step other than the optimizer's own."""
    name = recipe.optimizer.name
    if name not in FULL_BATCH:
        return
    compares = f'optimizer.name = "{name}" compares losses at several points of a step'
    network = recipe.network
    if network.dropout not in ("auto", 0.0):
        yield f"network.dropout = {network.dropout:g} is random, but {compares}. Use network.dropout = 0."
    if network.input_noise > 0:
        yield f"network.input_noise = {network.input_noise:g} is random, but {compares}. Use network.input_noise = 0."
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
    usually = "constant" if name in FULL_BATCH else "cosine"
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
    yield from _stopping(stopping)
    patient = stopping.patience if stopping.criterion == "patience" else "auto"
    waits = recipe.optimizer.reduce_patience if recipe.optimizer.schedule == "plateau" else "auto"
    if patient != "auto" and waits != "auto" and waits >= patient:
        yield (
            f"optimizer.reduce_patience = {waits} never lowers the rate: the training stops at stopping.patience = "
            f"{patient}. Use a smaller reduce_patience or a larger patience."
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
