"""The progress of a training as one line on standard error."""

from __future__ import annotations

from typing import Any

from fallline.types import Progress

__all__ = ["progress_printer"]


def progress_printer(verbose: int | str) -> Any:
    """Return a progress display of one line on standard error, or None where there is none to show.

    Args:
        verbose: 0: none; 1: always; "auto": on a terminal.
    """
    import sys

    if verbose == 0 or (verbose == "auto" and not sys.stderr.isatty()):
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
