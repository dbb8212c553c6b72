"""Pre-training: contrastive divergence against exact gradients, Jacobians, layers that learn, recipes."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError, RecipeError
from fallline.network.pretraining import KINDS, contraction, pretrain_layer
from fallline.network.rbm import Machine, cd_gradient, train_rbm
from fallline.recipe import default, override
from fallline.types import PretrainingRecipe

RNG = np.random.default_rng(0)
TINY = Machine(RNG.normal(size=(4, 3)) * 0.7, RNG.normal(size=4) * 0.3, RNG.normal(size=3) * 0.3)
STATES = np.array(list(itertools.product([0.0, 1.0], repeat=4)))


def free_energy(machine: Machine, v: np.ndarray) -> np.ndarray:
    """-log sum_h exp(-E(v, h)) of binary units."""
    inputs = v @ np.asarray(machine.weights) + np.asarray(machine.hidden)
    return -v @ np.asarray(machine.visible) - np.logaddexp(0, inputs).sum(axis=1)


def log_likelihood(machine: Machine, v: np.ndarray) -> float:
    energies = free_energy(machine, STATES)
    return float((-free_energy(machine, v)).mean() - np.log(np.exp(-energies).sum()))


def exact_gradient(machine: Machine, v: np.ndarray) -> Machine:
    """E_data - E_model of v h', v and h, over all 16 visible states."""
    p = np.exp(-free_energy(machine, STATES))
    p /= p.sum()

    def hidden(v: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(v @ np.asarray(machine.weights) + np.asarray(machine.hidden))))

    def moments(v: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
        return (v * weight[:, None]).T @ hidden(v), weight @ v, weight @ hidden(v)

    data, model = moments(v, np.full(len(v), 1 / len(v))), moments(STATES, p)
    return Machine(*(a - b for a, b in zip(data, model, strict=True)))


def test_the_exact_gradient_is_that_of_the_likelihood() -> None:
    v, step = STATES[[3, 5, 5, 12]], 1e-6
    for name in Machine._fields:
        found, theirs = np.zeros_like(getattr(TINY, name)), np.asarray(getattr(exact_gradient(TINY, v), name))
        for index in np.ndindex(found.shape):
            sides = []
            for sign in (1, -1):
                moved = np.array(getattr(TINY, name))
                moved[index] += sign * step
                sides.append(log_likelihood(TINY._replace(**{name: moved}), v))
            found[index] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(found, theirs, atol=1e-8)


def test_contrastive_divergence_of_many_steps_is_the_exact_gradient() -> None:
    v = STATES[[3, 5, 5, 12]]
    many = np.tile(v, (10_000, 1)).astype(np.float32)
    machine = Machine(*(jnp.asarray(part, jnp.float32) for part in TINY))
    gaps = {}
    for steps in (1, 60):
        found = cd_gradient(machine, many, jax.random.key(0), steps, False)
        pairs = zip(found, exact_gradient(TINY, v), strict=True)
        gaps[steps] = max(float(np.abs(np.asarray(a) - b).max()) for a, b in pairs)
    assert gaps[60] < 4 * 0.5 / np.sqrt(len(many)) + 2e-3  # four standard errors of a mean of 0/1
    assert gaps[1] > 3 * gaps[60]  # one step is biased towards the data


def test_a_machine_trained_by_cd_makes_its_rows_likely() -> None:
    rows = np.repeat([[1, 1, 0, 0], [0, 0, 1, 1]], 50, axis=0).astype(np.float32)
    start = Machine(RNG.normal(size=(4, 3)) * 0.01, np.zeros(4), np.zeros(3))
    trained = train_rbm(start, rows, epochs=300, rate=0.2, batch=20, steps=1, gaussian=False, seed=0)
    assert log_likelihood(start, rows) < -2.7  # log(1/16) = -2.77
    assert log_likelihood(Machine(*map(np.asarray, trained)), rows) > -1.2  # at best log(1/2) = -0.69


def test_gaussian_units_learn_where_the_numbers_lie() -> None:
    rows = RNG.normal([2.0, -1.0, 0.5], size=(400, 3)).astype(np.float32)
    start = Machine(np.zeros((3, 2)), np.zeros(3), np.zeros(2))
    trained = train_rbm(start, rows, epochs=60, rate=0.05, batch=50, steps=1, gaussian=True, seed=0)
    hidden = 1 / (1 + np.exp(-(rows @ trained.weights + trained.hidden)))
    center = (trained.visible + hidden @ trained.weights.T).mean(axis=0)
    np.testing.assert_allclose(center, rows.mean(axis=0), atol=0.2)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "mish"])
def test_the_contraction_is_the_norm_of_the_jacobian(name: str) -> None:
    activation = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "mish": jax.nn.mish}[name]
    w, c, x = (jnp.asarray(RNG.normal(size=shape)) for shape in ((4, 3), (3,), (5, 4)))
    jacobians = jax.vmap(jax.jacobian(lambda row: activation(row @ w + c)))(x)
    np.testing.assert_allclose(contraction(w, x @ w + c, activation), jnp.square(jacobians).sum(axis=(1, 2)), rtol=1e-4)


