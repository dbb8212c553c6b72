"""The terms of a table's loss against float64 NumPy and scikit-learn: losses, targets, penalties, activities."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from sklearn.metrics import hinge_loss

import fallline as fl
from fallline.errors import RecipeError
from fallline.network import build_network
from fallline.recipe import check, default, override
from fallline.recipe.resolve import resolve
from fallline.train.losses import row_losses
from fallline.train.prepared import NUMBERS
from fallline.train.table_task import ProgramKey, table_program
from fallline.types import NetworkRecipe, OptimizerRecipe, ProblemKind, Recipe, TrainingRecipe

RNG = np.random.default_rng(0)


def test_hinge_is_scikit_learns() -> None:
    z, y = RNG.normal(size=(50, 1)) * 2, RNG.integers(0, 2, 50)
    mine = row_losses("binary", "hinge")(jnp.asarray(z), jnp.asarray(y))
    assert float(mine.mean()) == pytest.approx(hinge_loss(y, z[:, 0]), rel=1e-5)
    z, y = RNG.normal(size=(50, 4)) * 2, RNG.integers(0, 4, 50)
    mine = row_losses("multiclass", "hinge")(jnp.asarray(z), jnp.asarray(y))
    assert float(mine.mean()) == pytest.approx(hinge_loss(y, z, labels=range(4)), rel=1e-5)
    z, y = RNG.normal(size=(50, 3)), RNG.integers(0, 2, (50, 3))
    mine = row_losses("multilabel", "hinge")(jnp.asarray(z), jnp.asarray(y))
    assert float(mine.mean()) == pytest.approx(np.maximum(0, 1 - (2 * y - 1) * z).mean(), rel=1e-5)


UNITS: dict[tuple[str, str], tuple[Any, float, float]] = {
    ("sigmoid", "inside"): (lambda z: 1 / (1 + np.exp(-z)), 0.1, 0.9),
    ("sigmoid", "asymptotes"): (lambda z: 1 / (1 + np.exp(-z)), 0.0, 1.0),
    ("lecun_tanh", "inside"): (lambda z: 1.7159 * np.tanh(2 * z / 3), -1.0, 1.0),
    ("lecun_tanh", "asymptotes"): (lambda z: 1.7159 * np.tanh(2 * z / 3), -1.7159, 1.7159),
}


@pytest.mark.parametrize(("output", "values"), UNITS)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_bounded_outputs_are_to_reach_their_targets(output: str, values: str, kind: ProblemKind) -> None:
    unit, low, high = UNITS[output, values]
    z = RNG.normal(size=(20, 1 if kind == "binary" else 3))
    y = RNG.integers(0, 3, 20) if kind == "multiclass" else RNG.integers(0, 2, z.shape)
    present = np.eye(3)[y] if kind == "multiclass" else y
    expected = np.square(unit(z) - np.where(present == 1, high, low)).mean(axis=1)
    mine = row_losses(kind, "mse", output=output, target_values=values)(jnp.asarray(z), jnp.asarray(y))
    np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("changes", [["training.loss=hinge"], ["training.loss=mse", "network.output=sigmoid"],
                                     ["training.loss=mse", "network.output=lecun_tanh"]])  # fmt: skip
def test_labels_are_learned_by_hinge_and_by_bounded_outputs(changes: list[str]) -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = np.select([x[:, 0] > 0.5, x[:, 1] > 0.5], ["a", "b"], "c")
    base = ["split.folds=1", "ensemble.members=1", "network.hidden=[16]", "training.epochs=40", "learning_rate=0.02"]
    run = fl.train(override(default(), base + changes), x, y, verbose=0, watch=False)
    p = run.predict_proba(x)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    assert (run.predict(x) == y).mean() > 0.7  # guessing: 0.5


def test_what_a_loss_or_an_output_does_not_fit_is_said() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(RecipeError, match="compares classes"):
        fl.train(override(default(), ["training.loss=hinge"]), x, x[:, 0], verbose=0, watch=False)
    with pytest.raises(RecipeError, match="bounded, for labels"):
        fl.train(override(default(), ["training.loss=mse", "network.output=sigmoid"]), x, x[:, 0], verbose=0)
    with pytest.raises(RecipeError) as caught:
        override(default(), ["network.output=sigmoid", "training.target_values=asymptotes", "label_smoothing=0.1",
                             "training.loss=huber"])  # fmt: skip
    assert len(caught.value.mistakes) == 2


def program(network: NetworkRecipe, optimizer: OptimizerRecipe) -> Any:
    training = TrainingRecipe(epochs=1, batch_size=8, loss="mse")
    recipe = check(Recipe(network=network, optimizer=optimizer, training=training))
    resolved = resolve(recipe, kind="regression", n_rows=100, n_features=3, n_outputs=1)
    return table_program(ProgramKey(resolved, "regression", 3, 3, 1, 1, True))


def test_penalties_on_weights_and_activities_are_the_sums_of_their_formulas() -> None:
    network = NetworkRecipe(hidden=(4, 5), activation="tanh", initializer="glorot_uniform", embedding="none",
                            dropout=0.0, skip=True)  # fmt: skip
    numbers = dict.fromkeys(NUMBERS, 0.0) | {"l2": 0.3, "l1": 0.2, "activity_l2": 0.05, "activity_l1": 0.07}
    optimizer = OptimizerRecipe(l2=0.3, l1=0.2, activity_l2=0.05, activity_l1=0.07, penalty_factors=(1.0, 0.5, 2.0))
    made = program(network, optimizer)
    params, aux = made.network.initial(3)
    params = [p + 0.1 for p in params]
    x, y = RNG.normal(size=(6, 3)).astype(np.float32), RNG.normal(size=6).astype(np.float32)
    weight = np.array([1.5, 1.5, 1.5, 1.5, 0.0, 0.0], np.float32)  # two rows of padding
    value, _ = made.population.task.loss(params, aux, {k: jnp.asarray(v) for k, v in numbers.items()}, x, y, weight)

    w = {v.path: np.asarray(p, np.float64) for v, p in zip(made.network.model.trainable_variables, params, strict=True)}
    h1 = np.tanh((x * w["scale/scale"]) @ w["hidden_1/kernel"] + w["hidden_1/bias"])
    h2 = np.tanh(h1 @ w["hidden_2/kernel"] + w["hidden_2/bias"])
    out = (h2 @ w["output/kernel"] + w["output/bias"] + x @ w["skip/kernel"])[:, 0]
    factors = {"hidden_1": 1.0, "hidden_2": 0.5, "output": 2.0, "skip": 2.0}
    expected = np.square(out - y)[:4].mean()
    for name, factor in factors.items():
        kernel = w[f"{name}/kernel"]
        expected += factor * (0.15 * np.square(kernel).sum() + 0.2 * np.abs(kernel).sum())
    for h in (h1[:4], h2[:4]):
        expected += (0.025 * np.square(h).sum(axis=1) + 0.07 * np.abs(h).sum(axis=1)).mean()
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["mlp", "rbf", "lenet5"])
def test_looking_inside_a_network_keeps_the_order_of_its_weights(kind: str) -> None:
    radial = kind == "rbf"
    recipe = NetworkRecipe(
        kind=kind,
        hidden=(6,) if radial else (6, 4),
        activation="relu",
        initializer="he_normal",
        embedding="none",
        dropout=0.1,
        normalization="none" if radial else "batch",
        image=(12, 12, 1) if kind == "lenet5" else (),
        input_noise=0.1,
        hidden_noise=0.1,
    )
    network = build_network(recipe, features=144, numbers=144, outputs=2)
    for part in ("trainable_variables", "non_trainable_variables"):
        assert [v.path for v in getattr(network.inside, part)] == [v.path for v in getattr(network.model, part)]
    assert len(network.inside.outputs) == 1 + {"mlp": 2, "rbf": 1, "lenet5": 4}[kind]


def test_decoupled_decay_follows_the_layers_factors() -> None:
    network = NetworkRecipe(hidden=(4,), activation="tanh", initializer="glorot_uniform", embedding="none", dropout=0.0,
                            skip=False, input_scale=False, rate_per_layer=False)  # fmt: skip
    made = program(network, OptimizerRecipe(name="adamw", penalty_factors=(0.0, 3.0)))
    params = [jnp.asarray(p) + 0.5 for p in made.network.initial(0)[0]]
    numbers = {k: jnp.asarray(v) for k, v in (dict.fromkeys(NUMBERS, 0.5) | {"weight_decay": 0.1}).items()}
    zero = jax.tree.map(jnp.zeros_like, params)
    moved, _ = made.optimizer.update(zero, made.optimizer.init(params), params, numbers, jnp.asarray(1.0))
    shares = [float(jnp.max(jnp.abs(1 - b / a))) for a, b in zip(params, moved, strict=True)]
    names = [v.path for v in made.network.model.trainable_variables]
    expected = {"hidden_1/kernel": 0.0, "output/kernel": 0.5 * 0.1 * 3.0}
    np.testing.assert_allclose(shares, [expected.get(name, 0.0) for name in names], atol=1e-6)


@pytest.mark.parametrize("entry", ["hidden_noise", "input_dropout", "input_noise"])
def test_noise_is_there_in_training_only(entry: str) -> None:
    recipe = NetworkRecipe(hidden=(200,), activation="linear", initializer="lecun_normal", embedding="none",
                           dropout=0.0, skip=False, **{entry: 0.3})  # fmt: skip
    network = build_network(recipe, features=300, numbers=300, outputs=1)
    params, aux = network.initial(0)
    x = np.ones((50, 300), np.float32)
    layer = {"hidden_noise": "noise_1"}.get(entry, entry)
    look = keras.Model(network.model.input, network.model.get_layer(layer).output)
    place = dict(zip([v.path for v in network.model.trainable_variables], params, strict=True))
    fixed = dict(zip([v.path for v in network.model.non_trainable_variables], aux, strict=True))
    own = [place[v.path] for v in look.trainable_variables], [fixed[v.path] for v in look.non_trainable_variables]
    noisy, still = (np.asarray(look.stateless_call(*own, x, training=training)[0]) for training in (True, False))
    if entry == "input_dropout":
        assert (noisy == 0).mean() == pytest.approx(0.3, abs=0.01)
        np.testing.assert_allclose(noisy[noisy > 0], 1 / 0.7, rtol=1e-5)
        np.testing.assert_array_equal(still, x)
    else:
        assert (noisy - still).std() == pytest.approx(0.3, rel=0.02)
        again = np.asarray(look.stateless_call(*own, x, training=False)[0])
        np.testing.assert_array_equal(still, again)


def test_keeping_the_best_network_keeps_the_one_of_the_lowest_validation_loss() -> None:
    x = np.random.default_rng(0).normal(size=(120, 3))
    base = ["ensemble.members=3", "network.hidden=[6]", "training.epochs=6", "ensemble.keep=best"]
    run = fl.train(override(default(), base), x, x[:, 0] * x[:, 1], verbose=0, watch=False)
    losses = [m["best_val_loss"] for m in run.facts["members"]]
    spread = run.facts["seed_spread"]
    assert run.facts["members_used"] == 1
    assert spread["members"] == 3
    assert spread["min"] == min(losses)
    assert spread["sd"] == pytest.approx(np.std(losses, ddof=1))
    alone = fl.train(override(default(), [*base[1:-1], "ensemble.members=3", "split.folds=1"]), x, x[:, 0] * x[:, 1],
                     verbose=0, watch=False)  # fmt: skip
    assert run.model.count_params() < alone.model.count_params()
    with pytest.raises(RecipeError) as caught:
        override(default(), ["ensemble.keep=best", "ensemble.members=1", "split.folds=4"])
    assert len(caught.value.mistakes) == 3


def test_linear_regression_by_gradient_descent_is_least_squares() -> None:
    """G1's seven points, by the network without a hidden layer."""
    x = np.array([2.4, 2.8, 3.2, 3.6, 4.0, 4.2, 5.0])
    y = np.array([1.7, 1.85, 1.79, 1.95, 2.1, 2.0, 2.7])
    model = fl.networks.mlp(1, 1, hidden=())
    model.compile(optimizer=keras.optimizers.SGD(0.02, momentum=0.9), loss="mse")
    run = fl.train(model, x[:, None], y, epochs=1500, batch_size=7, early_stopping=False, verbose=0, watch=False)
    kernel, bias = model.get_layer("output").get_weights()
    assert float(kernel[0, 0]) == pytest.approx(0.33559, abs=2e-4)
    assert float(bias[0]) == pytest.approx(0.80472, abs=6e-4)
    assert run.trace.curve("loss")[-1] == pytest.approx(0.01805, abs=1e-5)
