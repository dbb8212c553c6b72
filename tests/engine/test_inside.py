"""What is seen inside a member, against float64 NumPy; and that looking changes nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fallline.engine import LayerTap, Observer, Population, Stepwise, Stopping, Watched, steps_of, take_apart
from fallline.engine.inside import _of_outputs, _of_weights
from fallline.engine.moments import moments
from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS
from fallline.watch import statistics
from tests.engine import toy

ROWS = np.arange(16)[::-1].copy()
LOOKS = (0, 1, 3, 5)
TAPS = (LayerTap((0,), 0, (-0.98, 0.98)), LayerTap((2,)))


def outputs(params: Any, aux: Any, x: Any) -> Any:
    given = x @ params[0] + params[1]
    hidden = jnp.tanh(given)
    return [(hidden, given), (hidden @ params[2] + params[3], None)]


OBSERVER = Observer(toy.task(), TAPS, outputs, parts=4, curvature=True, iterations=30)


def watched(members: int, start: Any, on: list[bool] | None = None, width: int = OBSERVER.width) -> Watched:
    k = len(LOOKS)
    return Watched(
        np.full((members, k, width), np.nan, np.float32),
        np.tile(np.asarray(LOOKS, np.int32), (members, 1)),
        np.zeros(members, np.int32),
        np.tile(ROWS.astype(np.int32), (members, 1)),
        np.asarray([True] * members if on is None else on),
        start,
    )


def train(
    program: Population,
    seeds: tuple[int, ...],
    chunks: tuple[int, ...] = (6,),
    on: list[bool] | None = None,
    **rates: Any,
) -> tuple[Any, np.ndarray]:
    state = toy.begin(seeds)
    if program.observer is not None:
        state = state._replace(inside=watched(len(seeds), state.params, on))
    given = rates.get("rates") or [0.1] * len(seeds)
    placed, data = program.place_state(state), program.place(toy.data(), shared=True)
    numbers = program.place({"learning_rate": np.float32(given)})
    both = [program.place(toy.rows_for(len(seeds), rows)) for rows in (np.arange(16), np.arange(16, 24))]
    schedule = toy.orders(seeds, np.arange(16), sum(chunks), 5)
    return toy.run_chunks(program, data, placed, numbers, schedule, both, chunks)


@cache  # one compiled program for all tests that ask for the same
def watching(members: int) -> Population:
    return Population(toy.task(), Stopping(), members, validated=True, observer=OBSERVER)


@pytest.fixture(scope="module")
def seen() -> tuple[Any, np.ndarray]:
    return train(watching(3), (0, 1, 2))


@pytest.fixture(scope="module")
def alone() -> tuple[Any, np.ndarray]:
    return train(Population(toy.task(), Stopping(), 3, validated=True), (0, 1, 2))


def plain(state: Any) -> list[Any]:
    return jax.tree.leaves(state._replace(inside=()))


def test_looking_changes_nothing(seen: tuple[Any, np.ndarray], alone: tuple[Any, np.ndarray]) -> None:
    for a, b in zip(plain(seen[0]), plain(alone[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(seen[1], alone[1])
    assert seen[0].inside.next.tolist() == [4, 4, 4]


def states(seed: int) -> dict[int, list[np.ndarray]]:
    """The weights at the looks, in float64 NumPy."""
    x, y, weight = (a.astype(np.float64) for a in toy.data())
    schedule, p = toy.orders((seed,), np.arange(16), 6, 5), [np.array(t, np.float64) for t in toy.weights(seed)]
    found = {0: [t.copy() for t in p]}
    for epoch in range(6):
        for rows, count, _ in steps_of(jax.tree.map(lambda a: a[0], schedule), epoch):
            w = weight[rows] * (np.arange(5) < count) * (5 / count)
            p = [np.array(t - 0.1 * g) for t, g in zip(p, toy.numpy_gradient(p, x[rows], y[rows], w), strict=True)]
        found[epoch + 1] = [np.array(t) for t in p]
    return found


def hessian(p: list[np.ndarray], batch: tuple[np.ndarray, ...]) -> np.ndarray:
    """Central differences of central differences; about six digits."""
    sizes, step = [t.size for t in p], 1e-4
    flat = np.concatenate([t.reshape(-1) for t in p])

    def gradient(values: np.ndarray) -> np.ndarray:
        parts = np.split(values, np.cumsum(sizes)[:-1])
        shaped = [np.array(part.reshape(t.shape)) for part, t in zip(parts, p, strict=True)]
        return np.concatenate([g.reshape(-1) for g in toy.numpy_gradient(shaped, *batch)])

    rows = [(gradient(flat + step * e) - gradient(flat - step * e)) / (2 * step) for e in np.eye(len(flat))]
    return np.stack(rows)


def oracle(p: list[np.ndarray], start: list[np.ndarray]) -> tuple[dict[str, list[float]], dict[str, float]]:
    x, y, weight = (a[ROWS].astype(np.float64) for a in toy.data())
    gradient = toy.numpy_gradient(p, x, y, weight)
    after = [np.array(t - 0.1 * g) for t, g in zip(p, gradient, strict=True)]
    given = x @ p[0] + p[1]
    hidden = np.tanh(given)
    layers = []
    for at, output, name, pre in ((0, hidden, "tanh", [given]), (2, hidden @ p[2] + p[3], "", [])):
        found = statistics.weight_statistics([p[at]]) | statistics.gradient_statistics([gradient[at]])
        found |= statistics.update_statistics([p[at]], [after[at]])
        found |= statistics.activation_statistics([output], name, preactivations=pre)
        found["twin_share"] = statistics.twin_share(p[at])
        layers.append(found)
    network = statistics.network_statistics(p, start, gradient, after)
    parts = [toy.numpy_gradient(p, x[i : i + 4], y[i : i + 4], weight[i : i + 4]) for i in range(0, 16, 4)]
    network["gradient_noise_scale"] = statistics.noise_scale(parts, 4)
    h = hessian(p, (x, y, weight))
    values = np.linalg.eigvalsh(h)
    network["sharpness"] = float(values[np.argmax(np.abs(values))])
    d = np.concatenate([(a - b).reshape(-1) for a, b in zip(after, p, strict=True)])
    network["curvature_along_step"] = float(d @ h @ d / (d @ d))
    return {name: [found.get(name, np.nan) for found in layers] for name in LAYER_STATISTICS}, network


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_statistic_is_that_of_float64_numpy(seen: tuple[Any, np.ndarray], seed: int) -> None:
    reached = states(seed)
    layers, network = take_apart(seen[0].inside.values[seed], 2)
    assert (set(layers), set(network)) == (set(LAYER_STATISTICS), set(NETWORK_STATISTICS))
    for look, epoch in enumerate(LOOKS):
        of_layers, of_network = oracle(reached[epoch], reached[0])
        for name, values in of_layers.items():
            np.testing.assert_allclose(layers[name][look], values, rtol=2e-3, atol=2e-5, err_msg=f"{name} at {epoch}")
        for name, value in of_network.items():
            # A difference of two large numbers: the noise scale keeps fewer digits; the power method converges slowly.
            rtol = 0.05 if name in ("gradient_noise_scale", "sharpness") else 2e-3
            np.testing.assert_allclose(network[name][look], value, rtol=rtol, atol=2e-5, err_msg=f"{name} at {epoch}")


def test_members_that_nobody_looks_at_are_the_same(seen: tuple[Any, np.ndarray]) -> None:
    program = watching(3)
    state, _ = train(program, (0, 1, 2), on=[True, False, True])
    for a, b in zip(plain(state), plain(seen[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(state.inside.values[[0, 2]], seen[0].inside.values[[0, 2]])
    assert np.isnan(state.inside.values[1]).all()


def test_a_member_looks_the_same_alone_and_in_chunks(seen: tuple[Any, np.ndarray]) -> None:
    state, _ = train(watching(1), (1,), chunks=(1, 2, 3))
    np.testing.assert_array_equal(state.inside.values[0], seen[0].inside.values[1])


def test_step_by_step_it_looks_the_same(seen: tuple[Any, np.ndarray]) -> None:
    program = Stepwise(toy.task(), Stopping(), 3, validated=True, observer=OBSERVER)
    state, _ = train(program, (0, 1, 2), chunks=(0, 2, 4))
    np.testing.assert_array_equal(np.isnan(state.inside.values), np.isnan(seen[0].inside.values))
    np.testing.assert_allclose(state.inside.values, seen[0].inside.values, rtol=5e-3, atol=1e-4)


def test_a_diverged_member_shows_what_was_seen_before() -> None:
    program = watching(3)
    state, _ = train(program, (0, 1, 2), rates=[0.1, 1e30, 0.1])
    rows = np.isfinite(state.inside.values).any(axis=2)
    assert rows.tolist() == [[True] * 4, [True, False, False, False], [True] * 4]


def weights_of(tap: LayerTap, weights: np.ndarray, gradient: np.ndarray) -> dict[str, Any]:
    own = ({0: moments(jnp.asarray(values))} for values in (weights, gradient))
    return _of_weights(tap, [weights], [gradient], [gradient], *own)


def test_twins_dead_and_saturated_units_are_counted() -> None:
    x = np.random.default_rng(0).standard_normal((16, 3)).astype(np.float32)
    kernel = np.random.default_rng(1).standard_normal((3, 6)).astype(np.float32)
    kernel[:, 4], kernel[:, 5], kernel[:, 1] = kernel[:, 2], -kernel[:, 2], 0.0
    out = x @ kernel
    out[:, 0], out[:, 3] = -1.0 - np.arange(16), 0.0
    tap = LayerTap((0,), 0, (0.01, 0.99), rectifies=True)
    found = _of_outputs(tap, jnp.asarray(out), None) | weights_of(tap, kernel, kernel)
    expected = statistics.activation_statistics([out], "relu")
    for name in ("zero_share", "dead_share", "constant_share", "activation_mean"):
        assert float(found[name]) == pytest.approx(expected[name], rel=1e-5), name
    assert float(found["dead_share"]) == pytest.approx(3 / 6)
    assert float(found["saturated_share"]) == pytest.approx(np.mean((out < 0.01) | (out > 0.99)))
    assert float(found["twin_share"]) == pytest.approx(statistics.twin_share(kernel)) == pytest.approx(2 / 6)
    nothing = weights_of(tap, np.zeros((3, 4), np.float32), kernel)
    assert (float(nothing["twin_share"]), np.isnan(nothing["update_ratio"])) == (1.0, True)
    broken = _of_outputs(tap, jnp.asarray(np.where(out > 1, np.nan, out)), None)
    assert np.isnan(broken["dead_share"])
    images = np.maximum(np.random.default_rng(2).standard_normal((4, 3, 5, 5)), 0).astype(np.float32)
    images[:, 1] = 0.0
    channels = _of_outputs(LayerTap(rectifies=True, unit_axis=1), jnp.asarray(images), None)
    assert float(channels["dead_share"]) == pytest.approx(1 / 3)
