"""What the commands print: text for people on one side, JSON lines for programs on the other."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Screen", "clean", "jsonable"]

# For outputs whose encoding lacks typographer's signs, what a typewriter has.
_TYPEWRITER = str.maketrans(
    {
        "\u202f": " ",
        "\u00a0": " ",
        "\u2212": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2026": "...",
        "\u00d7": "x",
        "\u221e": "inf",
        "\u00b2": "2",
        "\u00b1": "+/-",
    }
)


class Screen:
    """The output of one command.

    Args:
        quiet: say only what was asked for.
        as_json: write one JSON object a line to stdout, and nothing else there.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        from rich.console import Console

        # Markup and emoji are off: names of columns and classes are text, whatever they contain.
        self.out: Console = Console(markup=False, emoji=False, highlight=False)
        self.err: Console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self.quiet, self.as_json = quiet, as_json

    @property
    def talks(self) -> bool:
        """True when text for people goes to stdout."""
        return not (self.quiet or self.as_json)

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print a line for people."""
        if self.talks:
            self.out.print(self.fit(text), style=style, soft_wrap=False)

    def show(self, thing: Any) -> None:
        """Print something of rich's for people."""
        if self.talks:
            self.out.print(thing)

    def result(self, text: str) -> None:
        """Print a line that was asked for, exactly as it is: no wrapping, even when quiet."""
        if not self.as_json:
            print(self.fit(text), flush=True)

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines for people as they are; long words (paths) run over rather than being cut."""
        if self.talks:
            for line in lines:
                self.out.print(self.fit(line), soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a line for people to stderr, even when quiet."""
        self.err.print(self.fit(text, self.err), soft_wrap=True)

    def event(self, name: str, **fields: Any) -> None:
        """Write one JSON object to stdout, for programs."""
        if self.as_json:
            print(json.dumps({"event": name, **jsonable(fields)}, ensure_ascii=True, allow_nan=False), flush=True)

    def fit(self, text: str, console: Console | None = None) -> str:
        """Return text without control characters, and in the signs that the output has."""
        safe = clean(text)
        return safe if (console or self.out).encoding.lower().startswith("utf") else safe.translate(_TYPEWRITER)


def clean(text: str) -> str:
    r"""Return text that cannot steer a terminal: control characters other than the line break are replaced.

    >>> clean("price\x1b[31m")
    'price\ufffd[31m'
    """
    return "".join(c if c.isprintable() or c in "\n\u202f\u00a0" else "\N{REPLACEMENT CHARACTER}" for c in text)


def jsonable(value: Any) -> Any:
    """Return plain values for JSON; NaN and infinities, which it has not, become null.

    >>> jsonable({"loss": float("nan"), "hidden": (3, 4)})
    {'loss': None, 'hidden': [3, 4]}
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if hasattr(value, "item") and "numpy" in sys.modules:
        return jsonable(value.item() if getattr(value, "ndim", 0) == 0 else value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
