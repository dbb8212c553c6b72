"""What of a Keras model the engine can honour, and whether the rows of its batches are independent."""

from __future__ import annotations

from typing import Any

import keras

from fallline.errors import BackendError, InputError, RecipeError
from fallline.types import Recipe

__all__ = [
    "convolves",
    "couples_rows",
    "normalises",
    "pads_evaluation",
    "require_full_batch",
    "require_jax",
    "require_row_losses",
    "require_supported",
    "require_trainable",
    "rowwise_loss",
]

# Layers of Keras whose output for one row depends, or may depend, on the other rows of the batch while training; masks
# make the loss of a row depend on how many steps the others have.
_COUPLING = frozenset({"BatchNormalization", "CutMix", "Lambda", "Masking", "MixUp"})
# Losses of Keras that are a mean over rows of what each row costs.
_ROWWISE = frozenset(
    name.lower()
    for name in (
        "BinaryCrossentropy",
        "BinaryFocalCrossentropy",
        "CategoricalCrossentropy",
        "CategoricalFocalCrossentropy",
        "CategoricalHinge",
        "CosineSimilarity",
        "Hinge",
        "Huber",
        "KLDivergence",
        "LogCosh",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "SparseCategoricalCrossentropy",
        "SquaredHinge",
    )
)
_MEANS = frozenset({"mean", "sum_over_batch_size"})


def require_jax() -> None:
    """Raise unless Keras runs on JAX.

    Raises:
        BackendError: Keras was imported with another backend before fallline.
    """
    if keras.backend.backend() != "jax":
        raise BackendError(
            f"Keras runs on the {keras.backend.backend()!r} backend, but fallline trains with JAX. "
            "Import fallline before keras, or set the environment variable KERAS_BACKEND=jax before Python starts. "
            "(Watching and diagnosing work on every backend.)"
        )


def require_supported(model: keras.Model) -> None:
    """Raise where Keras' own fit would do something that the engine does not.

    Raises:
        InputError: an overridden training or test step, or mixed precision with a scaled loss.
    """
    for name in ("train_step", "test_step"):
        if name in vars(model) or getattr(type(model), name) is not getattr(keras.Model, name):
            raise InputError(
                f"The model {model.name!r} overrides {name}, which fallline's engine cannot honour: "
                "it compiles its own steps. Put the loss into compute_loss (which is honoured) "
                "and leave the step as it is, or train this model with its own fit."
            )
    if isinstance(getattr(model, "optimizer", None), keras.optimizers.LossScaleOptimizer):
        raise InputError(
            "The model was compiled with a scaled loss (mixed_float16), which fallline does not train. "
            "Use the dtype policy 'float32' or 'mixed_bfloat16', or compile with auto_scale_loss=False."
        )


def require_trainable(model: keras.Model) -> None:
    """Raise where a built model has no weight that can be trained.

    Raises:
        InputError: every layer is frozen, or none has weights.
    """
    if not model.trainable_variables:
        raise InputError(
            f"The model {model.name!r} has no weight that can be trained: every layer with weights is frozen. Set "
            "trainable=True on the layers that should learn."
            if model.weights
            else f"The model {model.name!r} has no weights: there is nothing to train. Add a layer, such as Dense."
        )


def require_full_batch(model: keras.Model, optimizer: str, batch_size: int | str, n: int) -> None:
    """Raise unless an optimizer that takes all rows at every step and compares losses can train the model.

    Args:
        model: of the user's own.
        optimizer: its name in a recipe.
        batch_size: asked for, "auto" or "all".
        n: rows.

    Raises:
        RecipeError: fewer rows are asked for; the model draws random numbers in training.
    """
    mistakes = []
    if batch_size not in ("auto", "all") and int(batch_size) < n:
        mistakes.append(
            f'batch_size = {batch_size} is a part of the {n} rows, but optimizer.name = "{optimizer}" takes all of '
            'them at every step. Leave it out, or say "auto".'
        )
    if any(v.path.endswith("seed_generator_state") for v in model.non_trainable_variables):
        mistakes.append(
            f"The model {model.name!r} draws random numbers in training (dropout, noise), but optimizer.name = "
            f'"{optimizer}" compares losses at several points of a step. Train it without those layers.'
        )
    if mistakes:
        raise RecipeError(mistakes)


