"""Splits: disjoint, complete, seeded, never empty, stratified, by group and by time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.data import fold_rows, make_problem, split_rows
from fallline.errors import DataError
from fallline.types import Problem, SplitRecipe
from tests.data.tables import labels_problem

COUNTS = st.lists(st.integers(1, 12), min_size=2, max_size=6)


def _labels(counts: list[int]) -> Problem:
    return labels_problem({f"c{i}": count for i, count in enumerate(counts)})


def _numbers(n: int = 40, **columns: Any) -> Problem:
    rng = np.random.default_rng(0)
    return make_problem(pd.DataFrame({"a": rng.normal(size=n), **columns}), np.arange(n) + 0.5)


def _is_sorted(rows: np.ndarray) -> bool:
    return rows.dtype == np.int64 and bool((np.diff(rows) > 0).all())


@given(counts=COUNTS, share=st.floats(0.01, 0.9), seed=st.integers(0, 5), stratify=st.booleans())
def test_two_parts_share_no_row_and_are_all_rows(counts: list[int], share: float, seed: int, stratify: bool) -> None:
    if sum(counts) < 3:
        return
    problem = _labels(counts)
    recipe = SplitRecipe(test=share, stratify=stratify)
    train, test = split_rows(problem, recipe, seed)
    assert _is_sorted(train)
    assert _is_sorted(test)
    assert len(train)
    assert len(test)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(problem.n_rows))
    again = split_rows(problem, recipe, seed)
    np.testing.assert_array_equal(again[1], test)
    if stratify and max(counts) > 1:  # every class can be learned
        assert set(problem.y[train]) == set(problem.y)


@given(counts=COUNTS, folds=st.integers(2, 6), seed=st.integers(0, 5), stratify=st.booleans())
def test_every_row_validates_once_except_single_ones(counts: list[int], folds: int, seed: int, stratify: bool) -> None:
    problem = _labels(counts)
    rows = np.arange(problem.n_rows)[::-1]
    if folds > len(rows):
        with pytest.raises(DataError, match=f"{folds} folds .* only {len(rows)} rows"):
            fold_rows(problem, rows, SplitRecipe(), folds, seed)
        return
    pairs = fold_rows(problem, rows, SplitRecipe(stratify=stratify), folds, seed)
    assert len(pairs) == folds
    for train, held in pairs:
        assert _is_sorted(train)
        assert _is_sorted(held)
        assert len(train)
        assert len(held)
        np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), np.sort(rows))
    validated = np.concatenate([held for _, held in pairs])
    assert len(np.unique(validated)) == len(validated)
    if stratify:
        left = np.setdiff1d(rows, validated)
        assert (np.bincount(problem.y)[problem.y[left]] == 1).all()
    else:
        assert len(validated) == len(rows)


@given(share=st.sampled_from([0.1, 0.2, 0.25, 0.5]), seed=st.integers(0, 20))
def test_stratified_shares_are_kept(share: float, seed: int) -> None:
    problem = labels_problem({"common": 200, "rare": 40, "single": 1})
    train, test = split_rows(problem, SplitRecipe(test=share), seed)
    counts = np.bincount(problem.y[test], minlength=3)
    assert abs(counts[0] - 200 * share) <= 1.5
    assert abs(counts[1] - 40 * share) <= 1.5
    assert counts[2] == 0
    for _, held in fold_rows(problem, train, SplitRecipe(), 4, seed):
        assert abs((problem.y[held] == 1).sum() - (problem.y[train] == 1).sum() / 4) <= 1


def test_other_seeds_give_other_splits() -> None:
    problem = _numbers()
    assert not np.array_equal(split_rows(problem, SplitRecipe(), 0)[1], split_rows(problem, SplitRecipe(), 1)[1])
    first, second = (fold_rows(problem, np.arange(40), SplitRecipe(), 4, seed)[0][1] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_no_test_rows_when_none_are_asked_for() -> None:
    train, test = split_rows(_numbers(), SplitRecipe(test=0.0), 0)
    assert (len(train), len(test), test.dtype) == (40, 0, np.int64)


def test_two_rows_and_one_row() -> None:
    problem = make_problem({"a": [1.0, 2.0], "y": [0.5, 1.5]}, target="y")
    assert [len(part) for part in split_rows(problem, SplitRecipe(test=0.9), 0)] == [1, 1]
    with pytest.raises(DataError, match="1 row cannot be divided"):
        fold_rows(problem, np.array([0]), SplitRecipe(), 1, 0)


def test_one_fold_is_one_validation_part() -> None:
    problem = _numbers()
    rows = np.arange(5, 35)
    ((train, held),) = fold_rows(problem, rows, SplitRecipe(validation=0.3), 1, 0)
    assert (len(train), len(held)) == (21, 9)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), rows)


@pytest.mark.parametrize("y", [np.eye(3)[np.arange(30) % 3], np.random.default_rng(0).normal(size=(30, 2))])
def test_several_targets_are_not_stratified(y: np.ndarray) -> None:
    problem = make_problem(pd.DataFrame({"a": np.arange(30) / 7}), y)
    train, test = split_rows(problem, SplitRecipe(), 0)
    assert (len(train), len(test)) == (24, 6)
    assert len(fold_rows(problem, train, SplitRecipe(), 3, 0)) == 3


def test_singles_and_few_classes_do_not_warn_or_crash() -> None:
    problem = labels_problem({"a": 1, "b": 1, "c": 1, "d": 1, "e": 2})
    for folds in (1, 2, 3, 6):
        for train, held in fold_rows(problem, np.arange(6), SplitRecipe(), folds, 0):
            assert len(train)
            assert len(held)
    with pytest.raises(DataError, match="folds is 0"):
        fold_rows(problem, np.arange(6), SplitRecipe(), 0, 0)


# ------------------------------------------------------------------------------------------------------ groups


@given(seed=st.integers(0, 20), folds=st.integers(1, 4), as_column=st.booleans())
def test_groups_stay_together(seed: int, folds: int, as_column: bool) -> None:
    labels = np.random.default_rng(seed).integers(0, 8, 60).astype(str)
    x = pd.DataFrame({"a": np.arange(60) / 3, "g": labels})
    recipe = SplitRecipe(test=0.25, group="g" if as_column else "")
    problem = make_problem(x, np.arange(60) + 0.5, group=None if as_column else labels)
    train, test = split_rows(problem, recipe, seed)
    assert not set(labels[train]) & set(labels[test])
    assert len(train) + len(test) == 60
    assert len(test)
    for kept, held in fold_rows(problem, train, recipe, folds, seed):
        assert not set(labels[kept]) & set(labels[held])
        assert len(kept) + len(held) == len(train)


def test_left_out_columns_can_group() -> None:
    problem = make_problem(
        pd.DataFrame({"a": np.arange(30) / 3, "g": [f"house {i // 2}" for i in range(30)]}),
        np.arange(30) + 0.5,
        leave_out=["g"],
    )
    train, test = split_rows(problem, SplitRecipe(group="g"), 0)
    assert not {i // 2 for i in train} & {i // 2 for i in test}


@pytest.mark.parametrize(
    ("columns", "recipe", "folds", "message"),
    [
        ({"g": ["u", "v"] * 20}, {"group": "h"}, 1, r"split\.group: there is no column 'h'"),
        ({"g": ["u", "v"] * 20}, {"group": "g"}, 3, r"3 folds .* only 2 groups"),
        ({"g": ["u", None] * 20}, {"group": "g"}, 2, r"missing in 20 rows"),
        ({"g": ["u"] * 40}, {"group": "g"}, 1, r"one group"),
        ({"g": ["u", "v"] * 20}, {"group": "g", "time": "a"}, 1, r"both group = 'g' and time = 'a'"),
        ({"when": np.arange(40)}, {"time": "wehn"}, 1, r"no column 'wehn'\. Did you mean 'when'"),
        ({"when": [1.0, None] * 20}, {"time": "when"}, 1, r"'when' is missing in 20 rows"),
        ({"when": [1.0] * 40}, {"time": "when"}, 1, r"same value in all 40 rows"),
        ({"when": [1.0, 2.0] * 20}, {"time": "when"}, 2, r"at least 3 different times, but 'when' has only 2"),
        ({"when": ["early", "late"] * 20}, {"time": "when"}, 1, r"neither dates nor numbers \(row 1\)"),
        ({}, {}, 41, r"41 folds .* only 40 rows"),
    ],
)
def test_impossible_splits_are_explained(
    columns: dict[str, Any], recipe: dict[str, Any], folds: int, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fold_rows(_numbers(**columns), np.arange(40), SplitRecipe(**recipe), folds, 0)


# -------------------------------------------------------------------------------------------------------- time


@given(seed=st.integers(0, 20), folds=st.integers(1, 4), as_date=st.booleans(), different=st.integers(10, 60))
def test_the_past_trains_and_the_latest_tests(seed: int, folds: int, as_date: bool, different: int) -> None:
    when = np.random.default_rng(seed).integers(0, different, 60)
    column = pd.Timestamp("2020-01-01") + pd.to_timedelta(when, unit="D") if as_date else when
    problem = make_problem(pd.DataFrame({"a": np.arange(60) / 3, "when": column}), np.arange(60) + 0.5)
    recipe = SplitRecipe(test=0.2, time="when")
    train, test = split_rows(problem, recipe, seed)
    assert when[train].max() < when[test].min()
    assert 12 <= len(test) <= 40
    if len(np.unique(when[train])) <= folds:
        return
    pairs = fold_rows(problem, train, recipe, folds, seed)
    assert len(pairs) == folds
    for kept, held in pairs:
        assert when[kept].max() < when[held].min()
        assert _is_sorted(kept)
        assert _is_sorted(held)
    assert when[pairs[-1][1]].max() == when[train].max()
