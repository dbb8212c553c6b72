"""Editing a Keras model's config, plain nested dicts: find layers, change them, put layers in, take layers out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fallline.types import INITIALIZERS_OF, Design

__all__ = [
    "BATCH",
    "EPOCHS",
    "NORMALISERS",
    "activation_behind",
    "activations",
    "canonical_output",
    "cosine",
    "effective_activation",
    "entry",
    "from_logits",
    "hidden",
    "input_shape",
    "insert",
    "layers",
    "loss_name",
    "loss_of",
    "model_of",
    "normalisable",
    "optimizer_of",
    "output",
    "planned_steps",
    "rate_of",
    "remove",
    "rewrite_activations",
    "scaling",
    "starts_with_scaling",
    "suit_initializers",
    "weighted",
    "with_loss",
    "with_model",
    "with_optimizer",
    "with_rate",
    "with_training",
]

Entry = dict[str, Any]
_CONTAINERS = ("Sequential", "Functional", "Model")
NORMALISERS = ("BatchNormalization", "LayerNormalization", "GroupNormalization")
# Layers that are nothing but an activation, and its name.
_ACTIVATIONS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "PReLU": "prelu", "Softmax": "softmax"}
# Behind the layer that computes the output, and part of it.
_TAIL = ("Activation", "Softmax", "Reshape", "Flatten", "Rescaling", "Dropout", *_ACTIVATIONS)


def model_of(design: Design) -> Entry:
    """Return a copy of the design's model that may be changed."""
    return copy.deepcopy(dict(design.model))


def with_model(design: Design, model: Entry) -> Design:
    """Return the design with a changed model; what layers were built for is decided anew."""
    for one in layers(model, containers=True):
        one.pop("build_config", None)
    model.pop("build_config", None)
    return design.with_(model=model)


def entry(kind: str, name: str, **config: Any) -> Entry:
    """Return a new layer as a config."""
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}, "registered_name": None}


def _inner(model: Mapping[str, Any]) -> list[Entry]:
    found: list[Entry] = model["config"]["layers"]
    return found


def layers(model: Entry, *, containers: bool = False) -> Iterator[Entry]:
    """Yield the leaf layers in their order, those of nested models in place; with ``containers`` these too."""
    for one in _inner(model):
        if one["class_name"] in _CONTAINERS and "layers" in one["config"]:
            if containers:
                yield one
            yield from layers(one, containers=containers)
        else:
            yield one


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
        last = _inner(model)[-1]
        if last["class_name"] in _CONTAINERS:
            return output(last)
        return next((one for one in reversed(_inner(model)) if one["class_name"] not in _TAIL), None)
    by_name = {one["config"]["name"]: one for one in _inner(model)}
    found = model["config"]["output_layers"]
    one = by_name[(found[0] if isinstance(found[0], list) else found)[0]]
    while one["class_name"] in _TAIL:
        before = _histories(one.get("inbound_nodes"))
        if len(before) != 1:
            return None
        one = by_name[before[0][0]]
    return output(one) if one["class_name"] in _CONTAINERS else one


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

    A recurrent layer keeps its own: its gates need bounded ones.
    """
    changed = False
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


def insert(model: Entry, new: Entry, *, after: str | None = None) -> None:
    """Put a layer behind another in place, or in front of all (``after`` None: behind the input).

    Args:
        model: Sequential or Functional, with nested ones.
        new: the layer's config; its name must be new.
        after: name of a layer.
    """
    if after is None:
        if model["class_name"] == "Sequential":
            place = 1 if _inner(model) and _inner(model)[0]["class_name"] == "InputLayer" else 0
            _inner(model).insert(place, new)
            return
        inputs = model["config"]["input_layers"]
        after = str((inputs[0] if isinstance(inputs[0], list) else inputs)[0])
    home = _home(model, after)
    place = next(i for i, one in enumerate(_inner(home)) if one["config"]["name"] == after)
    if home["class_name"] != "Sequential":
        new["name"] = new["config"]["name"]
        for history in _all_histories(home):
            if history[0] == after:
                history[0] = new["config"]["name"]
        tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [after, 0, 0]}}
        new["inbound_nodes"] = [{"args": [tensor], "kwargs": {}}]
        _shape_like(home, new, after)
    _inner(home).insert(place + 1, new)


def _shape_like(home: Entry, new: Entry, after: str) -> None:
    """Give the new layer's input tensor the shape that the next layers saw: Keras asks for one."""
    tensor = new["inbound_nodes"][0]["args"][0]["config"]
    for one in _inner(home):
        for config in _tensors(one.get("inbound_nodes")):
            if config["keras_history"][0] == new["config"]["name"] and "shape" in config:
                tensor.update({"shape": config["shape"], "dtype": config.get("dtype", "float32")})
                return
    tensor.update({"shape": [None], "dtype": "float32"})


