"""A copy of a Keras model that computes in float64, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import copy
import importlib
from collections.abc import Iterator
from typing import Any

import jax
import keras
import numpy as np

from fallline.errors import InputError
from fallline.keras_config import without_tensorflow

__all__ = ["double_copy", "doubles"]

Tree = Any
_SINGLE = frozenset({"float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"})


@contextlib.contextmanager
def doubles() -> Iterator[None]:
    """Let JAX and new Keras objects of this thread compute in float64; what was set before comes back."""
    from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as SHORTENED

    floats, policy, short = keras.config.floatx(), keras.config.dtype_policy(), SHORTENED["float64"]
    # JAX before 0.8 has it in jax.experimental alone.
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")
    try:
        # On JAX, Keras' operations make float32 of float64 by this table; shorter numbers do not pass through it.
        SHORTENED["float64"] = "float64"
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        with home.enable_x64(True):
            yield
    finally:
        SHORTENED["float64"] = short
        keras.config.set_floatx(floats)
        keras.config.set_dtype_policy(policy)


def _doubled(config: Any) -> Any:
    """A layer's config with every kind of short float replaced; what a nested model was compiled with is left out."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] in _SINGLE:
            return {**config, "config": {**config["config"], "name": "float64"}}
        function = config.get("function")
        if isinstance(function, dict) and function.get("class_name") == "__lambda__":
            # Bytes of code would have lost the names around them; the function itself is among the own objects.
            name = _lambda_name(config["name"])
            by_name = {"class_name": "function", "config": name, "module": "builtins", "registered_name": name}
            config = {**config, "function": by_name}
        return {
            key: "float64" if key == "dtype" and isinstance(value, str) and value in _SINGLE else _doubled(value)
            for key, value in config.items()
            if key != "compile_config"
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_doubled(value) for value in config)
    return config


def _lambda_name(layer: str) -> str:
    return f"fallline_lambda_{layer}"


def _own_objects(model: keras.Model) -> dict[str, Any]:
    """Classes and functions that the model's layers are made of, by name: a user's need not be registered."""
    found: dict[str, Any] = {}
    for layer in (model, *model._flatten_layers(include_self=False)):
        for thing in (layer, *vars(layer).values()):
            named = thing if callable(thing) and hasattr(thing, "__name__") else type(thing)
            if not str(getattr(named, "__module__", "")).startswith(("keras.", "builtins")):
                found[named.__name__] = named
        if isinstance(layer, keras.layers.Lambda):
            found[_lambda_name(layer.name)] = layer.function
    return found


def double_copy(model: keras.Model, x: Tree, loss: Any) -> keras.Model:
    """Return a compiled copy of a built model in float64 with the same weights and random states; inside `doubles`.

    Args:
        model: left as it is.
        x: a few rows, to build a model whose shapes come from its data.
        loss: what the copy is compiled with: a name, a function, a Keras loss, or a tree of them; None: none.

    Raises:
        InputError: the model does not say how it is made.
    """
    try:
        with keras.utils.custom_object_scope(_own_objects(model)):
            with without_tensorflow():
                made = _from_config(model, _doubled(model.get_config()))
            if not made.built or len(made.variables) != len(model.variables):
                made(x, training=False)
    except (TypeError, ValueError, NotImplementedError, AttributeError) as error:
        raise InputError(
            f"The model {model.name!r} cannot be copied for a check in float64: {str(error).splitlines()[0]} "
            "A subclassed model needs get_config, which returns the arguments of its constructor."
        ) from error
    for mine, theirs in (
        (made.trainable_variables, model.trainable_variables),
        (made.non_trainable_variables, model.non_trainable_variables),
    ):
        if [tuple(v.shape) for v in mine] != [tuple(v.shape) for v in theirs]:
            raise InputError(
                f"The copy of the model {model.name!r} that its get_config describes has other weights than the model. "
                "Let get_config return all arguments of its constructor, and set trainable there."
            )
        for copied, original in zip(mine, theirs, strict=True):
            copied.assign(np.asarray(original.value))
    weights = getattr(getattr(model, "_compile_loss", None), "_user_loss_weights", None)
    made.compile(optimizer="sgd", loss=keras.tree.map_structure(_double_loss, loss), loss_weights=weights)
    return made


def _from_config(model: keras.Model, config: dict[str, Any]) -> keras.Model:
    kind = type(model)
    try:
        return kind.from_config(config)
    except TypeError:
        # Keras adds what its own layers take; a constructor of the user's own need not.
        return kind.from_config({k: v for k, v in config.items() if k not in ("name", "trainable", "dtype")})


def _double_loss(loss: Any) -> Any:
    if not isinstance(loss, keras.losses.Loss):
        return loss
    # A loss knows its kind of floats from its constructor, and its config does not say it.
    same = copy.copy(loss)
    same._dtype_policy = keras.DTypePolicy("float64")
    same._dtype = "float64"
    return same
