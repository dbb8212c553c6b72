"""What treatments changed about a Keras model, line by line, so that it can be changed by hand as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.treatments._compiled import from_logits, loss_name, optimizer_of
from fallline.treatments._graph import children, layers, model_of
from fallline.types import Design

__all__ = ["changes_of"]

# What a config says of a layer for itself, and nobody sets by hand.
_OWN = frozenset({"name", "dtype", "build_config", "batch_shape", "axis"})
# The statistics of the data that a layer in front carries: many numbers, which the saved model has.
_LONG = 60


def changes_of(control: Design, better: Design) -> tuple[str, ...]:
    """Return what differs between a model and the same model treated, a line each.

    Args:
        control: untreated.
        better: treated.

    >>> import keras
    >>> from fallline.treatments import design_of, treat
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> changes_of(design_of(model), treat(model, "lower-learning-rate"))
    ('optimizer SGD: learning_rate 0.5 -> 0.05',)
    """
    lines = [*_layers(control, better), *_compiled(control, better)]
    for name in sorted({*control.training, *better.training}):
        old, new = control.training.get(name), better.training.get(name)
        if old != new:
            lines.append(f"training: {name} {_said(old)} -> {_said(new)}")
    if better.target_scale is not None and better.target_scale != control.target_scale:
        centre, scale = better.target_scale
        lines.append(f"training: targets scaled, (y - {centre:.6g}) / {scale:.6g}; the saved model turns it back")
    return tuple(lines)


def _layers(control: Design, better: Design) -> list[str]:
    before, after = (
        {one["config"]["name"]: one for one in layers(model_of(design), containers=True)}
        for design in (control, better)
    )
    # A small model that was put in is told as one.
    inside = {inner["config"]["name"] for name, one in after.items() if name not in before
              and "layers" in one["config"] for inner in children(one)}  # fmt: skip
    lines = [f"layer {_kind(one)} {name!r}: removed" for name, one in before.items() if name not in after]
    last = ""
    for name, one in after.items():
        if name in inside:
            continue
        if name not in before:
            numbers = ", ".join(f"{key} {_said(value)}" for key, value in _plain(one).items() if _is_short(value))
            where = f"behind {last!r}" if last else "in front"
            lines.append(f"layer {_kind(one)} {name!r}: added {where}{f' ({numbers})' if numbers else ''}")
        else:
            lines += _differing(f"layer {_kind(one)} {name!r}", before[name], one)
        last = "" if one["class_name"] == "InputLayer" else name
    return lines


def _compiled(control: Design, better: Design) -> list[str]:
    old, new = optimizer_of(control), optimizer_of(better)
    if old["class_name"] != new["class_name"]:
        rates = [_said(one["config"].get("learning_rate")) for one in (old, new)]
        names = [f"{one['class_name']} (learning_rate {rate})" for one, rate in zip((old, new), rates, strict=True)]
        lines = [f"optimizer: {names[0]} -> {names[1]}"]
    else:
        lines = _differing(f"optimizer {new['class_name']}", old, new)
    losses = [f"{loss_name(one)}{' (from_logits)' if from_logits(one) else ''}" for one in (control, better)]
    smoothed = [_smoothing(one) for one in (control, better)]
    if losses[0] != losses[1]:
        lines.append(f"loss: {losses[0]} -> {losses[1]}")
    if smoothed[0] != smoothed[1]:
        lines.append(f"loss: label_smoothing {smoothed[0]:.6g} -> {smoothed[1]:.6g}")
    return lines


def _smoothing(design: Design) -> float:
    loss = design.compiled.get("loss")
    config = loss.get("config") if isinstance(loss, Mapping) else None
    return float(config.get("label_smoothing") or 0.0) if isinstance(config, Mapping) else 0.0


def _differing(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    if old["class_name"] != new["class_name"]:
        return [f"{what}: in the place of {old['class_name']}"]
    before, after = _plain(old), _plain(new)
    return [
        f"{what}: {key} {_said(before.get(key))} -> {_said(after.get(key))}"
        for key in after
        if before.get(key) != after[key]
    ]


def _plain(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one["config"].items() if key not in _OWN and key != "layers"}


def _is_short(value: Any) -> bool:
    return value is not None and not isinstance(value, (bool, Mapping)) and len(_said(value)) <= _LONG


def _kind(one: Mapping[str, Any]) -> str:
    return str(one["class_name"])


def _said(value: Any) -> str:
    if isinstance(value, Mapping) and "class_name" in value:
        inner = value.get("config")
        if isinstance(inner, Mapping):
            numbers = {key: one for key, one in inner.items() if key not in _OWN and one is not None}
            inner = ", ".join(f"{key} {_said(one)}" for key, one in numbers.items())
        return f"{value['class_name']}({inner})"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        value = f"[{', '.join(map(_said, value))}]"
    text = str(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."
