"""What each first-order optimizer costs: its time per step beside that of SGD with momentum.

784-512-512-10, ReLU, batch 128, 10,000 random rows, no validation; a Keras model trained by a recipe, at a constant
rate. Compilation is excluded. The figure is the fastest of a few trainings in one process: what else runs on the
machine can only add to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from benchmarks.harness import Measurement, Work
from benchmarks.works import _networks as networks
from benchmarks.works.wide import setup as wide

__all__ = ["WORK"]

_TRAININGS = 4
_MOST = 1.5
# Name -> what switches it on. Each is one pass over weights, gradients and its state: the forward and backward passes
# are the same for all.
WAYS: dict[str, tuple[str, ...]] = {
    "sgd": ("optimizer.name=sgd",),
    "sgd_without_momentum": ("optimizer.name=sgd", "momentum=0"),
    "nesterov": ("optimizer.name=sgd", "nesterov=true"),
    "sgd_averaged": ("optimizer.name=sgd", "average_from=0"),
    "sgd_rate_by_fan_in": ("optimizer.name=sgd", "rate_by_fan_in=true"),
    "sgd_clipped": ("optimizer.name=sgd", "clip_norm=1"),
    "sgd_one_cycle": ("optimizer.name=sgd", "schedule=one_cycle"),
    "sgd_oscillation": ("optimizer.name=sgd", "schedule=oscillation"),
    **{
        name: (f"optimizer.name={name}",)
        for name in ("adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta", "lion", "diagonal_lm")
    },
}



def setup(quick: bool) -> networks.Task:
    """The random rows of "wide", fewer epochs: there are many to measure."""
    return replace(wide(quick), epochs=1 if quick else 2)


WORK = Work(
    title="optimizers: 784-512-512-10, batch 128, 10,000 random rows: each beside SGD with momentum",
    unit="us per step",
    setup=setup,
    reference="sgd",
)


def _measured(changes: tuple[str, ...]) -> Callable[[networks.Task], Measurement]:
    def measure(task: networks.Task) -> Measurement:
        import fallline as fl
        from fallline.recipe import override

        recipe = override(fl.default_recipe("simple"), [*changes, "learning_rate=0.001"])
        seconds = []
        for _ in range(_TRAININGS):
            run = fl.train(
                networks.keras_model(task), task.x, task.y, recipe=recipe, epochs=task.epochs, batch_size=task.batch,
                early_stopping=False, verbose=0, watch=False,
            )  # fmt: skip
            seconds.append(float(run.facts["seconds"]))
        return Measurement(1e6 * min(seconds) / task.steps, {"loss": float(run.trace.curve("running_loss")[-1])})

    return measure


for _name, _changes in WAYS.items():
    _environment = {"KERAS_BACKEND": "jax"}
    _options = {} if _name == "sgd" else {"most": _MOST}
    WORK.peer(_name, needs=("jax", "keras", "optax"), environment=_environment, **_options)(_measured(_changes))
