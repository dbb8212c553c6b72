"""A document as Markdown for a repository: pictures are files beside it, and every name stays text."""

from __future__ import annotations

import re
from collections.abc import Callable

from fallline.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Document,
    Facts,
    Figure,
    Fold,
    Line,
    Note,
    Paragraph,
    Part,
    Row,
    Table,
)
from fallline.report.svg import Drawing

__all__ = ["to_markdown"]

# What Markdown, GitHub's extensions or HTML give a meaning, as entities, which are never parsed again.
_SPECIAL = {ord(sign): f"&#{ord(sign)};" for sign in "\\`*_{}[]<>&|~#$@!\"'"}
_LINKS = re.compile(r"(?i)(?<=\w)(:)(?=//)|(?<=\bwww)(\.)")
_AT_THE_START = re.compile(r"^(\s*\d*)([-+=.)])(?=[-+=\s]|$)")
_SIGNS = {"good": "✓", "note": "i", "warning": "!", "serious": "✕"}
_WORDS = {"good": "Good", "note": "Note", "warning": "Warning", "serious": "Serious"}


def to_markdown(document: Document, picture: Callable[[Drawing], str]) -> str:
    """Return the document as GitHub-flavoured Markdown.

    Args:
        document: the report.
        picture: puts a drawing into a file and returns its address, seen from the Markdown file.
    """
    writer = _Writer(picture)
    parts = [f"# {_text(document.title)}", f"*{_text(document.kicker)}*", writer.line(document.verdict)]
    if document.tiles:
        heads = [_text(tile.label) for tile in document.tiles]
        cells = [f"**{_text(tile.value)}**" for tile in document.tiles]
        below = [_text(tile.below) for tile in document.tiles]
        parts.append(_table(heads, [cells, below], frozenset()))
    if document.glance:
        parts.append("\n".join(f"- {writer.line(line)}" for line in document.glance))
    for section in document.sections:
        number = f"{section.number} " if section.number else ""
        heading = [f'<a id="{section.key}"></a>', f"## {number}{_text(section.title)}"]
        parts += [*heading, *writer.blocks(section.blocks, 3)]
    parts.append(f"*{writer.line(document.foot).replace('This page is complete in itself: it loads', 'It loads')}*")
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _text(text: str) -> str:
    """Text in which nothing has a meaning to Markdown."""
    found = " ".join(str(text).split("\n")).translate(_SPECIAL)
    found = _LINKS.sub(lambda m: f"&#{ord(m[0])};", found)
    return _AT_THE_START.sub(lambda m: f"{m[1]}&#{ord(m[2])};", found)


def _table(heads: list[str], rows: list[list[str]], numeric: frozenset[int]) -> str:
    rule = ["---:" if k in numeric else "---" for k in range(len(heads))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


class _Writer:
    """Turns blocks into Markdown."""

    def __init__(self, picture: Callable[[Drawing], str]) -> None:
        self.picture = picture

    def blocks(self, blocks: tuple[Block, ...], depth: int) -> list[str]:
        return [part for block in blocks for part in self.block(block, depth)]

    def block(self, block: Block, depth: int) -> list[str]:
        match block:
            case Paragraph():
                return [self.line(block.line)]
            case Bullets():
                signs = (f"{i}." if block.ordered else "-" for i in range(1, len(block.lines) + 1))
                return ["\n".join(f"{sign} {self.line(one)}" for sign, one in zip(signs, block.lines, strict=True))]
            case Facts():
                return ["\n".join(f"- {_text(term)}: {self.line(value)}" for term, value in block.pairs)]
            case Table():
                return self.table(block)
            case Figure():
                return self.figure(block, depth)
            case Row():
                return self.blocks(block.blocks, depth)
            case Fold():
                inside = self.blocks(block.blocks, depth)
                return [f"<details><summary>{_text(block.summary)}</summary>", *inside, "</details>"]
            case Code():
                return [_code(block)]
            case Note():
                return self.note(block, depth)
            case Part():
                return [f"{'#' * depth} {_text(block.title)}", *self.blocks(block.blocks, depth + 1)]

    def note(self, note: Note, depth: int) -> list[str]:
        anchor = [f'<a id="{note.key}"></a>'] if note.key else []
        mark = f"{_text(note.mark)} " if note.mark else ""
        head = f"**{mark}{_SIGNS[note.level]} {_WORDS[note.level]}: {_text(note.title)}** ({_text(note.aside)})"
        lines = "\n\n".join([head.removesuffix(" ()"), *self.blocks(note.blocks, depth + 1)]).split("\n")
        return [*anchor, "\n".join(f"> {line}".rstrip() for line in lines)]

    def figure(self, figure: Figure, depth: int) -> list[str]:
        drawing = figure.drawing
        heading = [f"{'#' * depth} {_text(figure.heading)}"] if figure.heading else []
        alternative = _text(f"{drawing.title}. {drawing.description}")
        caption = [f"*{self.line(figure.caption)}*"] if figure.caption else []
        # Pictures are drawn twice as sharp as they are shown.
        shown = f'<img src="{self.picture(drawing)}" alt="{alternative}" width="{drawing.width:.0f}">'
        return [*heading, shown, *caption]

    def table(self, table: Table) -> list[str]:
        kept = [k for k in range(len(table.head)) if not all(isinstance(row[k], Drawing) for row in table.rows)]
        rows = [[self.cell(row[k]) for k in kept] for row in table.rows]
        numeric = frozenset(i for i, k in enumerate(kept) if k in table.numeric)
        return [f"*{_text(table.caption)}*", _table([_text(table.head[k]) for k in kept], rows, numeric)]

    def cell(self, content: Cell) -> str:
        if isinstance(content, Drawing):
            return _text(content.description)
        if isinstance(content, tuple) and content and isinstance(content[0], Drawing):
            return _text(str(content[1]))
        return self.line(content) or " "

    def line(self, line: Line) -> str:
        if isinstance(line, str):
            return _text(line)
        if isinstance(line, tuple):
            return "".join(self.line(part) for part in line)
        text = _text(line.text)
        if line.look == "mono":
            text = f"<code>{text}</code>"
        elif line.look in ("strong", *_SIGNS) and text.strip():
            text = f"<b>{text}</b> " if line.look in _SIGNS else f"<b>{text}</b>"
        return f"[{text}](#{line.to})" if line.to else text


def _code(code: Code) -> str:
    """A fence that is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", code.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{code.language}\n{code.text}\n{fence}"
