"""What a table is understood to be: column kinds, target, kind of problem, errors."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris

from fallline.data import Preparation, make_problem, summarise
from fallline.data.frames import as_frame
from fallline.data.infer import understand
from fallline.errors import DataError
from tests.data.tables import mixed_frame, mixed_problem, subprocess_environment

N = 40
TARGET = np.linspace(0.0, 1.0, N)


def _kind(values: Any, name: str = "c") -> tuple[str, str]:
    column = understand(name, pd.Series(values)).column
    return column.kind, column.reason


def _cycle(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


KINDS: dict[str, tuple[list[Any], str]] = {
    "reals": ([float(i) / 3 for i in range(N)], "numeric"),
    "whole numbers": (_cycle(1, 2, 3), "numeric"),
    "zero and one": (_cycle(0, 1), "numeric"),
    "numbers with gaps": (_cycle(1.0, None, 2.5), "numeric"),
    "numbers as text": (_cycle("1", "2.5", "-3e2", "", "NA", "?", "null", "nan"), "numeric"),
    "decimals": (_cycle(Decimal("1.5"), Decimal("2"), None), "numeric"),
    "mixed number types": (_cycle(1, 2.5, None, np.float32(3)), "numeric"),
    "durations": (list(pd.to_timedelta(np.arange(N), unit="h")), "numeric"),
    "one value and gaps": (_cycle(3.0, None), "numeric"),
    "booleans": (_cycle(True, False), "boolean"),
    "booleans with gaps": (_cycle(True, False, None), "boolean"),
    "booleans as text": (_cycle("True", "false", "TRUE", ""), "boolean"),
    "stamps": (list(pd.date_range("2020-01-01", periods=N)), "date"),
    "stamps with zone": (list(pd.date_range("2020-01-01", periods=N, tz="Europe/Zurich")), "date"),
    "days": ([dt.date(2020, 1, 1 + i % 28) for i in range(N)], "date"),
    "iso text": (_cycle("2020-01-01", "2021-12-31", ""), "date"),
    "iso text with time": (_cycle("2020-01-01T10:00:00", "2021-12-31T23:59:59Z"), "date"),
    "german text": (_cycle("31.12.2020", "01.02.2021"), "date"),
    "american text": (_cycle("12/31/2020", "02/01/2021"), "date"),
    "british text": (_cycle("31/12/2020", "01/02/2021"), "date"),
    "months in words": (_cycle("3 Jan 2020", "14 Feb 2021"), "date"),
    "words": (_cycle("red", "green", None), "category"),
    "yes and no": (_cycle("yes", "no"), "category"),
    "words and numbers": (_cycle("2", "3", "4", "5more"), "category"),
    "rare open end": ([*_cycle("1", "2", "3")[:-1], "8+"], "category"),
    "postal codes": (_cycle("02139", "10115", "8001"), "category"),
    "none beside bricks": (_cycle("None", "brick"), "category"),
    "declared categories": (list(pd.Categorical(_cycle(1, 2, 3))), "numeric"),
    "no values": ([None] * N, "left_out"),
    "only missing words": (_cycle("", "NA", "?"), "left_out"),
    "constant number": ([7.0] * N, "left_out"),
    "constant text": (["x"] * N, "left_out"),
    "unique text": ([f"user {i}" for i in range(N)], "left_out"),
    "free text": ([f"the quick brown fox number {i // 2} jumps" for i in range(N)], "left_out"),
    "lists": ([[i] for i in range(N)], "left_out"),
    "dicts": ([{"a": i} for i in range(N)], "left_out"),
}


@pytest.mark.parametrize("case", KINDS)
def test_column_kinds(case: str) -> None:
    values, expected = KINDS[case]
    kind, reason = _kind(values)
    assert kind == expected
    assert bool(reason) == (kind == "left_out")


def test_declared_categories_of_numbers_are_categories() -> None:
    assert _kind(pd.Categorical(_cycle(1, 2, 3)))[0] == "category"


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("id", range(N), "left_out"),
        ("customer_id", [i * 7 for i in range(N)], "left_out"),
        ("PassengerId", range(1, N + 1), "left_out"),
        ("Unnamed: 0", range(N), "left_out"),
        ("index", range(N), "left_out"),
        ("number", [i * 7 for i in range(N)], "numeric"),
        ("x0", range(N), "numeric"),
        ("id", [i // 2 for i in range(N)], "numeric"),
        ("humid", range(N), "numeric"),
        ("year", range(1980, 1980 + N), "numeric"),
    ],
)
def test_whole_numbers_are_ids_only_by_name_and_uniqueness(name: str, values: Any, kind: str) -> None:
    assert _kind(list(values), name)[0] == kind


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([*map(str, range(N - 1)), "abc"], r"Column 'c' holds numbers, but row 40 says 'abc'.*Correct the cell"),
        ([*map(float, range(N - 1)), "abc"], r"row 40 says 'abc'"),
        (["abc", "x", *(str(i / 7) for i in range(N - 2))], r"row 1 says 'abc' \(1 more such cells\)"),
        (["oops", *(str(i / 7) for i in range(9))] * 1, r"^$"),
        (["x", "y", "z", "u", *(str(i / 7) for i in range(N - 4))], r"row 1 says 'x'"),
        ([f"{i},{i}5" for i in range(N)], r"decimal comma"),
        ([1.0, np.inf, 2.0], r"Column 'c', row 2: inf is infinite"),
        ([1.0, 2.0, -np.inf], r"Column 'c', row 3: -inf is infinite"),
        (["1", "1e400", "2"], r"Column 'c', row 2: inf is infinite"),
        ([1.0, 1e39, 2.0], r"row 2: 1e\+39 is too large for single precision"),
        ([10**50, 1, 2], r"too large"),
        (
            [*(f"2020-01-{1 + i % 28:02d}" for i in range(N - 1)), "2020-02-31"],
            r"holds dates, but row 40 says '2020-02-31'",
        ),
        ([1 + 2j] * N, r"Complex data not supported"),
    ],
)
def test_mistakes_in_columns_are_named_with_row_and_value(values: list[Any], message: str) -> None:
    if message == "^$":  # nine of ten are numbers, but in ten rows the words may as well be a category
        assert _kind(values)[0] == "category"
        return
    with pytest.raises(DataError, match=message):
        _kind(values)


def test_rows_are_counted_as_the_user_counts_them() -> None:
    y = [None, *range(30)]
    x = [0.5, 1.5, np.inf] + [float(i) for i in range(28)]
    with pytest.raises(DataError, match="row 3: inf"):
        make_problem({"x": x, "y": y}, target="y")


# ------------------------------------------------------------------------------------------------- the target

CLASS_NOTE = "taken for classes"


@pytest.mark.parametrize(
    ("y", "kind", "classes"),
    [
        (TARGET, "regression", ()),
        (np.arange(N), "regression", ()),
        (_cycle(0, 1), "binary", (0, 1)),
        (_cycle(0.0, 1.0), "binary", (0.0, 1.0)),
        (_cycle(2, 1), "binary", (1, 2)),
        (_cycle(True, False), "binary", (False, True)),
        (np.array(_cycle(True, False)), "binary", (False, True)),
        (_cycle("b", "a"), "binary", ("a", "b")),
        (_cycle("b", "a", "c"), "multiclass", ("a", "b", "c")),
        (_cycle("10", "9", "8"), "multiclass", ("10", "8", "9")),
        (_cycle(1, 2, 3, 4, 5), "regression", ()),
        (_cycle(1.5, 2.0, 2.5), "regression", ()),
        (_cycle("a", "b", 1), "multiclass", (1, "a", "b")),
        (pd.Categorical(_cycle(3, 1, 2)), "multiclass", (1, 2, 3)),
        ([str(i / 7) for i in range(N)], "regression", ()),
    ],
)
def test_kind_is_inferred_from_one_target(y: Any, kind: str, classes: tuple[Any, ...]) -> None:
    problem = make_problem(pd.DataFrame({"x": TARGET * 2}), y)
    assert problem.kind == kind
    assert problem.classes == classes
    assert [type(label) for label in problem.classes] == [type(label) for label in classes]
    assert problem.y.dtype == (np.float64 if kind == "regression" else np.int64)
    if classes:
        assert [problem.classes[code] for code in problem.y] == list(y)


@pytest.mark.parametrize(
    ("y", "why", "other"),
    [
        ([i % 7 + 3 for i in range(200)], "takes 7 whole numbers: they are taken for classes", "regression"),
        ([i % 7 + 3 for i in range(100)], "takes 7 different whole numbers in 100 rows: it is taken", "multiclass"),
        ([i % 26 for i in range(900)], "takes 26 different whole numbers in 900 rows: it is taken", "multiclass"),
        (list(range(200)), "takes 200 different whole numbers.", ""),
        ([i / 7 for i in range(60)], "holds numbers that are not all whole.", ""),
        (["a", "b", "c"] * 9, "holds 3 different labels.", ""),
        ([0, 1] * 9, "takes two values.", ""),
    ],
)
def test_why_a_kind_was_taken_is_said_and_how_to_take_another(y: list[Any], why: str, other: str) -> None:
    problem = make_problem({"x": [i / 3 for i in range(len(y))], "grade": y}, target="grade")
    assert problem.why.startswith(f"The target 'grade' {why}")
    assert (f"kind='{other}'" in problem.why) == bool(other)
    assert (problem.why in problem.notes) == bool(other)  # a report says what is doubtful
    if other:
        given = make_problem({"x": [i / 3 for i in range(len(y))], "grade": y}, target="grade", kind=other)
        assert (given.kind, given.why, given.notes) == (other, "", ())


def test_few_whole_numbers_in_many_rows_are_classes_and_it_is_said() -> None:
    x, y = load_digits(return_X_y=True)
    problem = make_problem(x, y)
    assert problem.kind == "multiclass"
    assert problem.n_outputs == 10
    assert any(CLASS_NOTE in note and "kind='regression'" in note for note in problem.notes)
    assert make_problem(x, y, kind="regression").kind == "regression"


@pytest.mark.parametrize(
    ("loader", "kind"),
    [
        (load_iris, "multiclass"),
        (load_breast_cancer, "binary"),
        (load_diabetes, "regression"),
        (load_digits, "multiclass"),
    ],
)
def test_bundled_tables(loader: Any, kind: str) -> None:
    bunch = loader(as_frame=True)
    problem = make_problem(bunch.frame, target="target")
    assert problem.kind == kind
    assert {column.kind for column in problem.columns} <= {"numeric", "left_out"}


def test_several_targets() -> None:
    x = pd.DataFrame({"x": TARGET})
    labels = np.stack([_cycle(0, 1), _cycle(0, 0, 1)], axis=1)
    problem = make_problem(x, labels)
    assert (problem.kind, problem.n_outputs, problem.y.dtype) == ("multilabel", 2, np.int64)
    assert problem.target_names == ("target0", "target1")
    assert make_problem(x, labels.astype(bool)).kind == "multilabel"
    assert make_problem(x, labels, kind="multioutput").kind == "multioutput"
    values = pd.DataFrame({"u": TARGET, "v": TARGET**2})
    problem = make_problem(x, values)
    assert (problem.kind, problem.n_outputs, problem.target_names) == ("multioutput", 2, ("u", "v"))
    joined = x.join(values)
    for found in (make_problem(joined, target=["u", "v"]), make_problem(joined, ["u", "v"])):
        np.testing.assert_array_equal(found.y, problem.y)
        assert [column.name for column in found.columns] == ["x"]


def test_a_single_column_matrix_is_one_target() -> None:
    problem = make_problem(pd.DataFrame({"x": TARGET}), TARGET[:, None])
    assert problem.kind == "regression"
    assert problem.y.shape == (N,)


def test_rows_without_a_target_are_left_out_and_said() -> None:
    frame = pd.DataFrame({"x": np.arange(6.0), "y": ["a", None, "b", "", "a", "b"]})
    problem = make_problem(frame, target="y", sample_weight=[1, 2, 3, 4, 5, 6], group=list("uvwxyz"))
    assert problem.frame["x"].tolist() == [0, 2, 4, 5]
    assert problem.y.tolist() == [0, 1, 0, 1]
    assert problem.sample_weight is not None
    assert problem.sample_weight.tolist() == [1, 3, 5, 6]
    assert problem.groups is not None
    assert problem.groups.tolist() == ["u", "w", "y", "z"]
    assert "2 of 6 rows have no target" in problem.notes[0]


def test_whole_classes_stay_whole_when_some_rows_have_none() -> None:
    problem = make_problem(pd.DataFrame({"x": TARGET}), [None, *_cycle(1, 2)[1:]])
    assert problem.classes == (1, 2)
    assert all(isinstance(label, int) for label in problem.classes)


def test_classes_of_one_row_are_noted() -> None:
    problem = make_problem(pd.DataFrame({"x": TARGET}), ["rare", *_cycle("a", "b")[1:]])
    assert any("single row" in note and "'rare'" in note for note in problem.notes)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no target": ({}, r"No target is given.*target='y'.*columns are 'x', 'y'"),
    "no such column": ({"target": "Yy"}, r"no column 'Yy'\. Did you mean 'y'\?"),
    "one of two is no column": ({"target": ["y", "q"]}, r"no column 'q'"),
    "target and y": ({"target": "y", "y": TARGET}, r"Both y and target"),
    "only a target": ({"x": {"y": TARGET}, "target": "y"}, r"no other column than the target"),
    "constant target": ({"y": np.ones(N)}, r"only one class or value, 1\.0.*nothing to learn"),
    "one class": ({"y": ["a"] * N}, r"only one class or value, 'a'"),
    "no values": ({"y": np.full(N, np.nan)}, r"no values: all 40 rows are missing"),
    "one row": ({"x": {"x": [1.0]}, "y": [2.0]}, r"n_samples = 1"),
    "one row with a target": ({"y": [1.0] + [np.nan] * (N - 1)}, r"Only one row"),
    "no rows": ({"x": {"x": []}, "y": []}, r"no rows"),
    "no columns": ({"x": np.empty((5, 0)), "y": TARGET[:5]}, r"0 feature\(s\)"),
    "infinite target": ({"y": [*TARGET[:-1], np.inf]}, r"'target', row 40: inf is infinite"),
    "text in a target": ({"y": [*map(str, range(N - 1)), "abc"]}, r"row 40 says 'abc'"),
    "text for regression": ({"y": _cycle("a", "b"), "kind": "regression"}, r"must hold numbers.*row 1 says 'a'"),
    "unknown kind": ({"y": TARGET, "kind": "binry"}, r"'binry'.*Did you mean 'binary'"),
    "three values for binary": ({"y": _cycle(1, 2, 3), "kind": "binary"}, r"has 3 values.*kind='multiclass'"),
    "one target for several": ({"y": TARGET, "kind": "multioutput"}, r"two or more target columns"),
    "several for one": ({"y": np.ones((N, 2)), "kind": "binary"}, r"one target column; 2 are given"),
    "multilabel of reals": ({"y": np.stack([TARGET, TARGET], 1), "kind": "multilabel"}, r"other values than 0 and 1"),
    "multioutput of text": ({"y": np.array([["a", "b"]] * N)}, r"must all be numbers.*'a' in row 1"),
    "constant among several": ({"y": np.stack([TARGET, TARGET * 0], 1)}, r"'target1' has only one"),
    "lengths differ": ({"y": TARGET[:-1]}, r"x has 40 rows, y has 39"),
    "three-dimensional y": ({"y": np.ones((N, 2, 2))}, r"y has the shape \(40, 2, 2\)"),
    "dates as target": ({"y": pd.date_range("2020", periods=N)}, r"dates or durations"),
    "every text different": ({"y": [f"t{i}" for i in range(N)]}, r"another text in every one"),
    "sparse y": ({"y": scipy.sparse.csr_matrix(np.ones((N, 1)))}, r"sparse.*toarray"),
    "one-dimensional x": ({"x": TARGET, "y": TARGET}, r"Expected 2D array.*Reshape your data"),
    "three-dimensional x": ({"x": np.ones((N, 2, 2)), "y": TARGET}, r"dim 3"),
    "complex x": ({"x": np.ones((N, 2)) * 1j, "y": TARGET}, r"Complex data not supported"),
    "text for x": ({"x": "data.csv", "y": TARGET}, r"x is of type str"),
    "none for x": ({"x": None, "y": TARGET}, r"x is None"),
    "ragged lists": ({"x": [[1, 2], [3]], "y": [1, 2]}, r"row 2 has 1 value\(s\), row 1 has 2"),
    "ragged columns": ({"x": {"a": [1, 2], "b": [1]}, "y": [1, 2]}, r"same number of values"),
    "repeated names": ({"x": pd.DataFrame(np.ones((N, 2)), columns=["a", "a"]), "y": TARGET}, r"'a'.*more than once"),
    "empty name": ({"x": pd.DataFrame(np.ones((N, 2)), columns=["a", ""]), "y": TARGET}, r"column 2 of 2 has no name"),
    "nothing to learn from": (
        {"x": {"a": [1.0] * N, "b": [None] * N}, "y": TARGET},
        r"No input column is left.*'a': the same",
    ),
    "unknown column left out": ({"target": "y", "leave_out": ["xx"]}, r"leave_out: there is no column 'xx'"),
    "weights of another length": ({"target": "y", "sample_weight": [1.0]}, r"sample_weight has the shape \(1,\)"),
    "negative weight": ({"target": "y", "sample_weight": [-1.0] + [1] * (N - 1)}, r"-1 at position 1"),
    "missing weight": ({"target": "y", "sample_weight": [1] * (N - 1) + [np.nan]}, r"nan at position 40"),
    "all weights zero": ({"target": "y", "sample_weight": np.zeros(N)}, r"0 for all rows"),
    "weights of text": ({"target": "y", "sample_weight": ["a"] * N}, r"must hold numbers"),
    "no such weights": ({"target": "y", "sample_weight": "w"}, r"sample_weight: there is no column 'w'"),
    "no such group": ({"target": "y", "group": "g"}, r"group: there is no column 'g'"),
    "missing group": ({"target": "y", "group": [None, *"a" * (N - 1)]}, r"group is missing in 1 rows.*row 1"),
    "lazy frame": ({"x": pl.LazyFrame({"x": TARGET}), "y": TARGET}, r"\.collect\(\)"),
    "too large when dense": (
        {"x": scipy.sparse.csr_matrix((100_000, 10_000)), "y": np.arange(100_000)},
        r"7\.5 GiB when dense; at most 2 GiB",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_give_one_clear_error(case: str) -> None:
    arguments, message = MISTAKES[case]
    x = (
        arguments.get("x", {"x": TARGET**2, "y": TARGET})
        if "x" in arguments or "y" not in arguments
        else {"x": TARGET**2}
    )
    with pytest.raises(DataError, match=message) as caught:
        make_problem(x, **{name: value for name, value in arguments.items() if name != "x"})
    assert "\n" not in str(caught.value)


def test_weights_and_groups_by_column_name() -> None:
    frame = pd.DataFrame({"x": TARGET, "w": np.arange(N), "g": _cycle("u", "v"), "y": TARGET})
    problem = make_problem(frame, target="y", sample_weight="w", group="g")
    assert {column.name: column.kind for column in problem.columns} == {"x": "numeric", "g": "left_out"}
    assert problem.sample_weight is not None
    np.testing.assert_array_equal(problem.sample_weight, np.arange(N))
    assert problem.groups is not None
    assert problem.groups.tolist() == _cycle("u", "v")


def test_left_out_columns_stay_in_the_frame_and_are_said() -> None:
    frame = pd.DataFrame(
        {"x": TARGET, "name": [f"n{i}" for i in range(N)], "z": TARGET * 2, "k": 1, "l": 1, "y": TARGET}
    )
    problem = make_problem(frame, target="y", leave_out=["z"])
    assert {c.name: c.kind for c in problem.columns} == dict.fromkeys(["name", "z", "k", "l"], "left_out") | {
        "x": "numeric"
    }
    assert list(problem.frame.columns) == ["x", "name", "z", "k", "l"]
    assert any("'name' is left out: every value is different" in note for note in problem.notes)
    assert any("2 columns are left out ('k', 'l'): the same value" in note for note in problem.notes)
    assert not any("'z'" in note for note in problem.notes)


# ------------------------------------------------------------------------------------------------- containers


def _as_text_dates(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(built=frame["built"].dt.strftime("%d.%m.%Y"))


CONTAINERS: dict[str, Any] = {
    "pandas": lambda f: f,
    "pandas, nullable": lambda f: f.convert_dtypes(),
    "pandas, arrow-backed": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "pandas, another index": lambda f: f.set_axis(np.arange(len(f))[::-1], axis=0),
    "polars": lambda f: pl.from_arrow(pa.Table.from_pandas(f, preserve_index=False)),
    "arrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
    "record batch": lambda f: pa.RecordBatch.from_pandas(f, preserve_index=False),
    "columns": lambda f: {name: f[name].tolist() for name in f.columns},
    "rows": lambda f: f.to_dict("records"),
    "text": lambda f: f.assign(size=f["size"].map(lambda v: "" if pd.isna(v) else repr(v))),
    "german dates": _as_text_dates,
    "categories": lambda f: f.assign(colour=f["colour"].astype("category")),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_container_does_not_matter(container: str) -> None:
    frame = mixed_frame()
    expected = make_problem(frame, target="price")
    found = make_problem(CONTAINERS[container](frame), target="price")
    assert found.columns == expected.columns
    assert found.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(found.y, expected.y)


@pytest.mark.parametrize(
    "wrap", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.coo_array, np.ndarray.tolist, pd.DataFrame]
)
def test_arrays_get_numbered_columns(wrap: Any) -> None:
    x = np.random.default_rng(0).normal(size=(N, 3))
    problem = make_problem(wrap(x), TARGET)
    assert [column.name for column in problem.columns] == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(problem.frame.to_numpy(np.float64), x)


def test_masked_and_object_and_structured_arrays() -> None:
    masked = np.ma.masked_array(np.arange(6.0).reshape(3, 2), mask=[[0, 1], [0, 0], [0, 0]])
    assert np.isnan(as_frame(masked).iloc[0, 1])
    problem = make_problem([[1.5, "u"], [2.5, "v"], [None, "u"]], [1.0, 2.0, 4.0])
    assert [column.kind for column in problem.columns] == ["numeric", "category"]
    structured = np.array([(1.0, "u"), (2.0, "v")], dtype=[("a", float), ("b", "U1")])
    assert list(as_frame(structured).columns) == ["a", "b"]


def test_series_of_any_library_as_target() -> None:
    x = pd.DataFrame({"x": TARGET})
    for y in (pd.Series(TARGET, name="u"), pl.Series("u", TARGET), pa.array(TARGET), TARGET.tolist(), tuple(TARGET)):
        np.testing.assert_array_equal(make_problem(x, y).y, TARGET)
    assert make_problem(x, pl.Series("u", TARGET)).target_names == ("u",)


def test_columns_named_by_numbers_or_tuples() -> None:
    frame = pd.DataFrame(np.ones((3, 2)), columns=[5, 7])
    assert list(as_frame(frame).columns) == ["5", "7"]
    frame.columns = pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])
    assert list(as_frame(frame).columns) == ["a_b", "a_c"]


def test_the_users_frame_is_not_changed() -> None:
    frame = mixed_frame()
    before = frame.copy(deep=True)
    make_problem(frame, target="price")
    pd.testing.assert_frame_equal(frame, before)


# ------------------------------------------------------------------------------------------------ fingerprint


def test_fingerprint_is_the_same_in_another_process() -> None:
    code = "from tests.data.tables import mixed_problem; print(mixed_problem().fingerprint)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=subprocess_environment()
    )
    assert found.stdout.strip() == mixed_problem().fingerprint
    assert len(mixed_problem().fingerprint) == 64


@given(row=st.integers(0, 59), column=st.sampled_from(["size", "rooms", "built", "colour", "heated", "sold", "price"]))
def test_any_changed_cell_changes_the_fingerprint(row: int, column: str) -> None:
    frame = mixed_frame()
    before = make_problem(frame, target="price").fingerprint
    value = frame[column].iloc[row]
    changed = {"colour": "mauve", "heated": "perhaps", "sold": value is not True, "built": pd.Timestamp("1999-09-09")}
    other = changed.get(column, 12345.0 if column != "rooms" else 17)
    frame.loc[row, column] = other
    assert make_problem(frame, target="price").fingerprint != before


def test_renaming_changes_the_fingerprint() -> None:
    frame = mixed_frame()
    renamed = frame.rename(columns={"size": "area"})
    assert make_problem(frame, target="price").fingerprint != make_problem(renamed, target="price").fingerprint


def test_ten_thousand_columns_are_understood() -> None:
    x = np.random.default_rng(0).normal(size=(12, 10_000))
    assert len(make_problem(x, np.arange(12.0)).columns) == 10_000


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.datetimes(),
    st.sampled_from(["1,5", "NA", "2020-01-01", "1e400", "007", "8+", "true"]),
    st.decimals(allow_nan=False),
    st.just([1]),
    st.binary(max_size=3),
)


@given(
    columns=st.lists(st.lists(CELLS, min_size=6, max_size=6), min_size=1, max_size=3),
    y=st.lists(CELLS, min_size=6, max_size=6) | st.just([0.5, 1.5, 2.5, 3.5, 5.5, 9.5]),
)
def test_any_cells_give_a_problem_or_one_clear_error(columns: list[list[Any]], y: list[Any]) -> None:
    frame = pd.DataFrame({f"c{i}": pd.Series(values, dtype=object) for i, values in enumerate(columns)})
    try:
        problem = make_problem(frame.assign(good=np.arange(6.0)), pd.Series(y, dtype=object))
    except DataError:
        return
    preparation = Preparation.fit(problem, np.arange(problem.n_rows))
    assert np.isfinite(preparation.features(preparation.raw(problem.frame))).all()
    assert summarise(problem).n_rows == problem.n_rows
    assert np.isfinite(problem.y).all()
