"""A Keras model's config, plain nested dicts: walk through its layers, put layers in, take layers out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from fallline.types import Design

__all__ = [
    "CONTAINERS",
    "Entry",
    "children",
    "entry",
    "histories",
    "home_of",
    "insert",
    "layers",
    "model_of",
    "plain",
    "remove",
    "rename",
    "with_model",
]

Entry = dict[str, Any]
CONTAINERS = ("Sequential", "Functional", "Model")


def model_of(design: Design) -> Entry:
    """Return a copy of the design's model that may be changed."""
    return copy.deepcopy(dict(design.model))


def plain(tree: Any) -> Any:
    """Return nested dicts and lists as they come from a file: a tuple cannot be edited in place."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    return [plain(value) for value in tree] if isinstance(tree, (list, tuple)) else tree


def with_model(design: Design, model: Entry) -> Design:
    """Return the design with a changed model; what layers were built for is decided anew."""
    for one in layers(model, containers=True):
        one.pop("build_config", None)
    model.pop("build_config", None)
    return design.with_(model=plain(model))


def entry(kind: str, name: str, **config: Any) -> Entry:
    """Return a new layer as a config."""
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}, "registered_name": None}


def children(model: Mapping[str, Any]) -> list[Entry]:
    """Return the layers that a model holds itself, nested models as one each; the list may be changed."""
    found: list[Entry] = model["config"]["layers"]
    return found


def layers(model: Entry, *, containers: bool = False) -> Iterator[Entry]:
    """Yield the leaf layers in their order, those of nested models in place; with ``containers`` these too."""
    for one in children(model):
        if one["class_name"] in CONTAINERS and "layers" in one["config"]:
            if containers:
                yield one
            yield from layers(one, containers=containers)
        else:
            yield one


def insert(model: Entry, new: Entry, *, after: str | None = None) -> None:
    """Put a layer behind another in place, or in front of all (``after`` None: behind the input).

    Args:
        model: Sequential or Functional, with nested ones.
        new: the layer's config; its name must be new.
        after: name of a layer.
    """
    if after is None:
        if model["class_name"] == "Sequential":
            place = 1 if children(model) and children(model)[0]["class_name"] == "InputLayer" else 0
            children(model).insert(place, new)
            return
        inputs = model["config"]["input_layers"]
        after = str((inputs[0] if isinstance(inputs[0], list) else inputs)[0])
    home = home_of(model, after)
    place = next(i for i, one in enumerate(children(home)) if one["config"]["name"] == after)
    if home["class_name"] != "Sequential":
        new["name"] = new["config"]["name"]
        for history in _all_histories(home):
            if history[0] == after:
                history[0] = new["config"]["name"]
        tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [after, 0, 0]}}
        new["inbound_nodes"] = [{"args": [tensor], "kwargs": {}}]
        _shape_like(home, new, after)
    children(home).insert(place + 1, new)


def _shape_like(home: Entry, new: Entry, after: str) -> None:
    """Give the new layer's input tensor the shape that the next layers saw: Keras asks for one."""
    tensor = new["inbound_nodes"][0]["args"][0]["config"]
    for one in children(home):
        for config in _tensors(one.get("inbound_nodes")):
            if config["keras_history"][0] == new["config"]["name"] and "shape" in config:
                tensor.update({"shape": config["shape"], "dtype": config.get("dtype", "float32")})
                return
    tensor.update({"shape": [None], "dtype": "float32"})


def remove(model: Entry, name: str) -> None:
    """Take a layer with one input and one output out, in place."""
    home = home_of(model, name)
    one = next(one for one in children(home) if one["config"]["name"] == name)
    if home["class_name"] != "Sequential":
        before = histories(one["inbound_nodes"])[0]
        for history in _all_histories(home):
            if history[0] == name:
                history[:] = list(before)
    children(home).remove(one)


def rename(model: Entry, before: str) -> None:
    """Put a word before the names of all layers, those of nested models too, in place; the model keeps its own.

    Args:
        model: Sequential or Functional.
        before: such as ``member_0_``.
    """
    references = list(_all_histories(model))
    given = model["config"].get("input_layers") or []
    if isinstance(given, dict):
        references += list(given.values())
    else:
        references += [given] if given and isinstance(given[0], str) else given
    for reference in references:
        reference[0] = before + reference[0]
    for one in children(model):
        one["config"]["name"] = before + one["config"]["name"]
        if "name" in one:
            one["name"] = before + one["name"]
        if one["class_name"] in CONTAINERS and "layers" in one["config"]:
            rename(one, before)


def home_of(model: Entry, name: str) -> Entry:
    """Return the model, outermost or nested, that holds a layer."""
    for one in children(model):
        if one["config"].get("name") == name:
            return model
        if one["class_name"] in CONTAINERS and any(inner["config"].get("name") == name for inner in layers(one)):
            return home_of(one, name)
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


def histories(tree: Any) -> list[list[Any]]:
    """Return what a layer takes: [layer, node, tensor] each, which may be rewritten in place."""
    return [config["keras_history"] for config in _tensors(tree)]


def _all_histories(home: Entry) -> Iterator[list[Any]]:
    """Yield every reference to a layer's output that may be rewritten in place."""
    for one in children(home):
        yield from histories(one.get("inbound_nodes"))
    found = home["config"].get("output_layers") or []
    if isinstance(found, dict):
        yield from found.values()
    elif found and isinstance(found[0], str):
        yield found
    else:
        yield from found
