"""The space of a search: one notation in Python and in TOML, checked as a whole before any work.

Python: ``{"optimizer.learning_rate": log(1e-4, 1e-1), "network.dropout": uniform(0, 0.5), "network.hidden":
choice([64], [128, 64])}``. TOML: the same names, ``learning_rate = { log = [1e-4, 1e-1] }``, and a plain list is a
choice.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fallline import recipe as recipes
from fallline.errors import InputError, RecipeError, nearest
from fallline.recipe.schema import entries, shown
from fallline.types import Choice, Dimension, Range, Recipe

__all__ = ["DEFAULT_SPACE", "apply", "at", "choice", "integer", "levels", "log", "make_space", "place", "uniform"]

Point = dict[str, Any]
Space = dict[str, Dimension]


def log(low: float, high: float) -> Range:
    """Return numbers whose logarithm is uniform: for rates, penalties, and all whose magnitude is unknown.

    Source: J. Bergstra, Y. Bengio, "Random search for hyper-parameter optimization" (2012).
    """
    return Range(low, high, log=True)


def uniform(low: float, high: float) -> Range:
    """Return numbers that are uniform between two ends."""
    return Range(low, high)


def integer(low: int, high: int, *, log: bool = False) -> Range:
    """Return whole numbers from low to high."""
    return Range(low, high, log=log, whole=True)


def choice(*values: Any) -> Choice:
    """Return one of these values."""
    return Choice(tuple(tuple(v) if isinstance(v, list) else v for v in values))


# For the default recipe: what of it matters most on tables, with ranges an order of magnitude around the usual values.
DEFAULT_SPACE: Space = {
    "optimizer.learning_rate": log(3e-4, 3e-2),
    "network.dropout": uniform(0.0, 0.5),
    "optimizer.weight_decay": log(1e-4, 1.0),
    "network.hidden": choice([128], [256], [256, 256], [256, 256, 256]),
    "training.label_smoothing": choice(0.0, 0.05, 0.1),
}
# Entries of it that quantities refuse.
_OF_LABELS = ("training.label_smoothing",)


def make_space(given: Any, recipe: Recipe, kind: str = "") -> Space:
    """Return a checked space.

    Args:
        given: entry -> `log`, `uniform`, `integer`, `choice`, or a list of values; TOML text's path; or "default":
            what matters most on tables, so far as the recipe takes it.
        recipe: that the space belongs to: every bound and value must be allowed in it.
        kind: of problem, where it is known: "default" leaves out what quantities refuse.

    Raises:
        InputError: every mistake at once: unknown entries with the nearest spelling, impossible ranges, values that
            the recipe does not allow.
    """
    if isinstance(given, str) and given == "default":
        fitting = {name: found for name, found in DEFAULT_SPACE.items() if not list(_problems(name, found, recipe))}
        of_labels = _OF_LABELS if kind in ("regression", "multioutput") else ()
        return {name: found for name, found in fitting.items() if name not in of_labels}
    if isinstance(given, (str, Path)):
        given = _toml(Path(given))
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            "A space is a mapping of recipe entries, e.g. {'optimizer.learning_rate': log(1e-4, 1e-1)}, the path of a "
            f"TOML file, or 'default'; given {type(given).__name__}{'' if given else ', empty'}."
        )
    mistakes: list[str] = []
    space: Space = {}
    for name, value in _flat(given):
        try:
            found = _dimension(name, value)
        except ValueError as error:
            mistakes.append(f"{name}: {error}")
            continue
        mistakes += _problems(name, found, recipe)
        space[name] = found
    if mistakes:
        head = "The space has a mistake" if len(mistakes) == 1 else f"The space has {len(mistakes)} mistakes"
        raise InputError(head + ":\n" + "\n".join(f"  - {mistake}" for mistake in mistakes))
    return space


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The space {path} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The space {path} is not TOML: {error}.") from None


_NOTATION = ("log", "uniform", "integer", "choice")


def _flat(given: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (entry, what stands there); sections are opened."""
    for name, value in given.items():
        if isinstance(value, Mapping) and not set(value) & set(_NOTATION) and not prefix and value:
            yield from _flat(value, f"{name}.")
        else:
            yield prefix + str(name), value


