"""The leaf modules of a PyTorch model, and what they give out while the model is called once.

Many networks call their activations as functions (``F.relu(self.first(x))``); while the model is looked at, those that
are known are seen, too, each as a layer of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from fallline.errors import optional
from fallline.watch.record import Layer
from fallline.watch.statistics import activation_statistics

__all__ = ["array", "leaf_modules", "own_parameters", "seen_in_call"]

WHO = "Watching a PyTorch training"
# Class of the module, or name of the function -> name of the activation.
ACTIVATIONS = {
    "CELU": "celu",
    "ELU": "elu",
    "GELU": "gelu",
    "Hardsigmoid": "hard_sigmoid",
    "Hardswish": "hard_swish",
    "Hardtanh": "hard_tanh",
    "LeakyReLU": "leaky_relu",
    "LogSigmoid": "log_sigmoid",
    "LogSoftmax": "log_softmax",
    "Mish": "mish",
    "PReLU": "prelu",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SELU": "selu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
_FUNCTIONS = {
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
    "hardtanh": "hard_tanh",
    "logsigmoid": "log_sigmoid",
    **{name: name for name in ("celu", "elu", "gelu", "leaky_relu", "log_softmax", "mish", "prelu", "relu", "relu6")},
    **{name: name for name in ("selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh")},
    **{name: name.rstrip("_") for name in ("relu_", "sigmoid_", "tanh_")},
}
# Modules that give out (rows, units, places...), and those that give out (rows, ..., units), by parts of their names.
# All others leave the units where they were.
_UNITS_SECOND = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm", "MaxPool", "AvgPool")
_UNITS_LAST = ("Attention", "Embedding", "GRU", "LayerNorm", "LSTM", "Linear", "RMSNorm", "RNN")

Statistics = dict[str, dict[str, float]]


def array(tensor: Any) -> np.ndarray:
    """Return a tensor as an array in memory of its own."""
    dense = tensor.detach()
    dense = dense.to_dense() if dense.is_sparse else dense
    plain: np.ndarray = (dense.float() if dense.is_floating_point() else dense).cpu().numpy().copy()
    return plain


def own_parameters(module: Any) -> dict[str, Any]:
    """Return the trainable parameters that a module holds itself, by name."""
    return {name: p for name, p in module.named_parameters(recurse=False) if p.requires_grad}


def leaf_modules(model: Any) -> dict[str, Any]:
    """Return the modules that hold no others, or parameters of their own: ``outer/inner`` -> module."""
    found = {}
    for name, module in model.named_modules():
        if name and (not any(True for _ in module.children()) or own_parameters(module)):
            found[name.replace(".", "/")] = module
    return found or {type(model).__name__: model}


def seen_in_call(model: Any, call: Callable[[], Any]) -> tuple[list[Layer], Statistics]:
    """Call a model, and return its layers in the order in which they were called, and their activations' statistics.

    Args:
        model: the module whose leaves are watched.
        call: calls it, or a part of it.
    """
    taps = _Taps(model)
    with taps:
        call()
    return list(taps.layers.values()), taps.statistics()


class _Taps:
    """Hooks on every module, and on the functions that are called between them."""

    def __init__(self, model: Any) -> None:
        self.layers: dict[str, Layer] = {}
        self._torch = optional("torch", "torch", WHO)
        self._model, self._leaves = model, leaf_modules(model)
        self._names = {id(module): name for name, module in self._leaves.items()}
        self._paths = {id(module): name.replace(".", "/") for name, module in model.named_modules()}
        self._inside: list[Any] = []  # the modules whose forward runs, outermost first
        self._counts: dict[str, int] = {}
        self._axis: dict[str, int] = {}
        self._last = (0, -1)  # axes, and the axis of the units, of the output before
        self._outputs: dict[str, list[np.ndarray]] = {}
        self._given: dict[str, list[np.ndarray]] = {}
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for module in self._model.modules():
            before = module.register_forward_pre_hook(self._before)
            after = module.register_forward_hook(self._after)
            self._undo.callback(before.remove)
            self._undo.callback(after.remove)
        self._undo.enter_context(_functions_seen(self._torch, self._function))
        return self

    def __exit__(self, *problem: object) -> None:
        self._undo.close()

    def statistics(self) -> Statistics:
        """Return name -> statistics of what was given out."""
        return {
            name: activation_statistics(
                outputs,
                self.layers[name].activation,
                unit_axis=self._axis[name],
                preactivations=self._given.get(name, ()),
            )
            for name, outputs in self._outputs.items()
        }

    def _before(self, module: Any, given: tuple[Any, ...]) -> None:
        self._inside.append(module)
        kind, name = type(module).__name__, self._names.get(id(module))
        if name is not None and kind in ACTIVATIONS and given and _is_number(given[0]):
            self._given.setdefault(name, []).append(array(given[0]))

    def _after(self, module: Any, given: tuple[Any, ...], output: Any) -> None:
        del given
        if self._inside and self._inside[-1] is module:
            self._inside.pop()
        name = self._names.get(id(module))
        if name is not None:
            kind = type(module).__name__
            self._keep(Layer(name, kind, ACTIVATIONS.get(kind, "")), output, module)

    def _function(self, name: str, x: Any, output: Any) -> None:
        """An activation that was called as a function, unless a leaf module called it."""
        if any(id(module) in self._names for module in self._inside):
            return
        path = self._paths.get(id(self._inside[-1]), "") if self._inside else ""
        stem = f"{path}/{name}" if path else name
        self._counts[stem] = number = self._counts.get(stem, 0) + 1
        full = stem if number == 1 else f"{stem}_{number}"
        while full in self._leaves:
            full += "_"
        if _is_number(x):
            self._given.setdefault(full, []).append(array(x))
        self._keep(Layer(full, name, _FUNCTIONS[name]), output, None)

    def _keep(self, layer: Layer, output: Any, module: Any) -> None:
        while isinstance(output, (list, tuple, dict)):
            output = next(iter(output.values() if isinstance(output, dict) else output), None)
        self.layers.setdefault(layer.name, layer)
        if _is_number(output):
            values = array(output)
            self._last = (values.ndim, self._unit_axis(type(module).__name__, values.ndim))
            self._axis.setdefault(layer.name, self._last[1])
            self._outputs.setdefault(layer.name, []).append(values)

    def _unit_axis(self, kind: str, axes: int) -> int:
        if axes < 3 or any(word in kind for word in _UNITS_LAST):
            return -1
        if any(word in kind for word in _UNITS_SECOND):
            return 1
        return self._last[1] if axes == self._last[0] else -1


def _is_number(thing: Any) -> bool:
    return hasattr(thing, "is_floating_point") and bool(thing.is_floating_point())


@contextlib.contextmanager
def _functions_seen(torch: Any, tell: Callable[[str, Any, Any], None]) -> Iterator[None]:
    """Tell about every call of a known activation function: its name, what it was given, and what it gave back."""

    def __torch_function__(  # noqa: N807 - the name that PyTorch asks for
        self: Any, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        del self, types
        name = getattr(function, "__name__", "")
        known = name in _FUNCTIONS and args
        before = args[0].clone() if known and name.endswith("_") else (args[0] if known else None)
        output = function(*args, **(kwargs or {}))
        if known:
            tell(name, before, output)
        return output

    mode = type("_Mode", (torch.overrides.TorchFunctionMode,), {"__torch_function__": __torch_function__})
    with mode():
        yield
