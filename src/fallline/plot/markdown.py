"""A report for a repository: Markdown, and its pictures as PNG files beside it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fallline.errors import InputError
from fallline.plot.picture import picture
from fallline.report.markdown import to_markdown
from fallline.report.page import Reported, document
from fallline.report.svg import Drawing

__all__ = ["write_markdown"]

NAME, PICTURES = "report.md", "pictures"


def write_markdown(what: Reported, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a report as ``report.md`` and ``pictures/*.png`` into a folder.

    Args:
        what: a run, an improvement, an evaluation, a search or an experiment.
        folder: made where there is none.
        overwrite: replace files of the same names; others are left as they are.

    Returns:
        The Markdown file.

    Raises:
        InputError: a file is there already, the folder cannot be made, or Matplotlib is not installed.
    """
    root = Path(folder)
    drawn: dict[str, bytes] = {}

    def put(drawing: Drawing) -> str:
        stem = re.sub(r"[^a-z0-9]+", "-", drawing.title.lower()).strip("-")[:40].strip("-") or "picture"
        name = f"{len(drawn) + 1:02d}-{stem}.png"
        drawn[name] = picture(drawing)
        return f"{PICTURES}/{name}"

    text = to_markdown(document(what), put)
    files = {root / NAME: text.encode("utf-8")} | {root / PICTURES / name: data for name, data in drawn.items()}
    there = [path for path in files if os.path.lexists(path)]
    if there and not overwrite:
        raise InputError(f"{str(there[0])!r} exists already and is left as it is; choose another folder.")
    try:
        (root / PICTURES).mkdir(parents=True, exist_ok=True)
        for path, data in reversed(files.items()):  # the text last: it never names a picture that is not there
            with path.open("wb" if overwrite else "xb") as file:
                file.write(data)
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{str(root)!r} cannot be written: {why}. Choose another folder.") from None
    return root / NAME
