"""What a report is made of, before it has a file format: sections of plain values.

Sections are written in these words and know nothing of HTML; a writer (`fallline.report.html`) turns them into a file.
All text in them is plain text: the writer escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fallline.report.svg import Drawing

__all__ = [
    "Block",
    "Bullets",
    "Cell",
    "Code",
    "Document",
    "Facts",
    "Figure",
    "Fold",
    "Level",
    "Line",
    "Note",
    "Paragraph",
    "Part",
    "Row",
    "Section",
    "Span",
    "Table",
    "Tile",
]


@dataclass(frozen=True)
class Span:
    """A stretch of text with a look.

    Args:
        text: the text.
        look: ``strong``, ``soft`` (in the background), ``mono`` (names, code), ``plain``, or the badge of a level.
        to: key of the section or note on this page to which the text leads; "": none.
    """

    text: str
    look: Literal["strong", "soft", "mono", "plain", "good", "note", "warning", "serious"] = "strong"
    to: str = ""


Level = Literal["", "good", "note", "warning", "serious"]
Line = str | Span | tuple["str | Span", ...]
Cell = Line | Drawing | tuple[Drawing, str]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    line: Line
    look: Literal["", "lead", "small"] = ""


@dataclass(frozen=True)
class Bullets:
    """A list of lines."""

    lines: tuple[Line, ...]
    ordered: bool = False
    bare: bool = False


@dataclass(frozen=True)
class Facts:
    """Terms with their values."""

    pairs: tuple[tuple[str, Line], ...]


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Args:
        head: the columns' names.
        rows: cells, as many as there are columns.
        caption: what the table shows.
        numeric: numbers of the columns that hold figures (set right).
        stacked: on a phone, show every row as a small card.
        emphasis: numbers of the rows that stand out.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str
    numeric: frozenset[int] = frozenset()
    stacked: bool = False
    emphasis: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Figure:
    """A picture with its caption."""

    drawing: Drawing
    caption: Line = ""
    heading: str = ""


@dataclass(frozen=True)
class Row:
    """Blocks side by side where there is room."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Fold:
    """Blocks that are shown on demand."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Code:
    """Text to be copied."""

    text: str
    label: str
    language: str = ""


@dataclass(frozen=True)
class Note:
    """Something that stands out: a finding, a warning, a remark.

    Args:
        level: how much it matters.
        title: its name.
        blocks: what there is to say.
        mark: the number under which it appears in a chart, or "".
        aside: small print beside the title.
        key: by which a `Span` leads here; "" where none does.
    """

    level: Literal["good", "note", "warning", "serious"]
    title: str
    blocks: tuple[Block, ...]
    mark: str = ""
    aside: str = ""
    key: str = ""


@dataclass(frozen=True)
class Tile:
    """A key figure."""

    label: str
    value: str
    below: str = ""
    level: Level = ""


@dataclass(frozen=True)
class Part:
    """Blocks under a heading of their own within a section."""

    title: str
    blocks: tuple[Block, ...]


Block = Paragraph | Bullets | Facts | Table | Figure | Row | Fold | Code | Note | Part


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Args:
        key: its address on the page.
        title: its heading.
        blocks: what it says.
        number: shown before the title; "" for none.
    """

    key: str
    title: str
    blocks: tuple[Block, ...]
    number: str = ""


@dataclass(frozen=True)
class Document:
    """The whole report.

    Args:
        title: what it is about.
        kicker: the line above the title.
        verdict: the answer in one sentence.
        tiles: key figures.
        sections: in their order.
        foot: the last line.
        glance: what the head of the page lists below the figures: the findings, each leading to its place.
    """

    title: str
    kicker: str
    verdict: Line
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    foot: Line = ""
    glance: tuple[Line, ...] = ()
