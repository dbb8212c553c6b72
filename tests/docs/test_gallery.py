"""The gallery's page is put together from its parts, and its pictures are small."""

from __future__ import annotations

from docs.gallery import FOLDER, MOST_BYTES, PAGE, page
from fallline.gallery import EXHIBITS


def test_the_page_is_the_one_that_its_parts_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.gallery"


def test_every_part_has_its_small_picture_and_is_of_an_exhibit() -> None:
    for part in FOLDER.glob("*.md"):
        name = part.stem.removesuffix("-more")
        assert name in EXHIBITS
        picture = part.with_name(f"{name}.png")
        assert 1_000 < picture.stat().st_size < MOST_BYTES
