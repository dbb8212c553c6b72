"""The rows on which a PyTorch model is looked at, and a look at them that leaves nothing behind."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["WATCH_ROWS", "Batch", "unchanged"]

# Rows of the watch batch, caught from the first batches.
WATCH_ROWS = 256


class Batch:
    """The arguments of the first calls of the outermost module that is called in training mode."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.first_rows = 0
        self._module: Any = None
        self._rows = 0

    def add(self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Keep the arguments of a call until there are rows enough."""
        if self._module is None:
            self._module = module
        if module is not self._module or self.full:
            return
        kept = tuple(map(_copied, args)), {name: _copied(value) for name, value in kwargs.items()}
        tensors = [t for t in (*kept[0], *kept[1].values()) if hasattr(t, "shape") and len(t.shape)]
        self.calls.append(kept)
        self._rows += len(tensors[0]) if tensors else WATCH_ROWS
        self.first_rows = self.first_rows or self._rows

    @property
    def full(self) -> bool:
        """True when there are rows enough."""
        return self._rows >= WATCH_ROWS

    def whole(self, torch: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Return (module, args, kwargs) of one call with the rows of all, or of the first where they do not fit."""
        args, kwargs = self.calls[0]
        flat = [(*a, *k.values()) for a, k in self.calls]
        alike = all(
            hasattr(t, "shape") and len(t.shape) and t.shape[1:] == first.shape[1:]
            for call in flat
            for t, first in zip(call, flat[0], strict=False)
            if hasattr(first, "shape")
        )
        tensors = all(hasattr(t, "shape") for call in flat for t in call)
        if len(flat) == 1 or not alike or not tensors or len({len(call) for call in flat}) > 1:
            return self._module, args, kwargs
        joined = [torch.cat(parts)[:WATCH_ROWS] for parts in zip(*flat, strict=True)]
        return self._module, tuple(joined[: len(args)]), dict(zip(kwargs, joined[len(args) :], strict=True))


def _copied(value: Any) -> Any:
    return value.detach().clone() if hasattr(value, "detach") else value


@contextlib.contextmanager
def unchanged(torch: Any, model: Any) -> Iterator[None]:
    """Evaluation mode without gradients; flags, buffers and random states are put back."""
    kept = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    flags = [(module, module.training) for module in model.modules()]
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's modules may draw there
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=sorted(devices)), torch.no_grad():
            for module, _ in flags:
                module.training = False
            yield
    finally:
        for module, training in flags:
            module.training = training
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in kept and not torch.equal(buffer, kept[name]):
                    buffer.copy_(kept[name])
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002
