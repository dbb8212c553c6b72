"""The learning-rate finder: a range test on a small sample of the training rows, with several networks at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fallline import recipe as recipes
from fallline.engine import Task, configure
from fallline.engine.sweep import sweep
from fallline.errors import InputError, count_mistakes
from fallline.train.api import is_keras_model, make_recipe_problem
from fallline.train.arrays import as_arrays, as_inputs, rows_of
from fallline.types import FULL_BATCH, OPTIMIZER_NUMBERS, Problem, RateSweep, Recipe

__all__ = ["find_learning_rate", "smooth", "steepest", "valley", "with_found_rate", "with_rate_for_keras"]

Tree = Any

# Smith, arXiv 1506.01186, section 3.3, with the range, the number of steps and the end that fastai and Lightning use.
_LOWEST, _HIGHEST, _STEPS, _EXPLODED = 1e-7, 10.0, 100, 4.0
_SMOOTHING = 0.9  # of the running mean: half of it is the last seven steps
_SKIPPED_FIRST, _SKIPPED_LAST = 10, 1  # where the steepest fall is not looked for, as in Lightning
_ROWS = 4_096  # a range test needs no more than what its steps can see
_SEEDS = 5
_RATES = np.geomspace(_LOWEST, _HIGHEST, _STEPS)


def find_learning_rate(
    what: Any,
    x: Any = None,
    y: Any = None,
    *,
    target: str | list[str] | None = None,
    kind: str | None = None,
    recipe: Recipe | None = None,
    batch_size: int | None = None,
    seeds: int = _SEEDS,
    low: float = _LOWEST,
    high: float = _HIGHEST,
    steps: int = _STEPS,
    rows: int = _ROWS,
    seed: int = 0,
) -> RateSweep:
    """Suggest a learning rate: train for some hundred steps while the rate rises from tiny to far too large.

    The loss falls where the rate is useful and explodes where it is too large; a network is followed until its loss is
    four times its lowest. What is given stays as it is: no weight is changed. Source: Smith, arXiv 1506.01186, section
    3.3; the suggestion in the middle of the longest fall is that of fastai's ``valley``.

    Args:
        what: a Keras model, a `Recipe`, or a preset's name.
        x: as for `fallline.train`: arrays for a Keras model; a table, its path or a `Problem` for a recipe.
        y: as there.
        target: as there.
        kind: as there.
        recipe: for a Keras model: whose optimizer is tried; None: the model's own kind where fallline has it, or Adam.
        batch_size: rows a step; None: the recipe's, or 32 for a Keras model.
        seeds: networks that are tried, each with another order of the rows; a recipe's begin with other weights, too.
        low: the first rate.
        high: the last rate.
        steps: from the first rate to the last.
        rows: most rows used.
        seed: of the sample, the orders and the weights.

    Raises:
        InputError: what was given, what is allowed, what to do.

    >>> import fallline as fl
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> found = fl.find_learning_rate("simple", x, x[:, 0] * x[:, 1], seeds=2)
    >>> found.losses.shape, 1e-5 < found.suggestion < 1.0
    ((2, 100), True)
    """
    _require_numbers(seeds, low, high, steps, rows)
    configure()
    if is_keras_model(what):
        name, task, start, numbers, data, batch = _keras(what, x, y, recipe, batch_size, seeds, seed, rows)
    else:
        problem = make_recipe_problem(x, y, target, kind, None)
        name, task, start, numbers, data, batch = _table(what, recipe, problem, batch_size, seeds, seed, rows)
    return _test(name, task, start, numbers, data, batch, np.geomspace(low, high, steps), seed)


def with_found_rate(
    problem: Problem, recipe: Recipe, rows: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe with the learning rate that the range test suggests, and what a run records of it.

    Args:
        problem: the problem.
        recipe: checked; where its learning rate is not "find", it comes back as it is.
        rows: (training rows, untouched rows) of an outer fold; None: as the recipe splits. The test sees training rows
            alone.
    """
    if recipe.optimizer.learning_rate != "find":
        return recipe, {}
    plain = _plain(recipe)
    made = _table(plain, None, problem, None, _SEEDS, recipe.seed, _ROWS, rows)
    return _found(plain, _test(*made, _RATES, plain.seed))


