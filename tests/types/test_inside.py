from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fallline.errors import InputError
from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS, Inside
from fallline.types.inside import median_of_known
from tests.make import inside

GIVEN: dict[str, Any] = {
    "layers": ("a", "b"),
    "kinds": ("Dense", "Dense"),
    "activations": ("relu", ""),
    "output": 1,
    "epochs": [0, 2],
    "values": {"weight_sd": np.ones((1, 2, 2))},
    "network": {"gradient_norm": np.ones((1, 2))},
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kinds": ("Dense",)}, "2 layers"),
        ({"layers": ("a", "a")}, "names must differ"),
        ({"output": 2}, "output layer 2"),
        ({"epochs": [2, 1]}, "ascend"),
        ({"epochs": [-1, 1]}, "ascend"),
        ({"values": {"weight_sd": np.ones((1, 2, 3))}}, "shape"),
        ({"values": {"weigth_sd": np.ones((1, 2, 2))}}, "weight_sd"),
        ({"network": {"gradient_norm": np.ones(2)}}, "shape"),
        ({"network": {"gradient_norm": np.ones((2, 2))}}, "members"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, Any], says: str) -> None:
    Inside(**GIVEN)
    with pytest.raises(InputError, match=says):
        Inside(**{**GIVEN, **change})


def test_rules_get_the_median_of_the_members_that_have_a_value() -> None:
    weights = np.array([[[1.0, 2.0]], [[3.0, np.nan]], [[8.0, np.nan]]])
    seen = inside(["a", "b"], {"weight_sd": weights, "dead_share": np.nan}, members=3, network={"sharpness": 2.0})
    found = seen.statistics()
    assert found["layer_weight_sd"].tolist() == [[3.0, 2.0]]
    assert found["network_sharpness"].tolist() == [2.0]
    assert "layer_dead_share" not in found  # never had a value: not watched
    assert found["watched_epochs"].tolist() == [0]
    assert (found["layer_names"], found["layer_kinds"], found["layer_activations"], found["output_layer"]) == (
        ("a", "b"),
        ("Dense", "Dense"),
        ("relu", "linear"),
        1,
    )
    assert "output_layer" not in inside(["a"], {"weight_sd": 1.0}, output=None).statistics()
    assert inside(["a"], {}).statistics() == {}


@pytest.mark.parametrize("shape", [(1, 3), (4, 2, 3), (5, 6), (0, 2)])
def test_the_median_of_what_is_known_is_numpys(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(len(shape)).standard_normal(shape)
    values[np.random.default_rng(1).random(shape) < 0.4] = np.nan
    values.reshape(-1)[:1] = np.inf
    known = ~np.isnan(values).all(axis=0)
    found = median_of_known(values)
    assert np.isnan(found[~known]).all()
    assert found[known] == pytest.approx(np.nanmedian(values[:, known], axis=0) if known.any() else [])


def test_the_long_format_holds_every_value_and_leads_back() -> None:
    rng = np.random.default_rng(0)
    values = {name: rng.standard_normal((2, 3, 2)).astype(np.float32) for name in LAYER_STATISTICS}
    values["dead_share"][:] = np.nan
    values["weight_sd"][1, 2] = np.nan
    network = {name: rng.standard_normal((2, 3)).astype(np.float32) for name in NETWORK_STATISTICS}
    seen = inside({"x/a": ("Dense", "tanh"), "b": ("Add", "")}, values, epochs=[0, 1, 7], network=network)
    frame = seen.to_frame()
    assert list(frame.columns) == ["member", "epoch", "layer", "statistic", "value"]
    one = frame[(frame.member == 1) & (frame.epoch == 7) & (frame.layer == "b") & (frame.statistic == "update_ratio")]
    assert one.value.tolist() == [values["update_ratio"][1, 2, 1]]
    assert not frame.value.isna().any()
    assert sorted(set(frame[frame.layer == ""].statistic)) == sorted(NETWORK_STATISTICS)
    again = Inside.from_columns(
        seen.to_columns(),
        layers=seen.layers,
        kinds=seen.kinds,
        activations=seen.activations,
        output=seen.output,
        epochs=seen.epochs,
        members=seen.members,
        statistics=tuple(values),
        network=tuple(network),
    )
    for name, array in (*values.items(),):
        np.testing.assert_array_equal(again.values[name], array)
    for name, array in network.items():
        np.testing.assert_array_equal(again.network[name], array)
    assert (again.layers, again.kinds, again.activations, again.output) == (
        seen.layers,
        seen.kinds,
        seen.activations,
        seen.output,
    )


def test_nothing_seen_is_an_empty_table() -> None:
    empty = inside([], {}, output=None, epochs=[])
    assert len(empty.to_frame()) == 0
    assert empty.members == 0
