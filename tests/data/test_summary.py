"""The data summary: statistics, relations, duplicates, leakage suspects, remarks."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from fallline.data import make_problem, summarise
from fallline.types import ColumnSummary, Problem, Summary
from tests.data.tables import labels_problem, mixed_frame, mixed_problem

N = 400


def _column(summary: Summary, name: str) -> ColumnSummary:
    return next(column for column in summary.columns if column.name == name)


def _problem(**columns: object) -> Problem:
    rng = np.random.default_rng(0)
    return make_problem(pd.DataFrame({"noise": rng.normal(size=N), **columns}), rng.normal(size=N))


def test_statistics_agree_with_pandas() -> None:
    frame = mixed_frame()
    summary = summarise(make_problem(frame, target="price"))
    size = _column(summary, "size")
    described = frame["size"].astype(float).describe()
    found = size.statistics
    assert size.count == described["count"]
    assert size.missing == frame["size"].isna().sum()
    assert size.distinct == frame["size"].nunique()
    for ours, theirs in {
        "mean": "mean",
        "min": "min",
        "q25": "25%",
        "median": "50%",
        "q75": "75%",
        "max": "max",
    }.items():
        assert found[ours] == pytest.approx(described[theirs])
    assert found["sd"] == pytest.approx(frame["size"].astype(float).std(ddof=0))
    colour = _column(summary, "colour")
    assert dict(colour.levels) == frame["colour"].value_counts().to_dict()
    assert [count for _, count in colour.levels] == sorted((count for _, count in colour.levels), reverse=True)
    sold = [value for value in frame["sold"] if value is not None]
    assert dict(_column(summary, "sold").levels) == {"True": sum(sold), "False": len(sold) - sum(sold)}
    assert [column.name for column in summary.columns] == list(frame.columns[:-1])
    assert summary.targets[0].name == "price"
    assert summary.targets[0].statistics["mean"] == pytest.approx(frame["price"].mean())


@given(
    values=st.lists(
        st.one_of(st.floats(-1e30, 1e30), st.integers(-5, 5).map(float), st.just(math.nan), st.just(1e-320)),
        min_size=5,
        max_size=40,
    )
)
def test_histograms_count_every_present_value(values: list[float]) -> None:
    frame = pd.DataFrame({"x": values, "z": np.arange(len(values)) / 7})
    summary = summarise(make_problem(frame, np.arange(len(values)) + 0.5))
    for column in summary.columns:
        if column.histogram is None:
            continue
        edges, counts = column.histogram
        assert counts.sum() == column.count
        assert len(edges) == len(counts) + 1
        assert 1 <= len(counts) <= 20
        assert (np.diff(edges) > 0).all()


def test_few_whole_numbers_get_a_bin_each() -> None:
    histogram = _column(summarise(_problem(rooms=np.arange(N) % 5)), "rooms").histogram
    assert histogram is not None
    np.testing.assert_array_equal(histogram[0], [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5])
    np.testing.assert_array_equal(histogram[1], [80] * 5)


def test_association_tells_signal_from_noise() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=N)
    frame = pd.DataFrame(
        {
            "line": y + 0.1 * rng.normal(size=N),
            "curve": np.exp(3 * y),
            "noise": rng.normal(size=N),
            "class": np.where(y > 0, "high", "low"),
            "dice": rng.choice(list("abc"), N),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta((y * 100).round(), unit="D"),
        }
    )
    found = {column.name: column.association for column in summarise(make_problem(frame, y)).columns}
    assert all(found[name] > 0.75 for name in ("line", "curve", "class", "day"))
    assert all(found[name] < 0.2 for name in ("noise", "dice"))
    labels = {
        column.name: column.association for column in summarise(make_problem(frame, np.where(y > 0, "u", "v"))).columns
    }
    assert labels["class"] == pytest.approx(1.0)
    assert labels["line"] > 0.7
    assert labels["noise"] < 0.2
    assert all(0 <= value <= 1 for value in [*found.values(), *labels.values()])


def test_missingness_can_be_associated() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, N)
    word = np.where(label == 1, rng.choice(["a", "b"], N), None)
    problem = make_problem(pd.DataFrame({"x": rng.normal(size=N), "word": word}), label)
    assert _column(summarise(problem), "word").association > 0.6


@given(copies=st.lists(st.integers(0, 59), max_size=30), seed=st.integers(0, 50))
def test_duplicates_are_counted_as_pandas_does(copies: list[int], seed: int) -> None:
    frame = mixed_frame(60, seed)
    frame = pd.concat([frame, frame.iloc[copies]], ignore_index=True)
    frame["size"] = frame["size"].astype(float)
    assert summarise(make_problem(frame, target="price")).duplicate_rows == len(copies)
    # Equal inputs with another target are no copies.
    frame["price"] = np.arange(len(frame)) + 0.5
    assert summarise(make_problem(frame, target="price")).duplicate_rows == 0


def test_columns_that_say_the_same_are_paired() -> None:
    rng = np.random.default_rng(5)
    a = rng.normal(1e6, 1.0, N)
    gaps = a.copy()
    gaps[::50] = np.nan
    summary = summarise(_problem(a=a, minus=-2 * a + 5, gaps=gaps, other=rng.normal(size=N)))
    pairs = {(first, second): r for first, second, r in summary.correlated}
    assert set(pairs) == {("a", "minus"), ("a", "gaps"), ("minus", "gaps")}
    assert pairs["a", "minus"] == pytest.approx(-1.0)
    assert "say nearly the same" in " ".join(summary.remarks)


# ---------------------------------------------------------------------------------------------------- leakage


@pytest.mark.parametrize("kind", ["copy", "noisy copy", "rounded", "code", "text"])
def test_a_column_that_gives_a_label_away_is_named(kind: str) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, N)
    leak = {
        "copy": label.astype(float),
        "noisy copy": label + 0.1 * rng.random(N),
        "rounded": label * 10.0 + rng.integers(0, 5, N),
        "code": np.array(["u", "v", "w"])[label],
        "text": np.array(
            [f"{name}{i % 5}" for i, name in zip(range(N), np.array(["u", "v", "w"])[label], strict=True)]
        ),
    }[kind]
    frame = pd.DataFrame({"noise": rng.normal(size=N), "hint": label + rng.normal(size=N), "leak": leak})
    summary = summarise(make_problem(frame, np.array(["a", "b", "c"])[label]))
    assert [name for name, _ in summary.leakage] == ["leak"]
    assert "'leak' alone predicts 'target'" in summary.leakage[0][1]
    assert summary.remarks[0] == summary.leakage[0][1]


def test_a_column_that_gives_a_quantity_away_is_named() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=N)
    frame = pd.DataFrame(
        {"noise": rng.normal(size=N), "hint": y + rng.normal(size=N) / 3, "dollars": 7 * y + 3, "curve": np.exp(y)}
    )
    assert {name for name, _ in summarise(make_problem(frame, y)).leakage} == {"dollars", "curve"}


def test_a_rare_label_that_is_given_away_is_noticed() -> None:
    rng = np.random.default_rng(0)
    label = (np.arange(2000) % 50 == 0).astype(int)
    frame = pd.DataFrame({"noise": rng.normal(size=2000), "leak": label * 3.0 + rng.random(2000)})
    assert [name for name, _ in summarise(make_problem(frame, label)).leakage] == ["leak"]


@pytest.mark.parametrize("loader", [load_iris, load_breast_cancer, load_diabetes, load_wine])
def test_honest_tables_have_no_suspects(loader: object) -> None:
    assert summarise(make_problem(loader(as_frame=True).frame, target="target")).leakage == ()  # type: ignore[operator]


def test_the_only_column_is_no_suspect() -> None:
    assert summarise(make_problem({"x": np.arange(100.0), "y": np.arange(100) * 2.0}, target="y")).leakage == ()


# ---------------------------------------------------------------------------------------------------- remarks


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        (lambda rng: np.where(rng.random(N) < 0.05, -999.0, rng.normal(50, 5, N)), r"-999 occurs \d+ times"),
        (lambda rng: np.where(rng.random(N) < 0.05, -1, rng.integers(1000, 1100, N)), r"-1 occurs"),
        (lambda rng: np.where(rng.random(N) < 0.05, 9999, rng.integers(0, 120, N)), r"9999 occurs"),
        (lambda rng: np.where(rng.random(N) < 0.6, np.nan, rng.normal(size=N)), r"\d\d% of the values are missing"),
        (lambda rng: rng.lognormal(0, 2, N), r"quartile ranges out|long tail to the right"),
        (lambda rng: 1.7e9 + rng.integers(0, 100, N), r"only after the sixth digit"),
        (lambda rng: ["x"] * (N - 1) + ["y"], r"99\.\d% of the rows say 'x'"),
        (lambda rng: [f"level {i % 150}" for i in range(N)], r"150 different values in 400 rows"),
        (lambda rng: rng.normal(size=N), r"^$"),
        (lambda rng: rng.integers(-3, 4, N), r"^$"),
        (lambda rng: rng.choice(["u", "v"], N), r"^$"),
    ],
)
def test_columns_that_deserve_attention_get_a_remark(values: object, remark: str) -> None:
    summary = summarise(_problem(c=values(np.random.default_rng(0))))  # type: ignore[operator]
    import re

    assert re.search(remark, _column(summary, "c").remark)


@pytest.mark.parametrize(
    ("problem", "remark"),
    [
        (lambda: labels_problem({"a": 380, "b": 20}), "imbalanced: 'b' has 20 of 400"),
        (lambda: labels_problem({"a": 200, "b": 195, "c": 5}), "Fewer than 10 rows .*'c'"),
        (lambda: mixed_problem(60), "Only 60 rows"),
        (
            lambda: make_problem(np.random.default_rng(0).normal(size=(10, 20)), np.arange(10.0)),
            r"More columns \(20\) than rows \(10\)",
        ),
        (lambda: make_problem(pd.concat([mixed_frame()] * 4), target="price"), "180 rows .* repeat"),
        (lambda: _problem(k=np.ones(N)), r"1 column\(s\) are left out: 'k'"),
        (
            lambda: make_problem({"x": np.arange(N) / 3.0}, np.minimum(np.random.default_rng(0).normal(size=N), 1.0)),
            "capped",
        ),
        (lambda: make_problem({"x": np.arange(N) / 3.0}, np.random.default_rng(0).lognormal(0, 2, N)), "logarithm"),
    ],
)
def test_what_concerns_the_whole_table_is_remarked(problem: object, remark: str) -> None:
    import re

    assert re.search(remark, " ".join(summarise(problem()).remarks))  # type: ignore[operator]


def test_a_healthy_table_has_no_remarks() -> None:
    problem = _problem(a=np.random.default_rng(1).normal(size=N))
    assert summarise(problem).remarks == ()


# ------------------------------------------------------------------------------------------------------- sizes


def test_class_counts_and_targets_of_each_kind() -> None:
    assert summarise(labels_problem({"b": 3, "a": 5})).class_counts == {"a": 5, "b": 3}
    x = pd.DataFrame({"x": np.arange(6) / 7})
    labels = summarise(make_problem(x, np.array([[0, 1], [1, 1], [0, 0]] * 2)))
    assert labels.class_counts == {"target0": 2, "target1": 4}
    assert [dict(target.levels) for target in labels.targets] == [{"0": 4, "1": 2}, {"1": 4, "0": 2}]
    several = summarise(make_problem(x, np.arange(12.0).reshape(6, 2) ** 2))
    assert several.class_counts == {}
    assert [target.kind for target in several.targets] == ["numeric", "numeric"]


def test_columns_of_nested_values_are_only_counted() -> None:
    summary = summarise(_problem(lists=[[i] for i in range(N)], empty=[None] * N))
    assert (_column(summary, "lists").count, _column(summary, "empty").missing) == (N, N)
    assert "nested" in _column(summary, "lists").remark


def test_large_and_wide_tables_are_summarised_quickly() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(50_000, 10))).add_prefix("n")
    for i in range(5):
        frame[f"c{i}"] = pd.Categorical(rng.choice(list("abcdefgh"), 50_000))
    problem = make_problem(frame, rng.integers(0, 2, 50_000))
    summarise(problem)  # the first call pays for imports
    start = time.process_time()
    first = summarise(problem)
    # Under a second on an idle core; the bar leaves room for a busy machine.
    assert time.process_time() - start < 3.0
    second = summarise(problem)
    assert [c.association for c in first.columns] == [c.association for c in second.columns]
    wide = make_problem(rng.normal(size=(12, 3000)), np.arange(12.0))
    assert len(summarise(wide).columns) == 3000
