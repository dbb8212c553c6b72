"""Scores against scikit-learn, intervals against simulation, baselines against direct fits."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, Ridge

from fallline.errors import InputError
from fallline.score import MAIN_METRIC, area_under_curve, baseline_models, baselines, intervals, score
from fallline.types import Column, Problem


def by_name(scores, who=None):
    return {s.metric: s for s in scores if who in (None, s.who)}


def softmax(z):
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def problem(kind, x, y, classes=(), weight=None):
    names = tuple(f"t{k}" for k in range(1 if y.ndim == 1 else y.shape[1]))
    columns = tuple(Column(f"x{k}", "numeric") for k in range(x.shape[1]))
    return Problem(kind, pd.DataFrame(x), y, names, classes, columns, sample_weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_binary_equals_scikit_learn(weighted):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    p = np.round(np.clip(0.3 + 0.4 * y + rng.normal(0, 0.3, 300), 0.01, 0.99), 2)  # rounded: ties
    w = rng.uniform(0, 2, 300) if weighted else None
    found = score("binary", y, p, sample_weight=w)
    assert [s.metric for s in found] == ["log_loss", "accuracy", "auc"]
    named = by_name(found)
    assert named["log_loss"].value == pytest.approx(metrics.log_loss(y, p, sample_weight=w), rel=1e-12)
    assert named["accuracy"].value == pytest.approx(metrics.accuracy_score(y, p > 0.5, sample_weight=w), rel=1e-12)
    assert named["auc"].value == pytest.approx(metrics.roc_auc_score(y, p, sample_weight=w), rel=1e-12)
    assert [named[m].higher_is_better for m in ("log_loss", "accuracy", "auc")] == [False, True, True]
    for s in found:
        assert s.low < s.value < s.high
        assert (s.n, s.rows, s.who) == (300, "test", "model")


@pytest.mark.parametrize("weighted", [False, True])
def test_multiclass_equals_scikit_learn(weighted):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 5, 400)
    p = softmax(rng.normal(size=(400, 5)) + 2 * np.eye(5)[y])
    w = rng.uniform(0.1, 2, 400) if weighted else None
    named = by_name(score("multiclass", y, p, sample_weight=w))
    assert named["log_loss"].value == pytest.approx(metrics.log_loss(y, p, sample_weight=w), rel=1e-10)
    assert named["accuracy"].value == pytest.approx(metrics.accuracy_score(y, p.argmax(1), sample_weight=w))
    expected = metrics.roc_auc_score(y, p, multi_class="ovr", sample_weight=w)
    assert named["auc"].value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_equals_scikit_learn(weighted):
    rng = np.random.default_rng(2)
    y = rng.normal(1000, 10, 250)
    p = y + rng.normal(0, 3, 250)
    w = rng.uniform(0, 2, 250) if weighted else None
    found = score("regression", y, p, sample_weight=w)
    assert [s.metric for s in found] == ["rmse", "mae", "r2"]
    named = by_name(found)
    assert named["rmse"].value == pytest.approx(metrics.root_mean_squared_error(y, p, sample_weight=w), rel=1e-10)
    assert named["mae"].value == pytest.approx(metrics.mean_absolute_error(y, p, sample_weight=w), rel=1e-10)
    assert named["r2"].value == pytest.approx(metrics.r2_score(y, p, sample_weight=w), rel=1e-10)


def test_multioutput_and_multilabel_equal_scikit_learn():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(200, 3)) * [1, 10, 100]
    p = y + rng.normal(size=(200, 3)) * [0.5, 2, 90]
    named = by_name(score("multioutput", y, p))
    assert named["rmse"].value == pytest.approx(metrics.root_mean_squared_error(y, p), rel=1e-10)
    assert named["mae"].value == pytest.approx(metrics.mean_absolute_error(y, p), rel=1e-10)
    assert named["r2"].value == pytest.approx(metrics.r2_score(y, p), rel=1e-10)
    assert named["rmse"].low < named["rmse"].value < named["rmse"].high

    labels = rng.integers(0, 2, (200, 4))
    q = np.clip(labels * 0.3 + rng.uniform(size=(200, 4)) * 0.7, 0, 1)
    named = by_name(score("multilabel", labels, q))
    losses = [metrics.log_loss(labels[:, k], q[:, k]) for k in range(4)]
    assert named["log_loss"].value == pytest.approx(np.mean(losses), rel=1e-6)
    assert named["accuracy"].value == pytest.approx(1 - metrics.hamming_loss(labels, q > 0.5))
    assert named["auc"].value == pytest.approx(metrics.roc_auc_score(labels, q), rel=1e-12)


def test_certain_and_wrong_costs_the_documented_clip():
    main = score("binary", [0, 1], [1.0, 0.0])[0]
    assert main.value == pytest.approx(-math.log(1e-7))
    main = score("multiclass", [0, 1], [[0.0, 1.0], [1.0, 0.0]])[0]
    assert main.value == pytest.approx(-math.log(1e-7))
    assert score("binary", [1, 1], [1.0, 1.0])[0].value == pytest.approx(-math.log(1 - 1e-7))


def test_figures_that_are_not_defined_are_left_out():
    assert set(by_name(score("binary", [1, 1, 1], [0.9, 0.8, 0.4]))) == {"log_loss", "accuracy"}
    assert set(by_name(score("regression", [2.0, 2.0], [1.0, 2.0]))) == {"rmse", "mae"}
    y, p = np.array([0, 0, 2, 2]), softmax(np.random.default_rng(0).normal(size=(4, 3)))
    areas = [metrics.roc_auc_score(y == k, p[:, k]) for k in (0, 2)]
    assert by_name(score("multiclass", y, p))["auc"].value == pytest.approx(np.mean(areas))


def test_one_row_and_perfect_predictions():
    found = by_name(score("binary", [1], [0.7]))
    assert found["accuracy"].value == 1
    assert found["accuracy"].low == pytest.approx(0.025)
    perfect = by_name(score("binary", [0, 1] * 20, [0.1, 0.9] * 20))
    assert perfect["accuracy"].low == pytest.approx(0.025 ** (1 / 40))
    assert perfect["accuracy"].high == 1
    assert perfect["auc"].value == 1
    assert math.isnan(perfect["auc"].low)


@pytest.mark.parametrize(("kind", "y", "p"), [
    ("binary", [0, 1], [0.5, math.nan]),
    ("multiclass", [0, 1], [[0.5, 0.5], [math.nan, 0.5]]),
    ("regression", [0.0, 1.0], [math.inf, 1.0]),
])
def test_predictions_that_are_not_numbers_score_nan(kind, y, p):
    found = score(kind, y, p)
    assert len(found) == 3
    assert found[0].metric == MAIN_METRIC[kind]
    assert all(math.isnan(v) for s in found for v in (s.value, s.low, s.high))


@pytest.mark.parametrize(("kind", "y", "p", "weight", "says"), [
    ("binry", [0, 1], [0.1, 0.2], None, "binary"),
    ("binary", [], [], None, "n >= 1"),
    ("binary", [0, 1], [[0.1, 0.9], [0.2, 0.8]], None, r"\(2, 2\)"),
    ("binary", [0, 2], [0.1, 0.9], None, "0 or 1"),
    ("multiclass", [0, 3], [[0.5, 0.5], [0.5, 0.5]], None, "class indices"),
    ("multioutput", [0.0, 1.0], [0.0, 1.0], None, r"\(n, k\)"),
    ("regression", [0.0, math.nan], [0.0, 1.0], None, "NaN"),
    ("regression", [0.0, 1.0], [0.0, 1.0], [0.0, 0.0], "sample_weight"),
    ("regression", [0.0, 1.0], [0.0, 1.0], [1.0], "sample_weight"),
])
def test_mistakes_are_named(kind, y, p, weight, says):
    with pytest.raises(InputError, match=says):
        score(kind, y, p, sample_weight=weight)


def test_the_same_seed_gives_the_same_interval():
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=100), rng.normal(size=100)
    assert score("regression", y, p, seed=3) == score("regression", y, p, seed=3)
    assert score("regression", y, p, seed=3)[0].low != score("regression", y, p, seed=4)[0].low
    assert math.isnan(score("regression", y, p, n_bootstrap=0)[0].low)


def test_coverage_of_the_intervals():
    """About 95 of 100 intervals hold the truth; 300 repetitions leave a standard error of 1.3 points."""
    rng = np.random.default_rng(0)
    hits = {"log_loss": 0, "accuracy": 0, "auc": 0, "rmse": 0, "mae": 0}
    p_one = np.array([0.1, 0.3, 0.6, 0.9])
    truth_loss = float(-np.mean(p_one * np.log(p_one) + (1 - p_one) * np.log(1 - p_one)))
    truth_accuracy = float(np.mean(np.maximum(p_one, 1 - p_one)))
    ones, zeros = p_one / p_one.sum(), (1 - p_one) / (1 - p_one).sum()
    truth_auc = float(sum(ones[i] * (zeros[:i].sum() + zeros[i] / 2) for i in range(4)))
    truth = {"log_loss": truth_loss, "accuracy": truth_accuracy, "auc": truth_auc, "rmse": 2.0,
             "mae": 2 * math.sqrt(2 / math.pi)}
    for repetition in range(300):
        p = rng.choice(p_one, 150)
        y = (rng.uniform(size=150) < p).astype(int)
        noise = rng.normal(0, 2, 150)
        found = by_name(score("binary", y, p, seed=repetition, n_bootstrap=300))
        found |= by_name(score("regression", noise, np.zeros(150), seed=repetition, n_bootstrap=300))
        for name in hits:
            hits[name] += found[name].low <= truth[name] <= found[name].high
    assert all(0.915 <= count / 300 <= 0.985 for count in hits.values()), hits


def test_large_n_agrees_with_the_bootstrap_and_is_fast(monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 2)) * [1, 5]
    p = y + rng.standard_t(5, size=(4000, 2)) * [0.5, 2]
    slow = score("multioutput", y, p)
    monkeypatch.setattr(intervals, "BOOTSTRAP_ROWS", 100)
    quick = score("multioutput", y, p)
    for a, b in zip(slow, quick, strict=True):
        assert a.value == b.value
        assert b.high - b.low == pytest.approx(a.high - a.low, rel=0.12)


def test_twenty_thousand_rows_take_less_than_a_second():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 20_000)
    p = np.clip(rng.uniform(size=20_000) * 0.7 + 0.3 * y, 0, 1)
    started = time.process_time()
    score("binary", y, p)
    assert time.process_time() - started < 2.0  # 0.3 s on an idle core; the slack is for loaded machines


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(2, 60), st.integers(0, 2**31))
def test_auc_turns_over_and_ignores_monotone_maps(n, seed):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    s = rng.integers(0, 6, n).astype(float)
    area, low, high = area_under_curve(y, s)
    assert area == pytest.approx(1 - area_under_curve(1 - y, s)[0])
    assert area == area_under_curve(y, np.exp(s))[0]
    assert area == pytest.approx(metrics.roc_auc_score(y, s))
    assert math.isnan(low) or 0 < low <= area <= high < 1


def test_auc_interval_is_delong():
    """Against the textbook computation of the variance from the placement values."""
    rng = np.random.default_rng(5)
    y = np.repeat([0, 1], [60, 40])
    s = rng.normal(size=100) + y
    kernel = (s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0])
    variance = kernel.mean(1).var(ddof=1) / 40 + kernel.mean(0).var(ddof=1) / 60
    area, low, high = area_under_curve(y, s)
    half = 1.959963984540054 * math.sqrt(variance) / (area * (1 - area))
    logit = math.log(area / (1 - area))
    assert [low, high] == pytest.approx([1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))])


# ------------------------------------------------------------------------------------------------------ baselines


def test_binary_baselines_are_what_they_say():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    y = (x[:, 0] + rng.normal(size=300) > 0.5).astype(np.int64)
    train, test = np.arange(200), np.arange(200, 300)
    found = baselines(problem("binary", x, y, (False, True)), x.astype(np.float32), train, test)
    share = y[train].mean()
    assert by_name(found, "dummy")["log_loss"].value == pytest.approx(metrics.log_loss(y[test], np.full(100, share)))
    p = LogisticRegression().fit(x[train], y[train]).predict_proba(x[test])[:, 1]
    assert by_name(found, "linear")["log_loss"].value == pytest.approx(metrics.log_loss(y[test], p), abs=1e-4)
    assert {s.rows for s in found} == {"test"}
    assert {s.n for s in found} == {100}
    assert by_name(found, "dummy")["auc"].value == 0.5


def test_regression_baselines_single_and_multiple():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = x @ rng.normal(size=(3, 2)) + rng.normal(size=(300, 2))
    train, test = np.arange(0, 300, 2), np.arange(1, 300, 2)
    found = baselines(problem("multioutput", x, y), x, train, test)
    expected = Ridge().fit(x[train], y[train]).predict(x[test])
    assert by_name(found, "linear")["rmse"].value == pytest.approx(metrics.root_mean_squared_error(y[test], expected))
    mean = np.repeat(y[train].mean(0)[None], 150, 0)
    assert by_name(found, "dummy")["rmse"].value == pytest.approx(metrics.root_mean_squared_error(y[test], mean))
    single = baselines(problem("regression", x, y[:, 0]), x, train, test)
    assert by_name(single, "linear")["rmse"].value < by_name(single, "dummy")["rmse"].value


def test_multiclass_baseline_survives_a_class_it_never_saw():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.integers(0, 3, 150), [3, 3]])
    x = rng.normal(size=(152, 3)) + np.eye(4)[y][:, :3] * 3
    found = baselines(problem("multiclass", x, y, ("a", "b", "c", "d")), x, np.arange(100), np.arange(100, 152))
    linear = by_name(found, "linear")["log_loss"].value
    assert math.isfinite(linear)
    assert linear > 2 * -math.log(1e-7) / 52 * 0.99


def test_multilabel_baselines_with_a_constant_label():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = np.stack([x[:, 0] > 0, x[:, 1] + rng.normal(size=200) > 0, np.ones(200)], axis=1).astype(np.int64)
    found = baselines(problem("multilabel", x, y), x, np.arange(100), np.arange(100, 200))
    assert by_name(found, "linear")["accuracy"].value > by_name(found, "dummy")["accuracy"].value


def test_weights_and_large_training_sets(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 2))
    y = x[:, 0] + rng.normal(size=5000)
    w = np.where(np.arange(5000) < 2500, 0.0, 1.0)
    y[:2500] += 100
    found = baselines(problem("regression", x, y, weight=w), x, np.arange(0, 5000, 2), np.arange(1, 5000, 2))
    assert by_name(found, "dummy")["rmse"].value < 2
    assert by_name(found, "linear")["rmse"].value < 1.2

    monkeypatch.setattr(baseline_models, "LINEAR_ROWS", 1000)
    seen = []
    original = Ridge.fit
    monkeypatch.setattr(Ridge, "fit", lambda self, a, b, **k: seen.append(len(a)) or original(self, a, b, **k))
    baselines(problem("regression", x, y), x, np.arange(4000), np.arange(4000, 5000))
    assert seen == [1000]


def test_without_columns_the_linear_baseline_is_the_dummy():
    y = np.array([0, 1, 1, 1] * 10)
    found = baselines(problem("binary", np.zeros((40, 0)), y, (0, 1)), np.zeros((40, 0)), range(20), range(20, 40))
    assert by_name(found, "linear")["log_loss"].value == by_name(found, "dummy")["log_loss"].value


@pytest.mark.parametrize(("features", "train", "test", "says"), [
    (np.zeros((3, 1)), [0], [1], "shape"),
    (np.full((4, 1), np.nan), [0], [1], "NaN"),
    (np.zeros((4, 1)), [0, 1], [], "rows"),
])
def test_baseline_mistakes_are_named(features, train, test, says):
    with pytest.raises(InputError, match=says):
        baselines(problem("regression", np.zeros((4, 1)), np.arange(4.0)), features, train, test)
