"""The code in the documentation, read out of its pages: tests run it, ``docs.tour`` fills in what it prints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CHECKOUT", "Snippet", "commands", "pages", "snippets"]

CHECKOUT = Path(__file__).resolve().parent.parent
# Made from what is tested elsewhere: the catalogue's rows, the exhibits of the gallery.
_MADE = ("catalogue.md", "gallery.md")
_FENCE = re.compile(
    r"^(?P<off><!-- not run: (?P<why>[^\n]+) -->\n+)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Snippet:
    """One fenced block.

    Args:
        page: its file, from the checkout.
        line: of its first line in the file.
        language: python, console, toml, sql, text.
        text: what stands in it.
        why_not: the reason why it is looked at but not run, from the remark ``<!-- not run: ... -->`` above it.
    """

    page: str
    line: int
    language: str
    text: str
    why_not: str = ""


def pages() -> tuple[Path, ...]:
    """Return the pages whose code is run: README.md and those of the site that are written by hand."""
    written = [path for path in sorted((CHECKOUT / "docs").rglob("*.md")) if path.parent.name != "gallery"]
    return (CHECKOUT / "README.md", *(path for path in written if path.name not in _MADE))


def snippets(page: Path) -> Iterator[Snippet]:
    """Yield a page's fenced blocks in their order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        name = str(page.relative_to(CHECKOUT))
        yield Snippet(name, line, found["language"], found["text"], found["why"] or "")


def commands(snippet: Snippet) -> Iterator[tuple[list[str], str]]:
    """Yield the command lines of fallline in a console's block: its words, and the file that its output goes to or "".

    Where a line begins with a dollar, only such lines are commands, and the others what they print.
    """
    lines = snippet.text.splitlines()
    prompted = any(line.startswith("$ ") for line in lines)
    for line in lines:
        if prompted and not line.startswith("$ "):
            continue
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words[:1] != ["fallline"]:
            continue
        target = words[words.index(">") + 1] if ">" in words else ""
        yield words[1 : words.index(">")] if target else words[1:], target
