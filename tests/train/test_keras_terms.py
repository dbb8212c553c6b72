"""What a recipe adds to a Keras model's loss against float64 NumPy and Keras' own; what it cannot add is said."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

import fallline as fl
from fallline.errors import InputError, RecipeError
from fallline.recipe import default, override
from fallline.train.arrays import class_weights
from fallline.train.keras_settings import recipe_optimizer
from fallline.train.keras_task import keras_task
from fallline.train.keras_terms import terms_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype(np.float32)
LABELS = np.arange(12) % 4
WEIGHT = np.linspace(0.5, 1.5, 12).astype(np.float32)


def network(loss: Any, units: int = 4, activation: str = "linear") -> keras.Model:
    keras.utils.set_random_seed(1)
    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((3,)), dense(5, "tanh", name="first"), dense(units, activation, name="last")])
    model.compile("sgd", loss)
    return model


def loss_of(model: keras.Model, y: np.ndarray, *changes: str) -> float:
    """The training loss of a model on all rows under a changed recipe."""
    recipe = override(default("simple"), changes)
    optimizer, numbers = recipe_optimizer(recipe, model)
    terms, more = terms_of(recipe, model)
    made = keras_task(
        model, optimizer=optimizer, numbers=numbers | more, seed=0, sample=(X[:2], y[:2]), weighted=True, terms=terms
    )
    return float(made.task.loss(made.params, made.aux, made.numbers, X, y, WEIGHT)[0])


def test_penalties_are_the_sums_of_their_formulas() -> None:
    model, y = network("mse", 1), X[:, :1]
    first, last = (model.get_layer(name).kernel.numpy().astype(float) for name in ("first", "last"))
    plain = loss_of(model, y)
    added = loss_of(model, y, "optimizer.l2=0.3", "optimizer.l1=0.2") - plain
    expected = 0.15 * (np.square(first).sum() + np.square(last).sum()) + 0.2 * (abs(first).sum() + abs(last).sum())
    assert added == pytest.approx(expected, rel=1e-4)
    added = loss_of(model, y, "optimizer.l2=0.3", "penalty_factors=[0, 2]") - plain
    assert added == pytest.approx(0.3 * np.square(last).sum(), rel=1e-4)


SMOOTHED = {
    "binary": (keras.losses.BinaryCrossentropy, 1, "sigmoid", (LABELS[:, None] > 1).astype(np.float32)),
    "categorical": (keras.losses.CategoricalCrossentropy, 4, "softmax", np.eye(4, dtype=np.float32)[LABELS]),
}


@pytest.mark.parametrize("kind", SMOOTHED)
def test_smoothed_targets_are_those_of_keras(kind: str) -> None:
    loss, units, activation, y = SMOOTHED[kind]
    expected = loss_of(network(loss(label_smoothing=0.2), units, activation), y)
    assert loss_of(network(loss(), units, activation), y, "label_smoothing=0.2") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "loss", ["sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy(from_logits=True)]
)
def test_class_indices_are_smoothed_as_one_hot_rows_are(loss: Any) -> None:
    logits = not isinstance(loss, str)
    one_hot = keras.losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=0.2)
    activation = "linear" if logits else "softmax"
    expected = loss_of(network(one_hot, 4, activation), np.eye(4, dtype=np.float32)[LABELS])
    assert loss_of(network(loss, 4, activation), LABELS, "label_smoothing=0.2") == pytest.approx(expected, rel=1e-5)


def test_balanced_classes_weigh_alike() -> None:
    y = np.array([0, 0, 0, 2])
    assert_allclose(class_weights(y, "balanced"), [2 / 3, 2 / 3, 2 / 3, 2.0])
    with pytest.raises(InputError, match="differ from fold to fold"):
        fl.train_many(network("mse", 1), X, LABELS[:, None], folds=2, class_weight="balanced", verbose=0)


def test_a_penalty_shrinks_the_kernels_of_a_training_by_a_recipe() -> None:
    # Numbers alone differ: one program.
    runs = fl.train_many(
        network("mse", 1), X, X[:, :1], recipe=override(default("simple"), ["learning_rate=0.05"]),
        vary={"optimizer.l2": [1e-6, 10.0]}, epochs=20, early_stopping=False, verbose=0,
    )  # fmt: skip
    norms = [np.square(run.model.get_layer("first").kernel.numpy()).sum() for run in runs]
    assert norms[1] < 0.5 * norms[0]


def test_all_that_cannot_act_on_a_model_is_said_at_once() -> None:
    changes = ["dropout=0.2", "input_noise=0.1", "whiten=pca", "members=3", "loss=mae", "activity_l1=0.1"]
    recipe = override(default("simple"), [*changes, "pretraining.method=denoising"])
    with pytest.raises(RecipeError) as told:
        fl.train(network("mse", 1), X, X[:, :1], recipe=recipe, verbose=0)
    assert len(told.value.mistakes) == len(changes) + 1
    for advice in ("layers.Dropout", "layers.GaussianNoise", "layers.Normalization", "seeds=range(5)",
                   "model.compile(loss=...)", "activity_regularizer", "fl.pretrain"):  # fmt: skip
        assert sum(advice in mistake for mistake in told.value.mistakes) == 1, advice


@pytest.mark.parametrize("loss", ["mse", keras.losses.BinaryCrossentropy(label_smoothing=0.1)])
def test_what_cannot_be_smoothed_is_refused(loss: Any) -> None:
    with pytest.raises(RecipeError, match="label_smoothing cannot act"):
        terms_of(override(default("simple"), ["label_smoothing=0.1"]), network(loss, 1))
