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
    "prepare": "preparing",
    "compile": "compiling",
    "train": "training",
    "score": "scoring",
    "save": "saving",
}
# Without a terminal: one line each time so many per cent of the epochs are done.
_LINE_PERCENT = 10
_BAR_WIDTH = 12
_EPOCHS_WIDTH = len("epoch 100/100  at most 0:10 left")


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
            self._show(now)
        elif self._screen.talks:
            self._line(now)
        return self._stop.asked

    def _show(self, now: Progress) -> None:
        name, losses = _PHASES.get(now.phase, now.phase), _losses(now)
        if now.phase == "train":
            self._bar.update(self._task, description=name, completed=now.epoch, total=now.epochs, loss=losses)
        else:
            # rich takes `total=None` for "leave it"; only the task itself can forget it.
            self._bar.tasks[0].total = None
            self._bar.update(self._task, description=name, loss="")

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
        parts.append(f"loss {now.loss:.3g}")
    if math.isfinite(now.val_loss):
        parts.append(f"validation {now.val_loss:.3g}")
    if now.members > 1 and now.phase == "train":
        parts.append(f"{now.active} of {now.members} networks at work")
    return "  ".join(parts)


def _bar(screen: Screen) -> Any:
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.progress import Task as RichTask
    from rich.table import Column
    from rich.text import Text

    class Epochs(ProgressColumn):
        """The epoch and the longest time that is left, once they are known; the time passed until then.

        Early stopping may end the training at any epoch, so that the time left is an upper bound.
        """

        def render(self, task: RichTask) -> Text:
            if not task.total:
                return Text(f"{task.elapsed or 0:.0f} s")
            left = "" if task.time_remaining is None else f"  at most {_clock(task.time_remaining)} left"
            return Text(f"epoch {task.completed:.0f}/{task.total:.0f}{left}")

    # On a narrow terminal the losses are cut, not the time.
    losses = TextColumn("{task.fields[loss]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    epochs = Epochs(table_column=Column(no_wrap=True, min_width=_EPOCHS_WIDTH))
    name = TextColumn("{task.description}", style="bold", markup=False, table_column=Column(no_wrap=True, min_width=9))
    bar = BarColumn(bar_width=_BAR_WIDTH, table_column=Column(no_wrap=True, min_width=_BAR_WIDTH))
    return Progress(name, bar, epochs, losses, console=screen.err, transient=True, refresh_per_second=8)


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds.

    >>> _clock(75.2), _clock(3700)
    ('1:15', '61:40')
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
