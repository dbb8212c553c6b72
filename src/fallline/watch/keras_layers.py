"""The leaf layers of any Keras model, and what they give out while the model is called once."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.watch.record import Layer
from fallline.watch.statistics import is_bias

__all__ = ["Leaf", "Tap", "leaves", "output_name", "taps"]

# An activation that is a layer of its own.
_ACTIVATION_LAYERS = {
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ReLU": "relu",
    "Softmax": "softmax",
}
# Layers that call what is inside them in a loop of the backend's, where no single call can be looked at.
_CLOSED = frozenset({"RNN", "Wrapper", "Bidirectional"})
# Layers that only pass on or reshape what another layer has given out.
_AFTER_OUTPUT = frozenset({"ActivityRegularization", "Dropout", "Flatten", "Identity", "Reshape"})


@dataclass(frozen=True, eq=False)
class Leaf:
    """A layer that is watched.

    Args:
        layer: Keras' layer.
        known: its name, kind and activation.
        weights: its own trainable variables.
    """

    layer: Any
    known: Layer
    weights: tuple[Any, ...]

    @property
    def tensors(self) -> tuple[Any, ...]:
        """The trainable variables without the biases."""
        return tuple(v for v in self.weights if not is_bias(v.name))

    @property
    def kernel(self) -> Any:
        """The variable that holds the incoming weights of the units, or None."""
        many = [v for v in self.tensors if len(v.shape) > 1]
        return next((v for v in many if v.name == "kernel"), many[0] if many else None)

    @property
    def unit_axis(self) -> int:
        """The axis of the units in the layer's output."""
        return 1 if getattr(self.layer, "data_format", None) == "channels_first" else -1


@dataclass
class Tap:
    """What one layer gave out during one call of the model.

    Args:
        outputs: one for each time the layer was called.
        preactivations: what its activation function was given.
    """

    outputs: list[Any] = field(default_factory=list)
    preactivations: list[Any] = field(default_factory=list)


def leaves(model: Any) -> list[Leaf]:
    """Return the leaf layers of a model, nested ones named ``outer/inner``, in the order in which they were made."""
    found: list[Leaf] = []
    seen: set[int] = set()

    def walk(parent: Any, prefix: str) -> None:
        for layer in getattr(parent, "_layers", ()):
            if id(layer) in seen or type(layer).__name__ == "InputLayer":
                continue
            seen.add(id(layer))
            closed = any(base.__name__ in _CLOSED for base in type(layer).__mro__)
            inner = [] if closed else list(getattr(layer, "_layers", ()))
            deeper = {id(v) for one in inner for v in one.variables}
            own = tuple(v for v in layer.trainable_variables if id(v) not in deeper)
            name = _free(f"{prefix}{layer.name}", found)
            if not inner or own:
                found.append(Leaf(layer, Layer(name, type(layer).__name__, _activation(layer)), own))
            if inner:
                walk(layer, f"{name}/")

    walk(model, "")
    return found


def _free(name: str, found: list[Leaf]) -> str:
    """Subclassed models may give two layers one name."""
    taken = {leaf.known.name for leaf in found}
    number = 1
    while (f"{name}_{number}" if number > 1 else name) in taken:
        number += 1
    return f"{name}_{number}" if number > 1 else name


def _activation(layer: Any) -> str:
    kind = type(layer).__name__
    if kind in _ACTIVATION_LAYERS:
        return _ACTIVATION_LAYERS[kind]
    function = getattr(layer, "activation", None)
    if function is None:
        return ""
    name = getattr(function, "__name__", "") or _ACTIVATION_LAYERS.get(type(function).__name__, "")
    return "" if name == "linear" else str(name)


def output_name(model: Any, in_order: list[Layer]) -> str:
    """Return the name of the layer that gives the model's only output; "" when it cannot be told."""
    try:
        outputs = model.outputs
    except (AttributeError, ValueError):  # a subclassed model: the layer that was called last
        outputs = [None]
    if isinstance(outputs, (list, tuple)) and len(outputs) > 1:
        return ""
    return next((layer.name for layer in reversed(in_order) if layer.kind not in _AFTER_OUTPUT), "")


@contextlib.contextmanager
def taps(found: list[Leaf], kept: Callable[[Any], Any] | None = None) -> Iterator[dict[str, Tap]]:
    """Keep what the layers give out within the block: name -> tap, in the order of the first calls.

    Args:
        found: the layers.
        kept: (a layer's output, or what its activation is given) -> what to keep of it, or None. By default values are
            kept as arrays, and the placeholders that a backend passes while it traces or compiles are not.
    """
    seen: dict[str, Tap] = {}
    keep = kept or _value
    with contextlib.ExitStack() as undo:
        for leaf in found:
            name = leaf.known.name
            undo.enter_context(_replaced(leaf.layer, "call", functools.partial(_tapped_call, name, seen, keep)))
            if callable(vars(leaf.layer).get("activation")):
                tap = functools.partial(_tapped_activation, name, seen, keep)
                undo.enter_context(_replaced(leaf.layer, "activation", tap))
        yield seen


@contextlib.contextmanager
def _replaced(layer: Any, name: str, tapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Put a function in the place of a layer's own, past Keras' tracking of attributes, and take it away again."""
    own = vars(layer)
    missing = name not in own
    before = getattr(layer, name)
    own[name] = tapped(before)
    try:
        yield
    finally:
        if missing:
            del own[name]
        else:
            own[name] = before


def _tapped_call(
    name: str, seen: dict[str, Tap], keep: Callable[[Any], Any], call: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(call)
    def tapped(*args: Any, **kwargs: Any) -> Any:
        tap = seen.setdefault(name, Tap())
        given = call(*args, **kwargs)
        array = keep(given)
        if array is not None:
            tap.outputs.append(array)
        return given

    return tapped


def _tapped_activation(
    name: str, seen: dict[str, Tap], keep: Callable[[Any], Any], function: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(function)
    def tapped(x: Any, *args: Any, **kwargs: Any) -> Any:
        array = keep(x)
        if array is not None:
            seen.setdefault(name, Tap()).preactivations.append(array)
        return function(x, *args, **kwargs)

    return tapped


def _value(given: Any) -> np.ndarray | None:
    """Return the first tensor of what a layer gave out as an array; None when it is none, or a placeholder."""
    while isinstance(given, (list, tuple, dict)):
        given = next(iter(given.values() if isinstance(given, dict) else given), None)
    if given is None or not hasattr(given, "shape"):
        return None
    if hasattr(given, "detach"):  # PyTorch
        given = given.detach().cpu()
        given = given.float() if given.dtype.is_floating_point else given
    try:
        array = np.asarray(given)
    except Exception:  # noqa: BLE001 - every backend has its own error for "this is only a placeholder"
        return None
    return array.astype(np.float32) if array.dtype.kind not in "fiub" else array
