"""What each entry of a recipe may hold, read from the annotations and the metadata of `fallline.types`."""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal

from fallline.errors import nearest
from fallline.types import Recipe

__all__ = ["Entry", "EntryError", "canonical", "entries", "sections", "shown"]

EntryType = Literal["bool", "int", "float", "str", "ints", "floats"]

_NOUN: dict[EntryType, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "ints": "a list of whole numbers such as [256, 256]",
    "floats": "a list of numbers such as [1, 0.5]",
}


class EntryError(Exception):
    """A value does not fit its entry; the message is one sentence for the user."""


@dataclass(frozen=True)
class Entry:
    """One entry of the recipe.

    Args:
        name: full name, e.g. ``network.hidden``; entries outside a section have no dot.
        type: what it holds, apart from the word "auto".
        default: the value of the default preset.
        doc: one line of documentation.
        choices: the allowed words; empty: any.
        low, high: inclusive bounds. above: exclusive lower bound.
        auto: whether the word "auto" is allowed as well.
        words: other words that are allowed as well.
    """

    name: str
    type: EntryType
    default: Any
    doc: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    auto: bool = False
    words: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """The section's name, "" for entries outside a section."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]

    @property
    def allowed(self) -> str:
        """What may stand here, in words.

        >>> entries()["optimizer.learning_rate"].allowed
        'a number above 0, or "auto" or "find"'
        """
        if self.choices:
            return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)
        text = _NOUN[self.type]
        bounds = self._bounds()
        if bounds:
            text += f", each {bounds}" if self.type in ("ints", "floats") else f" {bounds}"
        words = [f'"{word}"' for word in (*(("auto",) if self.auto else ()), *self.words)]
        return text + (f", or {' or '.join(words)}" if words else "")

    def _bounds(self) -> str:
        low = f"above {shown(self.above)}" if self.above is not None else ""
        if self.low is not None:
            low = f"of at least {shown(self.low)}"
        if self.high is None:
            return low
        if self.low is not None:
            return f"from {shown(self.low)} to {shown(self.high)}"
        return f"{low}, at most {shown(self.high)}" if low else f"of at most {shown(self.high)}"


def sections() -> dict[str, type]:
    """Return the recipe's sections: name -> dataclass, in order."""
    hints = typing.get_type_hints(Recipe)
    return {f.name: hints[f.name] for f in fields(Recipe) if is_dataclass(hints[f.name])}


@cache
def entries() -> dict[str, Entry]:
    """Return every entry by its full name, in the recipe's order."""
    found = list(_read(Recipe, ""))
    for section, cls in sections().items():
        found += _read(cls, f"{section}.")
    return {entry.name: entry for entry in found}


def _read(cls: type, prefix: str) -> typing.Iterator[Entry]:
    hints = typing.get_type_hints(cls)
    for f in fields(cls):
        if is_dataclass(hints[f.name]):
            continue
        known = {key: value for key, value in f.metadata.items() if key != "each"}
        yield Entry(prefix + f.name, _type(hints[f.name]), f.default, **known)


def _type(hint: Any) -> EntryType:
    """Reduce an annotation such as ``int | Literal["auto"]`` to the type of the entry."""
    parts = [part for part in typing.get_args(hint) if typing.get_origin(part) is not Literal]
    if typing.get_origin(hint) is tuple:
        return "floats" if float in parts else "ints"
    if parts:
        return _type(parts[0])
    names: dict[Any, EntryType] = {bool: "bool", int: "int", float: "float", str: "str"}
    return names[hint]


def shown(value: Any) -> str:
    """Return a value as a person would write it in TOML.

    >>> shown(0.0), shown("relu"), shown(True), shown((64, 32)), shown(4294967295)
    ('0', '"relu"', 'true', '[64, 32]', '4294967295')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{float(value):g}"
    return str(value)


def canonical(entry: Entry, value: Any) -> Any:
    """Return the value as the recipe keeps it (plain Python numbers, tuples), or raise `EntryError`.

    Args:
        entry: where the value is to stand.
        value: as given; whole numbers are taken for numbers, lists for tuples, NumPy scalars for Python's.

    >>> canonical(entries()["network.hidden"], [64, 32])
    (64, 32)
    """
    if isinstance(value, str) and ((entry.auto and value == "auto") or value in entry.words):
        return str(value)
    if entry.type in ("ints", "floats"):
        if not isinstance(value, (list, tuple)):
            raise _wrong(entry, value, hint=f" Write [{shown(value)}]." if _is(value, Real) else "")
        return tuple(_number(entry, item, value) for item in value)
    if entry.type in ("int", "float"):
        return _number(entry, value, value)
    if entry.type == "bool":
        if type(value).__name__ not in ("bool", "bool_"):
            raise _wrong(entry, value)
        return bool(value)
    if not isinstance(value, str):
        raise _wrong(entry, value)
    if entry.choices and value not in entry.choices:
        raise _wrong(entry, value, hint=nearest(value, entry.choices))
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise EntryError(f"{entry.name} = {value!r} is not valid text: it cannot be written as UTF-8.") from None
    return str(value)


def _number(entry: Entry, value: Any, whole: Any) -> int | float:
    real = entry.type in ("float", "floats")
    if not _is(value, Real if real else Integral):
        raise _wrong(entry, whole, hint=nearest(value, ["auto"]) if entry.auto and isinstance(value, str) else "")
    number = float(value) if real else int(value)
    if not math.isfinite(number):
        raise _wrong(entry, whole)
    too_low = (entry.low is not None and number < entry.low) or (entry.above is not None and number <= entry.above)
    if too_low or (entry.high is not None and number > entry.high):
        raise _wrong(entry, whole)
    return number


def _is(value: Any, kind: type) -> bool:
    """Truth values are numbers to Python, but a person who writes ``epochs = true`` made a mistake."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _wrong(entry: Entry, value: Any, hint: str = "") -> EntryError:
    given = shown(value) if isinstance(value, (bool, str, int, float, tuple, list)) else f"{value!r}"
    return EntryError(f"{entry.name} = {given} is not allowed: it takes {entry.allowed}.{hint}")
