"""G3: six optimizers in a long valley and at a saddle; or on your own loss, along two random directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row, animated
from fallline.gallery.planes import Slope, contours, draw_walks, gradient_of, walk
from fallline.plot import figure

__all__ = ["show", "show_yours"]

# Name -> optimizer and learning rate; the rates are those at which each is usually shown.
SIX: Mapping[str, tuple[str, dict[str, float]]] = {
    "SGD": ("sgd", {"learning_rate": 0.02, "momentum": 0.0}),
    "momentum": ("sgd", {"learning_rate": 0.02, "momentum": 0.9}),
    "AdaGrad": ("adagrad", {"learning_rate": 0.2}),
    "AdaDelta": ("adadelta", {"learning_rate": 12.0, "beta_2": 0.95}),
    "RMSprop": ("rmsprop", {"learning_rate": 0.02, "momentum": 0.0, "beta_2": 0.9}),
    "Adam": ("adam", {"learning_rate": 0.05}),
}
STEPS = 120


def valley(p: Any) -> Any:
    """A valley 100 times longer than wide, lowest at (0, 0)."""
    return 0.1 * p[0] ** 2 + 10.0 * p[1] ** 2


def saddle(p: Any) -> Any:
    """A saddle at (0, 0), lowest at (0, +-2), where it is -4."""
    return p[0] ** 2 - 2.0 * p[1] ** 2 + 0.25 * p[1] ** 4


# Surface, start, and the borders of the picture.
SCENES = {
    "a long valley": (valley, (-9.0, 0.9), (-10.0, 4.0), (-1.4, 1.4)),
    "a saddle": (saddle, (1.5, 1e-5), (-2.0, 2.0), (-2.8, 2.8)),
}


def _walks(slope: Slope, start: Any, steps: int) -> dict[str, np.ndarray]:
    return {name: walk(slope, start, which, steps, **numbers) for name, (which, numbers) in SIX.items()}


def show(*, quick: bool = False) -> Exhibit:
    """Let six optimizers go down the same two surfaces."""
    steps = 30 if quick else STEPS
    walks = {name: _walks(gradient_of(scene[0]), scene[1], steps) for name, scene in SCENES.items()}

    def picture(until: int | None) -> tuple[Any, Any]:
        made, axes = figure(1, 2, size=(9.6, 4.2))
        for ax, (name, (surface, start, across, up)) in zip(axes[0], SCENES.items(), strict=True):
            x, y = np.linspace(*across, 141), np.linspace(*up, 141)
            contours(ax, x, y, np.asarray(surface(np.stack(np.meshgrid(x, y)))))
            ax.plot(*start, "x", color="black", markersize=8)
            ax.set(xlim=across, ylim=up, title=name, xlabel="weight 1", ylabel="weight 2")
            if until is None:
                draw_walks(ax, walks[name])
        return made, axes

    made, axes = picture(None)
    axes[0, 0].legend(frameon=True, fontsize=8, ncols=2, loc="lower left")

    def film() -> Any:
        moving, places = picture(0)
        drawn: list[Any] = []

        def frame(i: int) -> None:
            while drawn:
                drawn.pop().remove()
            for ax, name in zip(places[0], walks, strict=True):
                drawn.extend(draw_walks(ax, walks[name], 2 * i))
                ax.set_title(f"{name}, step {2 * i}")
            places[0, 0].legend(frameon=True, fontsize=8, ncols=2, loc="lower left")

        return animated(moving, steps // 2 + 1, frame)

    rows = [
        Row(
            f"{scene}: height after {steps} steps, {name}",
            f"{float(SCENES[scene][0](places[-1])):.3f}",
            _known(scene, name),
        )
        for scene, found in walks.items()
        for name, places in found.items()
    ]
    remark = (
        "Both basins beside the saddle are at -4: plain gradient descent stays at the saddle, whose slope is almost 0."
    )
    return Exhibit("Six optimizers on two surfaces", tuple(rows), made, remark, film)


def _known(scene: str, name: str) -> str:
    return "stuck" if scene == "a saddle" and name == "SGD" else ""


def show_yours(model: Any, x: Any, y: Any, *, quick: bool = False) -> Exhibit:
    """Let the six go down the loss of your model along two random directions, from a corner."""
    from scipy.interpolate import RectBivariateSpline

    seen = fl.loss_landscape(model, x, y, points=7 if quick else 25, span=1.0)
    a, b = seen.axes
    loss = np.minimum(seen.losses, np.quantile(seen.losses[np.isfinite(seen.losses)], 0.99))
    spline = RectBivariateSpline(a, b, loss)
    # One height for all losses, so that the learning rates of the surfaces suit this one, too.
    height = float(np.ptp(loss)) or 1.0

    def slope(point: np.ndarray) -> np.ndarray:
        p = np.clip(point, -1.0, 1.0)
        return np.array([spline.ev(*p, dx=1), spline.ev(*p, dy=1)]) / height

    walks = _walks(slope, (0.85, 0.7), 30 if quick else STEPS)
    made, axes = figure(size=(6.4, 4.8))
    contours(axes[0, 0], a, b, loss.T)
    draw_walks(axes[0, 0], walks)
    axes[0, 0].set(xlim=(-1, 1), ylim=(-1, 1), xlabel=seen.labels[0], ylabel=seen.labels[1], title="your loss")
    axes[0, 0].legend(frameon=True, fontsize=8)
    rows = [
        Row(f"loss at the end, {name}", f"{float(spline.ev(*np.clip(w[-1], -1, 1))):.4g}") for name, w in walks.items()
    ]
    return Exhibit(
        "Six optimizers on your loss", (Row("loss of the model", f"{loss[len(a) // 2, len(b) // 2]:.4g}"), *rows), made
    )