def _is_row_mean(loss: Any) -> bool:
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return False
    kind = type(loss) if isinstance(loss, keras.losses.Loss) else loss
    if not getattr(kind, "__module__", "").startswith("keras."):
        return False
    # Keras names the function of BinaryCrossentropy binary_crossentropy, and so on; Keras' own functions cost row by
    # row.
    plain = getattr(kind, "__name__", "").replace("_", "").lower()
    mean = getattr(loss, "reduction", "mean") in _MEANS and getattr(loss, "ignore_class", None) is None
    return plain in _ROWWISE and mean


def rowwise_loss(model: keras.Model) -> bool:
    """True when the model's loss is known to be a mean over rows, each by itself, whatever the size of the batch."""
    if "compute_loss" in vars(model) or type(model).compute_loss is not keras.Model.compute_loss:
        return False
    return all(_is_row_mean(loss) for loss in keras.tree.flatten(model.loss) if loss is not None)


def require_row_losses(model: keras.Model, recipe: Recipe) -> None:
    """Raise unless the examples have losses of their own, where the order goes by them.

    Args:
        model: compiled.
        recipe: of its training.

    Raises:
        RecipeError: the loss belongs to a batch.
    """
    if recipe.training.order == "errors" and not rowwise_loss(model):
        mistake = (
            'training.order = "errors" goes by the loss of every example, but the loss of the model '
            f'{model.name!r} is not known to be a mean over rows. Use order = "shuffled", or a loss of Keras.'
        )
        raise RecipeError([mistake])


def _ours(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] in ("keras", "fallline")


def couples_rows(model: keras.Model) -> bool:
    """True unless every layer and the loss are known to treat the rows of a batch one by one.

    Only then may the last batch be padded; else it is a step of its own shape. Batch normalisation in the model's own
    graph is told which rows are padding (see `keras_steps`); behind a convolution that would cost more than it saves.
    """
    if type(model) not in (keras.Model, keras.Sequential) and type(model).__name__ != "Functional":
        return True
    masked = [] if convolves(model) else normalises(model)
    for layer in (model, *model._flatten_layers(include_self=False)):
        if any(layer is one for one in masked):
            continue
        if any(not isinstance(operation, keras.layers.Layer) for operation in getattr(layer, "operations", ())):
            return True  # an operation of the graph, like ops.mean(x, axis=0), may do anything
        activation = getattr(layer, "activation", None)
        foreign = not _ours(type(layer)) or (activation is not None and not _ours(activation))
        if foreign or type(layer).__name__ in _COUPLING:
            return True
        if any(getattr(layer, name, None) for name in ("activity_regularizer", "mask_zero", "stateful")):
            return True
    return not rowwise_loss(model)


def normalises(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the batch normalisations in the graph of a model or of models within it: there rows are the first axis."""
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += normalises(layer)
        elif type(layer) is keras.layers.BatchNormalization:
            found.append(layer)
    return found


def pads_evaluation(model: keras.Model) -> bool:
    """True when evaluation batches may be padded: the loss and every metric of the model know weights of rows."""
    if not rowwise_loss(model) or type(model).compute_metrics is not keras.Model.compute_metrics:
        return False
    compiled = model._compile_metrics
    # Others: of several outputs, of layers, of the model's own; each updates itself and sees the padding.
    if any(metric is not model._loss_tracker and metric is not compiled for metric in model.metrics):
        return False
    metrics = compiled.metrics if compiled is not None else ()
    outputs = getattr(model, "outputs", None)
    if not outputs or any(len(out.shape) > 2 for out in outputs):
        # Of several values a row only means know what its one weight is for; masks say which of the values count.
        plain = all(isinstance(metric, keras.metrics.MeanMetricWrapper) for metric in metrics)
        if not plain or any(_masks(layer) for layer in model._flatten_layers(include_self=False)):
            return False
    return all(_ours(type(metric)) and _ours(getattr(metric, "_fn", metric)) for metric in metrics)


def _masks(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Masking) or bool(getattr(layer, "mask_zero", False))


def convolves(model: keras.Model) -> bool:
    """True when a layer of the model, however deep inside, is a convolution."""
    return any(
        "Conv" in base.__name__ and _ours(base)
        for layer in model._flatten_layers(include_self=False)
        for base in type(layer).__mro__
    )