def with_rate_for_keras(
    model: keras.Model, x: Tree, y: Tree, recipe: Recipe | None, seed: int, batch: Any, rows: np.ndarray | None = None
) -> tuple[Recipe | None, dict[str, Any]]:
    """Return the same for a Keras model; see `with_found_rate`.

    Args:
        model: of the user's own.
        x: (n, ...) inputs.
        y: (n, ...) targets.
        recipe: checked, or None.
        seed: of the test.
        batch: rows a step; None: the recipe's.
        rows: the training rows; None: all.
    """
    if recipe is None or recipe.optimizer.learning_rate != "find":
        return recipe, {}
    plain = _plain(recipe)
    x, y = (x, y) if rows is None else keras.tree.map_structure(lambda a: a[rows], (x, y))
    asked = recipe.training.batch_size if batch is None else batch
    size = rows_of((x, y), "x and y") if asked == "all" else None if asked == "auto" else int(asked)
    return _found(plain, _test(*_keras(model, x, y, plain, size, _SEEDS, seed, _ROWS), _RATES, seed))


def _plain(recipe: Recipe) -> Recipe:
    return replace(recipe, optimizer=replace(recipe.optimizer, learning_rate="auto"))


def _found(plain: Recipe, sweep: RateSweep) -> tuple[Recipe, dict[str, Any]]:
    low, high = sweep.spread
    facts = {"suggestion": sweep.suggestion, "lowest": low, "highest": high, "networks": len(sweep.losses)}
    found = replace(plain, optimizer=replace(plain.optimizer, learning_rate=float(sweep.suggestion)))
    return found, {"learning_rate_found": facts}


def _test(
    name: str, task: Task, start: Tree, numbers: Tree, data: Tree, batch: int, rates: np.ndarray, seed: int
) -> RateSweep:
    n, seeds, steps = len(data[2]), len(jax.tree.leaves(numbers)[0]), len(rates)
    orders = np.stack([_order(n, min(batch, n), steps, seed + i) for i in range(seeds)])
    numbers = {**numbers, "learning_rate": np.ones(seeds, np.float32)}
    data, factors = jax.tree.map(jnp.asarray, data), jnp.asarray(rates, jnp.float32)
    losses = sweep(task, numbers, data, start, jnp.asarray(orders), factors)
    curves = np.stack([smooth(np.asarray(one, np.float64)) for one in losses])
    if not np.isfinite(curves[:, : _SKIPPED_FIRST + 2]).all():
        raise InputError(
            f"The loss is not finite, or explodes, within {_SKIPPED_FIRST + 2} steps from a rate of {rates[0]:g}: look "
            "at the data (scale, missing values), or begin lower."
        )
    best = [np.array([pick(rates, curve) for curve in curves]) for pick in (valley, steepest)]
    return RateSweep(rates, curves, best[0], best[1], name)


def smooth(losses: np.ndarray) -> np.ndarray:
    """Return the running mean of (s,) losses, corrected for its beginning; NaN from where it is 4 times its lowest."""
    kept = np.full(len(losses), np.nan)
    mean = total = 0.0
    lowest = np.inf
    for i, loss in enumerate(losses):
        mean, total = _SMOOTHING * mean + (1 - _SMOOTHING) * loss, _SMOOTHING * total + (1 - _SMOOTHING)
        now = mean / total
        if not np.isfinite(now) or now > lowest + (_EXPLODED - 1.0) * abs(lowest):
            break
        kept[i] = now
        if i >= _SKIPPED_FIRST:  # before, the mean is one of few batches
            lowest = min(lowest, now)
    return kept


