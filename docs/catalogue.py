"""Make ``docs/catalogue.md`` from ``docs/catalogue.toml``, and find what in it is not true.

``python -m docs.catalogue`` writes the page; a test compares it and looks for untruths: rows that are missing, names
and recipe entries that do not exist, commands that the command line does not take, tests and pictures that are not
there.
"""

from __future__ import annotations

import ast
import inspect
import shlex
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

import fallline as fl
from fallline.cli import COMMANDS, group
from fallline.errors import FalllineError
from fallline.recipe import default, from_toml, override

__all__ = ["IDS", "PAGE", "Row", "mistakes", "page", "rows"]

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE, PAGE = CHECKOUT / "docs/catalogue.toml", CHECKOUT / "docs/catalogue.md"
IDS = (
    *(f"T{i}" for i in range(1, 22)), *(f"D{i}" for i in range(1, 5)), *(f"W{i}" for i in range(1, 7)),
    "S", "R", "H", "H9", "H10", "P",
)  # fmt: skip

_HEAD = """\
# The catalogue: what there is, how to switch it on, and what tests it

<!-- Made by `python -m docs.catalogue` from docs/catalogue.toml; a test compares the two and checks every name. -->
"""


@dataclass(frozen=True)
class Row:
    """One technique.

    Args:
        id: T (the learning algorithm), D (data), W (watching), S (symptoms), R (treatments), H (search).
        what: its name.
        note: one or two sentences: which to use when.
        python: snippets that switch it on from Python; ``fl`` is fallline.
        recipe: the same as TOML recipes.
        cli: the same as command lines.
        tests: node ids of the tests that show it.
        picture: paths of the gallery's pictures, from the checkout.
        open: what is still missing; empty: the row is complete.
    """

    id: str
    what: str
    note: str = ""
    python: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()
    cli: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    picture: tuple[str, ...] = ()
    open: str = ""


def rows(text: str | None = None) -> tuple[Row, ...]:
    """Read the rows, in the order of the text (default: of the source file)."""
    read = tomllib.loads(SOURCE.read_text(encoding="utf-8") if text is None else text)
    return tuple(
        Row(id=name, **{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})
        for name, row in read.items()
    )


# ------------------------------------------------------------------------------------------------- what is true


def mistakes(found: Iterable[Row]) -> Iterator[str]:
    """Yield one sentence for everything in the rows that is not so."""
    found = tuple(found)
    if [row.id for row in found] != list(IDS):
        yield f"the rows are {[row.id for row in found]}; they must be {list(IDS)}, in this order"
    for row in found:
        for sentence in _row(row):
            yield f"{row.id}: {sentence}"


def _row(row: Row) -> Iterator[str]:
    if not row.open and not (row.python and (row.recipe or row.cli) and row.tests):
        yield "neither open nor complete: it needs python, one of recipe and cli, and tests"
    for snippet in row.python:
        yield from _python(snippet)
    for snippet in row.recipe:
        yield from _recipe(snippet)
    for line in row.cli:
        yield from _command(line)
    for test in row.tests:
        yield from _test(test)
    for picture in row.picture:
        if not (CHECKOUT / picture).is_file():
            yield f"there is no picture {picture}"


def _python(snippet: str) -> Iterator[str]:
    """Names of ``fl.`` exist; keywords of calls to them are in their signatures; recipe changes are allowed."""
    try:
        tree = ast.parse(snippet)
    except SyntaxError as error:
        yield f"{snippet!r} is no Python: {error.msg}"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fl":
            if node.attr not in fl.__all__:
                yield f"fl.{node.attr} is no public name"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _call(node)


def _call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if not name.startswith("fl.") or name[3:] not in fl.__all__:
        return
    parameters = inspect.signature(getattr(fl, name[3:])).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for keyword in node.keywords:
        if keyword.arg is not None and keyword.arg not in parameters:
            yield f"{name} has no argument {keyword.arg}"


def _recipe(snippet: str) -> Iterator[str]:
    try:
        from_toml(snippet)
    except FalllineError as error:
        yield f"the recipe {snippet!r} is refused: {error}"
        return
    if not any(line and not line.startswith(("[", "#")) for line in snippet.splitlines()):
        yield f"the recipe {snippet!r} names no entry"


def _command(line: str) -> Iterator[str]:
    words = shlex.split(line)
    if words[:1] != ["fallline"] or words[1] not in COMMANDS:
        yield f"{line!r} is no command of fallline"
        return
    command = group.get_command(click.Context(group), words[1])
    assert command is not None
    try:
        context = command.make_context(words[1], words[2:])
    except click.ClickException as error:
        yield f"{line!r}: {error.format_message()}"
        return
    given = [*context.params.get("assignments", ()), *([context.params["data"]] if "data" in context.params else [])]
    changes = [word for word in given if word and "=" in word]
    try:
        override(default(context.params.get("preset") or "default"), changes)
    except FalllineError as error:
        yield f"{line!r}: {error}"


def _test(node: str) -> Iterator[str]:
    path, _, names = node.partition("::")
    file = CHECKOUT / path
    if not file.is_file():
        yield f"there is no file {path} for the test {node}"
        return
    body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body
    for name in names.partition("[")[0].split("::"):
        inside = [n for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == name]
        if not inside:
            yield f"there is no test {node}"
            return
        body = inside[0].body


# ------------------------------------------------------------------------------------------------------ the page


def page(found: Iterable[Row]) -> str:
    """Return the page: a table with one line a row, then each row's switches and tests."""
    found = tuple(found)
    lines = [_HEAD, "| id | what | how | tests | picture |", "|---|---|---|---|---|"]
    lines += [_line(row) for row in found]
    for row in found:
        lines += ["", f"## {row.id} {row.what}", "", *_section(row)]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    how = next((f"`{snippets[0].splitlines()[-1]}`" for snippets in (row.cli, row.python) if snippets), "")
    state = " *(part)*" if row.open and row.tests else " *(open)*" if row.open else ""
    pictures = " ".join(f"[{i + 1}](../{path})" for i, path in enumerate(row.picture))
    anchor = "".join(c for c in f"{row.id} {row.what}".lower().replace(" ", "-") if c.isalnum() or c == "-")
    how = how.replace("|", "\\|")
    return f"| [{row.id}](#{anchor}) | {row.what}{state} | {how} | {len(row.tests)} | {pictures} |"


def _section(row: Row) -> list[str]:
    lines = [row.note.strip(), ""] if row.note else []
    for language, snippets in (("python", row.python), ("toml", row.recipe), ("console", row.cli)):
        if snippets:
            text = "\n".join(snippet.strip() for snippet in snippets)
            lines += [f"```{language}", text, "```", ""]
    lines += [f"- [`{test}`](../{test.partition('::')[0]})" for test in row.tests]
    lines += [f"\n![{row.what}](../{picture})" for picture in row.picture]
    if row.open:
        lines += [*([""] if row.tests else []), f"**Open:** {row.open}"]
    while lines and not lines[-1]:
        lines.pop()
    return lines


if __name__ == "__main__":
    PAGE.write_text(page(rows()), encoding="utf-8")
