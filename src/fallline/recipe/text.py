"""Recipes as TOML: read with the standard library, written with every entry's documentation beside it."""

from __future__ import annotations

import re
import textwrap
import tomllib
from typing import Any

from fallline.errors import RecipeError
from fallline.recipe.mapping import from_mapping
from fallline.recipe.schema import Entry, entries
from fallline.types import Recipe

__all__ = ["from_toml", "to_toml"]

_WIDTH = 116
_HEADER = """\
# A fallline recipe: everything that decides how a network is trained.
# Entries that are left out are taken from the preset; "auto" is resolved from the size and kind of the problem.
"""
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def from_toml(text: str) -> Recipe:
    r"""Read a recipe from TOML text; what is not mentioned is taken from the preset.

    Args:
        text: the content of a ``recipe.toml``.

    Raises:
        RecipeError: text that is not TOML (with the line), unknown sections and entries (with the nearest
            spelling), and everything that `fallline.recipe.check` finds.

    >>> from_toml("[optimizer]\nlearning_rate = 0.01").optimizer.learning_rate
    0.01
    """
    text = text.removeprefix("\ufeff")  # editors on Windows put a byte order mark in front
    try:
        mapping = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError([f"this is not TOML: {error}{_line(text, str(error))}"]) from None
    return from_mapping(mapping)


def _line(text: str, message: str) -> str:
    """Quote the line that the parser stumbled over."""
    found = re.search(r"at line (\d+)", message)
    if not found:
        return "."
    lines = text.splitlines()
    number = int(found.group(1))
    return f": {lines[number - 1].strip()!r}." if number <= len(lines) else "."


def to_toml(recipe: Recipe, comments: bool = True) -> str:
    """Write a recipe as TOML text; `from_toml` gives exactly the same recipe back.

    Args:
        recipe: any valid recipe.
        comments: put each entry's documentation and allowed values above it.

    >>> print(to_toml(Recipe(), comments=False).splitlines()[0])
    preset = "default"
    """
    lines = [_HEADER] if comments else []
    section = ""
    for entry in entries().values():
        if entry.section != section:
            section = entry.section
            lines += ["", f"[{section}]"]
        owner = getattr(recipe, entry.section) if entry.section else recipe
        if comments:
            lines += _comment(entry)
        lines.append(f"{entry.key} = {_toml(getattr(owner, entry.key), entry)}")
    return "\n".join(lines) + "\n"


def _comment(entry: Entry) -> list[str]:
    text = f"{entry.doc} ({entry.allowed})"
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="#   ")


def _toml(value: Any, entry: Entry) -> str:
    if isinstance(value, str):
        return '"' + "".join(map(_escaped, value)) + '"'
    if entry.type == "bool":
        return "true" if value else "false"
    if entry.type == "ints":
        return "[" + ", ".join(str(int(item)) for item in value) + "]"
    if entry.type == "floats":
        return "[" + ", ".join(repr(float(item)) for item in value) + "]"
    # repr gives the shortest digits that read back as the very same float64.
    return repr(float(value)) if entry.type == "float" else str(int(value))


def _escaped(character: str) -> str:
    """Write a character as TOML's basic strings want it: control characters, DEL among them, as escapes."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\u{ord(character):04x}" if character < " " or character == "\x7f" else character
