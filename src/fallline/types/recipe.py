"""The recipe: every choice of a training, with its documentation and its bounds beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fallline.types.recipe_data import PrepareRecipe, SplitRecipe
from fallline.types.recipe_entry import entry as _entry
from fallline.types.recipe_network import NetworkRecipe
from fallline.types.recipe_optimizer import OptimizerRecipe
from fallline.types.recipe_pretraining import PretrainingRecipe

__all__ = [
    "EnsembleRecipe",
    "Recipe",
    "StoppingRecipe",
    "TrainingRecipe",
]


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
