"""What every treatment owes: its names, its page, a valid recipe, and a Keras model that still runs."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from fallline import recipe as recipes
from fallline.errors import InputError
from fallline.rules import catalogue as rules
from fallline.treatments import HEADINGS, Treatment, design_of, discover, facts_of, treat, treatments_of
from fallline.types import Design

ALL = pytest.mark.parametrize("treatment", discover(), ids=lambda one: one.name)

# One of the models is wrong on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.*You are using a softmax")

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((60, 4)) * [1, 5, 1, 1] + [0, 20, 0, 0]).astype("float32")
LABELS = (X[:, 0] > 0).astype("int32")
# What data may say; every treatment must find something to do in one of these.
SIMPLE = recipes.default("simple")
POOR = ["optimizer.name=sgd", "activation=sigmoid", "prepare.numeric=none", "prepare.target=none"]
POOR += ["initializer=random_normal", "training.shuffle=false", "stopping.criterion=none"]
BEYOND = {"setting": "optimizer.learning_rate", "best_value": 0.1, "edge": "largest"}
SITUATIONS = {
    "recipes": [
        (SIMPLE, {}),
        (recipes.override(SIMPLE, ["dropout=0.2", "normalization=batch", "batch_size=64"]), {}),
        (recipes.override(SIMPLE, POOR), {"kind": "regression", "n_rows": 500}),
        (
            recipes.override(SIMPLE, ["activation=linear", "training.loss=hinge"]),
            {"kind": "binary", "evidence": BEYOND},
        ),
    ]
}


def models():
    """Compiled models of several kinds, with their data."""
    import keras
    from keras import layers

    tall = np.concatenate([X[:, :3], X[:, 1:2] * 3], axis=1)
    empty = X.copy()
    empty[::7, 1] = np.nan
    chain = keras.Sequential(
        [keras.Input((4,)), layers.Dense(40, "sigmoid", kernel_initializer="zeros"), layers.Dropout(0.3),
         layers.BatchNormalization(), layers.Dense(40), layers.Dense(1, "softmax")], name="chain",
    )  # fmt: skip
    chain.compile("sgd", "mse", metrics=["accuracy"])
    graph_in = keras.Input((4,))
    a = layers.Dense(32, kernel_regularizer="l2", name="a")(graph_in)
    b = layers.ReLU(name="b")(a)
    c = layers.Dense(32, "relu", name="c")(b)
    graph = keras.Model(graph_in, layers.Dense(1, name="out")(layers.Add(name="sum")([b, c])), name="graph")
    graph.compile(keras.optimizers.SGD(0.01), keras.losses.MeanSquaredError())
    inner = keras.Sequential([layers.Dense(32, "relu"), layers.Dense(32, "tanh")])
    nested = keras.Sequential([keras.Input((4,)), inner, layers.Dense(1, "sigmoid")], name="nested")
    nested.compile("adam", "binary_crossentropy")
    image = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(),
                              layers.Dense(8, "relu"), layers.Dense(3, "softmax")], name="image")  # fmt: skip
    image.compile("adam", "sparse_categorical_crossentropy")
    pictures = (100 * RNG.random((60, 6, 6, 1))).astype("float32")
    return [
        (chain, X, LABELS),
        (graph, tall, (1000 + 50 * X[:, 0]).astype("float32")),
        (nested, X, LABELS),
        (graph, empty, LABELS.astype("float32")),
        (image, pictures, RNG.integers(0, 3, 60)),
    ]


@pytest.fixture(scope="module")
def designs():
    evidence = {"setting": "learning_rate", "best_value": 0.1, "edge": "largest"}
    return [
        (
            design_of(model, epochs=20, batch_size=16, shuffle=False),
            facts_of(model, x, y) | {"n_rows": 600, "evidence": evidence},
            x,
        )
        for model, x, y in models()
    ]


def test_every_symptom_has_a_treatment() -> None:
    names = [info.symptom for info in rules()]
    assert not [name for name in names if not treatments_of(name)]
    assert not {symptom for one in discover() for symptom in one.symptoms} - set(names)


@ALL
def test_the_page_is_complete(treatment: Treatment) -> None:
    assert tuple(treatment.sections) == HEADINGS
    assert all(treatment.sections.values())
    assert treatment.source
    assert treatment.applies_to
    assert len(set(treatment.symptoms)) == len(treatment.symptoms)


@ALL
def test_a_treated_recipe_is_valid_and_another_one(treatment: Treatment) -> None:
    if treatment.for_recipe is None:
        return
    changed = 0
    for recipe, known in SITUATIONS["recipes"]:
        try:
            treated = treat(recipe, treatment.name, known=known)
        except InputError as error:
            assert "nothing to change" in str(error)  # noqa: PT017
            continue
        changed += 1
        assert treated != recipe
        assert recipes.check(treated) == treated
    assert changed


@ALL
def test_a_treated_model_runs_and_the_given_one_stays(treatment: Treatment, designs) -> None:
    if treatment.for_keras is None:
        return
    changed = 0
    for design, known, x in designs:
        before = json.dumps([design.model, design.compiled, design.training], default=str)
        try:
            treated = treat(design, treatment.name, known=known)
        except InputError as error:
            assert "nothing to change" in str(error)  # noqa: PT017
            continue
        finally:
            assert json.dumps([design.model, design.compiled, design.training], default=str) == before
        changed += 1
        assert isinstance(treated, Design)
        model = treated.build()
        out = np.asarray(model(x[:5], training=False))
        assert len(out) == 5
        assert np.isfinite(out).all() or np.isnan(x).any()
        assert np.isfinite(float(np.sum([np.sum(np.abs(w)) for w in model.get_weights()])))
    assert changed


@ALL
def test_applied_twice_it_still_makes_a_model(treatment: Treatment, designs) -> None:
    if treatment.for_keras is None:
        return
    design, known, _ = copy.copy(designs[0])
    for _ in range(2):
        try:
            design = treat(design, treatment.name, known=known)
        except InputError:
            return
    design.build()
