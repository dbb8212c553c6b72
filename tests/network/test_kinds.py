"""LeNet-5, radial units and autoencoders: their sizes, their forward pass, their start, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import fallline as fl
from fallline.data import Preparation
from fallline.data.derived import as_pixels, flat_images, reconstruction_problem
from fallline.data.problem import make_problem
from fallline.errors import DataError, InputError, RecipeError
from fallline.network import build_network
from fallline.network.export import Finish
from fallline.network.rbf import centres_and_widths
from fallline.recipe import default, override
from fallline.train.prediction import apply_model
from fallline.types import NetworkRecipe, Recipe
from tests.network.members import exported, stirred

IMAGE = NetworkRecipe(
    kind="lenet5", image=(13, 12, 2), hidden=(7, 4), activation="tanh", initializer="glorot_uniform", embedding="none",
    dropout=0.1,
)  # fmt: skip


@pytest.mark.parametrize(("normalization", "k"), [("none", 1), ("batch", 2), ("layer", 2), ("group", 1)])
def test_lenet5_is_exported_as_its_members_average(normalization: str, k: int) -> None:
    recipe = replace(IMAGE, normalization=normalization, groups=2, hidden=(8, 4))
    images = np.random.default_rng(0).normal(size=(20, 13, 12, 2))
    images[:, 0, 0] = 3.0  # pixels that never change keep their place
    problem = as_pixels(make_problem(images.reshape(20, -1), np.arange(20) % 3, kind="multiclass"))
    fitted = Preparation.fit(problem, np.arange(15), channels=2)
    raw = fitted.raw(images)
    network = build_network(recipe, features=fitted.n_features, numbers=fitted.n_numeric, outputs=3)
    model, expected = exported(network, recipe, stirred(network, k, by=0.1), fitted, raw, Finish("multiclass"))
    np.testing.assert_allclose(apply_model(model, raw), expected, atol=2e-5)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)


def test_the_pixels_of_a_channel_are_scaled_together() -> None:
    images = np.random.default_rng(0).normal(size=(40, 12, 12, 2)) * [1.0, 50.0] + [0.0, 7.0]
    problem = as_pixels(make_problem(images.reshape(40, -1), np.arange(40) % 2, kind="binary"))
    recipe = fl.default_recipe("simple").prepare
    fitted = Preparation.fit(problem, np.arange(30), recipe, channels=2)
    for channel in range(2):
        own = images[:30, ..., channel]
        np.testing.assert_allclose(fitted.numeric_center[channel::2], own.mean(), rtol=1e-5)
        np.testing.assert_allclose(fitted.numeric_scale[channel::2], 1 / own.std(), rtol=1e-5)


def test_lenet5_has_the_sizes_of_the_paper() -> None:
    shapes = [tuple(v.shape) for v in fl.networks.lenet5().trainable_variables if v.path.endswith("kernel")]
    assert shapes == [(5, 5, 1, 6), (5, 5, 6, 16), (400, 120), (120, 84), (84, 10)]
    network = build_network(replace(IMAGE, image=(28, 28, 1), hidden=(120, 84)), features=784, numbers=784, outputs=10)
    assert sum(int(np.prod(v.shape)) for v in network.model.trainable_variables) == 61_706


def small(*changes: str) -> Recipe:
    usual = {"split.folds": "1", "ensemble.members": "1", "training.epochs": "3", "training.batch_size": "16"}
    chosen = usual | dict(change.split("=", 1) for change in changes)
    return override(default(), [f"{name}={value}" for name, value in chosen.items()])


def test_images_train_lenet5_and_are_predicted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(60, 12, 12, 1)).astype(np.float32)
    labels = np.where(images[:, :6].mean(axis=(1, 2, 3)) > 0, "up", "down")
    run = fl.train(small("network.kind=lenet5", "training.epochs=8"), images, labels, verbose=0, watch=False)
    assert run.recipe is not None
    assert run.recipe.network.image == (12, 12, 1)
    assert run.trace.curve("loss")[-1] < run.trace.curve("loss")[0]
    np.testing.assert_array_equal(run.predict(images), run.predict(images.reshape(60, -1)))
    table = fl.train(small("network.kind=lenet5", "network.image=[12,12,1]", "training.epochs=1"),
                     images.reshape(60, -1), labels, verbose=0, watch=False)  # fmt: skip
    assert table.outcome == "completed"
    run.save(tmp_path / "run")
    np.testing.assert_array_equal(fl.load(tmp_path / "run").predict(images), run.predict(images))


@pytest.mark.parametrize(
    ("changes", "x", "says"),
    [
        (["network.image=[28,28,1]"], np.zeros((30, 50)) + np.arange(30)[:, None], "784 pixels"),
        ([], np.random.default_rng(0).normal(size=(30, 144)), "says nothing of their size"),
        (["network.image=[20,20,1]"], np.zeros((30, 12, 12)), "holds images of"),
        ([], np.zeros((30, 2, 2, 2, 2)), "images are arrays"),
    ],
)
def test_what_is_no_image_is_refused(changes: list[str], x: np.ndarray, says: str) -> None:
    with pytest.raises((RecipeError, DataError, InputError), match=says):
        fl.train(small("network.kind=lenet5", *changes), x, np.arange(30) % 2, verbose=0, watch=False)


def test_all_that_contradicts_a_kind_is_said_together() -> None:
    with pytest.raises(RecipeError) as caught:
        override(default(), ["network.kind=rbf", "network.hidden=[5,5]", "normalization=batch", "activation=relu",
                             "network.image=[28,28,1]"])  # fmt: skip
    assert len(caught.value.mistakes) == 4
    with pytest.raises(RecipeError, match="too small"):
        override(default(), ["network.kind=lenet5", "network.image=[8,8,1]"])
    with pytest.raises(RecipeError, match="does not divide"):
        override(default(), ["network.hidden=[6,10]", "normalization=group", "groups=3"])


# ------------------------------------------------------------------------------------------------- radial units


def test_centres_are_those_of_kmeans_and_widths_the_distance_to_the_nearest_two() -> None:
    from sklearn.cluster import KMeans

    x = np.random.default_rng(0).normal(size=(200, 3)) + np.repeat(np.eye(3) * 20, [70, 70, 60], axis=0)
    centres, widths = centres_and_widths(x, 3, 5)
    best = KMeans(3, n_init=10, random_state=0).fit(x).cluster_centers_
    np.testing.assert_allclose(centres[centres[:, 0].argsort()], best[best[:, 0].argsort()], atol=1e-4)
    distance = np.linalg.norm(centres[:, None] - centres, axis=-1)
    np.testing.assert_allclose(widths, (distance.sum(axis=1)) / 2, rtol=1e-5)


def test_more_centres_than_rows_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(RecipeError, match="more centres than the 24 training rows"):
        fl.train(small("network.kind=rbf", "network.hidden=[40]"), x, x[:, 0], verbose=0, watch=False)
    with pytest.raises(InputError, match="different training rows"):
        centres_and_widths(np.repeat(x[:4], 5, axis=0), 5, 0)


def test_radial_units_learn_a_ring_that_no_line_parts() -> None:
    x = np.random.default_rng(0).normal(size=(300, 2))
    y = np.where(np.linalg.norm(x, axis=1) > 1.2, "out", "in")
    run = fl.train(small("network.kind=rbf", "network.hidden=[20]", "training.epochs=40", "learning_rate=0.02"), x, y,
                   verbose=0, watch=False)  # fmt: skip
    assert (run.predict(x) == y).mean() > 0.9


def test_the_builder_of_radial_units_computes_its_formula(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    model = fl.networks.rbf(x, 2, centres=7, seed=3)
    centres, widths = centres_and_widths(x, 7, 3)
    answer = np.exp(-np.square(x[:, None] - centres).sum(axis=-1) / (2 * widths**2))
    kernel, bias = model.get_layer("output").get_weights()
    np.testing.assert_allclose(model(x), answer @ kernel + bias, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "rbf.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "rbf.keras")(x), model(x), rtol=1e-6)


# --------------------------------------------------------------------------------------------------- autoencoder


def test_an_autoencoder_with_two_units_finds_the_plane_that_the_data_lie_in() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5))
    changes = ("network.kind=autoencoder", "network.hidden=[2]", "activation=linear", "training.epochs=60",
               "learning_rate=0.02", "prepare.clip=0", "prepare.numeric=standard")  # fmt: skip
    run = fl.train(small(*changes), x, verbose=0, watch=False)
    assert run.facts["kind"] == "multioutput"
    assert np.square(run.predict(x) - x).mean() < 0.05 * x.var()
    with pytest.raises(RecipeError, match="reproduces its inputs"):
        fl.train(small(*changes), x, x[:, 0], verbose=0, watch=False)


def test_what_cannot_be_reproduced_is_refused() -> None:
    with pytest.raises(DataError, match="'name', 'gap', 'same'"):
        reconstruction_problem({"a": [1.0, 2.0], "name": ["u", "v"], "gap": [1.0, None], "same": [3.0, 3.0]})


def test_a_plain_autoencoder_trains_as_any_keras_model() -> None:
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    model = fl.networks.autoencoder(6, hidden=(5, 2), input_noise=0.1)
    run = fl.train(model, x, x, epochs=20, early_stopping=False, verbose=0, watch=False)
    assert run.trace.curve("loss")[-1] < run.trace.curve("loss")[0]
    code = keras.Model(model.input, model.get_layer("code").output)
    assert code(x).shape == (50, 2)


# ------------------------------------------------------------------------------------------------------ builders


def test_builders_collect_every_mistake() -> None:
    with pytest.raises(InputError) as caught:
        fl.networks.mlp(0, 1, hidden=(3, -1), activation="rellu", normalization="bach", dropout=2.0)
    text = str(caught.value)
    for part in ("features", "hidden", "'relu'", "normalization", "dropout"):
        assert part in text


def test_a_perceptron_is_drawn_by_what_suits_its_activation() -> None:
    for activation, sd in (("relu", np.sqrt(2 / 400)), ("lecun_tanh", np.sqrt(1 / 400)), ("tanh", np.sqrt(2 / 600))):
        model = fl.networks.mlp(400, 1, hidden=(200,), activation=activation, seed=1)
        assert np.asarray(model.get_layer("hidden_1").kernel).std() == pytest.approx(sd, rel=0.02)
    again = fl.networks.mlp(400, 1, hidden=(200,), activation="tanh", seed=1)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_images_of_two_shapes_become_rows() -> None:
    images = np.arange(2 * 3 * 4 * 2).reshape(2, 3, 4, 2)
    rows, image = flat_images(images)
    assert image == (3, 4, 2)
    np.testing.assert_array_equal(rows.reshape(images.shape), images)


# ---------------------------------------------------------------------------------------------------------- LSUV


def test_after_lsuv_every_layer_gives_variance_one() -> None:
    x = np.random.default_rng(0).normal(size=(300, 12, 12, 1)) * 9 + 4
    model = fl.networks.lenet5((12, 12, 1), 3, activation="tanh", output="linear", normalization="none")
    assert fl.lsuv(model, x, rows=300) is model
    for name in ("convolution_1", "convolution_2", "hidden_1", "hidden_2", "output"):
        before = keras.Model(model.input, model.get_layer(name).output)
        assert np.asarray(before(x)).std() == pytest.approx(1.0, abs=1e-3)


def test_a_recipe_starts_by_lsuv_on_the_members_own_rows() -> None:
    recipe = NetworkRecipe(hidden=(9, 7), activation="relu", initializer="lsuv", embedding="none", dropout=0.0)
    network = build_network(recipe, features=5, numbers=5, outputs=2)
    x = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32) * [1, 5, 1, 0.1, 2]
    trainable, _ = network.initial(3, x)
    for name in ("hidden_1", "hidden_2", "output"):
        looked = keras.Model(network.model.input, network.model.get_layer(name).output)
        place = {v.path: w for v, w in zip(network.model.trainable_variables, trainable, strict=True)}
        out = looked.stateless_call([place[v.path] for v in looked.trainable_variables], [], x)[0]
        assert np.asarray(out).std() == pytest.approx(1.0, abs=1e-4)
    kernel = trainable[[v.path for v in network.model.trainable_variables].index("hidden_2/kernel")]
    gram = kernel.T @ kernel
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(7), atol=1e-5)


def test_lsuv_says_what_it_cannot_scale() -> None:
    model = fl.networks.mlp(3, 1)
    with pytest.raises(InputError, match="standard deviation 0"):
        fl.lsuv(model, np.zeros((20, 3)))
    with pytest.raises(InputError, match="no layer with a kernel"):
        fl.lsuv(keras.Sequential([keras.Input((3,)), keras.layers.Activation("relu")]), np.ones((5, 3)))
