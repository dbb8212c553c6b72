"""Progress of a training: a growing curve and the time left on a terminal, a line now and then elsewhere, or events."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fallline.cli.curve import Curve
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
# Of the curve that grows on a terminal, and the least height of a terminal that gets one.
_CURVE_LINES = 8
_LEAST_TERMINAL_LINES = 20
# Between two events about epochs in JSON, so that a training of a thousand quick epochs is not a thousand lines.
_EVENT_SECONDS = 0.25
_CURVES = {"loss": "training", "val_loss": "validation"}


class TrainingProgress:
    """The ``on_progress`` of a training: shows what it is told, and passes a stop request on.

    Args:
        screen: where to show it.
        stop: the signals; when one came, the training is asked to end after the current chunk. None: nobody asks.
        lines: where there is no terminal, say a line now and then.
    """

    def __init__(self, screen: Screen, stop: StopSignals | None = None, *, lines: bool = True) -> None:
        self._screen, self._stop, self._lines = screen, stop, lines
        self._bar: Any = None
        self._task: Any = None
        self._phase = ""
        self._tenth = -1
        self._epoch = 0
        self._curves: dict[str, list[float]] = {}
        self._said = -math.inf
        self._unsaid: Progress | None = None

    def __enter__(self) -> Self:
        if self._screen.talks and self._screen.err.is_terminal:
            self._bar = _bar(self._screen, self._curves)
            self._task = self._bar.add_task("starting", total=None, loss="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._say_rest()

    def __call__(self, now: Progress) -> bool:
        """Show one event; return True when the training should stop after the current chunk."""
        if self._screen.as_json:
            self._event(now)
        elif self._bar is not None:
            self._show(now)
        elif self._screen.talks and self._lines:
            self._line(now)
        return self._stop is not None and self._stop.asked

    def _event(self, now: Progress) -> None:
        """Write phases as they begin, epochs at most some times a second, and always the last before a change."""
        if now.phase != self._phase or now.epoch < self._epoch:
            self._say_rest()
            if now.phase != self._phase:
                self._screen.event("phase", phase=now.phase, seconds=now.seconds)
            self._phase, self._said = now.phase, -math.inf
        self._epoch = now.epoch
        if now.phase == "train":
            self._unsaid = now
            if monotonic() - self._said >= _EVENT_SECONDS:
                self._say_rest()

    def _say_rest(self) -> None:
        if (now := self._unsaid) is not None:
            self._unsaid, self._said = None, monotonic()
            self._screen.event(
                "epoch", epoch=now.epoch, epochs=now.epochs, loss=now.loss, val_loss=now.val_loss, active=now.active,
                members=now.members, seconds=now.seconds,
            )  # fmt: skip

    def _show(self, now: Progress) -> None:
        name, losses = _PHASES.get(now.phase, now.phase), _losses(now)
        if now.phase == "train":
            if now.epoch < self._epoch:  # another training has begun
                self._curves.clear()
            self._epoch = now.epoch
            for quantity, values in now.curves.items():
                if quantity in _CURVES:
                    self._curves.setdefault(_CURVES[quantity], []).extend(values)
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


def _bar(screen: Screen, curves: Mapping[str, Sequence[float]]) -> Any:
    """Return rich's display of the progress, below the curves so far where the terminal is high enough."""
    from rich.console import Group
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.progress import Task as RichTask
    from rich.table import Column
    from rich.text import Text

    from fallline.cli.show import drawn

    class Growing(Progress):
        def get_renderables(self) -> Iterable[Any]:
            if screen.err.height >= _LEAST_TERMINAL_LINES and any(len(values) > 1 for values in curves.values()):
                shown = [Curve(name, list(values), dashed=name == "validation") for name, values in curves.items()]
                yield Group(*drawn(shown, screen.err, height=_CURVE_LINES))
            yield from super().get_renderables()

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
    # What is printed meanwhile goes above the bar, but not where it was sent elsewhere.
    return Growing(
        name, bar, epochs, losses, console=screen.err, transient=True, refresh_per_second=8,
        redirect_stdout=screen.out.is_terminal,
    )  # fmt: skip


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds.

    >>> _clock(75.2), _clock(3700)
    ('1:15', '61:40')
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
