"""A report's drawing as a PNG: the same marks, in the colours of the report's own style sheet."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any
from xml.etree import ElementTree as ET

from fallline.plot.style import figure
from fallline.report.svg import FONT, Drawing

__all__ = ["picture"]

_MARGIN = 8.0  # px around the drawing; labels may stand out a little
_INCH, _POINT = 96.0, 0.75  # px an inch, points a px
_DOTS = 192  # an inch: sharp on today's screens
_PATH = re.compile(r"([MLHVhvlz])|(-?\d+(?:\.\d+)?(?:e-?\d+)?)")


def picture(drawing: Drawing) -> bytes:
    """Return a drawing as PNG, on white.

    Raises:
        InputError: Matplotlib is not installed.
    """
    wide, tall = drawing.width + 2 * _MARGIN, drawing.height + 2 * _MARGIN
    made, axes = figure(size=(wide / _INCH, tall / _INCH))
    made.set_layout_engine(None)
    ax = axes[0, 0]
    ax.set_position((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set(xlim=(-_MARGIN, drawing.width + _MARGIN), ylim=(drawing.height + _MARGIN, -_MARGIN))
    root = ET.fromstring(f"<svg>{drawing.body}</svg>")
    for element in _shown(root):
        _draw(ax, element, _look(element.tag, frozenset((element.get("class") or "").split())))
    found = io.BytesIO()
    with warnings.catch_warnings():
        # Names in scripts that Matplotlib's font does not have become boxes; the alternative text has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        made.savefig(found, format="png", dpi=_DOTS, facecolor="white", metadata={"Software": None})
    return found.getvalue()


def _shown(root: ET.Element) -> Iterator[ET.Element]:
    for element in root:
        if element.tag == "g":
            if element.get("class") != "probe":  # what is shown when pointed at has no place on paper
                yield from _shown(element)
        elif element.tag != "title":
            yield element


# ----------------------------------------------------------------------------------------------- the style sheet


@cache
def _rules() -> tuple[tuple[str, frozenset[str], Mapping[str, str]], ...]:
    """The style sheet's rules for drawings: (tag, classes, declarations), the light colours filled in."""
    text = resources.files("fallline.report").joinpath("style.css").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", text)
    found = re.findall(r"([^{}]+)\{([^{}]*)\}", text)
    variables = _declarations(next(body for selector, body in found if selector.strip() == ":root"))
    rules = []
    for selectors, body in found:
        declarations = {key: _filled(value, variables) for key, value in _declarations(body).items()}
        for selector in selectors.split(","):
            match = re.fullmatch(r"(?:svg )?(text|circle|rect|line|path)?((?:\.[\w-]+)*)", selector.strip())
            if match and (match[1] or match[2]):
                rules.append((match[1] or "", frozenset(match[2].split(".")[1:]), declarations))
    return tuple(sorted(rules, key=lambda rule: len(rule[1])))  # the more classes, the stronger


def _declarations(body: str) -> dict[str, str]:
    pairs = (one.partition(":") for one in body.split(";"))
    return {key.strip(): value.strip() for key, _, value in pairs if value.strip()}


def _filled(value: str, variables: Mapping[str, str]) -> str:
    filled = re.sub(r"var\((--[\w-]+)\)", lambda match: variables.get(match[1], ""), value)
    return "#ffffff" if filled == variables["--paper"] else filled


@cache
def _look(tag: str, classes: frozenset[str]) -> Mapping[str, str]:
    """What the style sheet says of an element."""
    found: dict[str, str] = {}
    for wanted, needed, declarations in _rules():
        if wanted in ("", tag) and needed <= classes and (needed or wanted):
            found |= declarations
    return found


# -------------------------------------------------------------------------------------------------- the marks