def _dimension(name: str, value: Any) -> Dimension:
    """Read one notation; ValueError with a sentence."""
    if isinstance(value, (Range, Choice)):
        return value
    if isinstance(value, (list, tuple)):
        return choice(*value)
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{value!r} is no range: write log(low, high), uniform(low, high), integer(low, high), choice(...) or a "
            "list; in TOML { log = [low, high] }."
        )
    kinds = [key for key in value if key in _NOTATION]
    rest = [key for key in value if key not in _NOTATION]
    if len(kinds) != 1 or (rest and (rest != ["spacing"] or kinds != ["integer"])):
        raise ValueError(
            f"{dict(value)!r} is no range: it takes one of {', '.join(_NOTATION)}."
            f"{nearest(str(next(iter(rest), '')), _NOTATION)}"
        )
    ends = value[kinds[0]]
    if not isinstance(ends, (list, tuple)):
        raise ValueError(f"{kinds[0]} takes a list, e.g. {{ log = [1e-4, 1e-1] }}; given {ends!r}.")
    if kinds[0] == "choice":
        return choice(*ends)
    if len(ends) != 2:
        raise ValueError(f"{kinds[0]} takes two numbers, [low, high]; given {list(ends)}.")
    return Range(ends[0], ends[1], log=kinds[0] == "log" or value.get("spacing") == "log", whole=kinds[0] == "integer")


def _problems(name: str, dimension: Dimension, recipe: Recipe) -> Iterator[str]:
    """Say what is wrong with one dimension."""
    if name not in entries():
        yield f"unknown entry {name!r}.{nearest(name, entries()) or ' `fallline recipe` lists them all.'}"
        return
    if isinstance(dimension, Range):
        ends = (dimension.low, dimension.high)
        if any(isinstance(e, bool) or not isinstance(e, (int, float, np.number)) or not math.isfinite(e) for e in ends):
            yield f"{name}: the ends of a range are finite numbers; given {ends[0]!r} and {ends[1]!r}."
            return
        if not ends[0] < ends[1]:
            yield f"{name}: an impossible range, from {ends[0]:g} to {ends[1]:g}: the first must be below the second."
            return
        if dimension.log and ends[0] <= 0:
            yield f"{name}: a logarithmic range begins above 0; given {ends[0]:g}. Use uniform, or a small end."
            return
        if entries()[name].type == "int" and not dimension.whole:
            yield f"{name} takes whole numbers: write integer({ends[0]:g}, {ends[1]:g}), or a choice."
            return
        if dimension.whole and any(float(e) != int(e) for e in ends):
            yield f"{name}: integer takes whole numbers; given {ends[0]!r} and {ends[1]!r}."
            return
        values: Sequence[Any] = [_number(dimension, e) for e in ends]
    else:
        values = dimension.values
        if not values:
            yield f"{name}: the choice is empty; give at least one value."
        elif len({shown(v) for v in values}) < len(values):
            yield f"{name}: the choice names a value twice."
    for value in values:
        try:
            apply(recipe, {name: value})
        except RecipeError as error:
            yield from error.mistakes


def apply(recipe: Recipe, point: Mapping[str, Any]) -> Recipe:
    """Return the recipe with a point's values.

    >>> apply(recipes.default(), {"network.hidden": (64, 32)}).network.hidden
    (64, 32)
    """
    return recipes.override(recipe, [f"{name}={_text(value)}" for name, value in point.items()])


def _text(value: Any) -> str:
    """As TOML, every digit kept."""
    return repr(float(value)) if isinstance(value, (float, np.floating)) else shown(value).strip('"')


def _number(dimension: Range, value: float) -> int | float:
    return round(value) if dimension.whole else float(value)


def at(dimension: Dimension, share: float) -> Any:
    """Return the value at a place of the dimension, 0 its beginning, 1 its end.

    >>> round(at(log(1e-4, 1e-2), 0.5), 9), at(integer(1, 9), 1.0), at(choice("a", "b"), 0.7)
    (0.001, 9, 'b')
    """
    share = min(1.0, max(0.0, share))
    if isinstance(dimension, Choice):
        return dimension.values[min(len(dimension.values) - 1, int(share * len(dimension.values)))]
    low, high = dimension.low, dimension.high
    if dimension.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    return _number(dimension, min(high, max(low, value)))


def place(dimension: Dimension, value: Any) -> float:
    """Return where a value lies, the inverse of `at` (the middle of its part, for a choice)."""
    if isinstance(dimension, Choice):
        return (dimension.values.index(value) + 0.5) / len(dimension.values)
    if dimension.log:
        share: float = (math.log(value) - math.log(dimension.low)) / (
            math.log(dimension.high) - math.log(dimension.low)
        )
        return share
    return float((value - dimension.low) / (dimension.high - dimension.low))


def levels(dimension: Dimension, count: int) -> list[Any]:
    """Return so many values, evenly spaced with both ends; of a choice all; whole numbers once each.

    >>> levels(log(1e-4, 1e-2), 3), levels(integer(1, 3), 5)
    ([0.0001, 0.001, 0.01], [1, 2, 3])
    """
    if isinstance(dimension, Choice):
        return list(dimension.values)
    shares = np.linspace(0, 1, count) if count > 1 else [0.5]
    found = [at(dimension, float(share)) for share in shares]
    if not dimension.whole:
        found = [float(f"{value:.12g}") for value in found]
    return list(dict.fromkeys(found))
