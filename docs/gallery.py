"""Make ``docs/gallery.md`` and its pictures: ``python -m docs.gallery [NAME]...``; without names only the page.

Each exhibit is run in full, and leaves a small picture and a page of numbers in ``docs/gallery``; the page is put
together from what lies there. ``NAME-more.md`` is what was measured by hand, on data that are not ours to give on.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import Path

from fallline.gallery import EXHIBITS, Exhibit, find_exhibit

__all__ = ["FOLDER", "MOST_BYTES", "PAGE", "make", "page", "section"]

FOLDER = Path(__file__).resolve().parent / "gallery"
PAGE = FOLDER.with_suffix(".md")
MOST_BYTES = 60_000  # of a picture
_DPI, _WIDTH = 150, 820
_COLOURS = (256, 128, 64, 32)  # as many as fit; maximum coverage keeps thin lines in their own colour

_HEAD = """\
# The gallery

<!-- Made by `python -m docs.gallery`, which runs the scripts in src/fallline/gallery. -->

Figures that everybody who trains networks should have seen once. Each is made by one short script on the public API:

```console
fallline gallery                       the list
fallline gallery vanishing momentum    pictures, two of them animated, and our numbers beside the published ones
fallline gallery all --quick           all of them in their quick mode
```

`landscape`, `surfaces`, `vanishing` and `rate` also draw a model of your own, a Keras model on your data:

```console
fallline gallery landscape --model model.keras --data data.npz -t y
```

A number in brackets is a 95 % interval of the mean over seeds. Pictures of your own runs are made by `run.plot()`,
`run.trace.plot_layers()`, `run.diagnosis.plot()` and `fl.loss_landscape(model, x, y).plot()`.
"""


def make(name: str) -> None:
    """Run an exhibit in full; write its picture and its numbers."""
    exhibit = find_exhibit(name).show()
    FOLDER.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    exhibit.figure.savefig(drawn, dpi=_DPI)
    _shrink(drawn, FOLDER / f"{name}.png")
    (FOLDER / f"{name}.md").write_text(section(name, exhibit), encoding="utf-8")


def section(name: str, exhibit: Exhibit) -> str:
    """Return an exhibit's part of the page."""
    lines = [
        f"## {EXHIBITS[name].split()[0]} {exhibit.title}",
        "",
        f"![{EXHIBITS[name][4:].strip()}](gallery/{name}.png)",
        "",
    ]
    lines += [exhibit.remark, "", f"`fallline gallery {name}`", "", "| | ours | published |", "|---|---|---|"]
    lines += [f"| {row.what} | {row.ours} | {row.published} |" for row in exhibit.rows]
    return "\n".join(lines) + "\n"


def _shrink(source: io.BytesIO, target: Path) -> None:
    """Write a picture, with fewer colours where it would be too large."""
    from PIL import Image

    image = Image.open(source).convert("RGB")
    image = image.resize((_WIDTH, round(image.height * _WIDTH / image.width)), Image.Resampling.LANCZOS)
    for colours in _COLOURS:
        image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size < MOST_BYTES:
            return


def page(names: Iterable[str] = EXHIBITS) -> str:
    """Return the page, of the parts that there are."""
    there = [FOLDER / f"{name}{more}.md" for name in names for more in ("", "-more")]
    return "\n".join([_HEAD, *(part.read_text(encoding="utf-8") for part in there if part.is_file())])


if __name__ == "__main__":
    for chosen in sys.argv[1:]:
        make(chosen)
    PAGE.write_text(page(), encoding="utf-8")
