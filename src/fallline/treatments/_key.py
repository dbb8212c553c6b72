"""What tells two designs apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.types import Design

__all__ = ["design_key"]


def design_key(design: Design) -> str:
    """Return what tells a design from others: its layers, how it is compiled and trained, whatever its layers' names.

    Args:
        design: weights and the names of treatments do not count.
    """
    parts = [design.model, design.compiled, dict(design.training), design.target_scale]
    text = json.dumps(parts, sort_keys=True, default=_text)
    # Keras counts the names that it makes up on and on: the same model, built again, has others.
    for place, name in enumerate(_names(design.model)):
        text = text.replace(json.dumps(name), f'"#{place}"')
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _names(config: Any) -> list[str]:
    """Return the names of a serialised model and of its layers, as they come."""
    found: dict[str, None] = {}
    if isinstance(config, Mapping):
        inside = config.get("config")
        if isinstance(inside, Mapping) and isinstance(inside.get("name"), str):
            found[inside["name"]] = None
        for value in config.values():
            found |= dict.fromkeys(_names(value))
    elif isinstance(config, (list, tuple)):
        for value in config:
            found |= dict.fromkeys(_names(value))
    return list(found)


def _text(value: Any) -> Any:
    return np.asarray(value).tolist() if hasattr(value, "shape") else repr(value)
