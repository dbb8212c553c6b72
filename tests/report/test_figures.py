"""The numbers behind the pictures, the scales, and the escaping they rest on."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.report.chart_curves import curve_chart
from fallline.report.chart_data import class_bars, mini_levels, split_picture
from fallline.report.chart_predictions import residual_chart, scatter_chart
from fallline.report.figures import (
    calibration,
    confusion,
    curves,
    decimate,
    density,
    log_floor,
    performance_names,
    worst_confusions,
)
from fallline.report.markup import Markup, clean, escape, tag
from fallline.report.svg import Scale, fit_text, spread_out, text_width
from fallline.report.text import duration, number, percent, score_interval, score_value
from fallline.types import Score, Trace
from tests.report.make_run import make_run

finite = st.floats(-1e9, 1e9, allow_nan=False)


def trace_of(**quantities):
    columns = {k: [] for k in ("member", "epoch", "layer", "quantity", "value")}
    for name, members in quantities.items():
        for m, values in enumerate(members):
            for e, v in enumerate(values, start=1):
                for key, value in zip(columns, (m, e, "", name, v), strict=True):
                    columns[key].append(value)
    return Trace.from_columns(columns)


# --------------------------------------------------------------------------------------------------------- numbers


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.one_of(finite, st.just(math.nan)), min_size=1, max_size=400), st.integers(4, 60))
def test_thinning_keeps_ends_and_extremes(values, most):
    y = np.array(values)
    x = np.arange(len(y)) + 1
    px, py = decimate(x, y, most)
    assert px[0] == 1
    assert px[-1] == len(y)
    assert (np.diff(px) > 0).all()
    if np.isfinite(y).any():
        assert np.nanmax(py) == np.nanmax(y)
        assert np.nanmin(py) == np.nanmin(y)
    assert np.isnan(py).any() == np.isnan(y).any()
    assert len(py) <= max(len(y) if len(y) <= most else 0, 1.5 * most + 2)


def test_curves_gather_members_and_name_the_first_lost_epoch():
    trace = trace_of(loss=[[3.0, 2.0, np.nan], [3.0, 1.0, 1.0]], val_loss=[[4.0, 3.0, np.inf], [4.0, 2.0, 2.0]])
    found = curves(trace, "loss")
    assert found.train.tolist() == [3.0, 1.5, 1.0]
    assert len(found.members) == 2
    assert found.lost == 3
    assert curves(trace_of(loss=[[1.0]]), "loss").members == ()
    assert performance_names(trace_of(loss=[[1.0]], val_rmse=[[1.0]], accuracy=[[1.0]])) == ["accuracy", "rmse"]


def test_a_vanishing_training_loss_does_not_flatten_the_picture():
    found = curves(trace_of(loss=[[1.0, 1e-3, 1e-9]], val_loss=[[1.0, 0.2, 0.4]]), "loss")
    assert log_floor(found) == pytest.approx(0.2 / 1000)
    assert log_floor(curves(trace_of(loss=[[1.0, 1e-9]]), "loss")) == 0
    chart = curve_chart(found, "t", "loss")
    assert "1e-09" not in chart.body
    assert chart.body.count('class="grid"') >= 3


def test_calibration_error_by_hand():
    p = np.array([0.05, 0.15, 0.15, 0.95, 0.95, 0.95, 0.95])
    t = np.array([0, 0, 1, 1, 1, 1, 0])
    found = calibration(p, t, 10)
    assert found.counts.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 4]
    assert found.error == pytest.approx((1 * 0.05 + 2 * 0.35 + 4 * 0.2) / 7)
    assert np.nanmax(found.high) <= 1
    assert np.nanmin(found.low) >= -1e-12
    assert calibration(np.array([1.0, 0.0]), np.array([1, 0])).error == 0


def test_perfectly_calibrated_predictions_have_a_small_error():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=50_000)
    assert calibration(p, rng.uniform(size=50_000) < p).error < 0.01


def test_confusion_counts_and_orders_mistakes():
    table = confusion(np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 0, 2]), 3)
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 1]]
    assert worst_confusions(table) == [(2, 0, 2), (0, 1, 1)]


def test_density_places_every_point_once():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1000))
    edges = np.linspace(-5, 5, 21)
    levels = density(x, y, edges, edges)
    cells = [cell for level in levels for cell in level]
    assert len(cells) == len(set(cells)) == np.count_nonzero(np.histogram2d(x, y, (edges, edges))[0])
    assert density(np.array([9.0]), np.array([9.0]), edges, edges) == []


# ---------------------------------------------------------------------------------------------------------- scales


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(finite, min_size=1, max_size=20), st.booleans())
def test_scales_show_every_value_and_their_ticks(values, zero):
    scale = Scale.around(values, 10, 300, zero=zero)
    assert scale.low <= min(values)
    assert scale.high >= max(values)
    px = scale.array(np.array(values))
    assert ((px >= 10) & (px <= 300)).all()
    ticks = scale.ticks(5)
    assert 1 <= len(ticks) <= 12
    slack = 1e-6 * max(1.0, abs(scale.low), abs(scale.high))
    assert all(scale.low - slack <= t <= scale.high + slack for t in ticks)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(1e-8, 1e8), st.floats(1.0, 1e9))
def test_logarithmic_ticks_are_inside(low, ratio):
    scale = Scale.around([low, low * ratio], 0, 100, log=True)
    assert all(scale.low * 0.999 <= t <= scale.high * 1.001 for t in scale.ticks())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 200), min_size=1, max_size=8))
def test_labels_keep_their_distance(wanted):
    placed = spread_out(wanted, 16, 0, 200)
    gaps = np.diff(np.sort(placed))
    assert (gaps >= 16 - 1e-9).all()
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(np.array(placed)[order]) >= 0).all()


def test_text_is_cut_to_fit():
    assert fit_text("short", 200) == "short"
    cut = fit_text("a very long column name that nobody can read", 80)
    assert cut.endswith("…")
    assert text_width(cut) <= 80


# ----------------------------------------------------------------------------------------------------------- words


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_can_be_printed_and_read_back(value):
    words = number(value, 4)
    if math.isfinite(value):
        back = words.replace("\u202f", "").replace("−", "-").replace("×10", "e")
        back = back.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        assert float(back) == pytest.approx(value, rel=1e-3, abs=1e-300) or abs(value) > 1.7e308
    else:
        assert words in ("–", "∞", "−∞")


def test_scores_are_printed_as_precisely_as_they_are_known():
    assert score_value(Score("log_loss", 0.123456, 0.101, 0.152)) == "0.123"
    assert score_interval(Score("log_loss", 0.123456, 0.101, 0.152)) == "0.101 to 0.152"
    assert score_value(Score("rmse", 46115.4, 44706.0, 47462.0)) == "46\u202f115"
    assert score_value(Score("accuracy", 0.97368)) == "97.4\u202f%"
    assert score_interval(Score("accuracy", 0.97368, 0.93, 1.0)) == "93.0 to 100\u202f%"
    assert score_interval(Score("auc", 0.97)) == ""
    assert score_value(Score("log_loss", math.nan)) == "–"
    assert score_value(Score("log_loss", 3.2581, 3.25809999, 3.2581)) == "3.258"
    assert percent(0.0) == "0\u202f%"
    assert [duration(v) for v in (3599.9, -1, "x", None)] == ["1 h 0 min", "", "", ""]


# ---------------------------------------------------------------------------------------------------------- markup


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_no_text_becomes_markup(text):
    made = tag("p", text, title=text)
    assert made.startswith('<p title="')
    body = made.removeprefix("<p ").removesuffix("</p>")
    assert "<" not in body
    assert body.count(">") == 1
    assert body.count('"') == 2


def test_markup_is_not_escaped_twice_and_handlers_are_refused():
    assert tag("b", tag("i", "&")) == "<b><i>&amp;</i></b>"
    assert isinstance(escape("x"), Markup)
    for bad in ({"onclick": "x"}, {"href": "https://x"}, {"src": "x.png"}, {"href": "javascript:x"}):
        with pytest.raises(ValueError, match="inert"):
            tag("a", "x", **bad)


def test_clean_drops_what_a_page_must_not_hold():
    assert clean("a\x00\u202eb\ud800c\ufeff") == "abc"
    assert clean("x" * 1000, 10) == "x" * 9 + "…"
    assert clean(" a \n\t b ") == "a b"
    assert clean("a\nb", lines=True) == "a\nb"


# ---------------------------------------------------------------------------------------------------------- charts


def test_charts_survive_the_edges():
    empty = curves(trace_of(accuracy=[[0.5]]), "loss")
    assert "no values" in curve_chart(empty, "t", "loss").description
    flat = curves(trace_of(loss=[[2.0] * 5]), "loss")
    assert "2" in curve_chart(flat, "t", "loss").description
    lost = curves(trace_of(loss=[[np.nan] * 5], val_loss=[[np.inf] * 5]), "loss")
    assert "not numbers" in curve_chart(lost, "t", "loss").description
    zeros = np.zeros(5)
    assert scatter_chart(zeros, zeros, "y").body
    assert residual_chart(zeros, zeros, "y").body
    assert class_bars([("a", 0)], "t").body
    assert mini_levels((("a", 5),), 0, "t").body
    for test, folds, validation in ((0.0, 1, 0.2), (0.9, 100, 0.2), (0.2, 3, 0.9)):
        assert split_picture(test, folds, validation).narrow is not None


def test_no_drawing_holds_a_number_that_is_not_one():
    from fallline.report import render

    for name in ("diverged", "one_epoch", "wide", "multilabel"):
        numbers = re.findall(r' (?:d|x|y|x1|x2|y1|y2|cx|cy|r|width|height)="([^"]*)"', render(make_run(name)))
        assert len(numbers) > 100
        assert not [n for n in numbers if re.search("nan|inf|--", n)]
