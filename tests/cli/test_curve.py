"""Curves drawn with characters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.cli.curve import Curve, can_draw_braille, draw, plain

FALLING = [1 / epoch for epoch in range(1, 41)]


def _dots(text: str) -> list[str]:
    """The plotting area: what stands between the axis and the end of each line."""
    return [line.split("\u2524", 1)[1] for line in text.splitlines() if "\u2524" in line]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.floats(), max_size=30), max_size=4),
    st.integers(0, 150), st.integers(1, 20), st.one_of(st.none(), st.integers(-3, 40)), st.booleans(),
)  # fmt: skip
def test_anything_is_drawn_within_the_width_or_not_at_all(
    values: list[list[float]], width: int, height: int, mark: int | None, ascii_only: bool
) -> None:
    curves = [Curve(f"c{i}", v, dashed=bool(i)) for i, v in enumerate(values)]
    rows = draw(curves, width=width, height=height, mark=mark, ascii_only=ascii_only)
    if not any(math.isfinite(v) for curve in curves for v in curve.values):
        assert rows == []
        return
    assert len(rows) == height + 3
    text = plain(rows)
    assert not ascii_only or text.isascii()
    # The names, the numbers of the axis and twelve columns are shown on any width; the legend may run over.
    assert all(len(line) <= max(width, 45) for line in text.splitlines()[:height])
    assert all(index is None or index < len(curves) for row in rows for _, index in row)


def test_a_falling_curve_falls_from_the_upper_left_to_the_lower_right() -> None:
    area = _dots(plain(draw([Curve("loss", FALLING)], width=60, height=10)))
    assert area[0].strip()
    assert area[0][0] != " "
    assert area[-1].split("loss")[0].rstrip()[-1] != " "
    firsts = [len(line) - len(line.lstrip()) for line in area]
    assert firsts == sorted(firsts)


def test_training_is_solid_and_validation_dashed() -> None:
    flat = [1.0] * 40
    solid = plain(draw([Curve("a", flat)], width=60, height=3))
    dashed = plain(draw([Curve("a", flat, dashed=True)], width=60, height=3))
    assert _dots(solid)[1].count(" ") < _dots(dashed)[1].count(" ")


def test_names_stand_at_the_right_ends_and_never_on_one_line() -> None:
    text = plain(draw([Curve("train", FALLING), Curve("valid", FALLING)], width=60))
    named = [line for line in _dots(text) if line.rstrip().endswith(("train", "valid"))]
    assert len(named) == 2


def test_the_name_of_the_larger_value_stands_above() -> None:
    higher = [value + 0.001 for value in FALLING]
    for curves in ([Curve("low", FALLING), Curve("high", higher)], [Curve("high", higher), Curve("low", FALLING)]):
        lines = _dots(plain(draw(curves, width=60)))
        ends = [line.split()[-1] for line in lines if line.rstrip().endswith(("low", "high"))]
        assert ends == ["high", "low"]


def test_the_best_epoch_is_marked_under_its_place() -> None:
    lines = plain(draw([Curve("loss", FALLING)], width=80, mark=20)).splitlines()
    ticks = next(line for line in lines if "best" in line)
    corner = next(line for line in lines if "\u2514" in line)
    share = (ticks.index("\u25b2") - corner.index("\u2514")) / (len(corner) - corner.index("\u2514"))
    assert "best 20" in ticks
    assert abs(share - 0.5) < 0.05
    assert "best 40" in plain(draw([Curve("loss", FALLING)], width=80, mark=40))
    assert "best" not in plain(draw([Curve("loss", FALLING)], width=80, mark=99))


def test_a_wide_range_gets_a_logarithmic_axis_and_says_so() -> None:
    assert "logarithmic" in plain(draw([Curve("loss", [1000.0, 1.0])]))
    assert "logarithmic" not in plain(draw([Curve("loss", [10.0, 1.0])]))
    assert "logarithmic" not in plain(draw([Curve("loss", [1000.0, -1.0])]))


def test_a_vanishing_loss_does_not_press_the_other_curve_into_a_line() -> None:
    text = plain(draw([Curve("a", [1.0, 1e-9]), Curve("b", [1.0, 0.1])], width=80))
    assert "cut below 0.0001" in text
    rows = [i for i, line in enumerate(_dots(text)) if line.rstrip().endswith((" a", " b"))]
    assert rows[1] - rows[0] > 5


def test_gaps_are_left_where_values_are_not_finite() -> None:
    values = [1.0] * 10 + [math.nan] * 20 + [1.0] * 10
    middle = next(line for line in _dots(plain(draw([Curve("loss", values)], width=60, height=3))) if line.strip())
    assert " " * 15 in middle.rstrip()
    assert "(no finite value)" in plain(draw([Curve("a", [1.0]), Curve("b", [math.nan])]))


@pytest.mark.parametrize(
    ("encoding", "able"), [("utf-8", True), ("ascii", False), ("latin-1", False), (None, False), ("no-such", False)]
)
def test_which_encodings_have_braille(encoding: str | None, able: bool) -> None:
    assert can_draw_braille(encoding) is able
