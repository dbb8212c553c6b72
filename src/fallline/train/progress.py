"""The progress of a training as one line on standard error."""

from __future__ import annotations

from typing import Any

from fallline.types import Problem, Progress

__all__ = ["progress_printer", "say_kind"]


def _shown(verbose: int | str) -> bool:
    """Return whether progress is shown; 0: never; 1: always; "auto": on a terminal."""
    import sys

    return verbose != 0 and (verbose != "auto" or sys.stderr.isatty())


def say_kind(problem: Problem, verbose: int | str) -> None:
    """Write one line on standard error: the kind of problem that a table was taken for, and why.

    Args:
        problem: whose kind was inferred; of one whose kind was given nothing is said.
        verbose: 0: say nothing; 1: always; "auto": on a terminal.
    """
    import sys

    if problem.why and _shown(verbose):
        sys.stderr.write(f"{', '.join(problem.target_names)}: {problem.kind}. {problem.why}\n")


def progress_printer(verbose: int | str) -> Any:
    """Return a progress display of one line on standard error, or None where there is none to show.

    Args:
        verbose: 0: none; 1: always; "auto": on a terminal.
    """
    import sys

    if not _shown(verbose):
        return None

    def show(event: Progress) -> None:
        if event.phase == "train":
            sys.stderr.write(
                f"\repoch {event.epoch}/{event.epochs}  loss {event.loss:.4f}  val_loss {event.val_loss:.4f}  "
                f"{event.active}/{event.members} training  {event.seconds:.0f} s"
            )
            if event.epoch >= event.epochs or event.active == 0:
                sys.stderr.write("\n")
            sys.stderr.flush()

    return show
