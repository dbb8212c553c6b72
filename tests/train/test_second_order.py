"""Second-order optimizers in whole trainings: Keras models and tables, what they cost, and what they refuse."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import fallline as fl
from fallline.errors import InputError, RecipeError
from fallline.optimize.second_order import SECOND_ORDER
from fallline.recipe import default, override
from fallline.types import Recipe

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (X @ [1.0, -2.0, 0.5] + 0.3 + 0.1 * RNG.normal(size=40)).astype(np.float32)[:, None]


def chosen(name: str, *more: str) -> Recipe:
    return override(default(), [f"optimizer.name={name}", *more])


def fit(model: keras.Model, name: str, steps: int, y: Any = Y, **keywords: Any) -> fl.Run:
    keywords = {"early_stopping": False, "verbose": 0, "watch": False, **keywords}
    return fl.train(model, X, y, recipe=chosen(name), epochs=steps, **keywords)


def linear(**keywords: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, **keywords)])
    model.compile(loss="mse")
    return model


@pytest.mark.parametrize("name", ["newton", "gauss_newton"])
def test_ridge_regression_is_one_step(name: str) -> None:
    weight = np.linspace(0.5, 2.0, 40).astype(np.float32)
    model = linear(kernel_regularizer=keras.regularizers.L2(0.05))
    run = fit(model, name, 1, sample_weight=weight)
    # mean(weight (y - X b)^2) + 0.05 |kernel|^2, in float64
    rows = np.column_stack([X, np.ones(40)]).astype(float)
    matrix = 2 / 40 * rows.T @ (weight[:, None] * rows) + np.diag([0.1, 0.1, 0.1, 0.0])
    expected = np.linalg.solve(matrix, 2 / 40 * rows.T @ (weight * Y[:, 0]))
    np.testing.assert_allclose(np.concatenate([w.ravel() for w in model.get_weights()]), expected, rtol=1e-3, atol=1e-4)
    assert run.facts["batch_size"] == 40
    # The Hessian is made of a product for each weight, the Jacobian of one output is a gradient of each row.
    assert run.facts["evaluations"]["products"] == (4 if name == "newton" else 0)


def test_logistic_regression_reaches_the_maximum_of_the_likelihood() -> None:
    labels = (Y[:, 0] > 0.5).astype(np.int32)
    found = LogisticRegression(C=10.0, tol=1e-10).fit(X, labels)
    # C = 10 is a penalty of |kernel|^2 / (2 * 10) on the sum over 40 rows.
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(1 / (2 * 10 * 40)))]
    )
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    fit(model, "lm", 15, labels)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], found.coef_[0], rtol=1e-3)


@pytest.mark.parametrize(
    "name", [name if name in ("newton", "lm") else pytest.param(name, marks=pytest.mark.long) for name in SECOND_ORDER]
)
def test_a_network_with_batch_normalisation_and_two_outputs_learns(name: str) -> None:
    inputs = keras.Input((3,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(4, "tanh")(inputs))
    model = keras.Model(inputs, [keras.layers.Dense(1)(hidden), keras.layers.Dense(1, "sigmoid")(hidden)])
    model.compile(loss=["mse", "binary_crossentropy"])
    run = fit(model, name, 15, [Y, (Y > 0).astype(np.float32)])
    assert run.outcome == "completed"
    assert run.history["running_loss"].iloc[-1] < 0.5 * run.history["running_loss"].iloc[0]
    # The moving averages are those of the trained network, not of what a line search tried.
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_model_with_a_loss_of_its_own_trains_where_no_parts_are_needed() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
            return keras.ops.mean((y_pred - y) ** 4)

    def made() -> keras.Model:
        model = Own()
        model.compile()
        return model

    assert fit(made(), "lbfgs", 5).outcome == "completed"
    with pytest.raises(InputError, match="computes its own"):
        fit(made(), "lm", 1)


def test_mistakes_are_told_together() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(RecipeError) as told:
        fit(model, "lbfgs", 1, batch_size=10)
    assert len(told.value.mistakes) == 2
    assert "takes all of them at every step" in told.value.mistakes[0]
    assert "draws random numbers" in told.value.mistakes[1]


def test_a_whole_batch_may_be_named() -> None:
    assert fit(linear(), "bfgs", 1, batch_size=40).outcome == "completed"


def test_contradictions_of_a_recipe_are_told_together() -> None:
    changes = ["dropout=0.2", "input_noise=0.1", "clip_norm=1", "momentum=0.5", "schedule_end=0.5"]
    with pytest.raises(RecipeError) as told:
        chosen("lm", *changes)
    assert len(told.value.mistakes) == len(changes)


def test_a_part_of_the_rows_of_a_table_is_refused_with_what_else_is_wrong() -> None:
    with pytest.raises(RecipeError) as told:
        fl.train(chosen("lm", "batch_size=8", "loss=cross_entropy"), X, Y[:, 0], verbose=0, watch=False)
    assert len(told.value.mistakes) == 2
    assert "batch_size = 8 is a part of the 32 rows" in told.value.mistakes[1]


def test_a_network_too_large_for_a_matrix_is_refused_with_its_size() -> None:
    with pytest.raises(InputError, match=r'parameters, and lm keeps a matrix.*"lbfgs" or "cg"'):
        fl.train(chosen("lm"), X, Y[:, 0], verbose=0, watch=False)


def test_a_table_is_learned_by_an_ensemble_and_its_cost_is_told() -> None:
    recipe = chosen("lm", "network.hidden=[3]", "embedding=none", "activation=tanh", "ensemble.members=3", "epochs=12")
    run = fl.train(recipe, X, Y[:, 0], verbose=0, watch=False)
    assert run.recipe.training.batch_size == 32
    assert run.recipe.network.dropout == 0.0
    assert run.recipe.optimizer.schedule == "constant"
    assert next(s.value for s in run.scores if s.who == "model" and s.metric == "rmse") < 0.5
    each = [member["evaluations"] for member in run.facts["members"]]
    # A step takes the gradient, and the Jacobian of the one output: a gradient of each row.
    assert [one["gradients"] for one in each] == [2 * member["epochs"] for member in run.facts["members"]]
    assert run.facts["evaluations"]["losses"] == sum(one["losses"] for one in each) > 0


def test_first_order_optimizers_take_a_gradient_a_step() -> None:
    run = fl.train(linear(), X, Y, epochs=3, batch_size=16, early_stopping=False, verbose=0, watch=False)
    assert run.facts["evaluations"] == {"losses": 0, "gradients": 9, "products": 0}
