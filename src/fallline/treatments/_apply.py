"""Apply a treatment to a recipe, a run or a Keras model."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fallline import recipe as recipes
from fallline.errors import InputError, nearest
from fallline.keras_config import own_functions, settle, without_tensorflow
from fallline.recipe.resolve import resolve
from fallline.rules import sentinels_of, static_statistics
from fallline.treatments._graph import plain
from fallline.treatments._treatment import Treatment, discover
from fallline.types import Design, Problem, Recipe, Run

__all__ = ["build_model", "design_of", "facts_of", "finished_model", "treat"]

# Rows from which the covariance of the inputs is taken.
_WHITENED_ROWS = 100_000
# An eigenvalue below this share of the largest is rounding; dividing by it would make noise large.
_SMALLEST = 1e-6
_MOST_WHITENED = 200
_TRAINING = ("epochs", "batch_size", "shuffle", "early_stopping", "class_weight")


def treat(
    what: Any, treatment: str | Sequence[str], x: Any = None, y: Any = None, *, known: Mapping[str, Any] | None = None
) -> Any:
    """Return a recipe or a model, treated; what is given stays as it is.

    Args:
        what: a `Recipe`; a `Run` (its recipe, or its Keras model, is treated); a compiled Keras model, Sequential or
            Functional; or a `Design`.
        treatment: a treatment's name, or several, applied one after another; `fallline treatments` lists them.
        x: the training inputs, for treatments that depend on the data; for a recipe a `Problem`.
        y: the targets, likewise.
        known: facts of the data in the place of x and y, as `fallline.treatments.facts_of` gives them.

    Returns:
        a `Recipe`, or a `Design`: ``design.build()`` is the compiled model, with the trained weights where shapes
        allow, and ``design.training`` holds keywords for `fallline.train`.

    Raises:
        InputError: no such treatment, it has nothing to change here, or it does not apply to what was given.

    >>> from fallline.recipe import default
    >>> treat(default("simple"), "lower-learning-rate").optimizer.learning_rate
    0.0001
    """
    names = [treatment] if isinstance(treatment, str) else list(treatment)
    subject = _subject(what)
    given = {**(known or {}), **_known(subject, x, y)}
    if isinstance(subject, Recipe) and isinstance(x, Problem):
        subject = _resolved(subject, x)
    for name in names:
        subject = _treated(subject, _named(name), given)
    return subject


def _subject(what: Any) -> Recipe | Design:
    if isinstance(what, (Recipe, Design)):
        return what
    if isinstance(what, Run):
        if what.preparation is not None and what.recipe is not None:
            return what.recipe
        epochs = what.facts.get("planned_epochs")
        return design_of(what.model, epochs=epochs, batch_size=what.facts.get("batch_size"))
    if hasattr(what, "get_config") and hasattr(what, "layers"):
        return design_of(what)
    raise InputError(
        f"treat was given a {type(what).__name__}; it takes a Recipe, a Run, or a compiled Keras model (Sequential or "
        "Functional)."
    )


def _named(name: str) -> Treatment:
    found = {treatment.name: treatment for treatment in discover()}
    if name not in found:
        raise InputError(f"There is no treatment {name!r}.{nearest(name, found)} `fallline treatments` lists them all.")
    return found[name]


def _treated(subject: Recipe | Design, treatment: Treatment, known: Mapping[str, Any]) -> Recipe | Design:
    kind = "recipes" if isinstance(subject, Recipe) else "Keras models"
    function: Any = treatment.for_recipe if isinstance(subject, Recipe) else treatment.for_keras
    if function is None:
        raise InputError(f"{treatment.name} does not apply to {kind}.")
    with _functions_known(subject):
        changed: Recipe | Design | None = function(subject, known)
    if changed is None or (isinstance(changed, Recipe) and changed == subject):
        raise InputError(
            f"{treatment.name} has nothing to change here: it is so already, the {kind[:-1]} has no such part, or "
            "what it needs of the data is not known (give x and y)."
        )
    if isinstance(changed, Recipe):
        return recipes.check(changed)
    return changed.with_(treatments=(*changed.treatments, treatment.name))


def _resolved(recipe: Recipe, problem: Problem) -> Recipe:
    return resolve(
        recipes.check(recipe), kind=problem.kind, n_rows=problem.n_rows, n_features=problem.frame.shape[1],
        n_outputs=problem.n_outputs,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- what is known


def _known(subject: Recipe | Design, x: Any, y: Any) -> dict[str, Any]:
    if isinstance(x, Problem):
        return {"kind": x.kind, "n_rows": x.n_rows}
    if isinstance(subject, Design) and x is not None:
        return facts_of(subject.build(), x, y)
    return {}


def facts_of(model: Any, x: Any, y: Any = None) -> dict[str, Any]:
    """Return what treatments ask of the training data of a Keras model.

    Args:
        model: the compiled model.
        x: (n, ...) inputs.
        y: (n, ...) targets.

    Returns:
        ``kind``, ``n_rows``, ``class_counts``, ``target_min``, ``target_max``, ``target_mean``, ``target_sd``,
        ``target_width``, ``missing_inputs``, and for one input array ``input_mean`` and ``input_variance`` of its last
        axis, ``input_without_sentinels``, the same two where numbers stand for gaps, and ``input_whitening``,
        (kernel, bias), as far as they can be told.
    """
    found: dict[str, Any] = {}
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        statistics = static_statistics(model, x, y)
        names = ("class_counts", "target_min", "target_max", "target_mean", "target_sd", "target_width")
        found = {name: statistics[name] for name in names if statistics.get(name) is not None}
        found |= {"kind": statistics["problem_kind"]} if statistics.get("problem_kind") else {}
        for name in ("target_mean", "target_sd"):
            if name in found and np.size(found[name]) == 1:
                found[name] = float(np.ravel(found[name])[0])
    if isinstance(x, np.ndarray) and x.dtype.kind in "biuf" and x.ndim > 1:
        table = x.reshape(-1, x.shape[-1]).astype(np.float64)
        table[~np.isfinite(table)] = np.nan
        with np.errstate(all="ignore"):
            present = np.isfinite(table)
            count = np.maximum(present.sum(axis=0), 1)
            mean = np.where(present, table, 0.0).sum(axis=0) / count
            variance = np.where(present, (table - mean) ** 2, 0.0).sum(axis=0) / count
        found |= {"input_mean": mean, "input_variance": variance, "missing_inputs": int((~present).sum())}
        if x.ndim == 2 and (marks := sentinels_of(table)):
            found["input_without_sentinels"] = _without(table, marks)
        if x.ndim == 2 and present.all() and x.shape[1] <= _MOST_WHITENED and len(x) > x.shape[1]:
            found["input_whitening"] = _whitening(table[:_WHITENED_ROWS], mean)
    return found | {"n_rows": len(y) if y is not None else len(x)}


def _without(table: np.ndarray, marks: Mapping[int, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, variance) of each column without the value that stands for a gap in it."""
    values = np.full(table.shape[1], np.nan)
    for column, (value, _) in marks.items():
        values[column] = value
    rest = np.where(table == values, np.nan, table)
    return np.nanmean(rest, axis=0), np.nanvar(rest, axis=0)