def _draw(ax: Any, element: ET.Element, look: Mapping[str, str]) -> None:
    from matplotlib import patches
    from matplotlib.path import Path

    if element.tag == "text":
        _text(ax, element, look)
        return
    at = {key: float(value) for key, value in element.items() if re.fullmatch(r"-?[\d.]+(e-?\d+)?", value)}
    options = _painted(element, look)
    if element.tag == "circle":
        ax.add_patch(patches.Circle((at["cx"], at["cy"]), at["r"], **options))
    elif element.tag == "rect":
        ax.add_patch(patches.Rectangle((at.get("x", 0), at.get("y", 0)), at["width"], at["height"], **options))
    elif element.tag == "line":
        path = Path([(at["x1"], at["y1"]), (at["x2"], at["y2"])])
        ax.add_patch(patches.PathPatch(path, **{**options, "facecolor": "none"}))
    elif element.tag == "path" and element.get("d"):
        points, codes = _path(element.get("d", ""))
        if "h0" in element.get("d", ""):  # round ends of lines without length: dots
            x, y = zip(*points[::2], strict=True)
            size = options["linewidth"]
            ax.plot(x, y, "o", color=options["edgecolor"], markersize=size, markeredgewidth=0, alpha=options["alpha"])
        else:
            ax.add_patch(patches.PathPatch(Path(points, codes), **options))


def _painted(element: ET.Element, look: Mapping[str, str]) -> dict[str, Any]:
    """Fill, line and transparency in Matplotlib's words."""
    fill, stroke = look.get("fill", "#000000"), look.get("stroke", "none")
    width = float(look.get("stroke-width", "1").removesuffix("px"))
    alpha = float(look.get("opacity", "1"))
    share = float(element.get("fill-opacity", "1"))
    options: dict[str, Any] = {
        "facecolor": fill, "edgecolor": stroke, "linewidth": width * _POINT if stroke != "none" else 0,
        "alpha": alpha * share, "capstyle": "round" if look.get("stroke-linecap") == "round" else "butt",
        "clip_on": False,
    }  # fmt: skip
    dashes = [float(one) / width for one in re.split(r"[ ,]+", look.get("stroke-dasharray", "none")) if one != "none"]
    if dashes:
        options["linestyle"] = (0, tuple(dashes))
    return options


def _path(data: str) -> tuple[list[tuple[float, float]], list[int]]:
    """The points of path data and what each is: 1 begins a line, 2 goes on, 79 closes it."""
    points: list[tuple[float, float]] = []
    codes: list[int] = []
    x = y = 0.0
    start, command = (0.0, 0.0), "M"
    numbers: list[float] = []
    for sign, digits in _PATH.findall(data):
        if sign:
            command, numbers = sign, []
            if sign == "z":
                points.append(start)
                codes.append(79)
                x, y = start
            continue
        numbers.append(float(digits))
        if len(numbers) < (1 if command in "HVhv" else 2):
            continue
        x, y = _moved(command, numbers, x, y)
        start = (x, y) if command == "M" else start
        points.append((x, y))
        codes.append(1 if command == "M" else 2)
        command, numbers = ("L" if command == "M" else command), []
    return points, codes


def _moved(command: str, numbers: list[float], x: float, y: float) -> tuple[float, float]:
    match command:
        case "H":
            return numbers[0], y
        case "V":
            return x, numbers[0]
        case "h":
            return x + numbers[0], y
        case "v":
            return x, y + numbers[0]
        case "l":
            return x + numbers[0], y + numbers[1]
    return numbers[0], numbers[1]


def _text(ax: Any, element: ET.Element, look: Mapping[str, str]) -> None:
    from matplotlib import patheffects

    words = "  ".join(part for part in element.itertext() if part)
    size = re.search(r"([\d.]+)px", look.get("font-size", "") or look.get("font", "")) or re.match(r"(.*)", str(FONT))
    rotation = re.match(r"rotate\((-?[\d.]+)", element.get("transform", ""))
    anchor = {"middle": "center", "end": "right"}.get(element.get("text-anchor", ""), "left")
    assert size is not None
    shown = ax.text(
        float(element.get("x", "0")), float(element.get("y", "0")), words, ha=anchor, va="baseline", parse_math=False,
        color=look.get("fill", "#000000"), fontsize=float(size[1]) * _POINT, clip_on=False,
        weight="bold" if int(look.get("font-weight", "400")) >= 600 else "normal",
        rotation=-float(rotation[1]) if rotation else 0.0, rotation_mode="anchor",
    )  # fmt: skip
    if look.get("paint-order") == "stroke":
        shown.set_path_effects([patheffects.withStroke(linewidth=4 * _POINT, foreground="white")])
