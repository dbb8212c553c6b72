"""Layers that compute otherwise while a step is traced: the same numbers as Keras', or the same distribution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import fallline as fl
from fallline.train.keras_steps import as_trained

RNG = np.random.default_rng(0)
X = RNG.normal(size=(53, 4)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5, 0.0]) > 0).astype("float32")


def normalised() -> keras.Model:
    inner = keras.Sequential([keras.Input((8,)), keras.layers.BatchNormalization(), keras.layers.Dense(3, "relu")])
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.BatchNormalization(),
            inner,
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")],
        weighted_metrics=["mse"],
    )  # fmt: skip
    return model


@pytest.mark.parametrize("weighted", [False, True])
def test_batch_normalisation_and_metrics_leave_the_padding_out(weighted: bool) -> None:
    """37 rows in batches of 16: the last has 5 real rows. Keras' own fit sees a batch of 5."""
    keras.utils.set_random_seed(0)
    first = normalised()
    second = keras.models.clone_model(first)
    second.set_weights(first.get_weights())
    second.compile_from_config(first.get_compile_config())
    weight = RNG.uniform(0.5, 2.0, 37).astype("float32") if weighted else None
    given = {"epochs": 4, "batch_size": 16, "shuffle": False, "sample_weight": weight, "verbose": 0}
    run = fl.train(first, X[:37], Y[:37], validation_data=(X[37:], Y[37:]), early_stopping=False, watch=False, **given)
    kept = second.fit(X[:37], Y[:37], validation_data=(X[37:], Y[37:]), **given)
    for mine, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    for name in ("val_loss", "val_accuracy", "val_auc", "val_mse"):
        np.testing.assert_allclose(run.history[name], kept.history[name], rtol=1e-4, atol=1e-5)


def draw(layer: keras.layers.Layer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What two calls in succession make of x in training."""
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    fixed = [v.value for v in model.non_trainable_variables]
    out = []
    for _ in range(2):
        with as_trained(model):
            values, fixed = jax.jit(lambda f: model.stateless_call([], f, jnp.asarray(x), training=True))(fixed)
        out.append(np.asarray(values))
    return out[0], out[1]


def test_dropout_keeps_the_mean_and_draws_anew() -> None:
    first, second = draw(keras.layers.Dropout(0.3, seed=3), np.ones((200, 100), np.float32))
    for drawn in (first, second):
        assert (drawn == 0).mean() == pytest.approx(0.3, abs=0.02)  # four standard errors are 0.013
        np.testing.assert_allclose(drawn[drawn > 0], 1 / 0.7, rtol=1e-6)
    assert ((first == 0) != (second == 0)).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.02)


def test_dropout_shares_its_mask_along_the_axes_that_it_is_told() -> None:
    drawn, _ = draw(keras.layers.Dropout(0.5, noise_shape=(None, 1), seed=3), np.ones((200, 10), np.float32))
    assert (drawn == drawn[:, :1]).all()
    assert 0 < (drawn[:, 0] == 0).mean() < 1


def test_noise_has_its_spread() -> None:
    first, second = draw(keras.layers.GaussianNoise(0.5, seed=3), np.ones((200, 100), np.float32))
    assert first.mean() == pytest.approx(1.0, abs=0.02)
    assert first.std() == pytest.approx(0.5, rel=0.03)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03


def test_a_model_is_the_same_afterwards() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.BatchNormalization()])
    before = [layer.call for layer in model.layers]

    def halfway() -> None:
        with as_trained(model, jnp.ones(3)):
            assert [layer.call for layer in model.layers] != before
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        halfway()
    assert [layer.call for layer in model.layers] == before
    assert not any("call" in vars(layer) for layer in model.layers)


def test_convolution_and_pooling_are_kerases() -> None:
    """Values and gradients, with odd sizes and equal values in a window."""
    model = keras.Sequential(
        [
            keras.Input((9, 7, 3)),
            keras.layers.Conv2D(5, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(6, (2, 1), strides=(2, 1), use_bias=False),
            keras.layers.MaxPooling2D((1, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    x = np.round(RNG.normal(size=(4, 9, 7, 3))).astype("float32")  # whole numbers: many are equal
    params = [v.value for v in model.trainable_variables]

    def loss(params: list[jax.Array], x: jax.Array) -> jax.Array:
        out: jax.Array = model.stateless_call(params, [], x, training=True)[0]
        return jnp.sum(jnp.sin(out))

    expected = jax.value_and_grad(loss, (0, 1))(params, jnp.asarray(x))
    with as_trained(model):
        found = jax.value_and_grad(loss, (0, 1))(params, jnp.asarray(x))
    for mine, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)
    broken = x.copy()
    broken[0, 0, 0, 0] = np.nan
    with as_trained(model):
        assert np.isnan(loss(params, jnp.asarray(broken)))
