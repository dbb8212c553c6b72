"""From a run, or what compares runs, to a report: the sections in their order, then the file."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import replace
from pathlib import Path

from fallline.errors import InputError
from fallline.report import part_data, part_experiments, part_learning, part_model, part_next, part_overview
from fallline.report.document import Document
from fallline.report.html import to_html
from fallline.report.pages import FOOT, evaluation_document, experiment_document, search_document
from fallline.report.remarks import at_a_glance
from fallline.report.view import View
from fallline.types import Evaluation, Experiment, Improvement, Run, Search, Story

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
Reported = Run | Improvement | Evaluation | Search | Experiment


def document(what: Reported) -> Document:
    """Return a report as sections of plain values, independent of any file format.

    Args:
        what: a finished or interrupted run, of which the report says what it does not have; an improvement, an
            evaluation, a search or an experiment.

    Raises:
        InputError: an improvement that was interrupted has no run to report.
    """
    match what:
        case Evaluation():
            return evaluation_document(what)
        case Search():
            return search_document(what)
        case Experiment():
            return experiment_document(what)
        case Improvement():
            if what.run is None:
                raise InputError("This improvement was interrupted: it has no run to report. Go on with it first.")
            return _of_a_run(what.run.with_(story=Story.of(what)))
    return _of_a_run(what)


def _of_a_run(run: Run) -> Document:
    view = View(run)
    return Document(
        title=part_overview.title(view),
        kicker=part_overview.kicker(view),
        verdict=part_overview.verdict(view),
        tiles=part_overview.tiles(view),
        glance=at_a_glance(view),
        sections=tuple(replace(section(view), number=str(i)) for i, section in enumerate(_SECTIONS, start=1)),
        foot=FOOT,
    )


def render(what: Reported) -> str:
    """Return a report as one self-contained HTML page.

    The page needs no network and no script, and a content-security policy inside it forbids both; names of columns,
    classes and files appear as text whatever they contain.

    Args:
        what: as for `document`.
    """
    return to_html(document(what))


def write_report(what: Reported, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a report as one HTML file, wholly or not at all.

    Args:
        what: as for `document`.
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
    _put(target, render(what).encode("utf-8"), overwrite)
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
