"""Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from fallline.cli.failures import StoppedError

__all__ = ["StopSignals"]

_HANDLED = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """A ``with`` block in which SIGINT and SIGTERM set a flag instead of breaking off.

    Python runs its own handlers only between two steps of the interpreter, and a compiled program or a compilation can
    take seconds. So the signals' numbers come through a pipe, which the system writes to at once, to a thread: the
    first is acknowledged, the second ends the process while the main thread is still in compiled code.

    Args:
        on_stop: called in that thread with the number of the first signal.
    """

    def __init__(self, on_stop: Callable[[int], None] | None = None) -> None:
        self.on_stop = on_stop
        self.signum = 0

    @property
    def asked(self) -> bool:
        """True once a signal came."""
        return self.signum != 0

    def leave_if_asked(self) -> None:
        """Raise `StoppedError` once a signal came; for the steps before training, where there is nothing to save."""
        if self.asked:
            raise StoppedError(self.signum)

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread may set handlers: somebody else owns this process
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._thread = threading.Thread(target=self._listen, args=(self._read,), name="fallline-signals", daemon=True)
        self._thread.start()
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._old: dict[int, Any] = {number: signal.signal(number, _ignore) for number in _HANDLED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not hasattr(self, "_old"):
            return
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._write)
        self._thread.join(timeout=1.0)
        os.close(self._read)
        del self._old

    def _listen(self, descriptor: int) -> None:
        while received := os.read(descriptor, 64):
            for number in received:
                if number not in _HANDLED:
                    continue
                if self.signum:
                    os._exit(128 + number)
                self.signum = number
                if self.on_stop is not None:
                    # A closed terminal must not cost the second signal its listener.
                    with contextlib.suppress(OSError, ValueError):
                        self.on_stop(number)


def _ignore(number: int, frame: Any) -> None:
    """Do nothing in the main thread: the listener has the signal already."""
