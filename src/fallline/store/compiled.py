"""What a Keras model file was compiled with, as far as it is Keras' own.

A file may name any function or class as its loss, optimizer or metric, and Keras would import it. So nothing is handed
to Keras: a name that is on our list is looked up in Keras by us, and gets the plain numbers that stand beside it. What
is not on the list is told, not guessed.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fallline.errors import InputError, nearest
from fallline.store.model_classes import COMPILED_CLASSES
from fallline.store.model_file import compile_config

__all__ = ["Compiled", "named_loss", "named_optimizer", "read_compiled"]

_LOSSES, _OPTIMIZERS, _METRICS = "keras.losses", "keras.optimizers", "keras.metrics"
_SCHEDULES = "keras.optimizers.schedules"
# Short names of Keras that are no class' name in another spelling.
_SHORT = {
    "mse": "MeanSquaredError", "mae": "MeanAbsoluteError", "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError", "bce": "BinaryCrossentropy", "kld": "KLDivergence",
}  # fmt: skip
# Metrics that Keras chooses by the shape of the outputs.
_CHOSEN = frozenset({"accuracy", "acc", "crossentropy", "ce"})
_WORDS = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # where a name is cut into words
_MOST_NUMBERS, _MOST_TEXT, _LARGEST = 1000, 100, 1e12


@dataclass(frozen=True)
class Compiled:
    """What a file says of a model's compilation.

    Args:
        loss: Keras' loss of the one output; None: none is named, or it is refused.
        optimizer: Keras' optimizer, which has seen nothing yet; None: likewise.
        metrics: names and Keras' metrics.
        refused: ``loss``, ``optimizer``, ``metrics`` or ``loss_weights`` -> what the file names and is not taken.
        unsaid: numbers that Keras does not write into the file, each with the default that stands for it.
    """

    loss: Any = None
    optimizer: Any = None
    metrics: tuple[Any, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    unsaid: tuple[str, ...] = ()


class _RefusedError(ValueError):
    """Something is not on the list; the text says what."""


def read_compiled(path: str | os.PathLike[str]) -> Compiled:
    """Return what a ``.keras`` file was compiled with.

    Raises:
        RunFolderError: it is missing or damaged, or no ``.keras`` file.
    """
    config = compile_config(path)
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for part, read in (("loss", _loss), ("optimizer", _optimizer)):
        if config.get(part) is None:
            continue
        try:
            found[part] = read(config[part])
        except _RefusedError as error:
            refused[part] = str(error)
    found["metrics"], left_out = _metrics(config.get("metrics"))
    if left_out:
        refused["metrics"] = ", ".join(left_out)
    weights = _only(config.get("loss_weights"))
    if weights not in (None, 1, 1.0):
        refused["loss_weights"] = _shown(weights)
    return Compiled(**found, refused=refused, unsaid=_unsaid(config.get("loss"), found.get("loss")))


def named_loss(name: str) -> Any:
    """Return Keras' loss of that name.

    Raises:
        InputError: there is none.
    """
    return _named(name, _LOSSES, "loss")


def named_optimizer(name: str) -> Any:
    """Return Keras' optimizer of that name, with Keras' defaults.

    Raises:
        InputError: there is none.
    """
    return _named(name, _OPTIMIZERS, "optimizer")


def _named(name: str, module: str, noun: str) -> Any:
    kind = _class_of(name, module)
    if kind is None:
        names = sorted(_WORDS.sub("_", one).lower() if module == _LOSSES else one.lower()
                       for one in COMPILED_CLASSES[module])  # fmt: skip
        near = [*names, *_SHORT] if module == _LOSSES else names
        raise InputError(f"There is no {noun} {name!r}.{nearest(name, near)} There are {', '.join(names)}.")
    # A name of its own: Keras would count them up, and the same training would look like another one.
    return kind() if module == _LOSSES else kind(name=kind.__name__.lower())


def _class_of(name: str, module: str) -> Any | None:
    """Return Keras' class of a name in any spelling; None where it is not on the list."""
    import keras

    plain = name.replace("_", "").lower()
    wanted = _SHORT.get(plain) if module != _OPTIMIZERS else None
    kind = wanted or {one.lower(): one for one in COMPILED_CLASSES[module]}.get(plain)
    if kind not in COMPILED_CLASSES[module]:
        return None
    home: Any = keras
    for part in module.split(".")[1:]:
        home = getattr(home, part)
    return getattr(home, str(kind), None)  # None: this Keras does not have it yet


