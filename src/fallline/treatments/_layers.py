"""What the layers of a Keras model's config are, find them, and give them other activations and initialisers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fallline.treatments._graph import CONTAINERS, Entry, children, entry, histories, home_of, layers
from fallline.types import INITIALIZERS_OF

__all__ = [
    "NORMALISERS",
    "activation_behind",
    "activations",
    "effective_activation",
    "hidden",
    "input_shape",
    "normalisable",
    "output",
    "rewrite_activations",
    "scaling",
    "starts_with_scaling",
    "suit_initializers",
    "weighted",
]

NORMALISERS = ("BatchNormalization", "LayerNormalization", "GroupNormalization")
# Layers that are nothing but an activation, and its name.
_ACTIVATIONS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "PReLU": "prelu", "Softmax": "softmax"}
# Behind the layer that computes the output, and part of it.
_TAIL = ("Activation", "Softmax", "Reshape", "Flatten", "Rescaling", "Dropout", *_ACTIVATIONS)


# An input whose sd is so small beside its mean does not vary: float32 tells no more.
_CONSTANT = 1e-7

# What joins several branches: each of them computes a part of the output.
_MERGERS = ("Average", "Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate", "Dot")


def weighted(model: Entry) -> list[Entry]:
    """Return the dense layers and convolutions."""
    return [one for one in layers(model) if one["class_name"] == "Dense" or _convolves(one)]


def _convolves(one: Entry) -> bool:
    return "Conv" in one["class_name"] and "LSTM" not in one["class_name"]


def output(model: Entry) -> Entry | None:
    """Return the layer that computes the output; None where there are several outputs or none is found."""
    if _several_outputs(model):
        return None
    if model["class_name"] == "Sequential":
        last = children(model)[-1]
        if last["class_name"] in CONTAINERS:
            return output(last)
        return next((one for one in reversed(children(model)) if one["class_name"] not in _TAIL), None)
    by_name = {one["config"]["name"]: one for one in children(model)}
    found = model["config"]["output_layers"]
    one = by_name[(found[0] if isinstance(found[0], list) else found)[0]]
    while one["class_name"] in _TAIL:
        before = histories(one.get("inbound_nodes"))
        if len(before) != 1:
            return None
        one = by_name[before[0][0]]
    if one["class_name"] in _MERGERS:
        return None
    return output(one) if one["class_name"] in CONTAINERS else one


def _several_outputs(model: Entry) -> bool:
    found = model["config"].get("output_layers")
    return isinstance(found, dict) or bool(
        isinstance(found, list) and found and isinstance(found[0], list) and found[1:]
    )


def hidden(model: Entry) -> list[Entry]:
    """Return the dense layers and convolutions before the output."""
    last = output(model)
    return [one for one in weighted(model) if one is not last]


def activations(model: Entry) -> list[tuple[Entry, str]]:
    """Return (layer, name of its activation) of all layers before the output that have one, "linear" left out."""
    found = []
    last = output(model)
    for one in layers(model):
        if one is last:
            break
        if one["class_name"] in _ACTIVATIONS:
            found.append((one, _ACTIVATIONS[one["class_name"]]))
        elif isinstance(one["config"].get("activation"), (str, dict)):
            name = _name(one["config"]["activation"])
            if name != "linear":
                found.append((one, name))
    return found


def _name(function: Any) -> str:
    if isinstance(function, Mapping):
        inner = function.get("config")
        return str(inner if isinstance(inner, str) else function.get("class_name", ""))
    return str(function)


def rewrite_activations(model: Entry, change: Callable[[str], str | None]) -> bool:
    """Replace hidden activations in place; ``change`` names the new one or None; True when any changed.

    A recurrent layer keeps its own: its gates need bounded ones. Where no single layer computes the output, all keep
    theirs: it cannot be told which are hidden.
    """
    changed = False
    if output(model) is None:
        return False
    for one, name in activations(model):
        new = change(name)
        if new is None or new == name or one["class_name"] in ("LSTM", "GRU", "SimpleRNN"):
            continue
        changed = True
        if one["class_name"] in _ACTIVATIONS:
            one.update(entry("Activation", one["config"]["name"], activation=new))
        else:
            one["config"]["activation"] = new
    return changed


def activation_behind(model: Entry, one: Entry) -> Entry | None:
    """Return the layer that is the activation of a dense layer or convolution, when a layer of its own."""
    name = one["config"]["name"]
    home = home_of(model, name)
    inner = children(home)
    if home["class_name"] == "Sequential":
        following = inner[inner.index(one) + 1 :]
    else:
        following, at = [], name
        while True:
            users = [user for user in inner if any(h[0] == at for h in histories(user.get("inbound_nodes")))]
            if len(users) != 1:
                break
            following.append(users[0])
            at = users[0]["config"]["name"]
    for user in following:
        if user["class_name"] == "Activation" or user["class_name"] in _ACTIVATIONS:
            return user
        if user["class_name"] not in NORMALISERS:
            return None
    return None


def effective_activation(model: Entry, one: Entry) -> str:
    """Return the activation of a layer: its own, or that of the activation layer behind it."""
    own = _name(one["config"].get("activation") or "linear")
    behind = activation_behind(model, one)
    if own != "linear" or behind is None:
        return own
    kind = behind["class_name"]
    return _ACTIVATIONS[kind] if kind in _ACTIVATIONS else _name(behind["config"]["activation"])


def suit_initializers(model: Entry) -> bool:
    """Give every trainable kernel the initialiser that suits its activation, in place; True when any changed."""
    changed = False
    for one in weighted(model):
        config = one["config"]
        if "kernel_initializer" not in config or not config.get("trainable", True):
            continue
        wanted = _CLASSES[INITIALIZERS_OF.get(effective_activation(model, one), "glorot_uniform")]
        if one is output(model):
            wanted = _CLASSES["glorot_uniform"]
        for key, kind in (("kernel_initializer", wanted), ("bias_initializer", "Zeros")):
            if _name(config.get(key)) not in (kind, _SNAKE.get(kind, kind)):
                config[key] = {
                    "module": "keras.initializers",
                    "class_name": kind,
                    "config": {},
                    "registered_name": None,
                }
                changed = True
    return changed


_CLASSES = {"he_normal": "HeNormal", "lecun_normal": "LecunNormal", "glorot_uniform": "GlorotUniform"}
_SNAKE = {kind: name for name, kind in _CLASSES.items()} | {"Zeros": "zeros"}


# ----------------------------------------------------------------------------------------------- the input's side


def input_shape(model: Entry) -> list[int | None]:
    """Return the batch shape of the first input."""
    return list(next(one for one in layers(model) if one["class_name"] == "InputLayer")["config"]["batch_shape"])


def normalisable(model: Entry) -> bool:
    """Return whether there is one input, of numbers, that goes into the network as it is."""
    inputs = [one for one in layers(model) if one["class_name"] == "InputLayer"]
    kinds = {one["class_name"] for one in layers(model)}
    outer = [one for one in children(model) if one["class_name"] == "InputLayer"]
    return len(inputs) == len(outer) == 1 and not kinds & {
        "Embedding",
        "StringLookup",
        "IntegerLookup",
        "TextVectorization",
    }


def starts_with_scaling(model: Entry) -> str | None:
    """Return the name of the layer that scales the inputs, where the first one does."""
    first = next((one for one in layers(model) if one["class_name"] != "InputLayer"), None)
    scales = first is not None and first["class_name"] in ("Normalization", *NORMALISERS)
    return str(first["config"]["name"]) if first is not None and scales else None


def scaling(mean: Any, variance: Any, *, name: str = "scale_inputs") -> Entry:
    """Return a Normalization layer with these numbers.

    An input that does not vary is not centred, for a column of ones may be the only bias that a network has: it stays,
    or becomes 1 or -1 where it is larger.
    """
    constant = [v <= (_CONSTANT * m) ** 2 for m, v in zip(mean, variance, strict=True)]
    numbers = {
        "mean": [0.0 if same else float(m) for m, same in zip(mean, constant, strict=True)],
        "variance": [
            max(1.0, float(m) ** 2) if same else float(v) for m, v, same in zip(mean, variance, constant, strict=True)
        ],
    }
    return entry("Normalization", name, axis=-1, **numbers)
