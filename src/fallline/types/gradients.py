"""What a gradient check found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["GradientCheck", "TensorCheck"]


@dataclass(frozen=True)
class TensorCheck:
    """One parameter tensor: its derivatives by backpropagation beside those by central differences.

    Args:
        path: of the tensor, e.g. ``"hidden_1/kernel"``.
        shape: of the tensor.
        checked: how many of its entries were compared.
        error: norm of the difference over the sum of the norms, over the compared entries; NaN where a derivative is.
        worst: index of the entry that differs most.
        gradient: its derivative by backpropagation.
        difference: its derivative by central differences.
        passed: the error is within the tolerance.
    """

    path: str
    shape: tuple[int, ...]
    checked: int
    error: float
    worst: tuple[int, ...]
    gradient: float
    difference: float
    passed: bool


@dataclass(frozen=True)
class GradientCheck:
    """The derivatives of a model's loss, checked; true when all of them are right.

    Args:
        tensors: one per trainable tensor, in the model's order.
        loss: the loss at which they were compared.
        tolerance: the largest error that passes.
        training: whether the model ran in training mode.
        parameters: p, trainable numbers.
    """

    tensors: tuple[TensorCheck, ...]
    loss: float
    tolerance: float
    training: bool
    parameters: int

    @property
    def failed(self) -> tuple[TensorCheck, ...]:
        """The tensors whose derivatives are wrong."""
        return tuple(tensor for tensor in self.tensors if not tensor.passed)

    @property
    def passes_saved(self) -> int:
        """Forward passes that central differences of every parameter would take, where one backward pass does."""
        return 2 * self.parameters

    def __bool__(self) -> bool:
        return not self.failed

    def __str__(self) -> str:
        width = max((len(tensor.path) for tensor in self.tensors), default=0)
        lines = [
            f"{'ok' if tensor.passed else 'WRONG':>5}  {tensor.path:{width}}  error {tensor.error:.1e}, "
            f"{tensor.checked} of {_size(tensor.shape)} entries"
            + (
                ""
                if tensor.passed
                else f"; at {list(tensor.worst)} backpropagation gives {tensor.gradient:.6g}, "
                f"central differences give {tensor.difference:.6g}"
            )
            for tensor in self.tensors
        ]
        mode = "training" if self.training else "inference"
        lines.append(
            f"{len(self.tensors) - len(self.failed)} of {len(self.tensors)} tensors are right ({mode} mode, tolerance "
            f"{self.tolerance:g}). One backward pass does the work of {self.passes_saved:,} forward passes."
        )
        return "\n".join(lines)

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain values, ready for JSON."""
        return {"passed": bool(self), "passes_saved": self.passes_saved, **asdict(self)}


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size
