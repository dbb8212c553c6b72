"""What of a recipe acts on a Keras model of the user's own beside its optimizer, and what has to stand in the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import keras

from fallline.errors import RecipeError
from fallline.recipe import default
from fallline.recipe.schema import entries, shown
from fallline.types import Recipe

__all__ = ["Terms", "penalty_shares", "require_acting", "terms_of"]

Tree = Any

# What a recipe says of fallline's own networks, and how a person's own model is told the same.
_ELSEWHERE = {
    "network.dropout": 'Put keras.layers.Dropout into the model, or use fl.treat(model, "add-dropout").',
    "network.input_dropout": "Put keras.layers.Dropout behind the model's input.",
    "network.input_noise": 'Put keras.layers.GaussianNoise behind its input, or use fl.treat(model, "add-noise").',
    "network.hidden_noise": "Put keras.layers.GaussianNoise behind the model's hidden layers.",
    "network.normalization": (
        'Put keras.layers.BatchNormalization into the model, or use fl.treat(model, "normalise-layers").'
    ),
    "network.initializer": "Give its layers a kernel_initializer; fl.lsuv(model, x) is LSUV.",
    "network": "The model brings its own layers: build it so.",
    "pretraining": "Use fl.pretrain(model, x) first.",
    "prepare": "Scale x before, or put an adapted keras.layers.Normalization into the model.",
    "split": "Use validation_data or validation_split, or folds in fl.train_many(model, ...).",
    "ensemble": "Train it with several seeds: fl.train_many(model, x, y, seeds=range(5)).",
    "training.loss": "Compile the model with its loss: model.compile(loss=...).",
    "training.target_values": "Give y the values that the output unit is to reach.",
    "optimizer.activity_l1": "Give its layers an activity_regularizer.",
    "optimizer.activity_l2": "Give its layers an activity_regularizer.",
}
# Losses whose target probabilities can be smoothed.
_CROSS_ENTROPIES = ("binarycrossentropy", "categoricalcrossentropy", "sparsecategoricalcrossentropy")


def require_acting(recipe: Recipe) -> None:
    """Raise where a recipe that is to train a Keras model changes what belongs into the model or to a table.

    Args:
        recipe: of the user; what it takes over from its preset is not looked at.

    Raises:
        RecipeError: every such entry, each with how the model is told instead.
    """
    usual = default(recipe.preset)
    mistakes = []
    for entry in entries().values():
        advice = _ELSEWHERE.get(entry.name) or _ELSEWHERE.get(entry.section)
        if advice is None:
            continue
        value, other = (getattr(getattr(one, entry.section), entry.key) for one in (recipe, usual))
        if value != other:
            mistakes.append(f"{entry.name} = {shown(value)} does not act on a Keras model of your own. {advice}")
    if mistakes:
        raise RecipeError(mistakes)


@dataclass(frozen=True)
class Terms:
    """What a recipe adds to the training loss of a Keras model; evaluation is without it, as for tables.

    Args:
        shares: the factor on l1 and l2 of each trainable tensor, 0 for biases; empty: no penalty.
        smoothed: the kind of cross-entropy whose targets are smoothed, "" for none.
        from_logits: that loss takes logits.
    """

    shares: tuple[float, ...] = ()
    smoothed: str = ""
    from_logits: bool = False

    def targets(self, y: Tree, numbers: dict[str, jax.Array]) -> Tree:
        """Return targets (n, ...) whose probability is moved evenly to all classes by the share of the recipe.

        Source: Szegedy et al., arXiv 1512.00567, section 7. Class indices hold no probabilities: see `beyond`.
        """
        if self.smoothed not in _CROSS_ENTROPIES[:2]:
            return y
        classes = 2 if self.smoothed == "binarycrossentropy" else y.shape[-1]
        y = jnp.asarray(y, jnp.float32)
        return y * (1.0 - numbers["label_smoothing"]) + numbers["label_smoothing"] / classes

    def beyond(self, out: Tree, y: Tree, weight: jax.Array, numbers: dict[str, jax.Array]) -> jax.Array:
        """Return what smoothing adds to the loss of class indices: a share of the even classes' loss for the own one.

        The cross-entropy is linear in the targets.

        Args:
            out: (b, k) outputs.
            y: (b,) or (b, 1) class indices.
            weight: (b,) of the mean.
            numbers: ``label_smoothing``.
        """
        if self.smoothed != _CROSS_ENTROPIES[2]:
            return jnp.zeros(())
        even = jnp.full(out.shape, 1.0 / out.shape[-1], out.dtype)
        losses, own = keras.losses, jnp.reshape(y, (-1,))
        there = losses.categorical_crossentropy(even, out, from_logits=self.from_logits)
        here = losses.sparse_categorical_crossentropy(own, out, from_logits=self.from_logits)
        added: jax.Array = numbers["label_smoothing"] * jnp.mean(weight * (there - here))
        return added

    def penalty(self, params: Sequence[jax.Array], numbers: dict[str, jax.Array]) -> jax.Array:
        """Return (l2 / 2) sum w^2 + l1 sum |w| over kernels, each with its layer's factor."""
        total = jnp.zeros(())
        for w, share in zip(params, self.shares, strict=False):
            if share:
                total = total + 0.5 * share * numbers["l2"] * jnp.sum(jnp.square(w))
                total = total + share * numbers["l1"] * jnp.sum(jnp.abs(w))
        return total