def test_a_linear_layer_of_two_units_finds_the_plane_of_its_inputs() -> None:
    x = (RNG.normal(size=(300, 2)) @ RNG.normal(size=(2, 5))).astype(np.float32)
    kernel = (RNG.normal(size=(5, 2)) * 0.3).astype(np.float32)
    settings = PretrainingRecipe("autoencoder", layer_epochs=200, layer_rate=0.01)
    found, _ = pretrain_layer(x, kernel, np.zeros(2, np.float32), lambda z: z, settings, seed=0, first=True)
    axes = np.linalg.svd(x, full_matrices=False)[2][:2].T
    span = np.linalg.qr(found)[0]
    # All cosines between the two planes near 1: what PCA finds (Bourlard & Kamp 1988).
    encoded = np.column_stack([x @ found, np.ones(len(x))])
    rest = x - encoded @ np.linalg.lstsq(encoded, x, rcond=None)[0]
    assert np.square(rest).sum() < 1e-3 * np.square(x).sum()
    assert span.shape == axes.shape


def test_a_penalty_on_the_jacobian_contracts() -> None:
    x = RNG.normal(size=(200, 6)).astype(np.float32)
    kernel = (RNG.normal(size=(6, 4)) * 0.4).astype(np.float32)
    norms = {}
    for strength in (0.0, 5.0):
        settings = PretrainingRecipe("contractive", layer_epochs=60, layer_rate=0.01, contraction=strength)
        w, c = pretrain_layer(x, kernel, np.zeros(4, np.float32), jax.nn.sigmoid, settings, seed=0, first=True)
        norms[strength] = float(contraction(jnp.asarray(w), x @ w + c, jax.nn.sigmoid).mean())
    assert norms[5.0] < 0.5 * norms[0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_the_hidden_layers_of_a_table(kind: str) -> None:
    x = np.random.default_rng(0).normal(size=(80, 4))
    base = ["network.hidden=[6,5]", "activation=sigmoid", "ensemble.members=2", "split.folds=2", "training.epochs=2",
            "dropout=0"]  # fmt: skip
    chosen = [f"pretraining.method={kind}", "pretraining.layer_epochs=3"]
    runs = [
        fl.train(override(default(), [*base, *more]), x, np.where(x[:, 0] > 0, "a", "b"), verbose=0, watch=False)
        for more in ([], chosen, chosen)
    ]
    weights = [[np.asarray(v.value) for v in run.model.weights] for run in runs]
    assert any(not np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    for a, b in zip(weights[1], weights[2], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_the_hidden_layers_of_a_keras_model(kind: str) -> None:
    x = RNG.normal(size=(60, 4)).astype(np.float32)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, "sigmoid"), keras.layers.Dense(3, "sigmoid"), keras.layers.Dense(2)]
    )
    before = [w.copy() for w in model.get_weights()]
    y: Any = (x[:, 0] > 0).astype(int) if kind == "supervised" else None
    assert fl.pretrain(model, x, y, kind=kind, epochs=2) is model
    after = model.get_weights()
    assert all(not np.array_equal(a, b) for a, b in zip(before[:4:2], after[:4:2], strict=True))
    np.testing.assert_array_equal(before[4], after[4])


def test_supervised_layers_already_tell_the_classes_apart() -> None:
    x = RNG.normal(size=(300, 5)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    model = fl.networks.mlp(5, 1, hidden=(16, 8), activation="tanh", seed=0)

    def linear_accuracy() -> float:
        from sklearn.linear_model import LogisticRegression

        inside = np.asarray(keras.Model(model.input, model.get_layer("activation_2").output)(x))
        return float(LogisticRegression().fit(inside, y).score(inside, y))

    before = linear_accuracy()
    fl.pretrain(model, x, y, kind="supervised", epochs=100, learning_rate=0.01)
    assert linear_accuracy() > max(0.8, before)


def test_what_pre_training_cannot_do_is_said() -> None:
    with pytest.raises(RecipeError) as caught:
        override(default(), ["pretraining.method=rbm", "silenced=0.5", "network.hidden=[]", "activation=relu"])
    assert len(caught.value.mistakes) == 3
    with pytest.raises(RecipeError, match="dense hidden layers"):
        override(default(), ["pretraining.method=denoising", "network.kind=rbf"])
    model = fl.networks.mlp(3, 1)
    for keywords, says in (
        ({"kind": "rbn"}, "Did you mean 'rbm'"),
        ({"kind": "rbm"}, "answer by a sigmoid"),
        ({"kind": "supervised"}, "y belongs to"),
    ):
        with pytest.raises(InputError, match=says):
            fl.pretrain(model, np.zeros((5, 3)), **keywords)  # type: ignore[arg-type]
