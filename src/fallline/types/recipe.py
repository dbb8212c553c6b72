"""The recipe: every choice of a training, with its documentation and its bounds beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fallline.types.recipe_data import PrepareRecipe, SplitRecipe
from fallline.types.recipe_entry import entry as _entry
from fallline.types.recipe_pretraining import PretrainingRecipe

__all__ = [
    "FULL_BATCH",
    "GRADIENT_FREE",
    "INITIALIZERS_OF",
    "OPTIMIZER_NUMBERS",
    "REDUCING",
    "SCHEDULE_NUMBERS",
    "EnsembleRecipe",
    "NetworkRecipe",
    "OptimizerRecipe",
    "PrepareRecipe",
    "PretrainingRecipe",
    "Recipe",
    "SplitRecipe",
    "StoppingRecipe",
    "TrainingRecipe",
]


@dataclass(frozen=True)
class NetworkRecipe:
    """The network's architecture (part of the compiled program)."""

    kind: str = _entry(
        "mlp",
        "the architecture: mlp = multilayer perceptron, lenet5 = LeNet-5 for images, rbf = one layer of units that "
        "answer to the distance from their centre, autoencoder = reproduces its inputs through the last of its hidden "
        "layers, mirrored behind it",
        choices=("mlp", "lenet5", "rbf", "autoencoder"),
    )
    image: tuple[int, ...] = _entry(
        (),
        "height, width and channels of the image whose pixels are the columns, row by row (lenet5)",
        low=1,
        each=True,
    )
    hidden: tuple[int, ...] | Literal["auto"] = _entry(
        "auto",
        "units of each hidden layer, e.g. [256, 256]; []: linear model; auto: by the number of rows (rbf: one number, "
        "the "
        "centres; lenet5: the two dense layers, [120, 84])",
        low=1,
        each=True,
        auto=True,
    )
    activation: str = _entry(
        "auto",
        "activation of the hidden layers; auto: what the preset's measurements favour",
        choices=(
            "auto",
            "relu",
            "selu",
            "elu",
            "gelu",
            "silu",
            "mish",
            "tanh",
            "sigmoid",
            "lecun_tanh",
            "leaky_relu",
            "linear",
        ),
    )
    initializer: str = _entry(
        "auto",
        "initial weights; auto: he_normal for the ReLU family, lecun_normal for selu and lecun_tanh, else "
        "glorot_uniform: each keeps the variance of what flows through its activation; lsuv: orthogonal, then every "
        "layer scaled to outputs of variance 1 on training rows",
        choices=(
            "auto",
            "glorot_uniform",
            "glorot_normal",
            "he_normal",
            "he_uniform",
            "lecun_normal",
            "lecun_uniform",
            "orthogonal",
            "random_normal",
            "random_uniform",
            "lsuv",
        ),
    )
    initializer_scale: float = _entry(
        1.0, "sigma of random_normal, N(0, sigma^2); a of random_uniform, U(-a, a)", above=0.0
    )
    embedding: str = _entry(
        "auto",
        "expansion of each number before the first layer: periodic = learned cos(2 pi (w x + b)) features, piecewise = "
        "learned piecewise linear functions that bend at quantiles of the training rows, both = the two side by side; "
        "auto: periodic, from 5,000 rows both",
        choices=("auto", "none", "periodic", "piecewise", "both"),
    )
    embedding_spread: float = _entry(
        0.1, "standard deviation of the first frequencies w of a periodic embedding; small: it starts smooth", above=0.0
    )
    input_scale: bool = _entry(True, "learn one factor per input before the first hidden layer")
    skip: bool = _entry(True, "add a linear path from the inputs to the output beside the deep one")
    normalization: str = _entry(
        "none", "normalisation after each hidden layer", choices=("none", "batch", "layer", "group")
    )
    groups: int = _entry(4, "groups of units that are normalised together (group)", low=2)
    dropout: float | Literal["auto"] = _entry(
        "auto", "share of hidden units silenced at random in training", low=0.0, high=0.95, auto=True
    )
    rate_per_layer: bool = _entry(
        True,
        "scale each kernel's learning rate by sqrt(256 / fan_in), so that wide and narrow layers learn at equal speed",
    )
    input_noise: float = _entry(
        0.0, "standard deviation of Gaussian noise added to the prepared inputs in training", low=0.0
    )
    input_dropout: float = _entry(
        0.0, "share of the prepared inputs silenced at random in training", low=0.0, high=0.95
    )
    hidden_noise: float = _entry(
        0.0, "standard deviation of Gaussian noise added to the outputs of hidden layers in training", low=0.0
    )
    output: str = _entry(
        "plain",
        "output unit; plain: linear for quantities, softmax or sigmoid of the loss for labels; sigmoid, lecun_tanh: "
        "one "
        "such unit per class, under training.loss = mse",
        choices=("plain", "sigmoid", "lecun_tanh"),
    )


# The one place that says which initialiser keeps the variance of what flows through an activation; for the others it is
# glorot_uniform.
INITIALIZERS_OF: Mapping[str, str] = {
    **dict.fromkeys(("relu", "leaky_relu", "elu", "gelu", "silu", "mish"), "he_normal"),
    **dict.fromkeys(("selu", "lecun_tanh"), "lecun_normal"),
}

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


