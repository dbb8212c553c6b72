"""The known fix of a real program, made from its description, so that it is trained on the same rows and seeds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["fixed", "rescaled"]

Described = Mapping[str, Any]
_PLAIN = ("learning_rate", "epochs", "optimizer", "momentum", "batch_size", "loss")


def fixed(one: Described) -> dict[str, Any]:
    """Return the description of a program with its fix; the data's scaling is left to `rescaled`.

    Args:
        one: the program; ``fix_spec`` says what changes.

    Raises:
        KeyError: a change that is not known here.
    """
    found = copy.deepcopy(dict(one))
    layers = found["layers"]
    for key, value in one["fix_spec"].items():
        hidden = [layer for layer in layers[:-1] if "units" in layer or "filters" in layer]
        if key in _PLAIN:
            found[key] = value
            if key == "batch_size":
                found.pop("stand_in_overrides", None)
        elif key == "keep_hidden":
            for layer in hidden[value:]:
                layers.remove(layer)
        elif key == "remove":
            layers[:] = [layer for layer in layers if layer["type"] != value]
        elif key in ("kernel_initializer", "bias_initializer"):
            for layer in (*hidden, layers[-1]):
                layer[key] = value
        elif key == "hidden_initializer":
            for layer in hidden:
                layer["kernel_initializer"] = value
        elif key == "hidden_activation":
            for layer in hidden:
                layer["activation"] = value
        elif key == "layers[-1]":
            layers[-1] = dict(value)
        elif key in ("layers[-1].activation", "layers[0].activation"):
            layers[-1 if "-1" in key else 0]["activation"] = value
        elif key != "data.scaling":
            raise KeyError(key)
    return found


def rescaled(how: str, known: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Return arrays scaled as the fix scales them, by what the training rows say.

    Args:
        how: ``data.scaling`` of the fix, "" for none.
        known: (n, ...) of the training rows.
        others: to be scaled, too.

    Raises:
        KeyError: a scaling that is not known here.
    """
    every = (known, *others)
    if not how:
        return list(every)
    if how == "divide_by_max":
        return [array / np.abs(known).max() for array in every]
    if how not in ("standardize", "standardize_xy", "impute_standardize"):
        raise KeyError(how)
    if how == "impute_standardize":
        every = tuple(np.where(array == -999.0, np.nan, array) for array in every)
    mean, sd = np.nanmean(every[0], axis=0), np.nanstd(every[0], axis=0)
    return [np.nan_to_num((array - mean) / np.where(sd > 0, sd, 1.0)).astype(np.float32) for array in every]
