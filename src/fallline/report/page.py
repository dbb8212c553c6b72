"""From a run to a report: the sections in their order, then the file."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fallline.errors import InputError
from fallline.report import part_data, part_experiments, part_learning, part_model, part_next, part_overview
from fallline.report.document import Document
from fallline.report.html import to_html
from fallline.report.remarks import at_a_glance
from fallline.report.story import Story
from fallline.report.view import View

if TYPE_CHECKING:
    from fallline.types import Run

__all__ = ["document", "render", "write_report"]

# The nine parts of a presentation, in their order.
_SECTIONS = (
    part_overview.problem,
    part_data.data,
    part_data.harness,
    part_learning.scores,
    part_experiments.experiments,
    part_experiments.improvements,
    part_model.model,
    part_next.extensions,
    part_model.resources,
)
FOOT = "Made by fallline. This page is complete in itself: it loads nothing and runs nothing."


def document(run: Run, *, story: Story | None = None) -> Document:
    """Return the report of a run as sections of plain values, independent of any file format.

    Args:
        run: a finished or interrupted run; of what it does not have, the report says so.
        story: the experiments behind it.
    """
    view = View(run, story)
    return Document(
        title=part_overview.title(view),
        kicker=part_overview.kicker(view),
        verdict=part_overview.verdict(view),
        tiles=part_overview.tiles(view),
        glance=at_a_glance(view),
        sections=tuple(replace(section(view), number=str(i)) for i, section in enumerate(_SECTIONS, start=1)),
        foot=FOOT,
    )


def render(run: Run, *, story: Story | None = None) -> str:
    """Return the report of a run as one self-contained HTML page.

    The page needs no network and no script, and a content-security policy inside it forbids both; names of columns,
    classes and files appear as text whatever they contain.

    Args:
        run: a finished or interrupted run; of what it does not have, the report says so.
        story: the experiments behind it.
    """
    return to_html(document(run, story=story))


def write_report(run: Run, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write the report of a run as one HTML file, wholly or not at all.

    Args:
        run: the run.
        path: the file to write; its folder has to exist.
        overwrite: replace a file that is there already.

    Returns:
        The path.

    Raises:
        InputError: the file exists and ``overwrite`` is false, the path is a folder, or it cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(
            f"{str(target)!r} is a folder; give the name of a file, such as {str(target / 'report.html')!r}."
        )
    if not target.parent.is_dir():
        raise InputError(f"The folder {str(target.parent)!r} does not exist; create it first, or give another path.")
    if not overwrite and os.path.lexists(target):
        raise _in_the_way(target)
    _put(target, render(run).encode("utf-8"), overwrite)
    return target


def _in_the_way(target: Path) -> InputError:
    return InputError(
        f"{str(target)!r} exists already and is left as it is; pass overwrite=True, or give another path."
    )


def _link(temporary: Path, target: Path) -> None:
    """Give the finished file its name; a link, unlike a rename, fails when another process was faster."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # some file systems know no hard links
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        temporary.replace(target)


def _put(target: Path, data: bytes, overwrite: bool) -> None:
    """Write a temporary file beside the target, then move it there in one step."""
    temporary = target.with_name(f".{target.name[:80]}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            with contextlib.suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            temporary.replace(target)
        else:
            _link(temporary, target)
    except FileExistsError:
        raise _in_the_way(target) from None
    except OSError as error:
        raise InputError(f"{str(target)!r} cannot be written: {error.strerror or error}. Give another path.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
