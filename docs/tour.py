"""Run the tour and put what its code prints into the page: ``python -m docs.tour``."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from docs.snippets import CHECKOUT, Snippet, commands

__all__ = ["PAGE", "filled"]

PAGE = CHECKOUT / "docs/tour.md"
_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```\n(?:\n```text\n.*?^```\n)?", re.MULTILINE | re.DOTALL)
_WIDTH = "100"


def filled(text: str) -> str:
    """Return the page with every output renewed; the code is run in the folder that one stands in."""
    names: dict[str, Any] = {}

    def renewed(found: re.Match[str]) -> str:
        language, code = found[1], found[2]
        if language == "console":
            lines = [line for line in code.splitlines() if line.startswith("$ ")]
            parts = [f"{line}\n{_printed(line)}" for line in lines]
            return "```console\n" + "\n".join(part.rstrip() for part in parts) + "\n```\n"
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own page
        output = f"\n```text\n{said.getvalue().rstrip()}\n```\n" if said.getvalue().strip() else ""
        return f"```python\n{code}```\n{output}"

    return _BLOCK.sub(renewed, text)


def _printed(line: str) -> str:
    from click.testing import CliRunner

    from fallline.cli import group

    (words, _), *_ = commands(Snippet("docs/tour.md", 1, "console", line))
    done = CliRunner().invoke(group, words)
    if done.exit_code:
        raise SystemExit(f"{line}\n{done.output}\n{done.exception!r}")
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


if __name__ == "__main__":
    os.environ["COLUMNS"] = _WIDTH
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        made = filled(PAGE.read_text(encoding="utf-8"))
    Path(PAGE).write_text(made, encoding="utf-8")
