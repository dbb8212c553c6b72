"""G11: the error's ellipse before and after centring, scaling and whitening; the condition number of the Hessian."""

from __future__ import annotations

import numpy as np

import fallline as fl
from fallline.gallery.exhibit import Exhibit, Row
from fallline.gallery.planes import contours
from fallline.plot import COLOURS, figure
from fallline.recipe import override

__all__ = ["condition", "show"]

ROWS = 400
WAYS = {
    "as given": ["numeric=none"],
    "centred": ["numeric=center"],
    "centred, scaled": ["numeric=standard"],
    "whitened": ["numeric=standard", "whiten=pca"],
}
TRUE = np.array([0.6, -1.0])


def condition(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the Hessian of a linear unit's mean squared error by its weights, and its condition number.

    The Hessian is 2/n times the sum of x x^T over the rows (LeCun et al., Efficient BackProp, 1998, section 1.5).

    >>> condition(np.array([[2.0, 0.0], [0.0, 1.0]]))[1]
    4.0
    """
    hessian = 2.0 / len(features) * features.T @ features
    values = np.linalg.eigvalsh(hessian)
    return hessian, float(values[-1] / values[0])


def show(*, quick: bool = False) -> Exhibit:
    """Prepare the same two correlated columns in four ways, and go down the error with each way's own best rate."""
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([2.0, 5.0], [[1.0, 1.6], [1.6, 4.0]], ROWS)
    y = x @ TRUE + 1.0 + rng.normal(0, 0.1, ROWS)
    made, axes = figure(1, 4, size=(12.0, 3.6))
    rows, numbers = [], []
    for ax, (name, changes) in zip(axes[0], WAYS.items(), strict=True):
        recipe = override(
            fl.default_recipe("simple"),
            ["hidden=[]", *(f"prepare.{change}" for change in changes), "prepare.target=none", "optimizer.name=sgd",
             "momentum=0", "batch_size=all", f"training.epochs={3 if quick else 200}"],
        )  # fmt: skip
        fitted = fl.train(override(recipe, ["learning_rate=0.001", "training.epochs=1"]), x, y, watch=False, verbose=0)
        assert fitted.preparation is not None
        features = np.asarray(fitted.preparation.features(fitted.preparation.raw(x)), float)
        hessian, number = condition(features)
        # The best rate of gradient descent on a quadratic bowl: 2 over the sum of the outermost curvatures.
        with_bias, _ = condition(np.c_[features, np.ones(ROWS)])
        rate = 2.0 / np.linalg.eigvalsh(with_bias)[[0, -1]].sum()
        run = fl.train(override(recipe, [f"learning_rate={rate}"]), x, y, watch=False, early_stopping=False, verbose=0)
        rows.append(Row(f"condition number, {name}", f"{number:,.2f}", "1" if name == "whitened" else ""))
        # Of the intercept's error, too: it is why the inputs are centred.
        excess = run.trace.curve("loss") - 0.01
        reached = np.flatnonzero(excess < 0.01)
        rows.append(
            Row(
                f"epochs to within 0.01 of the noise, {name}",
                str(int(reached[0]) + 1) if len(reached) else f"more than {len(excess)}",
            )
        )
        numbers.append(number)
        side = np.linspace(-1, 1, 101)
        a, b = np.meshgrid(side, side)
        d = np.stack([a, b], axis=-1)
        error = np.einsum("ijk,kl,ijl->ij", d, hessian, d) / 2
        contours(ax, side, side, error, levels=np.linspace(0, 1, 9) ** 2 * error.max())
        values, vectors = np.linalg.eigh(hessian)
        for value, vector, colour in zip(values, vectors.T, ("train", "val"), strict=True):
            length = 0.9 * np.sqrt(values[0] / value)
            ax.plot(*np.stack([-length * vector, length * vector]).T, color=COLOURS[colour], linewidth=2)
        ax.set(title=f"{name}\ncondition number {number:,.1f}", xlabel="weight 1 − its best", aspect="equal")
    axes[0, 0].set_ylabel("weight 2 − its best")
    remark = (
        "Gradient descent needs about as many steps as the condition number; whitening makes the ellipse a circle, and "
        "a step or two are enough."
    )
    return Exhibit("The ellipse of the error", tuple(rows), made, remark)
