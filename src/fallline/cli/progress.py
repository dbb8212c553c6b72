"""Progress of a training on stderr: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fallline.cli.screen import Screen
from fallline.cli.signals import StopSignals

if TYPE_CHECKING:
    from fallline.types import Progress

__all__ = ["TrainingProgress"]

_PHASES = {
    "prepare": "preparing the data",
    "compile": "compiling",
    "train": "training",
    "score": "scoring",
    "save": "saving",
}
# Without a terminal: one line each time so many per cent of the epochs are done.
_LINE_PERCENT = 10


class TrainingProgress:
    """The ``on_progress`` of a training: shows what it is told, and passes a stop request on.

    Args:
        screen: where to show it.
        stop: the signals; when one came, the training is asked to end after the current chunk.
    """

    def __init__(self, screen: Screen, stop: StopSignals) -> None:
        self._screen, self._stop = screen, stop
        self._bar: Any = None
        self._task: Any = None
        self._phase = ""
        self._tenth = -1

    def __enter__(self) -> Self:
        if self._screen.talks and self._screen.err.is_terminal:
            self._bar = _bar(self._screen)
            self._task = self._bar.add_task("starting", total=None, loss="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, now: Progress) -> bool:
        """Show one event; return True when the training should stop after the current chunk."""
        self._screen.event(
            "progress", phase=now.phase, epoch=now.epoch, epochs=now.epochs, loss=now.loss, val_loss=now.val_loss,
            active=now.active, members=now.members, seconds=now.seconds,
        )  # fmt: skip
        if self._bar is not None:
            training = now.phase == "train"
            self._bar.update(
                self._task, description=_PHASES.get(now.phase, now.phase), completed=now.epoch if training else None,
                total=now.epochs if training else None, loss=_losses(now),
            )  # fmt: skip
        elif self._screen.talks:
            self._line(now)
        return self._stop.asked

    def _line(self, now: Progress) -> None:
        tenth = 100 * now.epoch // max(now.epochs, 1) // _LINE_PERCENT if now.phase == "train" else -1
        if now.phase == self._phase and tenth <= self._tenth:
            return
        self._phase, self._tenth = now.phase, tenth
        done = f" epoch {now.epoch}/{now.epochs}, {now.seconds:.1f} s" if now.phase == "train" else ""
        self._screen.note(f"{_PHASES.get(now.phase, now.phase)}{done}{'  ' + _losses(now) if _losses(now) else ''}")


def _losses(now: Progress) -> str:
    """Return the current losses and the number of members at work, in a few words."""
    parts = []
    if math.isfinite(now.loss):
        parts.append(f"loss {now.loss:.4g}")
    if math.isfinite(now.val_loss):
        parts.append(f"validation {now.val_loss:.4g}")
    if now.members > 1 and now.phase == "train":
        parts.append(f"{now.active} of {now.members} networks at work")
    return "  ".join(parts)


def _bar(screen: Screen) -> Any:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Task as RichTask
    from rich.text import Text

    class Epochs(TextColumn):
        """The epoch, once there is one."""

        def render(self, task: RichTask) -> Text:
            return Text(f"epoch {task.completed:.0f}/{task.total:.0f}" if task.total else "")

    columns = (
        TextColumn("{task.description:<18}", style="bold", markup=False),
        BarColumn(bar_width=24),
        Epochs(""),
        TextColumn("{task.fields[loss]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("at most", style="dim"),
        TimeRemainingColumn(compact=True),
        TextColumn("left", style="dim"),
    )
    return Progress(*columns, console=screen.err, transient=True, refresh_per_second=8)
