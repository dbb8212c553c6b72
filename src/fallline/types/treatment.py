"""A Keras model as data, which treatments rewrite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fallline.types.verbs import verb

__all__ = ["Design"]


@dataclass(frozen=True, eq=False)
class Design:
    """A Keras model as data: what it is, how it is compiled, how it is trained.

    Args:
        model: the serialised model, nested plain dicts.
        compiled: its compile config; ``optimizer`` is always a serialised one.
        training: keywords for `fallline.train`: ``epochs``, ``batch_size``, ``shuffle``, ``early_stopping``,
            ``class_weight``.
        weights: layer's path -> its arrays, as far as they are to be kept; layers of other shapes draw theirs anew.
        target_scale: (centre, scale) of the targets in training, (t - centre) / scale; None: as they are. A model that
            leaves us turns its predictions back by itself.
        treatments: names of those applied, in order.
        functions: name -> losses, metrics and activations of the user's own, which a config only names.
    """

    model: Mapping[str, Any]
    compiled: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, tuple[np.ndarray, ...]] = field(default_factory=dict)
    target_scale: tuple[float, float] | None = None
    treatments: tuple[str, ...] = ()
    functions: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """Return the compiled Keras model, with the kept weights where shapes allow."""
        # Keras is started by a higher room, and only when somebody asks for a model.
        return verb("fallline.treatments:build_model")(self)

    def with_(self, **changes: Any) -> Design:
        """Return the same design with some fields replaced."""
        return replace(self, **changes)