def _only(value: Any) -> Any:
    """Return the one entry of a list or a mapping by the outputs' names."""
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    if isinstance(value, dict) and "class_name" not in value and len(value) == 1:
        return next(iter(value.values()))
    return value


def _loss(given: Any) -> Any:
    one = _only(given)
    if isinstance(one, list) or (isinstance(one, dict) and "class_name" not in one):
        raise _RefusedError("several losses, one an output")
    return _object(one, _LOSSES)


def _optimizer(given: Any) -> Any:
    return _object(given, _OPTIMIZERS)


def _metrics(given: Any) -> tuple[tuple[Any, ...], list[str]]:
    """Return the metrics that are on the list, and what the others are."""
    one = _only(given)
    taken, left_out = [], []
    for name in map(_only, one if isinstance(one, list) else [one]):
        try:
            if name is not None:
                taken.append(name if isinstance(name, str) and name in _CHOSEN else _object(name, _METRICS))
        except _RefusedError as error:
            left_out.append(str(error))
    return tuple(taken), left_out


def _object(given: Any, module: str) -> Any:
    """Make what a file names, of Keras' own class and plain numbers."""
    name: Any
    config: Any
    if isinstance(given, str):
        name, config = given, {}
    elif isinstance(given, dict) and given.get("class_name") == "function":
        name, config = given.get("config"), {}
        if given.get("module") != "builtins":
            raise _RefusedError(_shown(name))
    elif isinstance(given, dict) and given.get("module") == module:
        name, config = given.get("class_name"), given.get("config")
    else:
        raise _RefusedError(_shown(given.get("class_name") if isinstance(given, dict) else given))
    kind = _class_of(name, module) if isinstance(name, str) else None
    if kind is None or not isinstance(config, dict):
        raise _RefusedError(_shown(name))
    try:
        return kind(**{key: _value(key, value, module) for key, value in config.items() if key != "dtype"})
    except _RefusedError as error:
        raise _RefusedError(f"{name} with {error}") from None
    except (TypeError, ValueError) as error:
        raise _RefusedError(f"{name}, which this Keras does not make of the file's numbers ({error})") from None


def _value(key: str, value: Any, module: str) -> Any:
    """Let a plain value through, or a schedule where a learning rate stands."""
    if key == "learning_rate" and module == _OPTIMIZERS and isinstance(value, dict):
        return _object(value, _SCHEDULES)
    if isinstance(value, list) and len(value) <= _MOST_NUMBERS and all(_is_number(one) for one in value):
        return value
    text = isinstance(value, str) and len(value) <= _MOST_TEXT
    if not (value is None or isinstance(value, bool) or text or _is_number(value)):
        raise _RefusedError(f"{key} = {_shown(value)}")
    return value


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _LARGEST and math.isfinite(value)


def _unsaid(given: Any, loss: Any) -> tuple[str, ...]:
    """Name the numbers of a loss that its config should hold and does not, as Huber's delta."""
    given = _only(given)
    if loss is None or not isinstance(given, dict) or not isinstance(given.get("config"), dict):
        return ()
    wanted = inspect.signature(type(loss).__init__).parameters.values()
    return tuple(
        f"{one.name} = {one.default}"
        for one in wanted
        if one.default is not inspect.Parameter.empty
        and one.name not in ("name", "dtype", "reduction", "axis", *given["config"])
    )


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) <= _MOST_TEXT else f"{repr(value)[:_MOST_TEXT]}..."
