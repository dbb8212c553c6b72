"""Folds: every row is held out once a repeat, classes and groups are honoured, no past learns from the future."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.data.splits import _combinations
from fallline.errors import DataError

N = 120
RNG = np.random.default_rng(0)
LABELS = RNG.choice(["a", "b", "c"], N, p=[0.6, 0.3, 0.1])
GROUPS = RNG.integers(0, 20, N)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(1, 3), st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_every_row_is_held_out_once_a_repeat(k: int, repeats: int, seed: int, stratify: bool, grouped: bool) -> None:
    pairs = fl.folds(LABELS, folds=k, repeats=repeats, seed=seed, stratify=stratify, group=GROUPS if grouped else None)
    assert len(pairs) == k * repeats
    for repeat in range(repeats):
        own = pairs[repeat * k : (repeat + 1) * k]
        np.testing.assert_array_equal(np.sort(np.concatenate([held for _, held in own])), np.arange(N))
    for train, held in pairs:
        assert not set(train) & set(held)
        assert len(train) + len(held) == N
        if grouped:
            assert not set(GROUPS[train]) & set(GROUPS[held])
    if repeats > 1:
        assert any(not np.array_equal(a[1], b[1]) for a, b in zip(pairs[:k], pairs[k : 2 * k], strict=True))


def test_classes_keep_their_shares() -> None:
    whole = {c: (c == LABELS).mean() for c in "abc"}
    for _, held in fl.folds(LABELS, folds=4):
        for c, share in whole.items():
            assert abs((LABELS[held] == c).mean() - share) < 0.04
    spread = [(LABELS[held] == "b").mean() for _, held in fl.folds(LABELS, folds=4, group=GROUPS)]
    loose = [(LABELS[held] == "b").mean() for _, held in fl.folds(LABELS, folds=4, group=GROUPS, stratify=False)]
    assert np.std(spread) < np.std(loose)


def test_combinations_of_labels_keep_their_shares_and_rare_ones_are_held_out_too() -> None:
    y = (RNG.random((N, 2)) < [0.5, 0.3]).astype(int)
    y[:2] = [[2, 2], [3, 3]]  # two combinations of one row each
    y = np.clip(y, 0, 1)
    pairs = fl.folds(y, folds=5)
    both = (y[:, 0] & y[:, 1]).mean()
    for _, held in pairs:
        assert abs((y[held, 0] & y[held, 1]).mean() - both) < 0.05
    codes = _combinations(np.array([[0, 0]] * 8 + [[1, 0]] * 7 + [[1, 1]]))
    assert np.bincount(codes).min() >= 7
    rare = _combinations(np.array([[0, 0]] * 8 + [[1, 0]] * 2 + [[1, 1]] * 2))
    assert sorted(np.bincount(rare)) == [4, 8]


def test_the_past_never_learns_from_the_future() -> None:
    times = pd.date_range("2024-01-01", periods=N).to_numpy()[RNG.permutation(N)]
    pairs = fl.folds(RNG.normal(size=N), folds=4, time=times)
    assert len(pairs) == 4
    for train, held in pairs:
        assert times[train].max() < times[held].min()
    frame = pd.DataFrame({"x": RNG.normal(size=N), "when": times, "who": GROUPS, "y": RNG.normal(size=N)})
    problem = fl.make_problem(frame, target="y")
    for mine, named in zip(pairs, fl.folds(problem, folds=4, time="when"), strict=True):
        np.testing.assert_array_equal(mine[1], named[1])
    for train, held in fl.folds(problem, folds=4, group="who"):
        assert not set(GROUPS[train]) & set(GROUPS[held])


def test_one_fold_is_a_hold_out_and_some_rows_may_be_left_aside() -> None:
    (train, held), *more = fl.folds(LABELS, folds=1, share=0.25, rows=np.arange(0, N, 2))
    assert not more
    assert len(held) == 15
    assert len(train) == 45
    assert not (np.concatenate([train, held]) % 2).any()


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"folds": 0, "repeats": 2.5, "seed": -1, "share": 2}, ["folds = 0", "repeats = 2.5", "seed = -1"]),
        ({"group": GROUPS, "time": GROUPS}, ["both given"]),
        ({"time": np.arange(N), "repeats": 2}, ["one order in time"]),
        ({"group": GROUPS[:5]}, ["one per row"]),
        ({"rows": [0, 0, 1]}, ["different row positions"]),
        ({"rows": [0, N]}, [f"0 .. {N - 1}"]),
        ({"folds": 500}, ["only 120 rows"]),
        ({"group": np.arange(N) % 3, "folds": 5}, ["only 3 groups"]),
    ],
)
def test_all_that_is_wrong_is_said(keywords: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        fl.folds(LABELS, **keywords)
    for part in says:
        assert part in str(caught.value)