def _whitening(table: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (kernel, bias) of the linear map to uncorrelated inputs of variance 1 (PCA whitening)."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(table, rowvar=False)))
    kept = values > _SMALLEST * max(values.max(), np.finfo(float).tiny)
    kernel = vectors[:, kept] / np.sqrt(values[kept])
    return kernel, -mean @ kernel


# ------------------------------------------------------------------------------------------------ Keras models


def design_of(model: Any, **training: Any) -> Design:
    """Return a compiled Keras model as data, with its weights.

    Args:
        model: Sequential or Functional.
        training: keywords of its training, those of `fallline.train`; None: not said.

    Raises:
        InputError: a subclassed model, whose config says nothing of its layers; one that is not compiled.
    """
    import keras

    if not isinstance(model, keras.Sequential) and type(model).__name__ != "Functional":
        raise InputError(
            f"{model.name!r} is a {type(model).__name__}: a treatment rewrites a model's config, which names the "
            "layers of a Sequential or a Functional model only. Build it with keras.Model(inputs, outputs)."
        )
    if not getattr(model, "compiled", False):
        raise InputError(f"The model {model.name!r} is not compiled: call model.compile(optimizer, loss) first.")
    if not model.built:
        raise InputError(
            f"The model {model.name!r} has no input shape yet: begin it with keras.Input, or train it first."
        )
    wrong = [name for name in training if name not in _TRAINING]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: a design's training takes {', '.join(_TRAINING)}.")
    with without_tensorflow():
        config = plain(keras.saving.serialize_keras_object(model))
        compiled = dict(model.get_compile_config())
        compiled["optimizer"] = keras.saving.serialize_keras_object(model.optimizer)
    if isinstance(model, keras.Sequential) and config["config"]["layers"][0]["class_name"] != "InputLayer":
        given = {"batch_shape": list(model.input_shape), "dtype": "float32", "name": "input"}
        first = {"module": "keras.layers", "class_name": "InputLayer", "config": given, "registered_name": None}
        config["config"]["layers"].insert(0, first)
    said = {name: value for name, value in training.items() if value is not None}
    return Design(config, compiled, said, _weights(model), functions=own_functions(model))


def _paths(model: Any, before: str = "") -> dict[str, Any]:
    """Return leaf layers by their path through nested models."""
    import keras

    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= _paths(layer, f"{before}{layer.name}/")
        else:
            found[f"{before}{layer.name}"] = layer
    return found


@contextlib.contextmanager
def _functions_known(subject: Recipe | Design) -> Iterator[None]:
    """Let Keras find the user's own functions by their names."""
    if isinstance(subject, Recipe) or not subject.functions:
        yield
        return
    import keras

    with keras.saving.custom_object_scope(dict(subject.functions)):
        yield


def _weights(model: Any) -> dict[str, tuple[np.ndarray, ...]]:
    return {path: tuple(layer.get_weights()) for path, layer in _paths(model).items() if layer.weights}


def build_model(design: Design) -> Any:
    """Return the compiled Keras model of a design, with the kept weights where shapes allow.

    Raises:
        InputError: the layers do not fit together.
    """
    import keras

    try:
        with _functions_known(design):
            # Keras takes a config apart while it reads it.
            model = keras.saving.deserialize_keras_object(copy.deepcopy(dict(design.model)))
            model.compile_from_config(copy.deepcopy(dict(design.compiled)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        named = f" after {', '.join(design.treatments)}" if design.treatments else ""
        raise InputError(f"The model cannot be built{named}: {error}") from error
    for path, layer in _paths(model).items():
        kept = design.weights.get(path)
        if kept and [w.shape for w in layer.get_weights()] == [w.shape for w in kept]:
            layer.set_weights(list(kept))
            settle(layer)
    return model


def finished_model(design: Design, model: Any) -> Any:
    """Return a trained model as it leaves us: where its targets were scaled, its predictions are turned back.

    Args:
        design: of the model.
        model: trained.
    """
    import keras

    if design.target_scale is None:
        return model
    center, scale = design.target_scale
    out = keras.layers.Rescaling(scale, center, name="to_units_of_the_target")(model.outputs[0])
    given = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    finished = keras.Model(given, out, name=model.name)
    finished.compile(loss=model.loss)
    return finished
