"""What a cell says, and how strongly columns go together, against references from SciPy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from fallline.data.association import correlation_ratio, cramers_v, linear_or_rank
from fallline.data.values import as_dates, as_labels, as_numbers, date_formats, label_text, parse_number


@given(st.floats(allow_nan=False))
def test_every_float_is_read_back_exactly(number: float) -> None:
    assert parse_number(repr(number)) == number


@given(st.text(max_size=8))
def test_parsing_any_text_gives_a_number_or_nothing(text: str) -> None:
    found = parse_number(text)
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize(
    "text", ["", "1_000", "0x1A", "1.2.3", "1,2", "1e", "--1", "١٢", "1 2", "abc", "1,23,456", "nan"]
)
def test_these_are_no_numbers(text: str) -> None:
    assert parse_number(text) is None


@given(st.integers(-(2**52), 2**52))
def test_a_whole_number_has_one_label_however_it_is_stored(number: int) -> None:
    assert {label_text(number), label_text(float(number)), label_text(f" {number} "), label_text(np.int64(number))} == {
        str(number)
    }


def test_labels_number_the_distinct_values_in_order_of_appearance() -> None:
    codes, labels = as_labels(pd.Series(["b", None, " a", "b ", "?", "a"], dtype=object))
    assert (codes.tolist(), labels) == ([0, -1, 1, 0, -1, 1], ["b", "a"])
    codes, labels = as_labels(pd.Series(pd.Categorical(["v", None, "u"], categories=["w", "u", "v"])))
    assert (codes.tolist(), labels) == ([0, -1, 1], ["v", "u"])


def test_bad_cells_are_told_from_missing_ones() -> None:
    values, wrong = as_numbers(pd.Series(["1", "x", None, "NA", "-"], dtype=object))
    np.testing.assert_array_equal(values, [1, np.nan, np.nan, np.nan, np.nan])
    assert wrong.tolist() == [False, True, False, False, False]
    dates, wrong = as_dates(pd.Series(["2020-01-01", "x", None, ""], dtype=object))
    assert np.isnat(dates).tolist() == [False, True, True, True]
    assert wrong.tolist() == [False, True, False, False]


def test_zones_become_utc() -> None:
    dates, _ = as_dates(pd.Series(["2020-01-01T00:30:00+01:00"]))
    assert str(dates[0]) == "2019-12-31T23:30:00.000000"
    dates, _ = as_dates(pd.Series(pd.to_datetime(["2020-01-01T00:30"]).tz_localize("Europe/Zurich")))
    assert str(dates[0]) == "2019-12-31T23:30:00.000000"


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["2020-01-31", "2020-02-01"], "ISO8601"),
        (["31.01.2020"], "%d.%m.%Y"),
        (["01/31/2020", "02/01/2020"], "%m/%d/%Y"),
        (["31/01/2020", "02/01/2020"], "%d/%m/%Y"),
        (["Jan 31, 2020"], "%b %d, %Y"),
        (["31.01.2020 10:20"], "%d.%m.%Y %H:%M"),
    ],
)
def test_date_formats_are_found(texts: list[str], form: str) -> None:
    assert date_formats(texts)[0] == form


@pytest.mark.parametrize(
    "texts", [["1", "2"], ["10.5"], ["a-b-c"], ["1-2"], ["555-123-4567"], ["32.13.2020"], [""], []]
)
def test_these_are_no_dates(texts: list[str]) -> None:
    assert date_formats(texts) == []


# ------------------------------------------------------------------------------------------------ association


@given(seed=st.integers(0, 100))
def test_correlations_agree_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=50).round(1), rng.normal(size=50)
    y += x * rng.normal()
    expected = max(abs(scipy.stats.pearsonr(x, y).statistic), abs(scipy.stats.spearmanr(x, y).statistic))
    assert linear_or_rank(x, y) == pytest.approx(expected)
    gaps = x.copy()
    gaps[::5] = np.nan
    assert linear_or_rank(gaps, y) == pytest.approx(linear_or_rank(gaps[~np.isnan(gaps)], y[~np.isnan(gaps)]))


@given(seed=st.integers(0, 100))
def test_correlation_ratio_agrees_with_the_analysis_of_variance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, 60)
    y = rng.normal(size=60) + codes
    f = scipy.stats.f_oneway(*(y[codes == code] for code in range(4))).statistic
    expected = 1 - (60 - 1) / (60 - 4 + f * 3)  # epsilon squared from F
    assert correlation_ratio(codes, y) == pytest.approx(math.sqrt(max(expected, 0)))


@given(seed=st.integers(0, 100))
def test_cramers_v_agrees_with_the_contingency_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 3, 80)
    b = np.where(rng.random(80) < 0.5, a, rng.integers(0, 4, 80))
    table = pd.crosstab(a, b).to_numpy()
    (r, k), n = table.shape, 80
    phi2 = scipy.stats.chi2_contingency(table, correction=False).statistic / n
    corrected = max(phi2 - (r - 1) * (k - 1) / (n - 1), 0)
    smaller = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    assert cramers_v(a, b) == pytest.approx(math.sqrt(corrected / smaller))


def test_unrelated_columns_are_near_zero_even_with_many_levels() -> None:
    rng = np.random.default_rng(0)
    many, y, label = rng.integers(0, 500, 2000), rng.normal(size=2000), rng.integers(0, 2, 2000)
    assert correlation_ratio(many, y) < 0.2
    assert cramers_v(many, label) < 0.2
    assert correlation_ratio(np.arange(2000), y) == 0.0


def test_degenerate_columns() -> None:
    nothing = np.full(10, np.nan)
    assert math.isnan(linear_or_rank(nothing, np.arange(10.0)))
    assert math.isnan(correlation_ratio(np.full(10, -1), np.arange(10.0)))
    assert math.isnan(cramers_v(np.full(10, -1), np.zeros(10, int)))
    assert linear_or_rank(np.full(10, 1e300), np.arange(10.0)) == 0.0
    assert correlation_ratio(np.zeros(10, int), np.arange(10.0)) == 0.0
    assert cramers_v(np.zeros(10, int), np.arange(10) % 2) == 0.0
    assert linear_or_rank(np.arange(10.0) * 1e300, np.arange(10.0)) == pytest.approx(1.0)
