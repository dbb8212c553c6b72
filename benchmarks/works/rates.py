"""64 networks with 64 learning rates: numbers are traced, so that one program trains them, on all cores.

2-50-1, SGD with momentum 0.9, batch 32, make_circles, 100 epochs, as in the work "small". The figure is the training
time per step and member; compilation is excluded, and counted: the number of programs stands in the extras.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Measurement, Work
from benchmarks.works import _networks as networks
from benchmarks.works.small import setup as circles

__all__ = ["WORK"]

_MEMBERS = 64


def setup(quick: bool) -> networks.Task:
    """The circles of "small", more epochs for a steady figure."""
    return circles(quick)


WORK = Work(
    title="rates: 64 members of 2-50-1 with 64 learning rates, batch 32, 300 epochs",
    unit="us per step and member",
    setup=setup,
    reference="members_64",
)


def _measure(task: networks.Task, members: int) -> Measurement:
    import numpy as np

    import fallline as fl
    from fallline.engine import Population

    traced: list[Any] = []
    share = Population._share
    Population._share = lambda self, *given: (traced.append(1), share(self, *given))[1]  # type: ignore[method-assign]
    model = networks.keras_model(task)
    recipe = fl.default_recipe("simple")
    rates = np.geomspace(1e-4, 1.0, members).tolist() if members > 1 else [0.01]
    vary = {"optimizer.name": ["sgd"], "optimizer.learning_rate": rates}
    seconds = []
    for _ in range(2):
        runs = fl.train_many(
            model, task.x, task.y, recipe=recipe, vary=vary, validation_data=task.validation, epochs=task.epochs,
            batch_size=task.batch, early_stopping=False, verbose=0,
        )  # fmt: skip
        seconds.append(float(runs[0].facts["seconds"]))
    losses = [run.trace.curve("running_loss")[-1] for run in runs]
    return Measurement(
        1e6 * min(seconds) / (task.steps * members),
        {"programs": len(traced) / 2, "loss_best": float(np.nanmin(losses)), "loss_worst": float(np.nanmax(losses))},
    )


@WORK.peer("members_64", needs=("jax", "keras", "optax"), environment={"KERAS_BACKEND": "jax"})
def members_64(task: networks.Task) -> Measurement:
    """All at once."""
    return _measure(task, _MEMBERS)


@WORK.peer("members_1", needs=("jax", "keras", "optax"), environment={"KERAS_BACKEND": "jax"}, bar=1.6)
def members_1(task: networks.Task) -> Measurement:
    """One of them alone: its time per step must be at least 1.6 times the figure on two cores."""
    return _measure(task, 1)
