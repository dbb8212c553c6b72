"""Preparation: fitted on training rows only, exact round trip, unknown and missing values, the formula by an oracle."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.linalg
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fallline.data import Preparation, make_problem
from fallline.data.fit import scaling, whitening
from fallline.errors import DataError
from fallline.types import PrepareRecipe
from tests.data.tables import labels_problem, mixed_frame, mixed_problem

SCALINGS = ("robust", "standard", "minmax", "unit", "center", "none")


def _fit(problem: Any, rows: Any = None, **prepare: Any) -> Preparation:
    return Preparation.fit(problem, np.arange(problem.n_rows) if rows is None else rows, PrepareRecipe(**prepare))


def _oracle(preparation: Preparation, raw: np.ndarray) -> np.ndarray:
    """Return the features, cell by cell, as the formula in the docstring says."""
    out = []
    for row in raw.astype(np.float64):
        features = []
        for i, j in enumerate(preparation.numeric_index):
            x = preparation.numeric_fill[i] if np.isnan(row[j]) else row[j]
            x = (x - preparation.numeric_center[i]) * preparation.numeric_scale[i]
            features.append(x / (1 + (x / preparation.clip) ** 2) ** 0.5 if preparation.clip else x)
        features += [float(np.isnan(row[j])) for j in preparation.indicator_index]
        for block in preparation.category_blocks:
            code = row[block.raw_index]
            if block.binary:
                features.append({1.0: -1.0, 2.0: 1.0}.get(code, 0.0))
            else:
                features += [float(code == level) for level in range(1, block.n_levels + 1)]
        out.append(features)
    return np.array(out)


# -------------------------------------------------------------------------------------------- the two matrices


def test_raw_matrix_of_every_kind() -> None:
    frame = pd.DataFrame(
        {
            "n": [1.5, None, 3.0, 4.0],
            "d": pd.to_datetime(["2024-01-03", "2024-01-01T12:00", None, "2024-02-01"], format="ISO8601"),
            "c": ["b", "a", "b", None],
            "t": [True, False, None, True],
            "y": [1.0, 2.0, 3.0, 5.0],
        }
    )
    preparation = _fit(make_problem(frame, target="y"))
    nan = np.nan
    # b is the most frequent level: code 1; missing is a level of its own, since it occurs among the training rows.
    expected = [[1.5, 2.0, 1, 2], [nan, 0.5, 2, 1], [3.0, nan, 1, 3], [4.0, 31.0, 3, 2]]
    raw = preparation.raw(frame)
    assert raw.dtype == np.float32
    np.testing.assert_array_equal(raw, np.array(expected, np.float32))
    assert preparation.feature_names == (
        "n",
        "d",
        "n (missing)",
        "d (missing)",
        "c=b",
        "c=a",
        "c=(missing)",
        "t=False",
        "t=True",
        "t=(missing)",
    )
    assert (preparation.n_raw, preparation.n_numeric, preparation.n_features) == (4, 2, 10)


def test_robust_scaling_and_smooth_clipping_by_hand() -> None:
    problem = make_problem({"a": [1.0, 2.0, 3.0, 4.0, 5.0, None], "y": np.arange(6.0)}, target="y")
    features = _fit(problem).features(np.array([[3.0], [5.0], [1003.0], [np.nan]], np.float32))
    # median 3, IQR 2: (5 - 3) / 2 = 1, and 1 / sqrt(1 + 1/9) = 0.9487
    np.testing.assert_allclose(features[:, 0], [0.0, 0.9486833, 2.9999460, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(features[:, 1], [0, 0, 0, 1])


def test_two_levels_are_one_column() -> None:
    problem = make_problem(
        {"c": ["u", "v", "v", "u", "v"], "t": [True, False, True, True, False], "y": range(5)}, target="y"
    )
    preparation = _fit(problem)
    assert preparation.feature_names == ("c=u", "t=True")  # v is more frequent: code 1
    raw = preparation.raw({"c": ["u", "v", "new", None], "t": [True, False, None, True]})
    np.testing.assert_array_equal(raw, [[2, 2], [1, 1], [0, 0], [0, 2]])
    np.testing.assert_array_equal(preparation.features(raw), [[1, 1], [-1, -1], [0, 0], [0, 1]])


@pytest.mark.parametrize("numeric", SCALINGS)
@pytest.mark.parametrize("clip", [0.0, 3.0])
def test_features_agree_with_the_oracle(numeric: str, clip: float) -> None:
    problem = mixed_problem()
    preparation = _fit(problem, np.arange(30), numeric=numeric, clip=clip)
    raw = preparation.raw(problem.frame)
    features = preparation.features(raw)
    assert features.shape == (problem.n_rows, len(preparation.feature_names))
    np.testing.assert_allclose(features, _oracle(preparation, raw), rtol=1e-6, atol=1e-6)


def test_scalings_do_what_their_names_say() -> None:
    x = np.random.default_rng(0).lognormal(size=(500, 2)) * [1.0, 1000.0]
    x[::7, 0] = np.nan
    for how in SCALINGS:
        fill, center, scale = scaling(x, how)
        z = (x - center) * scale
        if how == "standard":
            np.testing.assert_allclose(np.nanmean(z, axis=0), 0, atol=1e-12)
            np.testing.assert_allclose(np.nanstd(z, axis=0), 1)
            np.testing.assert_allclose(fill, np.nanmean(x, axis=0))
        elif how == "minmax":
            np.testing.assert_allclose([np.nanmin(z, axis=0), np.nanmax(z, axis=0)], [[-1, -1], [1, 1]])
        elif how == "robust":
            np.testing.assert_allclose(np.nanquantile(z, [0.5, 0.75], axis=0)[0], 0, atol=1e-12)
            np.testing.assert_allclose(np.nanquantile(z, 0.75, axis=0) - np.nanquantile(z, 0.25, axis=0), 1)
        elif how == "unit":
            np.testing.assert_allclose([np.nanmin(z, axis=0), np.nanmax(z, axis=0)], [[0, 0], [1, 1]], atol=1e-12)
        elif how == "center":
            np.testing.assert_allclose(z, x - np.nanmean(x, axis=0))
        else:
            np.testing.assert_array_equal(z, x)
        if how not in ("standard", "center"):
            np.testing.assert_allclose(fill, np.nanmedian(x, axis=0))


@given(seed=st.integers(0, 100), numeric=st.sampled_from(SCALINGS))
def test_single_precision_arithmetic_gives_the_same_features(seed: int, numeric: str) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(41, 3)) * [1.0, 1000.0, 1e-6] + [0.0, 1.7e9, 0.3]
    preparation = _fit(make_problem(x, np.arange(41.0)), numeric=numeric)
    raw = preparation.raw(x)
    center, scale = preparation.numeric_center.astype(np.float32), preparation.numeric_scale.astype(np.float32)
    single = (raw - center) * scale
    if preparation.clip:
        single = single / np.sqrt(1 + (single / np.float32(preparation.clip)) ** 2)
    assert single.dtype == np.float32
    np.testing.assert_allclose(preparation.features(raw), single, rtol=2e-6, atol=1e-6)


def test_columns_without_spread() -> None:
    mostly = np.array([5.0] * 9 + [9.0])[:, None]
    assert scaling(mostly, "robust")[2] == pytest.approx([1 / 4])  # IQR 0: the distance of the others
    # One huge value does not press the others together.
    gains = np.array([0.0] * 90 + [100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 1e6])[:, None]
    assert scaling(gains, "robust")[2] == pytest.approx([1 / 500])
    for how in ("robust", "standard", "minmax"):
        assert scaling(np.full((5, 1), 7.0), how)[2].tolist() == [0.0]
        assert scaling(np.full((5, 1), np.nan), how) == (pytest.approx([0]), pytest.approx([0]), pytest.approx([0]))
        # A spread too small for single precision must not become an infinite scale.
        assert scaling(np.array([[0.0], [1e-40], [3e-40]]), how)[2].tolist() == [0.0]


def test_no_clipping_of_unscaled_numbers() -> None:
    problem = make_problem({"a": [100.0, 200.0, 300.0], "y": [1.0, 2.0, 4.0]}, target="y")
    preparation = _fit(problem, numeric="none")
    np.testing.assert_array_equal(preparation.features(preparation.raw(problem.frame))[:, 0], [100, 200, 300])


def test_rare_levels_share_one() -> None:
    values = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"] * 2 + ["e"]
    problem = make_problem({"c": values, "y": np.arange(15.0)}, target="y")
    preparation = _fit(problem, max_levels=3)
    assert preparation.columns[0].level_names == ("a", "b", "(other)")
    raw = preparation.raw({"c": ["a", "b", "c", "d", "e", "f", None]})
    assert raw[:, 0].tolist() == [1, 2, 3, 3, 3, 0, 0]
    assert _fit(problem, max_levels=5).columns[0].level_names == ("a", "b", "c", "d", "e")


def test_levels_named_like_the_special_ones_keep_their_own_code() -> None:
    problem = make_problem({"c": ["(missing)", "(other)", None, "a", "b", "b"], "y": np.arange(6.0)}, target="y")
    preparation = _fit(problem, max_levels=3)
    raw = preparation.raw(problem.frame)[:, 0]
    assert preparation.columns[0].level_names == ("b", "(missing)", "(other)", "(missing)")
    assert raw.tolist() == [2, 3, 4, 3, 1, 1]


def test_target_scaling() -> None:
    problem = mixed_problem()
    rows = np.arange(20)
    preparation = _fit(problem, rows)
    np.testing.assert_allclose(preparation.target_center, [problem.y[rows].mean()])
    np.testing.assert_allclose(preparation.target_scale, [problem.y[rows].std()])
    plain = _fit(problem, rows, target="none")
    assert (plain.target_center.tolist(), plain.target_scale.tolist()) == ([0.0], [1.0])
    labels = labels_problem({"a": 30, "b": 30, "c": 30})
    assert _fit(labels).target_scale.tolist() == [1.0, 1.0, 1.0]
    several = make_problem(pd.DataFrame({"x": range(5)}), np.arange(10.0).reshape(5, 2) ** 2)
    np.testing.assert_allclose(_fit(several).target_center, several.y.mean(axis=0))
    # Constant among the training rows: nothing to divide by.
    assert _fit(several, np.array([0])).target_scale.tolist() == [1.0, 1.0]


# ------------------------------------------------------------------------------------------- no leakage of rows


@given(seed=st.integers(0, 1000), numeric=st.sampled_from(SCALINGS))
def test_other_rows_have_no_influence(seed: int, numeric: str) -> None:
    rng = np.random.default_rng(seed)
    frame = mixed_frame()
    rows = np.sort(rng.choice(60, 30, replace=False))
    others = np.setdiff1d(np.arange(60), rows)
    before = _fit(make_problem(frame, target="price"), rows, numeric=numeric).to_dict()
    frame.loc[others, "size"] = rng.normal(1e6, 1e3, 30)
    frame.loc[others, "rooms"] = rng.integers(100, 200, 30)
    frame.loc[others, "built"] = pd.Timestamp("1900-01-01")
    frame.loc[others, "colour"] = rng.choice(["mauve", "teal"], 30)
    frame.loc[others, "price"] = 1e6
    assert _fit(make_problem(frame, target="price"), rows, numeric=numeric).to_dict() == before


@given(order=st.permutations(list(range(60))))
def test_the_order_of_the_training_rows_does_not_matter(order: list[int]) -> None:
    problem = mixed_problem()
    expected, found = _fit(problem), _fit(problem, np.array(order))
    assert found.columns == expected.columns
    np.testing.assert_allclose(found.numeric_scale, expected.numeric_scale, rtol=1e-12)
    np.testing.assert_allclose(found.target_center, expected.target_center, rtol=1e-12)


# -------------------------------------------------------------------------------------------------- prediction


@given(order=st.permutations(["size", "rooms", "built", "colour", "heated", "sold", "price", "more"]))
def test_columns_may_come_in_any_order_with_others_between(order: list[str]) -> None:
    problem = mixed_problem()
    preparation = _fit(problem)
    frame = mixed_frame(20, seed=1).assign(more="x")
    np.testing.assert_array_equal(preparation.raw(frame[order]), preparation.raw(mixed_frame(20, seed=1)))


def test_rows_are_prepared_one_by_one() -> None:
    problem = mixed_problem()
    preparation = _fit(problem)
    frame = mixed_frame(20, seed=1)
    together = preparation.raw(frame)
    for row in range(20):
        np.testing.assert_array_equal(preparation.raw(frame.iloc[[row]]), together[[row]])


@given(
    values=st.lists(
        st.one_of(st.none(), st.text(max_size=4), st.integers(-5, 5), st.floats(allow_nan=True, width=16)), min_size=1
    )
)
def test_any_category_is_known_or_unknown_but_never_an_error(values: list[Any]) -> None:
    preparation = _fit(mixed_problem())
    frame = pd.DataFrame(
        {
            "size": 1.0,
            "rooms": 1,
            "built": pd.Timestamp("2001-01-01"),
            "heated": "yes",
            "sold": True,
            "colour": pd.Series(values, dtype=object),
        }
    )
    raw = preparation.raw(frame)
    assert set(np.unique(raw[:, 3])) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    features = preparation.features(raw)
    assert np.isfinite(features).all()


@given(
    raw=hnp.arrays(np.float32, (8, 6), elements=st.floats(-1e6, 1e6, width=32) | st.just(np.float32(np.nan))),
    numeric=st.sampled_from(SCALINGS),
)
def test_features_of_any_raw_matrix_are_finite_and_bounded(raw: np.ndarray, numeric: str) -> None:
    preparation = _fit(mixed_problem(), numeric=numeric)
    features = preparation.features(raw)
    assert np.isfinite(features).all()
    assert features.dtype == np.float32
    if numeric != "none":
        assert (np.abs(features[:, : preparation.n_numeric]) <= 3.0).all()
    assert (np.abs(features[:, preparation.n_numeric :]) <= 1.0).all()


def test_what_was_a_number_in_training_may_come_as_text() -> None:
    preparation = _fit(mixed_problem())
    frame = mixed_frame(20, seed=1)
    as_text = frame.astype(object).map(lambda value: "" if pd.isna(value) else str(value))
    np.testing.assert_array_equal(preparation.raw(as_text), preparation.raw(frame))
    np.testing.assert_array_equal(
        preparation.raw(pl.from_pandas(frame.drop(columns="sold")).with_columns(sold=None)),
        preparation.raw(frame.assign(sold=None)),
    )


def test_categories_written_as_numbers() -> None:
    problem = make_problem({"doors": ["2", "3", "4", "5more"] * 5, "y": np.arange(20.0)}, target="y")
    preparation = _fit(problem)
    # A file of only two- and three-door cars is read as numbers, with gaps as reals.
    expected = preparation.raw({"doors": ["3", "2", None]})
    np.testing.assert_array_equal(preparation.raw({"doors": [3.0, 2.0, np.nan]}), expected)
    np.testing.assert_array_equal(preparation.raw({"doors": [3, 2]}), expected[:2])
    assert preparation.raw({"doors": ["5more"]}).tolist() == [[4.0]]


def test_dates_keep_the_format_of_training() -> None:
    dates = [f"{1 + i % 12:02d}/{1 + i:02d}/2020" for i in range(25)]
    problem = make_problem({"d": dates, "y": np.arange(25.0)}, target="y")
    preparation = _fit(problem)
    assert preparation.columns[0].date_format == "%m/%d/%Y"
    # Both readings fit these: the one of training counts.
    days = preparation.raw({"d": ["01/02/2020", "02/01/2020", ""]})[:, 0]
    assert days[:2].tolist() == [1.0, 31.0]
    assert np.isnan(days[2])
    assert preparation.raw({"d": pd.to_datetime(["2020-01-02"])}).tolist() == [[1.0]]
    with pytest.raises(DataError, match=r"'d' must hold dates of the form %m/%d/%Y, but row 1 says '2020-01-02'"):
        preparation.raw({"d": ["2020-01-02"]})


BAD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "text in numbers": ({"size": ["1", "abc"]}, r"'size' must hold numbers, but row 2 says 'abc'"),
    "infinite": ({"size": [np.inf, 1.0]}, r"'size', row 1: inf is infinite"),
    "too large": ({"size": [1.0, -1e300]}, r"'size', row 2: -1e\+300 is too large"),
    "dates in numbers": ({"size": pd.to_datetime(["2020-01-01", None])}, r"'size' must hold numbers, but row 1"),
    "numbers in dates": ({"built": [1.5, 2.5]}, r"'built' must hold dates, but row 1 says '1\.5'"),
    "text in dates": ({"built": ["2020-01-01", "soon"]}, r"'built' must hold dates, but row 2 says 'soon'"),
    "lists": ({"colour": [[1], [2]]}, r"'colour' holds nested"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_cells_that_cannot_be_understood_are_named(case: str) -> None:
    changes, message = BAD_ROWS[case]
    frame = (
        mixed_frame()
        .dropna()
        .head(2)
        .assign(**{name: pd.Series(v).to_numpy() if name != "colour" else v for name, v in changes.items()})
    )
    with pytest.raises(DataError, match=message):
        _fit(mixed_problem()).raw(frame)


def test_missing_columns_are_named_with_the_nearest() -> None:
    preparation = _fit(mixed_problem())
    with pytest.raises(DataError, match=r"lacks the column\(s\) 'colour'.*Did you mean 'color'\?"):
        preparation.raw(mixed_frame().rename(columns={"colour": "color"}))
    with pytest.raises(DataError, match="no column names"):
        preparation.raw(np.ones((2, 6)))
    with pytest.raises(DataError, match="no rows"):
        preparation.raw(mixed_frame().head(0))


def test_left_out_columns_need_not_be_there() -> None:
    frame = mixed_frame().assign(note=[f"note {i}" for i in range(60)])
    preparation = _fit(make_problem(frame, target="price"))
    assert preparation.left_out == ("note",)
    np.testing.assert_array_equal(preparation.raw(frame.drop(columns=["note", "price"])), preparation.raw(frame))


@pytest.mark.parametrize("wrap", [np.asarray, scipy.sparse.csr_matrix, pd.DataFrame, np.ndarray.tolist])
def test_arrays_predict_for_arrays(wrap: Any) -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    x[:, 1] = 1.0  # constant: left out, but still a column of the array
    preparation = _fit(make_problem(x, np.arange(30.0)))
    assert preparation.n_raw == 2
    np.testing.assert_array_equal(preparation.raw(wrap(x)), x[:, [0, 2]].astype(np.float32))
    with pytest.raises(DataError, match=r"X has 2 features, but the network .* is expecting 3 features"):
        preparation.raw(wrap(x[:, :2]))


def test_a_raw_matrix_of_another_width_is_refused() -> None:
    with pytest.raises(DataError, match=r"must be \(rows, 6\)"):
        _fit(mixed_problem()).features(np.ones((2, 5)))


@pytest.mark.parametrize(
    "rows", [np.array([], np.int64), np.array([0.5]), np.array([99]), np.array([-1]), np.ones((2, 2), int)]
)
def test_impossible_rows_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(DataError, match="rows must"):
        _fit(mixed_problem(), rows)


# -------------------------------------------------------------------------------------------------------- JSON


def _awkward(seed: int) -> Preparation:
    rng = np.random.default_rng(seed)
    frame = mixed_frame(40, seed).assign(size=rng.normal(size=40) * 10.0 ** rng.integers(-30, 30))
    return _fit(make_problem(frame, target="price"), numeric=SCALINGS[seed % 4], max_levels=2 + seed % 3)


@given(seed=st.integers(0, 500))
def test_json_round_trip_is_exact(seed: int) -> None:
    preparation = _awkward(seed)
    text = json.dumps(preparation.to_dict(), allow_nan=False)
    back = Preparation.from_dict(json.loads(text))
    assert back.to_dict() == preparation.to_dict()
    for name in ("numeric_fill", "numeric_center", "numeric_scale", "target_center", "target_scale"):
        assert getattr(back, name).tobytes() == getattr(preparation, name).tobytes()
    frame = mixed_frame(15, seed + 1)
    raw = preparation.raw(frame)
    np.testing.assert_array_equal(back.raw(frame), raw)
    np.testing.assert_array_equal(back.features(raw), preparation.features(raw))
    assert back.feature_names == preparation.feature_names


def _set(*path: Any) -> Any:
    *way, last, value = path

    def change(stored: dict[str, Any]) -> None:
        at: Any = stored
        for step in way:
            at = at[step]
        at[last] = value

    return change


def _drop(stored: dict[str, Any]) -> None:
    del stored["clip"]


TAMPERED: dict[str, Any] = {
    "an entry is missing": _drop,
    "an unknown entry": _set("more", 1),
    "another format": _set("format", 2),
    "a boolean format": _set("format", True),
    "no columns": _set("columns", []),
    "columns no list": _set("columns", {}),
    "a column no object": _set("columns", 0, "size"),
    "an unknown kind": _set("columns", 0, "kind", "image"),
    "a kind that does not fit": _set("columns", 0, "kind", "category"),
    "a category turned number": _set("columns", 3, "kind", "numeric"),
    "a name no text": _set("columns", 0, "name", 5),
    "another name": _set("columns", 0, "name", "sise"),
    "levels repeated": _set("columns", 3, "levels", ["red", "red"]),
    "levels no text": _set("columns", 3, "levels", [1]),
    "levels in numbers": _set("columns", 0, "levels", ["a"]),
    "other without rare": _set("columns", 3, "other", True),
    "boolean with other levels": _set("columns", 5, "levels", ["True", "False"]),
    "truth as number": _set("columns", 3, "missing", 1),
    "a day that is none": _set("columns", 2, "reference", "2020-13-01"),
    "a day that is not a time": _set("columns", 2, "reference", "NaT"),
    "a date without its day": _set("columns", 2, "reference", ""),
    "names repeated": _set("input_names", 1, "size"),
    "left out but unknown": _set("left_out", ["ghost"]),
    "arrays no truth": _set("arrays", 0),
    "index too large": _set("numeric_index", [0, 1, 99]),
    "index of a category": _set("numeric_index", [0, 1, 3]),
    "index no whole number": _set("numeric_index", [0, 1.0, 2]),
    "indicator of a category": _set("indicator_index", [4]),
    "indicators unordered": _set("indicator_index", [2, 0]),
    "too few scales": _set("numeric_scale", [1.0]),
    "a scale not finite": _set("numeric_scale", 0, float("nan")),
    "an infinite centre": _set("numeric_center", 0, float("inf")),
    "a negative scale": _set("numeric_scale", 0, -1.0),
    "a scale as text": _set("numeric_scale", 0, "1.0"),
    "a truth as number": _set("numeric_fill", 0, True),
    "fill no list": _set("numeric_fill", 3.0),
    "target scale zero": _set("target_scale", [0.0]),
    "target scales differ in number": _set("target_scale", [1.0, 1.0]),
    "no target": _set("target_center", []),
    "a negative clip": _set("clip", -3.0),
    "a clip of text": _set("clip", "3"),
    "a huge clip": _set("clip", 10**400),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_stored_preparation_is_not_trusted(case: str) -> None:
    stored = json.loads(json.dumps(_fit(mixed_problem()).to_dict()))
    Preparation.from_dict(copy.deepcopy(stored))  # sound before
    TAMPERED[case](stored)
    with pytest.raises(DataError, match="stored preparation cannot be used"):
        Preparation.from_dict(stored)


def test_something_else_than_an_object_is_refused() -> None:
    for stored in (None, [], "x", 3):
        with pytest.raises(DataError, match="stored preparation cannot be used"):
            Preparation.from_dict(stored)  # type: ignore[arg-type]


def test_ten_thousand_columns_are_prepared() -> None:
    x = np.random.default_rng(0).normal(size=(12, 10_000))
    preparation = _fit(make_problem(x, np.arange(12.0)))
    assert preparation.features(preparation.raw(x)).shape == (12, 10_000)


def test_preparation_is_frozen() -> None:
    preparation = _fit(mixed_problem())
    with pytest.raises(AttributeError):
        preparation.clip = 1.0  # type: ignore[misc]
    assert replace(preparation, clip=1.0).clip == 1.0


# -------------------------------------------------------------------------------------------------- whitening


def _correlated(n: int = 200) -> Any:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)) * [1, 100, 0.01, 3] + [5, -1e3, 0, 2]
    x[::9, 1] = np.nan
    return make_problem(x, rng.normal(size=n))


@pytest.mark.parametrize("how", ["pca", "zca"])
def test_whitened_training_rows_have_the_identity_for_their_covariance(how: str) -> None:
    problem = _correlated()
    rows = np.arange(150)
    fitted = _fit(problem, rows, numeric="standard", clip=0.0, whiten=how)
    z = fitted.features(fitted.raw(problem.frame))[:, : fitted.n_numeric].astype(np.float64)
    np.testing.assert_allclose(z[rows].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(z[rows], rowvar=False, bias=True), np.eye(4), atol=1e-4)
    assert np.abs(np.cov(z[150:], rowvar=False) - np.eye(4)).max() > 1e-2  # the other rows had no say
    again = Preparation.from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(again.features(again.raw(problem.frame)), fitted.features(fitted.raw(problem.frame)))
    assert again.feature_names == fitted.feature_names
    assert fitted.feature_names[0] == ("component 1" if how == "pca" else "x0")


def test_whitening_is_that_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(1)
    z = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 3))
    center, matrix = whitening(z, "pca")
    theirs = PCA(whiten=True).fit(z).transform(z) * np.sqrt(80 / 79)  # its divisor is n - 1
    np.testing.assert_allclose(np.abs((z - center) @ matrix), np.abs(theirs), rtol=1e-6, atol=1e-8)
    zca = whitening(z, "zca")[1]
    np.testing.assert_allclose(zca, zca.T, atol=1e-9)
    np.testing.assert_allclose(zca, np.linalg.inv(scipy.linalg.sqrtm(np.cov(z, rowvar=False, bias=True))), rtol=1e-6)


def test_directions_without_variance_are_muted_not_blown_up() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "copy": x[:, 0]})
    problem = make_problem(frame, rng.normal(size=60))
    fitted = _fit(problem, numeric="standard", clip=0.0, whiten="pca")
    z = fitted.features(fitted.raw(frame))
    assert np.isfinite(z).all()
    np.testing.assert_allclose(sorted(z.std(axis=0)), [0, 1, 1], atol=1e-4)


def test_whitening_wants_more_rows_than_columns() -> None:
    x = np.random.default_rng(0).normal(size=(10, 12))
    with pytest.raises(DataError, match="more training rows than columns"):
        _fit(make_problem(x, x[:, 0] + 1), whiten="zca")


@pytest.mark.parametrize(
    "damage",
    [
        {"how": "both"},
        {"center": [0.0]},
        {"matrix": [[1.0, 0.0]]},
        {"matrix": "none"},
        {"matrix": [[float("nan")] * 4] * 4},
        {"more": 1},
    ],
)
def test_a_damaged_whitening_is_refused(damage: dict[str, Any]) -> None:
    stored = _fit(_correlated(), whiten="pca").to_dict()
    stored["whitening"] |= damage
    with pytest.raises(DataError, match="cannot be used"):
        Preparation.from_dict(stored)


@pytest.mark.parametrize(("how", "low", "high"), [("unit", 0.0, 1.0), ("minmax", -1.0, 1.0)])
def test_numbers_fill_their_range(how: str, low: float, high: float) -> None:
    numbers = np.random.default_rng(0).normal(size=(50, 3)) * 9 + 4
    _, center, scale = scaling(numbers, how)
    z = (numbers - center) * scale
    np.testing.assert_allclose(z.min(axis=0), low, atol=1e-12)
    np.testing.assert_allclose(z.max(axis=0), high, atol=1e-12)


def test_center_only_centres() -> None:
    numbers = np.random.default_rng(0).normal(size=(50, 3)) * 9 + 4
    _, center, scale = scaling(numbers, "center")
    np.testing.assert_allclose(((numbers - center) * scale), numbers - numbers.mean(axis=0))
