"""Reports as Markdown: parsed as a repository would, inert, and the pictures what the page shows."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fallline.errors import InputError
from fallline.plot import write_markdown
from fallline.plot.picture import picture
from fallline.report import document
from fallline.report.markdown import to_markdown
from fallline.report.svg import Panel, Scale
from tests.report.make_run import HOSTILE, make_run
from tests.report.make_story import pages_of

PAGES = pages_of()
WORDS = "a b blockquote br code details em h1 h2 h3 h4 h5 img li ol p pre strong summary table tbody td th thead tr ul"
ALLOWED = frozenset(WORDS.split(" "))


class Seen(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def parsed(name: str) -> tuple[Seen, str]:
    markdown_it = pytest.importorskip("markdown_it")
    count = iter(range(1000))
    text = to_markdown(document(PAGES[name]), lambda drawing: f"pictures/{next(count)}.png")
    parser = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table")
    return Seen(parser.render(text)), text


@pytest.mark.parametrize("name", ["watched", "keras_model", "search", "evaluation", "hostile", "hostile story"])
def test_markdown_holds_what_the_page_holds_and_nothing_else_runs(name: str) -> None:
    seen, text = parsed(name)
    assert {tag for tag, _ in seen.tags} <= ALLOWED
    for tag, attributes in seen.tags:
        assert not any(key.startswith("on") for key in attributes), (tag, attributes)
        assert re.fullmatch(r"#[\w-]+", attributes.get("href") or "#x"), attributes
        assert re.fullmatch(r"pictures/\d+\.png", attributes.get("src") or "pictures/0.png")
        assert tag != "img" or attributes["alt"]
    for section in document(PAGES[name]).sections:
        assert f"{section.number} {section.title}" in seen.text
    assert "://" not in text.replace("fallline://", ""), "no address that a repository would make a link"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e]", text)


def test_hostile_names_stay_text_in_markdown() -> None:
    seen, _ = parsed("hostile")
    for one in HOSTILE[:5]:
        assert one in seen.text
    assert "&lt;already&amp;escaped&gt;" in seen.text


def test_report_and_pictures_are_written_once(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = make_run("one_epoch")
    path = write_markdown(run, tmp_path / "there" / "report")
    pictures = sorted((path.parent / "pictures").iterdir())
    named = re.findall(r'src="(pictures/[\w.-]+)"', path.read_text())
    assert sorted(named) == [f"pictures/{one.name}" for one in pictures]
    assert all(one.read_bytes().startswith(b"\x89PNG") for one in pictures)
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_markdown(run, path.parent)
    assert path.read_text() == "mine"
    assert write_markdown(run, path.parent, overwrite=True).read_text() != "mine"


def test_a_drawing_is_drawn_in_the_style_sheets_colours() -> None:
    image = pytest.importorskip("PIL.Image")
    panel = Panel(100, 60, Scale(0, 1, 0, 100), Scale(0, 1, 60, 0))
    panel.line(np.array([0.0, 1.0]), np.array([0.5, 0.5]), "train")
    panel.text(10, 20, "$a_b$ 日本", "halo strong")
    drawn = np.asarray(image.open(io.BytesIO(picture(panel.drawing("a", "b")))).convert("RGB"))
    assert drawn.shape == (152, 232, 3), "twice the size in px, with a margin of 8 all around"
    assert tuple(drawn[76, 116]) == (0x00, 0x68, 0xA4), "--train"
    assert tuple(drawn[0, 0]) == (255, 255, 255)