@dataclass(frozen=True)
class TrainingRecipe:
    """How long and in what portions the network sees the data."""

    epochs: int | Literal["auto"] = _entry("auto", "most passes over the training rows", low=1, auto=True)
    batch_size: int | Literal["auto", "all"] = _entry(
        "auto",
        "examples per step; 1: stochastic; all: every row at every step, as auto means under a full-batch optimizer",
        low=1,
        auto=True,
        words=("all",),
    )
    batch_doublings: tuple[float, ...] = _entry(
        (),
        "shares of the training, rising, at which the batch size doubles, e.g. [0.5, 0.75]; []: it stays",
        above=0.0,
        high=0.999,
        each=True,
    )
    shuffle: bool = _entry(True, "new order of the examples in each epoch; false: as given")
    order: str = _entry(
        "shuffled",
        "order of the examples, new in each epoch; classes: successive examples come from different classes, as far as "
        "there are enough of the others; errors: those with a large error come more often",
        choices=("shuffled", "classes", "errors"),
    )
    emphasis: float = _entry(
        3.0,
        "how many times as often as the others the examples of the largest losses come (order = errors)",
        above=1.0,
        high=1000.0,
    )
    emphasis_share: float = _entry(
        0.2, "share of the examples, those of the largest losses, that come more often (errors)", above=0.0, high=0.9
    )
    emphasis_every: int = _entry(5, "epochs from one look at the losses to the next (errors)", low=1)
    emphasis_patience: int = _entry(
        3,
        "looks in succession after which an example whose loss is still among the largest passes for an outlier and "
        "comes no more often than the others (errors)",
        low=1,
        high=200,
    )
    loss: str = _entry(
        "auto",
        "auto: cross-entropy for labels, mse for quantities (maximum likelihood); hinge: labels as -1 and +1",
        choices=("auto", "cross_entropy", "mse", "mae", "huber", "hinge"),
    )
    target_values: str = _entry(
        "inside",
        "what a sigmoid or lecun_tanh output unit is to reach: inside = 0.1 and 0.9, -1 and +1, where it still learns; "
        "asymptotes = 0 and 1, -1.7159 and +1.7159",
        choices=("inside", "asymptotes"),
    )
    label_smoothing: float = _entry(
        0.0, "move this share of the target probability evenly to all classes", low=0.0, high=0.5
    )
    class_weight: str = _entry(
        "none", "balanced: weigh classes inversely to their frequency", choices=("none", "balanced")
    )


@dataclass(frozen=True)
class StoppingRecipe:
    """When to end, and which weights to keep."""

    criterion: str = _entry(
        "patience",
        "patience: after so many epochs without improvement; gl: when the validation loss has risen by alpha percent "
        "over its lowest; pq: when that rise outweighs the training progress; up: when it rose in so many strips in "
        "succession; none: run all epochs. Choose a fast one (patience, a small alpha) unless a few percent matter; gl "
        "for the best chance of a good network; for the best average pq where little overfits, else up",
        choices=("none", "patience", "gl", "pq", "up"),
    )
    patience: int | Literal["auto"] = _entry("auto", "epochs without improvement before stopping", low=1, auto=True)
    min_delta: float = _entry(0.0, "smallest decrease of the validation loss that counts as improvement", low=0.0)
    alpha: float | Literal["auto"] = _entry(
        "auto",
        "threshold: percent of rise (gl), or percent of rise per per-mille of training progress (pq); larger: later; "
        "auto: 5 for gl, 0.75 for pq",
        above=0.0,
        auto=True,
    )
    strip: int = _entry(5, "epochs of a strip, at whose ends is judged (pq, up)", low=2)
    successive: int = _entry(3, "strips in succession at whose ends the validation loss has risen (up)", low=1)
    restore_best: bool = _entry(True, "go back to the weights of the best validation loss")


@dataclass(frozen=True)
class EnsembleRecipe:
    """Several networks, trained as one compiled population, whose predictions are averaged."""

    members: int | Literal["auto"] = _entry("auto", "number of networks", low=1, high=10_000, auto=True)
    keep: str = _entry(
        "all", "all: average the networks; best: keep the one of the lowest validation loss", choices=("all", "best")
    )
    calibrate: bool | Literal["auto"] = _entry(
        "auto",
        "fit one temperature on validation rows, so that probabilities mean what they say; auto: from 1000 rows",
        auto=True,
    )


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained: the whole of it can be written as TOML.

    Entries that say ``"auto"`` are resolved from the size and kind of the problem; a run records the resolved recipe.
    """

    preset: str = _entry(
        "default",
        "default: today's best practice for tables; simple: one ReLU network, Adam, patience",
        choices=("default", "simple"),
    )
    seed: int = _entry(0, "the same seed on the same machine gives the same result", low=0, high=2**32 - 1)
    split: SplitRecipe = field(default_factory=SplitRecipe)
    prepare: PrepareRecipe = field(default_factory=PrepareRecipe)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    pretraining: PretrainingRecipe = field(default_factory=PretrainingRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    stopping: StoppingRecipe = field(default_factory=StoppingRecipe)
    ensemble: EnsembleRecipe = field(default_factory=EnsembleRecipe)
