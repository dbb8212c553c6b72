"""Early stopping and falling rates on curves made by hand, with the epochs worked out by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.engine import RUNNING, STOPPED, Pace, Stopping
from fallline.engine.member import end_epoch
from tests.engine import toy

Curve = list[float]
FALLING = [1.0] * 40


def run(
    stopping: Stopping, held: Curve, trained: Curve | None = None, numbers: Any = None
) -> tuple[int, Any, list[Any]]:
    """Return the epoch at which the member stops (0: never), its state, and the factor on its rate in every epoch."""
    state = jax.tree.map(lambda a: jnp.asarray(a[0]), toy.begin([0], stopping))
    factors = []
    for index, value in enumerate(held):
        factors.append(float(state.pace.factor) if isinstance(state.pace, Pace) else 1.0)
        after = state._replace(params=[jnp.full_like(p, index + 1.0) for p in state.params])
        state = end_epoch(
            stopping,
            state,
            after,
            jnp.asarray(1.0),
            jnp.asarray(value, jnp.float32),
            trained=jnp.asarray((trained or FALLING)[index], jnp.float32),
            numbers=numbers,
        )
        if int(state.outcome) == STOPPED:
            return index + 1, state, factors
    return 0, state, factors


# GL in percent: 0, 0, 5, 2.5, 6.25, 0, 3.6, 10
GL = [1.0, 0.8, 0.84, 0.82, 0.85, 0.78, 0.808, 0.858]


@pytest.mark.parametrize(("alpha", "epoch"), [(3.0, 3), (6.0, 5), (9.0, 8), (11.0, 0)])
def test_gl_stops_when_the_loss_has_risen_by_more_than_alpha_percent(alpha: float, epoch: int) -> None:
    stopped, state, _ = run(Stopping(criterion="gl", alpha=alpha), GL)
    assert stopped == epoch
    best = 2 if 0 < epoch < 6 else 6
    assert int(state.best_epoch) == best
    assert all((np.asarray(p) == best).all() for p in state.best_params)  # and the best weights are kept


# Strip 1: sum 4, minimum 0.6, P = 1000 (4 / 3 - 1) = 333; strip 2: sum 2.49, minimum 0.49, P = 1000 (2.49 / 2.45 - 1)
# = 16.3; strip 3: all 0.49, P = 0.
TRAINED = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5, 0.5, 0.49, 0.49, 0.49, 0.49, 0.49, 0.49]
# GL is 100 at epoch 3, in the middle of a strip; 20 at its end: 20 / 333 = 0.06; 10 at epoch 10: 10 / 16.3 = 0.61.
HELD = [1.0, 0.8, 1.6, 0.9, 0.96, 0.9, 0.9, 0.9, 0.9, 0.88, 0.9, 0.9, 0.9, 0.9, 0.81]


@pytest.mark.parametrize(("alpha", "epoch"), [(0.05, 5), (0.5, 10), (0.7, 15)])
def test_pq_weighs_the_rise_against_the_progress_at_the_end_of_a_strip(alpha: float, epoch: int) -> None:
    assert run(Stopping(criterion="pq", alpha=alpha, strip=5), HELD, TRAINED)[0] == epoch


def test_pq_goes_on_where_nothing_was_lost() -> None:
    # The training loss rests (P = 0), but the validation loss is the lowest so far (GL = 0).
    assert run(Stopping(criterion="pq", alpha=0.5, strip=5), [1.0] * 10, [0.5] * 10)[0] == 0


def at_ends(values: Curve) -> Curve:
    """Strips of 5 with the given losses at their ends, and others between that do not matter."""
    return [other for value in values for other in (9.0, 0.1, 7.0, 0.2, value)]


@pytest.mark.parametrize(("successive", "epoch"), [(1, 10), (2, 25), (3, 0)])
def test_up_counts_rises_from_end_to_end_of_strips(successive: int, epoch: int) -> None:
    held = at_ends([1.0, 1.1, 1.05, 1.2, 1.3, 1.25, 1.4, 1.5])
    assert run(Stopping(criterion="up", strip=5, successive=successive), held)[0] == epoch


def prechelt(criterion: str, alpha: float, k: int, s: int, held: Curve, trained: Curve) -> int:
    """The definitions of section 2.2, read literally, in exact arithmetic on whole numbers."""

    def gl(t: int) -> float:
        return 100.0 * (held[t - 1] / min(held[:t]) - 1.0)

    def progress(t: int) -> float:
        strip = trained[t - k : t]
        return 1000.0 * (sum(strip) / (k * min(strip)) - 1.0)

    def up(t: int, s: int) -> bool:
        rose = t > k and held[t - 1] > held[t - k - 1]
        return rose if s == 1 else rose and up(t - k, s - 1)

    for t in range(1, len(held) + 1):
        ends = t % k == 0
        if criterion == "gl" and gl(t) > alpha:
            return t
        if criterion == "pq" and ends and gl(t) > 0 and (progress(t) == 0 or gl(t) / progress(t) > alpha):
            return t
        if criterion == "up" and ends and up(t, s):
            return t
    return 0


@given(
    st.sampled_from(["gl", "pq", "up"]),
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=16),
    st.integers(2, 5),
    st.integers(1, 3),
)
def test_criteria_stop_where_their_definitions_say(
    criterion: str, curves: list[tuple[int, int]], strip: int, successive: int
) -> None:
    held, trained = [float(a) for a, _ in curves], [float(b) for _, b in curves]
    alpha = 7.77 if criterion == "gl" else 0.3337  # no quotient of such whole numbers is equal to it
    stopping = Stopping(criterion=criterion, alpha=alpha, strip=strip, successive=successive)
    # As a population has them: the constants are the member's numbers.
    own = {name: jnp.asarray(value, jnp.float32) for name, value in stopping.constants().items()}
    assert stopping.program() == Stopping(criterion=criterion)
    found = run(stopping.program(), held, trained, own)[0]
    assert found == prechelt(criterion, alpha, strip, successive, held, trained)


def numbers(factor: float, patience: float, min_delta: float = 0.0) -> dict[str, Any]:
    values = {"reduce_factor": factor, "reduce_patience": patience, "reduce_min_delta": min_delta}
    return {key: jnp.asarray(value, jnp.float32) for key, value in values.items()}


@given(st.lists(st.integers(0, 12), min_size=1, max_size=15), st.integers(1, 4), st.sampled_from([0.0, 0.25, 1.0]))
def test_a_plateau_lowers_the_rate_as_keras_does(quarters: list[int], patience: int, min_delta: float) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse")
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=0.5, patience=patience, min_delta=min_delta, min_lr=0.0
    )
    callback.set_model(model)
    callback.on_train_begin()
    expected = []
    for epoch, q in enumerate(quarters):
        expected.append(float(np.asarray(model.optimizer.learning_rate)))
        callback.on_epoch_end(epoch, {"val_loss": q / 4})
    _, state, found = run(
        Stopping(reduces="plateau"), [q / 4 for q in quarters], None, numbers(0.5, patience, min_delta)
    )
    assert found == expected
    assert int(state.outcome) == RUNNING


def zigzag(moves: list[float], patience: int) -> list[float]:
    """Factors on the rate in each epoch while the weights make the given moves along one line."""
    stopping = Stopping(reduces="oscillation")
    state = jax.tree.map(lambda a: jnp.asarray(a[0]), toy.begin([0], stopping))
    factors = []
    for move in moves:
        factors.append(float(state.pace.factor))
        after = state._replace(params=[p + move for p in state.params])
        state = end_epoch(stopping, state, after, jnp.asarray(1.0), jnp.asarray(1.0), numbers=numbers(0.5, patience))
    return factors


def test_the_rate_falls_when_the_weights_turn_back() -> None:
    # Moves 3 and 4 turn back; with patience 2 it takes two turns in succession.
    assert zigzag([1.0, 1.0, -1.0, 1.0, 1.0, 1.0], 1) == [1.0, 1.0, 1.0, 0.5, 0.25, 0.25]
    assert zigzag([1.0, 1.0, -1.0, 1.0, 1.0, 1.0], 2) == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    assert zigzag([1.0, 2.0, 0.5, 3.0], 1) == [1.0] * 4


@pytest.mark.parametrize("reduces", ["", "plateau", "oscillation"])
@pytest.mark.parametrize("criterion", ["patience", "gl", "pq", "up"])
def test_the_structure_of_the_state_is_constant(criterion: str, reduces: str) -> None:
    stopping = Stopping(criterion=criterion, reduces=reduces)
    before = jax.tree.map(lambda a: jnp.asarray(a[0]), toy.begin([0], stopping))
    after = end_epoch(stopping, before, before, jnp.asarray(1.0), jnp.asarray(1.0), numbers=numbers(0.5, 2))
    assert jax.tree.structure(after) == jax.tree.structure(before)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
    if criterion == "patience" and not reduces:
        assert after.curve == after.pace == ()
