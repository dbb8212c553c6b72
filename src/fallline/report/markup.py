"""Safe markup: the one place where text becomes HTML or SVG.

Everything that reaches a page passes `tag`, and `tag` escapes every child that is not itself the result of `tag`.
Names and values of attributes come from code or are escaped; event handlers and outside addresses are refused.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

__all__ = ["Markup", "clean", "escape", "join", "tag"]

_VOID = frozenset({"meta", "link", "br", "hr", "img", "input"})
# Characters that reorder their neighbours ("Trojan Source"), and byte-order marks.
_REORDER = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff")
_DROPPED = frozenset({"Cc", "Cs", "Cn"})  # control characters, lone surrogates, unassigned code points
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "`": "&#96;"})


class Markup(str):
    """Text that is markup already and must not be escaped again; only this module makes it from plain text."""

    __slots__ = ()


def clean(text: Any, limit: int = 400, *, lines: bool = False) -> str:
    r"""Return text fit for a page: no control or reordering characters, white space folded, cut at a limit.

    Args:
        text: anything; it is turned into a string.
        limit: most characters kept; what is cut is marked by an ellipsis.
        lines: keep line breaks (code) and all spaces.

    >>> clean("a\x00\x1b[31mb\u202e  c")
    'a[31mb c'
    """
    found = str(text)
    if len(found) > limit * 4:  # never walk through a megabyte to show 400 characters
        found = found[: limit * 4]
    kept = []
    for sign in found:
        if sign == "\n" and lines:
            kept.append(sign)
        elif sign.isspace():
            kept.append(" ")
        elif sign not in _REORDER and unicodedata.category(sign) not in _DROPPED:
            kept.append(sign)
    joined = "".join(kept)
    if not lines:
        # A narrow or no-break space set on purpose survives only where the text was ours: see `escape`.
        joined = " ".join(joined.split())
    return joined if len(joined) <= limit else joined[: limit - 1].rstrip() + "…"


def escape(text: Any) -> Markup:
    """Return text as markup: the five special characters and the back-tick become entities."""
    if isinstance(text, Markup):
        return text
    kept = (
        s for s in str(text) if s in "\n\u202f\u00a0" or (unicodedata.category(s) not in _DROPPED and s not in _REORDER)
    )
    return Markup("".join(kept).translate(_ENTITIES))


def join(parts: Iterable[Any]) -> Markup:
    """Return the parts one after the other, each escaped unless it is markup."""
    return Markup("".join(escape(part) for part in parts))


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """Return an element; ``class_`` becomes ``class``, other underscores hyphens, and None leaves an attribute out.

    >>> tag("p", "1 < 2", class_="big", data_n=3)
    '<p class="big" data-n="3">1 &lt; 2</p>'
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        if attribute.startswith("on") or (attribute in ("href", "src") and not str(value).startswith("#")):
            raise ValueError(f"A report is inert: the attribute {attribute}={value!r} is refused.")
        if value is True:
            parts.append(f" {attribute}")
        else:
            parts.append(f' {attribute}="{escape(_short(value)).replace(chr(10), " ")}"')
    opening = "".join(parts)
    if name in _VOID:
        return Markup(opening + ">")
    return Markup(f"{opening}>{join(children)}</{name}>")


def _short(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
