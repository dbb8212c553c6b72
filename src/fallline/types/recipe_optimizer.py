"""The section of a recipe about the optimizer, and what optimizers and schedules there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fallline.types.recipe_entry import entry as _entry

__all__ = ["FULL_BATCH", "GRADIENT_FREE", "OPTIMIZER_NUMBERS", "REDUCING", "SCHEDULE_NUMBERS", "OptimizerRecipe"]

# The one place that says which optimizers there are and which of the recipe's numbers each reads besides the learning
# rate: the recipe's checks and `fallline.optimize` both go by it.
OPTIMIZER_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum",),
    "adam": ("beta_1", "beta_2"),
    "adamw": ("beta_1", "beta_2", "weight_decay"),
    "nadam": ("beta_1", "beta_2"),
    "rmsprop": ("beta_2", "momentum"),
    "adagrad": (),
    "adadelta": ("beta_2",),
    "lion": ("beta_1", "beta_2", "weight_decay"),
    "diagonal_lm": ("beta_2", "damping"),
    "guess": (),
    "evolution": (),
    "newton": ("damping",),
    "gauss_newton": ("damping",),
    "lm": ("damping",),
    "bfgs": (),
    "lbfgs": (),
    "cg": (),
}
# Those that take all rows at every step and compare losses: nothing random may differ between two looks.
FULL_BATCH: tuple[str, ...] = ("newton", "gauss_newton", "lm", "bfgs", "lbfgs", "cg")
# Those that look at the loss alone.
GRADIENT_FREE: tuple[str, ...] = ("guess", "evolution")

# The same for the schedules of the learning rate.
SCHEDULE_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "constant": (),
    "cosine": (),
    "flat_cosine": (),
    "one_cycle": (),
    "coslog4": (),
    "linear": (),
    "step": ("schedule_end", "schedule_drops"),
    "exponential": ("schedule_end",),
    "inverse_time": ("schedule_end",),
    "tau_over_t": ("schedule_tau",),
    "bottou": ("schedule_lambda",),
    "plateau": ("reduce_factor", "reduce_patience", "reduce_min_delta"),
    "oscillation": ("reduce_factor", "reduce_patience"),
}
# Those that go by what a member's training does, not by the step: each member has its own factor on the rate.
REDUCING: tuple[str, ...] = ("plateau", "oscillation")


@dataclass(frozen=True)
class OptimizerRecipe:
    """How weights move (numbers: none of them needs a new compilation)."""

    name: str = _entry("auto", "the learning algorithm; auto: adamw", choices=("auto", *OPTIMIZER_NUMBERS))
    learning_rate: float | Literal["auto", "find"] = _entry(
        "auto",
        "step size (its peak, under a schedule); find: what a range test on the training rows suggests; of a "
        "full-batch optimizer: the share of its step that is tried first; "
        "of guess and evolution: the spread of the weights that are drawn",
        above=0.0,
        auto=True,
        words=("find",),
    )
    momentum: float | Literal["auto"] = _entry(
        "auto", "momentum; auto: 0.9, but 0 for rmsprop (sgd, rmsprop)", low=0.0, high=0.9999, auto=True
    )
    nesterov: bool = _entry(False, "look ahead (sgd)")
    beta_1: float = _entry(
        0.9,
        "decay of the gradient's running mean (adam, adamw, nadam); its weight in a step (lion)",
        low=0.0,
        high=0.9999,
    )
    beta_2: float | Literal["auto"] = _entry(
        "auto",
        "decay of the squared gradient's running mean (Adam's family, rmsprop, adadelta); of the gradient's (lion)",
        low=0.0,
        high=0.99999,
        auto=True,
    )
    weight_decay: float | Literal["auto"] = _entry(
        "auto", "decoupled decay of kernels per step, times the learning rate (adamw, lion)", low=0.0, auto=True
    )
    damping: float | Literal["auto"] = _entry(
        "auto",
        "share of the largest curvature: the least that a step assumes (newton, gauss_newton), the damping of the "
        "first step, which then adapts (lm); or what is added to each weight's curvature (diagonal_lm)",
        low=0.0,
        high=1e6,
        auto=True,
    )
    average_from: float = _entry(
        1.0,
        "share of the training from which on the weights are averaged over the steps; the mean is evaluated and kept; "
        "1: no averaging",
        low=0.0,
        high=1.0,
    )
    rate_by_fan_in: bool = _entry(
        False,
        "each layer's learning rate in proportion to the square root of its units' inputs, the largest layer at "
        "learning_rate (LeCun 1998)",
    )
    l2: float = _entry(0.0, "penalty (l2 / 2) * sum of squared kernels, added to the loss", low=0.0)
    l1: float = _entry(0.0, "penalty l1 * sum of absolute kernels, added to the loss", low=0.0)
    penalty_factors: tuple[float, ...] = _entry(
        (),
        "factor on l2, l1 and weight_decay for the kernel of each hidden layer and of the output, e.g. [1, 1, 0]; []: "
        "1 "
        "for all",
        low=0.0,
        each=True,
    )
    activity_l2: float = _entry(
        0.0,
        "penalty (activity_l2 / 2) * mean over rows of the sum of squared hidden outputs, added to the loss",
        low=0.0,
    )
    activity_l1: float = _entry(
        0.0, "penalty activity_l1 * mean over rows of the sum of absolute hidden outputs, added to the loss", low=0.0
    )
    clip_norm: float = _entry(0.0, "scale gradients down to this global norm; 0: off", low=0.0)
    schedule: str = _entry(
        "auto",
        "the learning rate over the training; auto: cosine (constant for a Keras model of your own). plateau: it falls "
        "when the validation loss rests; oscillation: when the weights turn back",
        choices=("auto", *SCHEDULE_NUMBERS),
    )
    schedule_end: float = _entry(
        0.01,
        "share of the learning rate that is left at the end (step, exponential, inverse_time)",
        low=1e-6,
        high=1.0,
    )
    schedule_drops: int = _entry(
        2, "number of equal drops, equally far apart, down to schedule_end (step)", low=1, high=1000
    )
    schedule_tau: float = _entry(
        0.1, "share of the training before the rate begins to fall as tau / t (tau_over_t)", above=0.0, high=1.0
    )
    schedule_lambda: float = _entry(
        1e-4,
        "lambda of Bottou's rate gamma / (1 + gamma lambda t), with gamma the learning rate and t in steps: the l2 "
        "penalty, or the least curvature (bottou)",
        above=0.0,
    )
    reduce_factor: float | Literal["auto"] = _entry(
        "auto",
        "what the rate is multiplied by when it falls (plateau, oscillation); auto: 0.1 on a plateau, else 0.5",
        above=0.0,
        high=1.0,
        auto=True,
    )
    reduce_patience: int | Literal["auto"] = _entry(
        "auto",
        "epochs in succession without improvement (plateau) or with weights that turn back (oscillation) before the "
        "rate falls; auto: 10, at most half of stopping.patience, on a plateau, else 2",
        low=1,
        auto=True,
    )
    reduce_min_delta: float = _entry(
        1e-4, "smallest decrease of the validation loss that is an improvement for the rate (plateau)", low=0.0
    )
    warmup: float = _entry(0.0, "share of the training in which the rate rises linearly from 0", low=0.0, high=0.9)