def remove(model: Entry, name: str) -> None:
    """Take a layer with one input and one output out, in place."""
    home = _home(model, name)
    one = next(one for one in _inner(home) if one["config"]["name"] == name)
    if home["class_name"] != "Sequential":
        before = _histories(one["inbound_nodes"])[0]
        for history in _all_histories(home):
            if history[0] == name:
                history[:] = list(before)
    _inner(home).remove(one)


def _home(model: Entry, name: str) -> Entry:
    """Return the model, outermost or nested, that holds a layer."""
    for one in _inner(model):
        if one["config"].get("name") == name:
            return model
        if one["class_name"] in _CONTAINERS and any(inner["config"].get("name") == name for inner in layers(one)):
            return _home(one, name)
    raise KeyError(name)


def _tensors(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if tree.get("class_name") == "__keras_tensor__":
            yield tree["config"]
        else:
            for value in tree.values():
                yield from _tensors(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _tensors(value)


def _histories(tree: Any) -> list[list[Any]]:
    return [config["keras_history"] for config in _tensors(tree)]


def _all_histories(home: Entry) -> Iterator[list[Any]]:
    """Yield every reference to a layer's output that may be rewritten in place."""
    for one in _inner(home):
        yield from _histories(one.get("inbound_nodes"))
    found = home["config"].get("output_layers") or []
    if isinstance(found, dict):
        yield from found.values()
    elif found and isinstance(found[0], str):
        yield found
    else:
        yield from found


# ------------------------------------------------------------------------------------- what it is compiled with


def optimizer_of(design: Design) -> Entry:
    """Return a copy of the serialised optimizer."""
    return copy.deepcopy(design.compiled["optimizer"])


def with_optimizer(design: Design, optimizer: Entry) -> Design:
    """Return the design with another optimizer."""
    return design.with_(compiled={**design.compiled, "optimizer": optimizer})


def rate_of(design: Design) -> float:
    """Return the learning rate, its first one under a schedule."""
    rate = design.compiled["optimizer"]["config"]["learning_rate"]
    if isinstance(rate, Mapping):
        config = rate["config"]
        return float(config.get("warmup_target") or config.get("initial_learning_rate") or config["values"][0])
    return float(rate)


def with_rate(design: Design, rate: float) -> Design:
    """Return the design with another learning rate, the same schedule at another height."""
    optimizer = optimizer_of(design)
    given = optimizer["config"]["learning_rate"]
    if isinstance(given, dict):
        factor = rate / rate_of(design)
        config = given["config"]
        for key in ("initial_learning_rate", "warmup_target", "end_learning_rate"):
            if config.get(key):
                config[key] = config[key] * factor
        if isinstance(config.get("values"), Sequence):
            config["values"] = [value * factor for value in config["values"]]
    else:
        optimizer["config"]["learning_rate"] = rate
    return with_optimizer(design, optimizer)


def loss_of(design: Design) -> Any:
    """Return the loss as it stands in the compile config."""
    return design.compiled.get("loss")


def loss_name(design: Design) -> str:
    """Return the loss's name in snake case, "" where there are several or none."""
    loss = loss_of(design)
    if isinstance(loss, Mapping) and "class_name" in loss:
        inner = loss.get("config")
        loss = inner if isinstance(inner, str) else (inner or {}).get("name", loss["class_name"])
    return {"mse": "mean_squared_error", "mae": "mean_absolute_error"}.get(loss, loss) if isinstance(loss, str) else ""


def with_loss(design: Design, kind: str, **config: Any) -> Design:
    """Return the design with a loss class of Keras'; metrics that the old loss chose go with it."""
    loss = {"module": "keras.losses", "class_name": kind, "config": config, "registered_name": None}
    labels = "Crossentropy" in kind
    return design.with_(
        compiled={**design.compiled, "loss": loss, "metrics": ["accuracy"] if labels else None,
                  "weighted_metrics": None, "loss_weights": None}
    )  # fmt: skip


def from_logits(design: Design) -> bool:
    """Return whether the loss expects logits."""
    loss = loss_of(design)
    inner = loss.get("config") if isinstance(loss, Mapping) else None
    return bool(isinstance(inner, Mapping) and inner.get("from_logits"))


def cosine(rate: float, steps: int, *, warmup: int = 0) -> Entry:
    """Return a serialised cosine from a rate to 0, after a linear rise."""
    config = {"initial_learning_rate": rate, "decay_steps": max(1, steps - warmup)}
    if warmup:
        config |= {"initial_learning_rate": 0.0, "warmup_target": rate, "warmup_steps": warmup}
    return {
        "module": "keras.optimizers.schedules",
        "class_name": "CosineDecay",
        "config": config,
        "registered_name": None,
    }


# ------------------------------------------------------------------------------------------- how it is trained

# What `fallline.train` takes where nothing is said.
EPOCHS, BATCH = 100, 32


def with_training(design: Design, **changes: Any) -> Design:
    """Return the design with other keywords for its training."""
    return design.with_(training={**design.training, **changes})


def planned_steps(design: Design, known: Mapping[str, Any]) -> int | None:
    """Return the steps of the whole training; None where the number of rows is not known."""
    rows = known.get("n_rows")
    if not rows:
        return None
    size = int(design.training.get("batch_size") or BATCH)
    return -(-int(rows) // size) * int(design.training.get("epochs") or EPOCHS)


# --------------------------------------------------------------------------------- layers that belong together


def activation_behind(model: Entry, one: Entry) -> Entry | None:
    """Return the layer that is the activation of a dense layer or convolution, when a layer of its own."""
    name = one["config"]["name"]
    home = _home(model, name)
    inner = _inner(home)
    if home["class_name"] == "Sequential":
        following = inner[inner.index(one) + 1 :]
    else:
        following, at = [], name
        while True:
            users = [user for user in inner if any(h[0] == at for h in _histories(user.get("inbound_nodes")))]
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


def canonical_output(known: Mapping[str, Any]) -> tuple[int, str, str, str] | None:
    """Return (units, activation, class of the loss, its name) that the targets call for; None when not known."""
    width = int(known.get("target_width") or 1)
    kind = known.get("kind")
    if kind == "binary" and width == 1:
        zero_one = known.get("target_min") == 0 and known.get("target_max") == 1
        return (1, "sigmoid", "BinaryCrossentropy", "binary_crossentropy") if zero_one else None
    if kind in ("binary", "multiclass") and width > 1:
        return width, "softmax", "CategoricalCrossentropy", "categorical_crossentropy"
    if kind == "multiclass" and known.get("target_min") == 0:
        classes = int(known["target_max"]) + 1
        return classes, "softmax", "SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"
    if kind == "multilabel":
        return width, "sigmoid", "BinaryCrossentropy", "binary_crossentropy"
    if kind in ("regression", "multioutput"):
        return width, "linear", "MeanSquaredError", "mean_squared_error"
    return None


# ------------------------------------------------------------------------------------------- the input's side


def input_shape(model: Entry) -> list[int | None]:
    """Return the batch shape of the first input."""
    return list(next(one for one in layers(model) if one["class_name"] == "InputLayer")["config"]["batch_shape"])


def normalisable(model: Entry) -> bool:
    """Return whether there is one input, of numbers, that goes into the network as it is."""
    inputs = [one for one in layers(model) if one["class_name"] == "InputLayer"]
    kinds = {one["class_name"] for one in layers(model)}
    outer = [one for one in _inner(model) if one["class_name"] == "InputLayer"]
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
    """Return a Normalization layer with these numbers; a constant input is only centred."""
    numbers = {
        "mean": [float(m) for m in mean],
        "variance": [float(v) if v > 0 else 1.0 for v in variance],
    }
    return entry("Normalization", name, axis=-1, **numbers)
