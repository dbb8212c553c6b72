"""One layer's statistics in float64, against their definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS
from fallline.watch import statistics as s

RNG = np.random.default_rng(0)


def test_every_statistic_has_a_name_in_the_contract() -> None:
    w = [RNG.normal(size=(3, 4))]
    layer = s.weight_statistics(w) | s.gradient_statistics(w) | s.update_statistics(w, w)
    layer |= s.activation_statistics(w, "relu") | {"twin_share": s.twin_share(w[0])}
    assert set(layer) == set(LAYER_STATISTICS)
    network = s.network_statistics(w, w, w, w)
    assert set(network) | {"gradient_noise_scale", "sharpness", "curvature_along_step"} == set(NETWORK_STATISTICS)


def test_weights_and_gradients_are_taken_over_all_tensors_of_a_layer() -> None:
    a, b = RNG.normal(size=(3, 4)).astype(np.float32), RNG.normal(2, 1, size=5).astype(np.float32)
    entries = [*a.ravel().tolist(), *b.tolist()]
    mean = sum(entries) / 17
    found = s.weight_statistics([a, b])
    assert found["weight_mean"] == pytest.approx(mean)
    assert found["weight_sd"] == pytest.approx(math.sqrt(sum((v - mean) ** 2 for v in entries) / 17))
    assert found["weight_norm"] == pytest.approx(math.sqrt(sum(v * v for v in entries)))
    found = s.gradient_statistics([a, b])
    assert found["gradient_max"] == max(abs(v) for v in entries)
    assert found["gradient_norm"] == s.norm([a, b])


def test_a_layer_without_weights_has_none() -> None:
    found = s.weight_statistics([]) | s.gradient_statistics([]) | s.update_statistics([], [])
    assert all(math.isnan(v) for v in found.values())
    assert math.isnan(s.update_statistics([np.zeros(2)], [np.ones(2)])["update_ratio"])


def test_activations_of_a_convolution_are_units_by_channel() -> None:
    y = np.maximum(RNG.normal(size=(6, 3, 3, 4)), 0)
    y[..., 1] = 0
    y[..., 2] = 5
    found = s.activation_statistics([y], "relu")
    assert (found["dead_share"], found["constant_share"]) == (0.25, 0.5)
    assert found["zero_share"] == (y == 0).sum() / y.size
    assert found["activation_rms"] == pytest.approx(math.sqrt((y**2).mean()))
    first = s.activation_statistics([np.moveaxis(y, -1, 1)], "relu", unit_axis=1)
    assert first == pytest.approx(found, nan_ok=True)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    y = RNG.normal(3, 1, size=(50, 7)).astype(np.float32)
    whole = s.activation_statistics([y], "sigmoid", preactivations=[y])
    monkeypatch.setattr(s, "_BLOCK", 20)
    assert s.activation_statistics([y[:20], y[20:]], "sigmoid", preactivations=[y]) == pytest.approx(whole, nan_ok=True)


@pytest.mark.parametrize(
    ("activation", "values", "share"),
    [
        ("sigmoid", [0.009, 0.011, 0.5, 0.989, 0.991], 0.4),
        ("tanh", [-0.981, -0.979, 0.0, 0.979, 0.981], 0.4),
        ("softmax", [0.0, 1.0, 0.02, 0.98], 0.5),
        ("lecun_tanh", [1.7, 1.6], 0.5),
    ],
)
def test_saturated_is_within_a_hundredth_of_the_range_of_an_asymptote(
    activation: str, values: list[float], share: float
) -> None:
    found = s.activation_statistics([np.array(values)[:, None]], activation)
    assert found["saturated_share"] == share
    assert math.isnan(found["dead_share"])
    assert math.isnan(s.activation_statistics([np.array(values)[:, None]], "relu")["saturated_share"])


def test_shares_of_outputs_that_are_not_numbers_are_not_numbers() -> None:
    for bad in (np.nan, np.inf):
        found = s.activation_statistics([np.array([[1.0, bad], [2.0, 0.0]])], "relu")
        assert all(math.isnan(found[name]) for name in ("dead_share", "zero_share", "constant_share", "activation_sd"))


def test_calls_with_different_units_are_not_mixed() -> None:
    assert s.activation_statistics([np.ones((2, 3)), np.ones((2, 4))]) == {}
    assert s.activation_statistics([]) == {}


@pytest.mark.parametrize(("kernel", "share"), [(np.zeros((3, 4)), 1.0), (np.eye(3), 0.0), (np.ones(3), math.nan)])
def test_twins(kernel: np.ndarray, share: float) -> None:
    assert s.twin_share(kernel) == pytest.approx(share, nan_ok=True)


def test_twins_of_pytorch_stand_in_rows() -> None:
    rows = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]])
    assert s.twin_share(rows, 0) == pytest.approx(2 / 3)
    assert s.twin_share(rows) == 0.0


def test_the_network_moves_by_all_its_tensors() -> None:
    start, now, after = [[np.full(2, v), np.full((1, 2), v)] for v in (0.0, 1.0, 1.5)]
    found = s.network_statistics(now, start, start, after)
    assert found == {"weight_norm": 2.0, "distance_from_start": 2.0, "gradient_norm": 0.0, "update_ratio": 0.5}
    assert "update_ratio" not in s.network_statistics(now, start)


def test_noise_scale_of_gradients_whose_noise_is_known() -> None:
    """Gradients of single rows drawn from N(g, sd^2 I): tr(Sigma) / |g|^2 = d sd^2 / |g|^2."""
    g, sd, rows = np.linspace(-1, 1, 40), 2.0, 16
    samples = g + RNG.normal(0, sd, size=(64, rows, 40))
    parts = [[part.mean(axis=0)] for part in samples]
    assert s.noise_scale(parts, rows) == pytest.approx(40 * sd**2 / (g @ g), rel=0.25)
    assert math.isnan(s.noise_scale(parts[:1], rows))
    assert math.isnan(s.noise_scale([[np.ones(2)], [-np.ones(2)]], 4))


@given(st.integers(1, 5), st.integers(1, 5), st.floats(-5, 5))
def test_shares_lie_between_zero_and_one(rows: int, units: int, shift: float) -> None:
    y = np.round(RNG.normal(shift, 1, size=(rows, units)), 1)
    for name in ("relu", "tanh", "leaky_relu", ""):
        found = s.activation_statistics([y], name)
        for share in ("dead_share", "zero_share", "constant_share", "saturated_share"):
            assert math.isnan(found[share]) or 0 <= found[share] <= 1