def steepest(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate at which the loss falls fastest over the rate's logarithm, the first 10 steps left out."""
    last = int(np.isfinite(losses).sum()) - _SKIPPED_LAST
    slope = np.gradient(losses[_SKIPPED_FIRST:last], np.log(rates[_SKIPPED_FIRST:last]))
    return float(rates[_SKIPPED_FIRST + int(np.argmin(slope))])


def valley(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate in the middle of the longest falling subsequence of the losses."""
    losses = losses[np.isfinite(losses)]
    length = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        before = length[:i][losses[:i] > losses[i]]
        length[i] = 1 + (before.max() if len(before) else 0)
    end = int(np.argmax(length))
    return float(rates[end - int(length[end]) // 2])


def _require_numbers(seeds: Any, low: Any, high: Any, steps: Any, rows: Any) -> None:
    mistakes = list(count_mistakes(seeds=(seeds, 1), steps=(steps, 20), rows=(rows, 2)))
    if not 0.0 < low < high:
        mistakes.append(f"low = {low!r} and high = {high!r} are not allowed: it takes 0 < low < high.")
    if mistakes:
        raise InputError(" ".join(mistakes))


def _require_rate(name: str) -> None:
    if name in FULL_BATCH:
        raise InputError(
            f'optimizer.name = "{name}" chooses the length of its steps itself: there is no rate to look for.'
        )


def _order(n: int, batch: int, steps: int, seed: int) -> np.ndarray:
    """Return (s, b) rows: permutations one after another."""
    rng, rounds = np.random.default_rng([seed, 3]), -(-steps * batch // n)
    drawn = np.concatenate([rng.permutation(n) for _ in range(rounds)])[: steps * batch]
    return drawn.reshape(steps, batch).astype(np.int32)


Found = tuple[str, Task, Tree, dict[str, np.ndarray], Tree, int]


def _table(
    what: Any, recipe: Any, problem: Any, batch: Any, seeds: int, seed: int, rows: int, outer: Any = None
) -> Found:
    from fallline.train.prepared import prepare
    from fallline.train.programs import begin, program_key
    from fallline.train.table_task import table_program

    if isinstance(what, str):
        what = recipes.default(what)
    if not isinstance(what, Recipe) or recipe is not None:
        raise InputError("fl.find_learning_rate takes a Keras model, a Recipe, or the name of a preset first.")
    _require_rate("adamw" if what.optimizer.name == "auto" else what.optimizer.name)
    one, several = replace(what.split, folds=1), replace(what.ensemble, members=seeds)
    alone = replace(_plain(what), ensemble=several, split=one, seed=seed)
    prepared = prepare(problem, alone, outer)
    program = table_program(program_key(prepared, problem))
    chosen = prepared.members[0].train_rows
    if len(chosen) > rows:
        chosen = np.random.default_rng([seed, 4]).choice(chosen, rows, replace=False)
    data = (prepared.features[chosen], prepared.targets[chosen], prepared.weight[chosen])
    numbers = {key: np.full(seeds, value, np.float32) for key, value in prepared.members[0].numbers.items()}
    size = int(batch or prepared.recipe.training.batch_size)
    start = jax.tree.map(jnp.asarray, begin(program, prepared, problem.kind))
    return str(prepared.recipe.optimizer.name), program.population.task, start, numbers, data, size


def _keras(model: Any, x: Any, y: Any, recipe: Any, batch: Any, seeds: int, seed: int, rows: int) -> Found:
    from fallline.train.keras_settings import build, compiled, recipe_optimizer
    from fallline.train.keras_support import require_jax, require_supported, require_trainable
    from fallline.train.keras_task import keras_task

    require_jax()
    require_supported(model)
    if x is None or y is None:
        raise InputError("A Keras model is tried on x and y: fl.find_learning_rate(model, x, y).")
    x, y = as_inputs(model, x, "x"), as_arrays(y, "y")
    n = rows_of((x, y), "x and y")
    build(model, x)
    require_trainable(model)
    model = compiled(model, x, y, recipe)
    if recipe is None:
        own = type(model.optimizer).__name__.lower()
        recipe = recipes.override(recipes.default(), [f"optimizer.name={own if own in OPTIMIZER_NUMBERS else 'adam'}"])
    recipe = _plain(recipe)
    name = "adamw" if recipe.optimizer.name == "auto" else recipe.optimizer.name
    _require_rate(name)
    optimizer, numbers = recipe_optimizer(recipe, model)
    chosen = np.random.default_rng([seed, 4]).permutation(n)[:rows]
    x, y = keras.tree.map_structure(lambda a: a[chosen], (x, y))
    sample = keras.tree.map_structure(lambda a: a[:2], (x, y))
    tasks = [
        keras_task(model, optimizer=optimizer, numbers=numbers, seed=seed + i, sample=sample, weighted=False)
        for i in range(seeds)
    ]
    start = jax.tree.map(
        lambda *leaves: jnp.asarray(np.stack(leaves)), *((task.params, task.aux, task.optimizer) for task in tasks)
    )
    data = (x, y, np.ones(len(chosen), np.float32))
    asked = batch or (recipe.training.batch_size if recipe.training.batch_size != "auto" else 32)
    return name, tasks[0].task, start, {k: np.full(seeds, v, np.float32) for k, v in numbers.items()}, data, int(asked)
