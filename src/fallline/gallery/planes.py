"""Walking down surfaces over a plane with fallline's own optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fallline.optimize import make_optimizer
from fallline.plot import COLOURS, HEAT, SERIES

__all__ = ["contours", "draw_walks", "gradient_of", "walk"]

Slope = Callable[[np.ndarray], np.ndarray]
USUAL = {"momentum": 0.9, "beta_1": 0.9, "beta_2": 0.999, "weight_decay": 0.0, "damping": 1e-3}


def gradient_of(surface: Callable[[Any], Any]) -> Slope:
    """Return (point) -> the gradient of a surface written in jax.numpy."""
    slope = jax.jit(jax.grad(surface))
    return lambda point: np.asarray(slope(jnp.asarray(point, jnp.float32)))


def walk(slope: Slope, start: Any, name: str, steps: int, **numbers: float) -> np.ndarray:
    """Return the (steps + 1, 2) places of an optimizer of this name from the start on."""
    optimizer = make_optimizer(name)
    values = {key: jnp.float32({**USUAL, **numbers}[key]) for key in optimizer.numbers}
    update = jax.jit(lambda grads, state, point: optimizer.update(grads, state, point, values, 1.0))
    point = jnp.asarray(start, jnp.float32)
    state, places = optimizer.init(point), [np.asarray(point)]
    for _ in range(steps):
        point, state = update(jnp.asarray(slope(np.asarray(point)), jnp.float32), state, point)
        places.append(np.asarray(point))
    return np.stack(places)


def contours(ax: Any, x: np.ndarray, y: np.ndarray, z: np.ndarray, *, levels: Any = 14) -> None:
    """Draw a surface (len(y), len(x)) as pale contours on which coloured ways can be seen."""
    ax.grid(False)
    ax.contourf(x, y, z, levels=levels, cmap=HEAT, alpha=0.35)
    ax.contour(x, y, z, levels=levels, colors=COLOURS["soft"], linewidths=0.4, alpha=0.7, linestyles="solid")


def draw_walks(ax: Any, walks: Mapping[str, np.ndarray], until: int | None = None) -> list[Any]:
    """Draw ways with their present ends; return what was drawn."""
    drawn = []
    marks = "osD^vP*X"
    for i, (name, places) in enumerate(walks.items()):
        seen = places if until is None else places[: until + 1]
        line = ax.plot(
            *seen.T, color=SERIES[i], linewidth=1.5, label=name, marker=marks[i], markevery=[len(seen) - 1],
            markersize=7, markeredgecolor="white", clip_on=True,
        )  # fmt: skip
        drawn += line
    return drawn
