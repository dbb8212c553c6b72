"""A network of seven parameters as an engine task, and the same in float64 NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fallline.engine import MemberState, Population, Rows, Schedule, Stopping, Task, start_state

HIDDEN = 2


def forward(p: Any, x: Any, tanh: Any) -> Any:
    return tanh(x @ p[0] + p[1]) @ p[2] + p[3]


def numpy_loss(p: Sequence[np.ndarray], x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Mean over the rows of weight times squared error, float64."""
    return float(np.mean(weight * (forward(p, x.astype(np.float64), np.tanh) - y) ** 2))


def numpy_gradient(p: Sequence[np.ndarray], x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
    """Central differences of `numpy_loss`; their error is about 1e-10 here."""
    step = 1e-5
    out = [np.zeros_like(t) for t in p]
    for tensor, slot in zip(p, out, strict=True):
        for i in np.ndindex(tensor.shape):
            old = tensor[i]
            tensor[i] = old + step
            above = numpy_loss(p, x, y, weight)
            tensor[i] = old - step
            below = numpy_loss(p, x, y, weight)
            tensor[i] = old
            slot[i] = (above - below) / (2 * step)
    return out


def _update(grads: Any, state: Any, params: Any, numbers: Any, rate: Any) -> Any:
    """Plain gradient descent that counts its steps, so that there is an optimizer state to carry."""
    eta = numbers["learning_rate"] * rate
    return [p - eta * g for p, g in zip(params, grads, strict=True)], state + 1


def task(coupled: bool = False) -> Task:
    def loss(params: Any, aux: Any, numbers: Any, x: Any, y: Any, weight: Any) -> Any:
        return jnp.mean(weight * (forward(params, x, jnp.tanh) - y) ** 2), aux

    def observe(carry: Any, params: Any, aux: Any, numbers: Any, x: Any, y: Any, weight: Any, valid: Any) -> Any:
        w = weight * valid
        error = forward(params, x, jnp.tanh) - y
        return carry + jnp.stack([jnp.sum(w), jnp.sum(w * error**2), jnp.sum(w * jnp.abs(error))])

    return Task(
        loss,
        _update,
        lambda: jnp.zeros(3),
        observe,
        lambda c: c[1:] / c[0],
        ("loss", "mae"),
        coupled,
        outputs=lambda params, aux, numbers, x: forward(params, x, jnp.tanh),
        cost=lambda out, numbers, y, weight: jnp.mean(weight * (out - y) ** 2),
        penalty=lambda params, aux, numbers, x: jnp.zeros(()),
    )


def data(n: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)).astype(np.float32)
    y = np.sin(x[:, 0] + 0.5 * x[:, 1]).astype(np.float32)
    return x, y, rng.uniform(0.5, 2.0, n).astype(np.float32)


def weights(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s).astype(np.float32) for s in ((2, HIDDEN), (HIDDEN,), (HIDDEN,), ())]


def begin(seeds: Sequence[int], stopping: Stopping | None = None) -> MemberState:
    params = [np.stack(tensors) for tensors in zip(*(weights(s) for s in seeds), strict=True)]
    aux, optimizer = [np.zeros(len(seeds), np.float32)], np.zeros(len(seeds), np.int32)
    return start_state(params, aux, optimizer, stopping or Stopping())


def orders(seeds: Sequence[int], rows: np.ndarray, epochs: int, batch: int) -> Schedule:
    """Every member in its own order, the last batch padded with its first row, and no last epoch."""
    steps = -(-len(rows) // batch)
    order = np.zeros((len(seeds), epochs, steps * batch), np.int32)
    for i, seed in enumerate(seeds):
        for e in range(epochs):
            drawn = np.random.default_rng([seed, e]).permutation(rows)
            order[i, e] = np.concatenate([drawn, np.repeat(drawn[:1], steps * batch - len(rows))])
    p = len(seeds)
    return Schedule(
        order.reshape(p, epochs, steps, batch),
        np.ones((p, epochs, steps), np.float32),
        np.full(p, len(rows), np.int32),
        np.full(p, 1000, np.int32),
        np.ones(p, np.int32),
        np.zeros((p, epochs, 0), np.int32),
        np.ones((p, epochs), np.float32),
    )


def rows_for(members: int, rows: np.ndarray) -> Rows:
    shared = np.repeat(np.asarray(rows, np.int32)[None, None], members, axis=0)
    return Rows(shared, np.full(members, len(rows), np.int32), np.zeros((members, 0), np.int32))


@lru_cache  # one compiled program for all tests that ask for the same
def population(members: int, stopping: Stopping, devices: int) -> Population:
    return Population(task(), stopping, members, validated=True, devices=jax.local_devices()[: min(members, devices)])


def train(
    seeds: Sequence[int],
    *,
    rates: Sequence[float] | None = None,
    chunks: Sequence[int] = (6,),
    stopping: Stopping | None = None,
    batch: int = 5,
    devices: int = 2,
) -> tuple[MemberState, np.ndarray]:
    """Train members on rows 0-15 and validate on 16-23; return the host's copies of the state and of what was seen."""
    p = len(seeds)
    program = population(p, stopping or Stopping(), devices)
    placed = program.place_state(begin(seeds, program.stopping))
    shared = program.place(data(), shared=True)
    numbers = program.place({"learning_rate": np.asarray(rates or [0.1] * p, np.float32)})
    on_train, on_val = program.place(rows_for(p, np.arange(16))), program.place(rows_for(p, np.arange(16, 24)))
    whole = orders(seeds, np.arange(16), sum(chunks), batch)
    return run_chunks(program, shared, placed, numbers, whole, (on_train, on_val), chunks)


def run_chunks(
    program: Any, shared: Any, placed: Any, numbers: Any, whole: Schedule, evaluated: Any, chunks: Sequence[int]
) -> tuple[MemberState, np.ndarray]:
    """Train in chunks of epochs, all as long as the longest; what is given lies on the devices, but the schedule."""
    p, seen, done = len(whole.order), [], 0
    for epochs in chunks:
        part = np.minimum(np.arange(done, done + max(chunks)), sum(chunks) - 1)
        schedule = whole._replace(
            order=whole.order[:, part],
            rates=whole.rates[:, part],
            rest=whole.rest[:, part],
            rest_rate=whole.rest_rate[:, part],
        )
        placed, found = program.start(shared, epochs, placed, numbers, program.place(schedule), *evaluated)
        seen.append(np.asarray(found)[:p, :epochs])
        done += epochs
    return jax.tree.map(lambda a: np.asarray(a)[:p], placed), np.concatenate(seen, axis=1)
