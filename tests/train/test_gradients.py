"""The gradient check: silent about healthy models of many kinds, and it names what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.train.gradients import check_gradients

L = keras.layers
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(5, 3))
IMAGES = RNG.normal(size=(3, 6, 6, 2))
WORDS = RNG.integers(0, 7, size=(4, 5))


def dense(*layers: Any) -> keras.Model:
    return keras.Sequential([keras.Input((3,)), *layers, L.Dense(1)])


def images() -> keras.Model:
    return keras.Sequential([
        keras.Input((6, 6, 2)), L.Conv2D(3, 3, activation="relu"), L.BatchNormalization(), L.MaxPooling2D(),
        L.Flatten(), L.Dense(3, "softmax"),
    ])  # fmt: skip


def words() -> keras.Model:
    return keras.Sequential([keras.Input((5,), dtype="int32"), L.Embedding(7, 3), L.LSTM(4), L.Dense(1, "sigmoid")])


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((3,)), L.Dense(4, "gelu"), L.LayerNormalization()], name="inner")
    inputs = keras.Input((3,))
    both = L.Concatenate()([inner(inputs), inner(2.0 * inputs)])
    return keras.Model(inputs, [L.Dense(1, name="value")(both), L.Dense(1, "sigmoid", name="label")(both)])


def penalised() -> keras.Model:
    kept = dense(L.Dense(4, "tanh", kernel_regularizer="l2", bias_regularizer="l1", activity_regularizer="l1"))
    kept.layers[-1].trainable = False
    return kept


ONE = RNG.normal(size=(5, 1))
HEALTHY: dict[str, tuple[Callable[[], keras.Model], Any, Any, Any]] = {
    "tanh": (lambda: dense(L.Dense(4, "tanh")), TABLE, ONE, "mse"),
    "huber": (lambda: dense(L.Dense(4, "selu")), TABLE, ONE, keras.losses.Huber(0.3)),
    "a function": (lambda: dense(), TABLE, ONE, lambda y, p: keras.ops.mean((y - p) ** 4, axis=-1)),
    "batch norm, dropout": (
        lambda: dense(L.Dense(6, "relu"), L.BatchNormalization(), L.Dropout(0.4), L.GaussianNoise(0.1)),
        TABLE, ONE, "mse",
    ),
    "penalties": (penalised, TABLE, ONE, "mse"),
    "images": (images, IMAGES, np.array([0, 2, 1]), "sparse_categorical_crossentropy"),
    "words": (words, WORDS, np.array([0, 1, 1, 0]), "binary_crossentropy"),
    "nested, two outputs": (nested, TABLE, [ONE, (ONE > 0).astype(float)], ["mse", "binary_crossentropy"]),
}  # fmt: skip


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_models_pass_and_stay_as_they_are(name: str, training: bool) -> None:
    make, x, y, loss = HEALTHY[name]
    keras.utils.set_random_seed(1)
    model = make()
    before, policy = [np.array(v) for v in model.variables], keras.config.dtype_policy().name
    found = check_gradients(model, x, y, loss=loss, training=training, entries=6)
    assert found, str(found)
    assert [t.path for t in found.tensors] == [v.path.removeprefix(f"{model.name}/") for v in model.trainable_variables]
    assert max(t.error for t in found.tensors) < 1e-6
    assert found.passes_saved == 2 * sum(v.value.size for v in model.trainable_variables)
    for v, old in zip(model.variables, before, strict=True):
        assert v.dtype != "float64"
        np.testing.assert_array_equal(v, old)
    assert not model.compiled
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", policy)
    assert jnp.ones(1).dtype == jnp.float32


@jax.custom_vjp
def wrong_square(w: jax.Array) -> jax.Array:
    return w**2


def _forward(w: jax.Array) -> tuple[jax.Array, jax.Array]:
    return w**2, w


def _backward(w: jax.Array, back: jax.Array) -> tuple[jax.Array]:
    return (back * jnp.where(jnp.arange(3)[:, None] == 1, 2.02, 2.0) * w,)  # 1 % too much in row 1


wrong_square.defvjp(_forward, _backward)


class Squared(L.Layer):
    """Multiplies by the squares of its weights, whose derivative is wrong in one row."""

    def build(self, shape: Any) -> None:
        self.factor = self.add_weight(shape=(shape[-1], 2), initializer="ones", name="factor")

    def call(self, x: Any) -> Any:
        return x @ wrong_square(jnp.asarray(self.factor))


@pytest.mark.parametrize("before", [[], [L.BatchNormalization]], ids=["first", "behind batch norm"])
def test_a_wrong_derivative_is_named(before: list[Any]) -> None:
    model = keras.Sequential([keras.Input((3,)), *(make() for make in before), Squared(name="squared"), L.Dense(1)])
    found = check_gradients(model, TABLE, ONE, loss="mse", entries=None, training=True)
    assert [t.path for t in found.failed] == ["squared/factor"]
    (bad,) = found.failed
    assert bad.worst[0] == 1
    assert bad.checked == 6
    np.testing.assert_allclose(bad.gradient / bad.difference, 1.01, rtol=1e-6)
    assert 1e-4 < bad.error < 1e-2
    assert not found
    assert "WRONG  squared/factor" in str(found)
    assert f"at {list(bad.worst)} backpropagation gives" in str(found)


def test_a_derivative_that_is_not_a_number_fails() -> None:
    class Root(L.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(3, 1), initializer="zeros", name="w")

        def call(self, x: Any) -> Any:
            return x @ keras.ops.sqrt(self.w * self.w)  # 0 / 0

    found = check_gradients(keras.Sequential([keras.Input((3,)), Root(name="root")]), TABLE, ONE, loss="mse")
    assert [t.path for t in found.failed] == ["root/w"]
    assert np.isnan(found.failed[0].error)


def test_a_kink_right_at_the_weights_is_no_mistake() -> None:
    model = dense(L.Dense(4, "relu", kernel_initializer="zeros"))  # every unit is at 0, where relu has no derivative
    assert check_gradients(model, TABLE, ONE, loss="mae", entries=None)


def test_a_compiled_loss_weights_and_classes_of_the_users_own() -> None:
    class Own(keras.Model):
        def __init__(self, units: int = 2) -> None:
            super().__init__()
            self.units, self.hidden, self.out = units, L.Dense(units, "tanh"), L.Dense(1)

        def get_config(self) -> Any:
            return {"units": self.units}

        def call(self, x: Any) -> Any:
            return self.out(self.hidden(x))

    model = Own(units=3)
    model.compile(loss="mse")
    weight = np.linspace(0.0, 2.0, 5)
    found = check_gradients(model, TABLE, ONE, sample_weight=weight)
    assert found
    expected = np.mean(weight * (np.asarray(model(TABLE))[:, 0] - ONE[:, 0]) ** 2)
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)
    assert found.to_dict()["passed"] is True


def test_entries_are_drawn_by_the_seed() -> None:
    model = dense(L.Dense(30))
    worst = [check_gradients(model, TABLE, ONE, loss="mse", entries=2, seed=seed).tensors[0] for seed in (1, 1, 2)]
    assert worst[0] == worst[1]
    assert worst[0] != worst[2]


def test_what_cannot_be_checked_is_told() -> None:
    class Closed(keras.Model):
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.layer = layer[0]

        def call(self, x: Any) -> Any:
            return self.layer(x)

        def get_config(self) -> Any:
            raise NotImplementedError("no config")

    with pytest.raises(InputError, match=r"cannot be copied.*no config.*get_config"):
        check_gradients(Closed([L.Dense(1)]), TABLE, ONE, loss="mse")
    single = dense(L.Dense(2), L.Lambda(lambda x: keras.ops.cast(keras.ops.cast(x, "float32") ** 2, x.dtype)))
    with pytest.raises(InputError, match=r"computes in float32.*compute_dtype"):
        check_gradients(single, TABLE, ONE, loss="mse")
    with pytest.raises(InputError, match="no trainable weights"):
        check_gradients(keras.Sequential([keras.Input((3,)), L.Flatten()]), TABLE, ONE, loss="mse")
    for wrong in ({"entries": 0}, {"tolerance": 0.0}, {"entries": True}):
        with pytest.raises(InputError, match="is not allowed"):
            fl.check_gradients(dense(), TABLE, ONE, loss="mse", **wrong)
