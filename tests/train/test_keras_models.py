"""Keras models as users bring them: random layers, frozen layers, early stopping, models that were not compiled."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.train.keras_settings import guess_loss
from fallline.train.keras_support import couples_rows
from fallline.train.keras_task import keras_task

N = 60
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 4)).astype("float32")
Y = (X[:, 0] - X[:, 1] ** 2 + 0.3 * RNG.normal(size=N)).astype("float32")


def values(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(v.value) for v in model.trainable_variables]


def noisy() -> keras.Model:
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.GaussianNoise(0.3),
            keras.layers.Dense(6, "relu"),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.02), "mse")
    return model


@pytest.fixture(scope="module")
def noisy_runs() -> dict[str, Any]:
    keywords: dict[str, Any] = {"batch_size": 16, "early_stopping": False, "verbose": 0, "watch": False}
    train = lambda seed: fl.train(noisy(), X, Y, epochs=3, seed=seed, **keywords)  # noqa: E731
    return {"first": train(1), "again": train(1), "other": train(2)}


def test_noise_depends_on_the_seed_alone(noisy_runs: dict[str, Any]) -> None:
    first, again, other = (values(noisy_runs[name].model) for name in ("first", "again", "other"))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_noise_acts_in_training_only(noisy_runs: dict[str, Any]) -> None:
    run = noisy_runs["first"]
    expected = float(np.mean((run.predict(X)[:, 0] - Y) ** 2))
    assert run.history["loss"].iloc[-1] == pytest.approx(expected, rel=1e-5)
    assert run.history["running_loss"].iloc[-1] != pytest.approx(expected, rel=1e-3)


def test_every_step_draws_new_noise() -> None:
    model = noisy()
    task = keras_task(model, optimizer=None, numbers={}, seed=1, sample=(X[:2], Y[:2]), weighted=False)
    weight = np.ones(N, np.float32)
    losses, aux = [], task.aux
    for _ in range(3):
        loss, aux = task.task.loss(task.params, aux, {}, X, Y, weight)
        losses.append(float(loss))
    assert len(set(losses)) == 3


def test_frozen_layers_keep_their_weights() -> None:
    keras.utils.set_random_seed(5)
    frozen = keras.layers.Dense(6, "relu", trainable=False)
    model = keras.Sequential([keras.Input((4,)), frozen, keras.layers.Dense(1)])
    before = [np.asarray(w.value) for w in frozen.weights]
    fl.train(model, X, Y, epochs=1, early_stopping=False, verbose=0, watch=False)
    assert all((a == np.asarray(b.value)).all() for a, b in zip(before, frozen.weights, strict=True))


def overfitting() -> keras.Model:
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.3), "mse")
    return model


def test_early_stopping_ends_where_keras_ends() -> None:
    keywords: dict[str, Any] = {"epochs": 60, "batch_size": 16, "shuffle": False, "validation_split": 0.4, "verbose": 0}
    criterion = {"patience": 4, "min_delta": 0.003, "restore_best_weights": True}
    theirs = overfitting()
    callback = keras.callbacks.EarlyStopping("val_loss", **criterion)
    history = theirs.fit(X, Y, callbacks=[callback], **keywords).history
    run = fl.train(
        overfitting(), X, Y, early_stopping=keras.callbacks.EarlyStopping("val_loss", **criterion), **keywords
    )
    member = run.facts["members"][0]
    assert run.outcome == "stopped_early"
    assert 4 < len(history["loss"]) < 60
    assert (len(run.history), member["best_epoch"]) == (len(history["loss"]), callback.best_epoch + 1)
    for mine, other in zip(values(run.model), values(theirs), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_the_best_weights_are_restored() -> None:
    run = fl.train(overfitting(), X, Y, epochs=30, validation_data=(X[30:], Y[30:]), early_stopping=2,
                   verbose=0, watch=False)  # fmt: skip
    best = run.facts["members"][0]["best_epoch"]
    assert best == int(run.history["val_loss"].idxmin())
    loss = float(np.mean((run.predict(X[30:])[:, 0] - Y[30:]) ** 2))
    assert loss == pytest.approx(run.history["val_loss"].min(), rel=1e-5)


class Subclassed(keras.Model):
    def __init__(self, units: int, activation: str) -> None:
        super().__init__()
        self.out = keras.layers.Dense(units, activation)
        self.hidden = keras.layers.Dense(4, "relu")

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))


def sequential(units: int, activation: str) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Activation(activation)])


def functional(units: int, activation: str) -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(units, activation)(inputs))


INDEX = (np.arange(N) % 3).astype("int32")
BINARY = (np.arange(N) % 2).astype("int32")
LOSSES = [
    (1, "linear", Y, "MeanSquaredError"),
    (1, "tanh", Y, "MeanSquaredError"),
    (2, "linear", np.stack([Y, Y], 1), "MeanSquaredError"),
    (1, "sigmoid", BINARY, "BinaryCrossentropy"),
    (1, "sigmoid", BINARY[:, None], "BinaryCrossentropy"),
    (3, "sigmoid", np.eye(3, dtype="int32")[INDEX], "BinaryCrossentropy"),
    (3, "softmax", INDEX, "SparseCategoricalCrossentropy"),
    (3, "softmax", INDEX[:, None], "SparseCategoricalCrossentropy"),
    (3, "softmax", np.eye(3, dtype="float32")[INDEX], "CategoricalCrossentropy"),
    (3, "linear", INDEX, "SparseCategoricalCrossentropy"),
]


@pytest.mark.parametrize("build", [sequential, functional, Subclassed])
def test_the_loss_of_a_model_that_was_not_compiled(build: Any) -> None:
    for units, activation, y, expected in LOSSES:
        if build is Subclassed and activation == "tanh":
            continue
        keras.utils.set_random_seed(0)
        x = np.tile(X, (5, 1))
        loss, metrics = guess_loss(build(units, activation), x, np.tile(y, (5, *[1] * (y.ndim - 1))))
        assert type(loss).__name__ == expected, (units, activation)
        assert [m.name for m in metrics] == ([] if expected == "MeanSquaredError" else ["accuracy"])
        if expected.startswith("Sparse"):
            assert loss.from_logits == (activation == "linear")


def test_a_multilabel_accuracy_counts_labels() -> None:
    y = np.eye(3, dtype="int32")[INDEX]
    run = fl.train(sequential(3, "sigmoid"), X, y, epochs=1, early_stopping=False, verbose=0, watch=False)
    assert run.history["accuracy"].iloc[0] == pytest.approx(((run.predict(X) > 0.5) == y).mean(), abs=1e-6)


def test_a_subclassed_model_that_was_not_compiled_trains() -> None:
    run = fl.train(Subclassed(3, "softmax"), X, INDEX, epochs=2, early_stopping=False, verbose=0, watch=False)
    assert run.outcome == "completed"
    assert set(run.history) >= {"loss", "running_loss", "accuracy"}


def coupled(*layers: keras.layers.Layer, loss: Any = "mse") -> bool:
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    model.compile("sgd", loss)
    return couples_rows(model)


def test_which_models_may_be_padded() -> None:
    assert not coupled(keras.layers.Dense(3, "relu"), keras.layers.LayerNormalization(), keras.layers.Dropout(0.5))
    assert not coupled(loss=keras.losses.Huber())
    nested = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    assert not coupled(nested)  # it is told which rows are padding
    assert coupled(nested, keras.layers.Reshape((2, 1)), keras.layers.Conv1D(2, 1), keras.layers.Flatten())
    wrapped = keras.layers.TimeDistributed(keras.layers.BatchNormalization())
    assert coupled(keras.layers.Reshape((2, 2)), wrapped, keras.layers.Flatten())
    assert coupled(keras.layers.Dense(3, activation=lambda x: x - keras.ops.mean(x, axis=0)))
    assert coupled(keras.layers.Dense(3, activity_regularizer="l2"))
    assert coupled(loss=keras.losses.MeanSquaredError(reduction="sum"))
    assert coupled(loss=keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    assert coupled(loss=keras.losses.Dice())
    assert coupled(loss=lambda y, p: keras.ops.mean(y - p))


@pytest.mark.slow
def test_training_goes_on_where_it_ended() -> None:
    keywords: dict[str, Any] = {"batch_size": 16, "shuffle": False, "early_stopping": False, "verbose": 0}
    keywords["watch"] = False
    build = lambda: keras.models.clone_model(overfitting())  # noqa: E731
    twice, once = build(), build()
    once.set_weights(twice.get_weights())
    for model in (twice, once):
        model.compile(keras.optimizers.Adam(0.01), "mse")
    fl.train(twice, X, Y, epochs=2, **keywords)
    fl.train(twice, X, Y, epochs=1, **keywords)
    fl.train(once, X, Y, epochs=3, **keywords)
    assert int(np.asarray(twice.optimizer.iterations.value)) == 12
    for a, b in zip(values(twice), values(once), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("first", "found"), [(0, False), (1, True)])
def test_classes_beyond_the_output_are_a_finding(first: int, found: bool) -> None:
    # one_hot gives zeros for a class that is not there: the loss stays finite and falls, and only the rule notices.
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    run = fl.train(model, X, (Y > 0).astype(int) + first, epochs=2, verbose=0, watch=False)
    assert ("output-loss-mismatch" in [f.symptom for f in run.diagnosis.findings]) is found
    assert run.facts["target_max"] == 1 + first
