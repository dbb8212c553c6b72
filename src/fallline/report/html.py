"""A document as one HTML file: no script, no outside address, a policy that forbids both."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from itertools import count

from fallline.report import document as d
from fallline.report.markup import Markup, escape, join, tag
from fallline.report.svg import Drawing

__all__ = ["to_html"]

# Nothing may be loaded, run, embedded or sent: the browser enforces what the page promises.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LEVELS = {"good": ("✓", "Good"), "note": ("i", "Note"), "warning": ("!", "Warning"), "serious": ("✕", "Serious")}


@cache
def _style() -> str:
    text = resources.files("fallline.report").joinpath("style.css").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def to_html(document: d.Document) -> str:
    """Return the document as a complete, self-contained HTML page."""
    return "<!doctype html>\n" + _Writer().page(document) + "\n"


class _Writer:
    """Turns blocks into markup; counts ids, so that every id on the page is unique."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._regions: dict[str, int] = {}

    def _region(self, label: str) -> str:
        """A label for a region that scrolls; those that move from one to the next must tell them apart."""
        self._regions[label] = self._regions.get(label, 0) + 1
        return label if self._regions[label] == 1 else f"{label} ({self._regions[label]})"

    def _id(self, stem: str) -> str:
        return f"{stem}-{next(self._ids)}"

    # -------------------------------------------------------------------------------------------------- the page

    def page(self, doc: d.Document) -> Markup:
        head = tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("meta", name="generator", content="fallline"),
            tag("title", f"{doc.title} · fallline"),
            tag("style", Markup(_style())),
        )
        items = [
            tag("li", tag("a", self.number(section), section.title, href=f"#{section.key}")) for section in doc.sections
        ]
        masthead = tag(
            "header",
            tag("p", doc.kicker, class_="kicker"),
            tag("h1", doc.title),
            tag("p", self.line(doc.verdict), class_="verdict"),
            self.tiles(doc.tiles),
            self.glance(doc.glance),
            class_="masthead",
        )
        body = tag(
            "body",
            tag("a", "Skip to the report", href="#report", class_="skip"),
            tag(
                "div",
                masthead,
                tag("nav", tag("ol", *items), aria_label="Contents", class_="contents"),
                tag("main", *[self.section(section) for section in doc.sections], id="report", tabindex="-1"),
                tag("footer", tag("p", self.line(doc.foot))),
                class_="page",
            ),
        )
        return tag("html", head, body, lang="en")

    def tiles(self, tiles: tuple[d.Tile, ...]) -> Markup:
        if not tiles:
            return Markup("")
        shown = [
            tag(
                "div",
                tag("dt", tile.label),
                tag("dd", self.level(tile), tile.value, class_="value"),
                tag("dd", tile.below, class_="below") if tile.below else "",
                class_="tile",
            )
            for tile in tiles
        ]
        return tag("dl", *shown, class_="tiles")

    def glance(self, lines: tuple[d.Line, ...]) -> Markup:
        if not lines:
            return Markup("")
        return tag("ul", *[tag("li", self.line(one)) for one in lines], class_="glance", aria_label="Findings")

    def number(self, section: d.Section) -> Markup:
        return tag("span", section.number, class_="number") if section.number else Markup("")

    def level(self, tile: d.Tile) -> Markup:
        if not tile.level:
            return Markup("")
        return tag("span", _LEVELS[tile.level][0], class_=f"badge {tile.level}", aria_hidden="true")

    def section(self, section: d.Section) -> Markup:
        heading = f"{section.key}-title"
        return tag(
            "section",
            tag("h2", self.number(section), section.title, id=heading),
            self.blocks(section.blocks, 3),
            id=section.key,
            aria_labelledby=heading,
        )

    # ------------------------------------------------------------------------------------------------- the blocks

    def blocks(self, blocks: tuple[d.Block, ...], depth: int) -> Markup:
        return join(self.block(block, depth) for block in blocks)

    def block(self, block: d.Block, depth: int) -> Markup:
        match block:
            case d.Paragraph():
                return tag("p", self.line(block.line), class_=block.look or None)
            case d.Bullets():
                items = [tag("li", self.line(one)) for one in block.lines]
                return tag("ol" if block.ordered else "ul", *items, class_="bare" if block.bare else None)
            case d.Facts():
                pairs = [tag("div", tag("dt", term), tag("dd", self.line(value))) for term, value in block.pairs]
                return tag("dl", *pairs, class_="facts")
            case d.Table():
                return self.table(block)
            case d.Figure():
                return self.figure(block, depth)
            case d.Row():
                return tag("div", *[tag("div", self.block(one, depth)) for one in block.blocks], class_="row")
            case d.Fold():
                return tag("details", tag("summary", block.summary), self.blocks(block.blocks, depth))
            case d.Code():
                return tag(
                    "pre",
                    tag("code", self.code(block)),
                    tabindex="0",
                    role="region",
                    aria_label=self._region(block.label),
                    class_=block.language or None,
                )
            case d.Note():
                return self.note(block, depth)
            case d.Part():
                return tag("div", tag(f"h{depth}", block.title), self.blocks(block.blocks, depth + 1), class_="part")

    def note(self, note: d.Note, depth: int) -> Markup:
        sign, word = _LEVELS[note.level]
        title = tag(
            f"h{depth}",
            tag("span", note.mark or sign, class_=f"badge {note.level}", aria_hidden="true"),
            tag("span", f"{word}: ", class_="level"),
            note.title,
            tag("span", f" {note.aside}", class_="aside") if note.aside else "",
        )
        inside = self.blocks(note.blocks, depth + 1)
        return tag("article", title, inside, class_=f"remark {note.level}", id=note.key or None)

    def figure(self, figure: d.Figure, depth: int) -> Markup:
        parts = [tag(f"h{depth}", figure.heading)] if figure.heading else []
        drawing = figure.drawing
        if drawing.narrow is None:
            parts.append(self.drawing(drawing))
        else:
            parts += [self.drawing(drawing, "wide"), self.drawing(drawing.narrow, "slim")]
        if figure.caption:
            parts.append(tag("figcaption", self.line(figure.caption)))
        return tag("figure", *parts)

    def drawing(self, drawing: Drawing, class_: str = "") -> Markup:
        title, description = self._id("t"), self._id("d")
        return tag(
            "svg",
            tag("title", drawing.title, id=title),
            tag("desc", drawing.description, id=description),
            drawing.body,
            viewBox=f"0 0 {drawing.width:g} {drawing.height:g}",
            width=f"{drawing.width:g}",
            height=f"{drawing.height:g}",
            role="img",
            aria_labelledby=f"{title} {description}",
            class_=class_ or None,
        )

    def table(self, table: d.Table) -> Markup:
        # Explicit roles: a stacked table changes its display, and some browsers then forget that it is a table.
        role = {"role": "row"} if table.stacked else {}
        cells = {"role": "cell"} if table.stacked else {}

        def cell(k: int, row: tuple[d.Cell, ...]) -> Markup:
            content = row[k]
            inner = self.cell(content)
            class_ = "figure" if k in table.numeric else None
            if k == 0:
                return tag("th", inner, scope="row", class_=class_, **({"role": "rowheader"} if table.stacked else {}))
            label = table.head[k] if table.stacked else None
            return tag("td", tag("span", inner) if table.stacked else inner, class_=class_, data_label=label, **cells)

        head = [
            tag(
                "th",
                name,
                scope="col",
                class_="figure" if k in table.numeric else None,
                **({"role": "columnheader"} if table.stacked else {}),
            )
            for k, name in enumerate(table.head)
        ]
        body = [
            tag(
                "tr",
                *[cell(k, row) for k in range(len(table.head))],
                class_="strong" if i in table.emphasis else None,
                **role,
            )
            for i, row in enumerate(table.rows)
        ]
        group = {"role": "rowgroup"} if table.stacked else {}
        made = tag(
            "table",
            tag("caption", table.caption),
            tag("thead", tag("tr", *head, **role), **group),
            tag("tbody", *body, **group),
            class_="stacked" if table.stacked else None,
            **({"role": "table"} if table.stacked else {}),
        )
        return tag("div", made, class_="scroll", role="region", aria_label=self._region(table.caption), tabindex="0")

    def cell(self, content: d.Cell) -> Markup:
        if isinstance(content, Drawing):
            return self.drawing(content)
        if isinstance(content, tuple) and content and isinstance(content[0], Drawing):
            return tag("span", self.drawing(content[0]), tag("span", content[1]), class_="pair")
        return self.line(content)

    # --------------------------------------------------------------------------------------------------- the text

    def line(self, line: d.Line) -> Markup:
        if isinstance(line, str):
            return escape(line)
        if isinstance(line, d.Span):
            return tag("a", self.span(line), href=f"#{line.to}") if line.to else self.span(line)
        return join(self.line(part) for part in line)

    def span(self, span: d.Span) -> Markup:
        if span.look in _LEVELS:
            return tag("span", span.text, class_=f"badge {span.look}")
        if span.look == "plain":
            return escape(span.text)
        name = {"strong": "strong", "mono": "code", "soft": "span"}[span.look]
        return tag(name, span.text, class_="soft" if span.look == "soft" else None)

    def code(self, code: d.Code) -> Markup:
        if code.language != "toml":
            return join(_coloured(line, "") for line in code.text.splitlines(keepends=True))
        # One span per table, so that a table stays whole where the text is set in columns.
        groups = re.split(r"\n(?=\[)", code.text)
        return join(
            tag("span", *[_coloured(line, "toml") for line in (group + "\n").splitlines(keepends=True)], class_="group")
            for group in groups
        )


def _coloured(line: str, language: str) -> Markup:
    """One line of code, its comments and TOML headings set apart."""
    stripped = line.strip()
    if stripped.startswith("#"):
        return tag("span", line, class_="comment")
    if language == "toml" and stripped.startswith("["):
        return tag("span", line, class_="heading")
    return escape(line)
