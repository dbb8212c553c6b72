"""Recipes as plain nested mappings, and single entries changed by name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fallline.errors import RecipeError, nearest
from fallline.recipe.checks import check
from fallline.recipe.defaults import default
from fallline.recipe.schema import Entry, entries, sections, shown
from fallline.types import Recipe

__all__ = ["from_mapping", "override", "to_mapping"]


def to_mapping(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as nested dicts of plain values (lists instead of tuples), ready for JSON.

    >>> to_mapping(Recipe())["network"]["hidden"]
    'auto'
    """
    out: dict[str, Any] = {}
    for entry in entries().values():
        owner = getattr(recipe, entry.section) if entry.section else recipe
        value = getattr(owner, entry.key)
        target = out.setdefault(entry.section, {}) if entry.section else out
        target[entry.key] = list(value) if isinstance(value, tuple) else value
    return out


def from_mapping(mapping: Mapping[str, Any]) -> Recipe:
    """Make a recipe from nested mappings; what is not mentioned is taken from the preset.

    Args:
        mapping: ``{"seed": 3, "network": {"hidden": [64, 64]}}``; ``preset`` chooses what the rest is taken from.

    Raises:
        RecipeError: unknown sections or entries (with the nearest spelling), and everything that `check` finds.

    >>> from_mapping({"preset": "simple", "network": {"hidden": [64, 64]}}).network.hidden
    (64, 64)
    """
    if not isinstance(mapping, Mapping):
        raise RecipeError([f"expected a mapping of sections, received {type(mapping).__name__}."])
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for key, value in mapping.items():
        if key in sections():
            if not isinstance(value, Mapping):
                mistakes.append(f"{key} is a section with entries, not a value; received {value!r}.")
                continue
            for inner, item in value.items():
                _collect(f"{key}.{inner}", item, values, mistakes)
        elif isinstance(value, Mapping):
            guess = nearest(str(key), sections())
            mistakes.append(f"unknown section [{key}]; the sections are {', '.join(sections())}.{guess}")
        else:
            _collect(str(key), value, values, mistakes)
    base = default("simple") if mapping.get("preset") == "simple" else default()
    return _build(base, values, mistakes)


def _collect(name: str, value: Any, values: dict[str, Any], mistakes: list[str]) -> None:
    if name in entries():
        values[name] = value
    else:
        mistakes.append(_unknown(name))


def override(recipe: Recipe, assignments: Iterable[str]) -> Recipe:
    """Return the recipe with some entries changed, as on a command line.

    Args:
        recipe: where to start from.
        assignments: ``name=value``, values as in TOML; bare words are texts. The section may be left out where the
            entry's name is unique. ``preset=simple`` moves every entry that still has the old preset's value.

    Raises:
        RecipeError: assignments without ``=``, unknown names (with the nearest), and everything that `check` finds.

    >>> changed = override(Recipe(), ["network.hidden=[64,64]", "activation=relu", "seed=3"])
    >>> changed.network.hidden, changed.network.activation, changed.seed
    ((64, 64), 'relu', 3)
    """
    if isinstance(assignments, str):
        assignments = [assignments]
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for assignment in assignments:
        given, equals, text = assignment.partition("=")
        if not equals:
            mistakes.append(f"{assignment!r} is no assignment: write name=value, e.g. optimizer.learning_rate=0.01.")
            continue
        try:
            name = _full_name(given.strip(), list(entries()))
        except KeyError as unknown:
            mistakes.append(str(unknown.args[0]))
            continue
        value = _value(entries()[name], text.strip())
        if name in values and values[name] != value:
            mistakes.append(f"{name} is given twice: {shown(values[name])} and {shown(value)}.")
        values[name] = value
    if values.get("preset") in entries()["preset"].choices:
        recipe = _rebase(recipe, str(values["preset"]))
    return _build(recipe, values, mistakes)


def _full_name(given: str, names: list[str]) -> str:
    """Return the full name of an entry, given that or its last part alone; KeyError with a sentence otherwise."""
    if given in names:
        return given
    found = [name for name in names if name.rpartition(".")[2] == given]
    if len(found) == 1:
        return found[0]
    if found:
        raise KeyError(f"{given!r} is ambiguous: write {' or '.join(found)}.")
    raise KeyError(_unknown(given))


def _unknown(name: str) -> str:
    """Say that there is no such entry, with the nearest among full names and last parts."""
    table = {entry.key: entry.name for entry in entries().values()} | {key: key for key in entries()}
    guess = nearest(name, table)
    if not guess and "." in name:
        guess = nearest(name.rpartition(".")[2], table)
    if not guess:
        return f"unknown entry {name!r}; `fallline recipe` lists them all."
    near = guess.split("'")[1]
    return f"unknown entry {name!r}. Did you mean {table[near]!r}?"


def _value(entry: Entry, text: str) -> Any:
    """Read a value as TOML; a text entry keeps what was typed, and a bare word is a text."""
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        read = {}
    value = read["value"] if set(read) == {"value"} else text
    if entry.type == "str":
        return value if isinstance(value, str) else text
    if entry.type == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return value


def _rebase(recipe: Recipe, preset: str) -> Recipe:
    """Move to another preset: entries that were never changed follow, the user's own stay."""
    old, new = default(recipe.preset if recipe.preset in entries()["preset"].choices else "default"), default(preset)
    parts = {}
    for section in sections():
        kept = {
            entry.key: getattr(getattr(recipe, section), entry.key)
            for entry in entries().values()
            if entry.section == section
            and getattr(getattr(recipe, section), entry.key) != getattr(getattr(old, section), entry.key)
        }
        parts[section] = replace(getattr(new, section), **kept)
    return replace(recipe, preset=preset, **parts)


def _build(base: Recipe, values: Mapping[str, Any], mistakes: list[str]) -> Recipe:
    """Put values into a recipe and check it; mistakes found before are reported together with the check's."""
    grouped: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        grouped.setdefault(section, {})[key] = value
    parts = {section: replace(getattr(base, section), **grouped.get(section, {})) for section in sections()}
    recipe = replace(base, **grouped.get("", {}), **parts)
    try:
        checked = check(recipe)
    except RecipeError as error:
        raise RecipeError([*mistakes, *error.mistakes]) from None
    if mistakes:
        raise RecipeError(mistakes)
    return checked