def terms_of(recipe: Recipe, model: keras.Model) -> tuple[Terms | None, dict[str, float]]:
    """Return what the recipe adds to the model's training loss, None for nothing, and the numbers that it reads.

    Args:
        recipe: checked.
        model: built and compiled.

    Raises:
        RecipeError: factors that do not fit the layers, smoothing of a loss that is no cross-entropy.
    """
    o, smoothing = recipe.optimizer, recipe.training.label_smoothing
    penalised = o.l1 > 0 or o.l2 > 0
    if not penalised and not smoothing:
        return None, {}
    name, from_logits = _smoothable(model) if smoothing else ("", False)
    shares = tuple(penalty_shares(model, o.penalty_factors)) if penalised else ()
    return Terms(shares, name, from_logits), {"l1": o.l1, "l2": o.l2, "label_smoothing": smoothing}


def penalty_shares(model: keras.Model, factors: Sequence[float]) -> list[float]:
    """Return the factor on weight penalties of each trainable tensor: 0 for biases and scales.

    Args:
        model: built.
        factors: one for each layer that has kernels, in the model's order; empty: 1 for all.

    Raises:
        RecipeError: another number of factors than there are such layers.
    """
    variables = [v.path for v in model.trainable_variables]
    kernels = [
        v.path for v in model.trainable_variables if len(v.shape) >= 2 and "bias" not in v.path.rpartition("/")[2]
    ]
    layers = list(dict.fromkeys(path.rpartition("/")[0] for path in kernels))
    if factors and len(factors) != len(layers):
        mistake = (
            f"optimizer.penalty_factors = {shown(tuple(factors))} has {len(factors)} factor(s), but {len(layers)} "
            f"layer(s) of the model {model.name!r} have kernels: {', '.join(layers)}. Give one for each."
        )
        raise RecipeError([mistake])
    share = dict(zip(layers, factors, strict=True)) if factors else dict.fromkeys(layers, 1.0)
    return [float(share[path.rpartition("/")[0]]) if path in kernels else 0.0 for path in variables]


def _smoothable(model: keras.Model) -> tuple[str, bool]:
    """Return the cross-entropy that the model was compiled with, and whether it takes logits."""
    loss = model.loss
    kind = loss if isinstance(loss, str) else type(loss).__name__
    kind = getattr(loss, "__name__", kind).replace("_", "").lower()
    mistake = ""
    own = "compute_loss" in vars(model) or type(model).compute_loss is not keras.Model.compute_loss
    if own or kind not in _CROSS_ENTROPIES:
        mistake = "its loss is no cross-entropy of Keras for one output: give it smoothed targets"
    elif getattr(loss, "label_smoothing", 0.0):
        mistake = "its loss smooths already: set it there"
    elif len(getattr(model, "output_shape", None) or (None, None)) != 2 and kind == _CROSS_ENTROPIES[2]:
        mistake = "its outputs are no rows of classes: give it one-hot targets"
    if mistake:
        mistake = f"training.label_smoothing cannot act on the model {model.name!r}: {mistake}."
        raise RecipeError([f"{mistake} Or use label_smoothing = 0."])
    return kind, bool(getattr(loss, "from_logits", False))
