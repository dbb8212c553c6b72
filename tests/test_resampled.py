"""The corrected resampled t interval against its formula and against what the uncorrected one does."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fallline.errors import InputError
from fallline.resampled import corrected_mean


def test_without_a_correction_it_is_the_t_test():
    values = [0.3, -0.1, 0.4, 0.2, 0.5]
    found, known = corrected_mean(values, 0.0), stats.ttest_1samp(values, 0.0)
    interval = known.confidence_interval(0.95)
    assert found.p == pytest.approx(known.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=20), st.floats(0, 2))
def test_the_correction_only_widens(values, ratio):
    plain, corrected = corrected_mean(values, 0.0), corrected_mean(values, ratio)
    assert corrected.value == plain.value
    assert corrected.high - corrected.low >= plain.high - plain.low - 1e-12
    assert corrected.p >= plain.p - 1e-12


def test_overlapping_folds_need_the_correction():
    # Means of noise on shuffled halves of one sample: the truth is 0, and the plain test is sure of something else.
    generator = np.random.default_rng(0)
    plain = corrected = 0
    for _ in range(200):
        sample = generator.normal(size=60)
        folds = [sample[generator.permutation(60)[:12]].mean() for _ in range(40)]
        plain += corrected_mean(folds, 0.0).p < 0.05
        corrected += corrected_mean(folds, 0.25).p < 0.05
    assert plain > 40
    assert corrected <= 16


def test_one_value_has_no_interval():
    found = corrected_mean([0.5], 0.25)
    assert found.value == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.p)


def test_equal_values():
    assert corrected_mean([0.0, 0.0], 0.25).p == 1.0
    assert corrected_mean([0.1, 0.1], 0.25).p == 0.0


@pytest.mark.parametrize(("values", "ratio"), [([], 0.2), ([[1.0]], 0.2), ([1.0, 2.0], -1.0), ([1.0], math.nan)])
def test_bad_input(values, ratio):
    with pytest.raises(InputError):
        corrected_mean(values, ratio)
