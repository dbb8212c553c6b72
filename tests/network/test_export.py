"""The saved model is the population's averaged prediction, made of stock layers alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from fallline.data import Preparation, make_problem
from fallline.network import build_network
from fallline.network.activations import activation, apply_activation
from fallline.network.export import Finish
from fallline.train.prediction import apply_model
from fallline.types import NetworkRecipe, PrepareRecipe, Recipe
from tests.network import forward
from tests.network.members import exported, stirred

N = 60
BASE = NetworkRecipe(
    hidden=(6, 5), activation="tanh", initializer="glorot_uniform", embedding="none", skip=False, dropout=0.1,
    input_noise=0.1,
)  # fmt: skip
OUTPUTS = {"regression": 1, "binary": 1, "multiclass": 3, "multioutput": 2, "multilabel": 2}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "size": rng.normal(1e6, 3.0, N), "rate": rng.lognormal(0, 2, N), "kind": rng.choice(["a", "b", "c"], N),
        "flag": rng.choice(["yes", "no"], N),
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, N), "D"),
        "sort": rng.choice(["u", "v", "w", "x"], N), "y": rng.normal(size=N),
    })  # fmt: skip
    frame.loc[::7, "size"] = np.nan
    frame.loc[3::11, "kind"] = None
    return frame


def preparation(prepare: PrepareRecipe) -> Any:
    problem = make_problem(table(), target="y")
    return Preparation.fit(problem, np.arange(40), prepare), problem


BATCH, LAYER = replace(BASE, normalization="batch"), replace(BASE, normalization="layer")
LINEAR = replace(BASE, hidden=())
GROUP = replace(BASE, hidden=(6, 4), normalization="group", groups=2, input_dropout=0.1, hidden_noise=0.1)
RADIAL = replace(BASE, kind="rbf", hidden=(5,))
CASES: dict[str, tuple[NetworkRecipe, int, str, PrepareRecipe, float]] = {
    "one member": (BASE, 1, "regression", PrepareRecipe(), 1.0),
    "three members": (BASE, 3, "regression", PrepareRecipe(numeric="standard", clip=0.0), 1.0),
    "periodic, alone": (replace(BASE, embedding="periodic", skip=True), 1, "binary", PrepareRecipe(), 1.7),
    "periodic, three": (replace(BASE, embedding="periodic", skip=True), 3, "multiclass", PrepareRecipe(), 0.6),
    "piecewise, alone": (replace(BASE, embedding="piecewise"), 1, "multiclass", PrepareRecipe(), 1.0),
    "both, three": (replace(BASE, embedding="both", skip=True), 3, "regression", PrepareRecipe(), 1.0),
    "batch, alone": (BATCH, 1, "multilabel", PrepareRecipe(numeric="minmax"), 1.3),
    "batch, three": (replace(BATCH, skip=True), 3, "multioutput", PrepareRecipe(numeric="none"), 1.0),
    "layer, alone": (replace(LAYER, activation="lecun_tanh"), 1, "multiclass", PrepareRecipe(), 1.0),
    "layer, three": (replace(LAYER, embedding="periodic"), 3, "binary", PrepareRecipe(), 2.0),
    "group, alone": (replace(GROUP, activation="relu"), 1, "multiclass", PrepareRecipe(whiten="pca"), 1.0),
    "group, three": (GROUP, 3, "multioutput", PrepareRecipe(whiten="zca"), 1.0),
    "radial, alone": (RADIAL, 1, "regression", PrepareRecipe(numeric="unit"), 1.0),
    "radial, three": (replace(RADIAL, skip=True, input_scale=False), 3, "binary", PrepareRecipe(), 1.2),
    "autoencoder": (replace(BASE, kind="autoencoder", hidden=(7, 2)), 3, "multioutput", PrepareRecipe(), 1.0),
    "bounded, alone": (replace(BASE, output="sigmoid"), 1, "multiclass", PrepareRecipe(), 1.3),
    "bounded, three": (replace(BASE, output="lecun_tanh"), 3, "multilabel", PrepareRecipe(), 0.8),
    "linear, alone": (LINEAR, 1, "multioutput", PrepareRecipe(), 1.0),
    "linear, three": (replace(LINEAR, embedding="periodic"), 3, "multilabel", PrepareRecipe(max_levels=2), 0.8),
}  # fmt: skip


def made(name: str, clip_target: bool = True) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Return (model, raw table, what NumPy predicts)."""
    recipe, k, kind, prepare, temperature = CASES[name]
    fitted, problem = preparation(prepare)
    raw = fitted.raw(problem.frame)
    outputs = OUTPUTS[kind]
    network = build_network(recipe, features=fitted.n_features, numbers=fitted.n_numeric, outputs=outputs)
    quantity = kind in ("regression", "multioutput")
    finish = Finish(
        kind,
        temperature,
        center=np.array([5.0, -2e4][:outputs]) if quantity else None,
        scale=np.array([0.7, 3e3][:outputs]) if quantity else None,
        low=np.array([4.6, -2.1e4][:outputs]) if quantity and clip_target else None,
        high=np.array([5.4, -1.9e4][:outputs]) if quantity and clip_target else None,
        output=recipe.output,
    )
    model, expected = exported(network, recipe, stirred(network, k, by=0.3), fitted, raw, finish)
    return model, raw, expected


@pytest.mark.parametrize("name", CASES)
def test_the_exported_model_is_the_average_of_its_members(name: str) -> None:
    model, raw, expected = made(name)
    found = apply_model(model, raw)
    assert np.isnan(raw).any()
    scale = np.abs(expected).max(axis=0)
    np.testing.assert_allclose(
        found / scale, expected / scale, rtol=2e-4, atol=2e-4 if "numeric='none'" in str(CASES[name]) else 2e-5
    )


def test_without_a_clip_predictions_leave_the_range() -> None:
    model, raw, expected = made("three members", clip_target=False)
    assert (expected < 4.6).any() or (expected > 5.4).any()
    np.testing.assert_allclose(apply_model(model, raw), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["one member", "both, three", "layer, three"])
def test_stock_layers_only(name: str) -> None:
    model, _, _ = made(name)
    for layer in model.layers:
        assert type(layer).__module__.startswith("keras."), layer
        assert type(layer).__name__ != "Lambda"


@pytest.mark.parametrize("name", forward.ACTIVATIONS)
def test_activations(name: str) -> None:
    x = np.linspace(-6, 6, 101).astype(np.float32)
    expected = forward.ACTIVATIONS[name](x.astype(np.float64))
    np.testing.assert_allclose(np.asarray(activation(name)(x)), expected, rtol=2e-5, atol=2e-6)
    inputs = keras.Input((101,))
    layered = keras.Model(inputs, apply_activation(name, inputs, layer_name="a"))
    np.testing.assert_allclose(np.asarray(layered(x[None]))[0], expected, rtol=2e-5, atol=2e-6)


def test_every_activation_of_the_recipe_is_tested() -> None:
    entry = next(f for f in Recipe().network.__dataclass_fields__.values() if f.name == "activation")
    assert set(entry.metadata["choices"]) - {"auto"} == set(forward.ACTIVATIONS)
