"""A piecewise linear embedding bends where the training rows are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fallline as fl
from fallline.data import make_problem
from fallline.network import build_network
from fallline.network.knots import bin_starts, knots_of
from fallline.network.layers import PiecewiseEmbedding
from fallline.train.prepared import prepare
from fallline.train.programs import begin, program_key
from fallline.train.table_task import table_program
from fallline.types import NetworkRecipe

BINS = 8


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-3, 3, width=32)), st.integers(0, 99), st.booleans()
)
def test_knots_rise_from_the_smallest_value_and_are_few(values: np.ndarray, seed: int, labelled: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, len(values)) if labelled else None
    knots = knots_of(values, BINS, rng, labels)
    assert len(knots) <= BINS + 1
    assert knots[0] == values.min()
    assert (np.diff(knots) >= 1e-3).all()
    assert values.max() - knots[-1] < 1e-3


def test_few_different_values_are_all_knots() -> None:
    values = np.repeat([0.0, 0.5, 2.0], [90, 5, 5])
    np.testing.assert_array_equal(knots_of(values, BINS, np.random.default_rng(0)), [0.0, 0.5, 2.0])


def test_where_most_rows_hold_one_value_the_others_still_have_knots() -> None:
    values = np.concatenate([np.zeros(950), np.linspace(1.0, 2.0, 50)])
    knots = knots_of(values, BINS, np.random.default_rng(0))
    assert ((knots > 1.0) & (knots < 2.0)).sum() >= 3


def test_many_rows_alike_in_every_bin() -> None:
    values = np.random.default_rng(0).exponential(size=20_000)
    counts = np.histogram(values, knots_of(values, BINS, np.random.default_rng(1)))[0]
    assert counts[1:-1] == pytest.approx(len(values) / BINS, rel=0.05)


def test_with_labels_a_knot_lies_where_the_classes_part() -> None:
    values = np.random.default_rng(0).uniform(size=2_000)
    edges = (0.437, 0.441)  # classes that a quantile of an eighth does not find
    labels = np.digitize(values, edges)
    for seed in range(3):
        knots = knots_of(values, BINS, np.random.default_rng(seed), labels)
        plain = knots_of(values, BINS, np.random.default_rng(seed))
        assert all(np.abs(knots - edge).min() < 0.002 for edge in edges)
        assert max(np.abs(plain - edge).min() for edge in edges) > 0.002


def test_a_table_s_members_bend_where_its_classes_part() -> None:
    a = np.random.default_rng(0).uniform(size=400)
    x = pd.DataFrame({"a": a + 0.02 * (a > 0.437)})  # wide enough for trees that do not see every row
    y = np.where(a > 0.437, "over", "under")
    problem = make_problem(x, y)
    prepared = prepare(problem, fl.default_recipe("default", "embedding=piecewise", "members=2", "folds=2"))
    program = table_program(program_key(prepared, problem))
    _, fixed, _ = begin(program, prepared, problem.kind)
    paths = [v.path for v in program.network.model.non_trainable_variables]
    start = fixed[paths.index("piecewise/start")]
    for knots, member in zip(start[:, 0], prepared.members, strict=True):
        scaled, over = prepared.features[member.train_rows, 0], y[member.train_rows] == "over"
        between = (knots > scaled[~over].max()) & (knots < scaled[over].min())
        assert between.any()


def test_the_embedding_interpolates_between_the_knots() -> None:
    """With one output that adds the bins up, x becomes its place among the knots: NumPy's interpolation."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)).astype(np.float32)
    x[:, 1] = 0.25  # a column that is constant has no bins
    start, inverse = bin_starts(x, BINS, np.random.default_rng(3))
    layer = PiecewiseEmbedding(2, BINS, width=1)
    layer.build((None, 2))
    layer.set_weights([np.ones((2, BINS, 1)), np.zeros((2, 1)), start, inverse])
    knots = knots_of(x[:, 0].astype(np.float64), BINS, np.random.default_rng(3))
    new = np.asarray(layer(x))[:, 2:]
    np.testing.assert_allclose(new[:, 0], np.interp(x[:, 0], knots, np.arange(len(knots))), atol=1e-4)
    np.testing.assert_array_equal(new[:, 1], 0.0)


def test_members_bend_in_places_of_their_own_and_begin_at_frequencies_of_the_given_spread() -> None:
    recipe = NetworkRecipe(hidden=(4,), activation="relu", initializer="he_normal", embedding="both", dropout=0.0)
    network = build_network(recipe, features=30, numbers=30, outputs=1)
    x = np.random.default_rng(0).normal(size=(200, 30)).astype(np.float32)
    first, again, other = (
        dict(zip([v.path for v in network.model.non_trainable_variables], network.initial(seed, x)[1], strict=True))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first["piecewise/start"], again["piecewise/start"])
    assert (first["piecewise/start"] != other["piecewise/start"]).any()
    paths = [v.path for v in network.model.trainable_variables]
    for spread in (0.1, 2.0):
        drawn = network.initial(0, x, replace(recipe, embedding_spread=spread))[0][paths.index("embedding/frequency")]
        assert drawn.std() == pytest.approx(spread, rel=0.15)


def test_a_linear_network_learns_a_step_by_it() -> None:
    x = np.linspace(-1.0, 1.0, 160)
    table = pd.DataFrame({"x": np.random.default_rng(0).permutation(x)})
    table["y"] = np.where(np.abs(table.x) < 0.5, 1.0, 0.0)
    model = fl.Regressor(
        overrides=["hidden=[]", "embedding=piecewise", "members=1", "folds=1", "epochs=200", "learning_rate=0.05"]
    ).fit(table[["x"]], table.y)
    assert model.score(table[["x"]], table.y) > 0.8  # a line explains nothing of it
