"""The loss around a model's weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.train.landscape import filter_normalised

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 2)).astype(np.float32)
Y = (X @ [[1.0], [-2.0]] + 0.5).astype(np.float32)


def linear(kernel=(1.0, -2.0), bias=0.5) -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.set_weights([np.array(kernel, np.float32)[:, None], np.array([bias], np.float32)])
    return model


def test_a_line_of_a_linear_model_is_its_parabola() -> None:
    model, other = linear(), linear((3.0, 0.0), -0.5)
    found = fl.loss_landscape(model, X, Y, directions="line", to=other, span=0.5, points=9)
    d = X.astype(float) @ [[2.0], [2.0]] - 1.0
    expected = [(np.square(a * d)).mean() for a in np.linspace(-0.5, 1.5, 9)]
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5, atol=1e-9)
    assert found.lowest == (0.0,)
    same = fl.loss_landscape(model, X, Y, directions="line", to=other.get_weights(), span=0.5, points=9)
    assert np.array_equal(found.losses, same.losses)


def test_filters_keep_their_norms_and_biases_stay() -> None:
    kernel = rng.normal(size=(3, 3, 2, 4))
    way = filter_normalised([kernel, np.ones(4)], np.random.default_rng(1))
    np.testing.assert_allclose(
        np.linalg.norm(way[0].reshape(-1, 4), axis=0), np.linalg.norm(kernel.reshape(-1, 4), axis=0)
    )
    assert not way[1].any()


def test_a_random_plane_has_the_models_loss_at_its_centre_and_leaves_the_model_alone() -> None:
    model = fl.networks.mlp(2, 1, hidden=(5,), normalization="batch")
    model.compile(loss="mae")
    before = model.get_weights()
    found = fl.loss_landscape(model, X, Y, points=5, seed=3)
    assert found.losses.shape == (5, 5)
    np.testing.assert_allclose(found.losses[2, 2], np.abs(model.predict(X, verbose=0) - Y).mean(), rtol=1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert fl.loss_landscape(model, X, Y, points=5, dimensions=1, loss="mse").losses.shape == (5,)


def test_a_penalty_is_part_of_it() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.1))])
    model.set_weights(linear().get_weights())
    found = fl.loss_landscape(model, X, Y, points=3, dimensions=1)
    assert found.losses[1] == pytest.approx(0.5, rel=1e-5)  # 0.1 (1 + 4)


def test_the_plane_of_a_path_holds_a_path_that_lies_in_a_plane() -> None:
    path = [linear((1.0 + a, -2.0 + 2 * a), 0.5).get_weights() for a in (2.0, 1.0, 0.5)]
    found = fl.loss_landscape(linear(), X, Y, directions="trajectory", path=path, span=0.2, points=7)
    assert found.explained[0] == pytest.approx(1.0)
    assert found.path is not None
    np.testing.assert_allclose(np.abs(found.path[:, 0]), np.sqrt(5) * np.array([2, 1, 0.5, 0]), atol=1e-5)


def test_a_loss_that_is_no_number_is_infinite() -> None:
    found = fl.loss_landscape(linear((1e30, 1e30)), X, Y, points=3, dimensions=1)
    assert np.isinf(found.losses).any()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"directions": "randm"}, "Did you mean"),
        ({"directions": "line"}, "to belongs"),
        ({"path": [[], []]}, "path belongs"),
        ({"points": 2, "span": 0.0}, r"span = 0.0.*points = 2"),
        ({"directions": "line", "to": [np.ones(3)]}, "shapes"),
        ({"dimensions": 3}, "1 or 2"),
    ],
)
def test_mistakes_are_told_together(given, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fl.loss_landscape(linear(), X, Y, **given)
