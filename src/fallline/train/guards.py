"""What may come between while the device computes: too little memory, and Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

import jax

from fallline.errors import InputError

__all__ = ["interrupt_held_back", "memory_told"]


@contextlib.contextmanager
def memory_told(members: int, batch: int) -> Iterator[None]:
    """Say which number to lower when the device's memory is not enough."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        several = f"trains {members} networks at once (lower memory= of fl.train_many, or ensemble.members), " * (
            members > 1
        )
        raise InputError(
            f"The memory is not enough: the training {several}takes {batch} rows a step (lower training.batch_size) "
            "and keeps the outputs of every layer for them (lower network.hidden, or the width of your layers)."
        ) from error


@contextlib.contextmanager
def interrupt_held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the chunk is in our hands: the program consumes the state that it is given.

    A handler that somebody installed is left alone; it decides for itself.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt
