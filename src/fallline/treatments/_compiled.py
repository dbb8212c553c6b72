"""What a Keras model's design is compiled with and how it is trained: read it, change it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from fallline.treatments._graph import Entry
from fallline.types import Design

__all__ = [
    "BATCH",
    "EPOCHS",
    "canonical_output",
    "cosine",
    "from_logits",
    "loss_name",
    "loss_of",
    "optimizer_of",
    "planned_steps",
    "rate_of",
    "with_loss",
    "with_optimizer",
    "with_rate",
    "with_training",
]


def optimizer_of(design: Design) -> Entry:
    """Return a copy of the serialised optimizer."""
    return copy.deepcopy(design.compiled["optimizer"])


def with_optimizer(design: Design, optimizer: Entry) -> Design:
    """Return the design with another optimizer."""
    return design.with_(compiled={**design.compiled, "optimizer": optimizer})


def rate_of(design: Design) -> float:
    """Return the learning rate, its first one under a schedule."""
    rate = design.compiled["optimizer"]["config"]["learning_rate"]
    if isinstance(rate, Mapping):
        config = rate["config"]
        return float(config.get("warmup_target") or config.get("initial_learning_rate") or config["values"][0])
    return float(rate)


def with_rate(design: Design, rate: float) -> Design:
    """Return the design with another learning rate, the same schedule at another height."""
    optimizer = optimizer_of(design)
    given = optimizer["config"]["learning_rate"]
    if isinstance(given, dict):
        factor = rate / rate_of(design)
        config = given["config"]
        for key in ("initial_learning_rate", "warmup_target", "end_learning_rate"):
            if config.get(key):
                config[key] = config[key] * factor
        if isinstance(config.get("values"), Sequence):
            config["values"] = [value * factor for value in config["values"]]
    else:
        optimizer["config"]["learning_rate"] = rate
    return with_optimizer(design, optimizer)


def loss_of(design: Design) -> Any:
    """Return the loss as it stands in the compile config."""
    return design.compiled.get("loss")


def loss_name(design: Design) -> str:
    """Return the loss's name in snake case, "" where there are several or none."""
    loss = loss_of(design)
    if isinstance(loss, Mapping) and "class_name" in loss:
        inner = loss.get("config")
        loss = inner if isinstance(inner, str) else (inner or {}).get("name", loss["class_name"])
    return {"mse": "mean_squared_error", "mae": "mean_absolute_error"}.get(loss, loss) if isinstance(loss, str) else ""


def with_loss(design: Design, kind: str, **config: Any) -> Design:
    """Return the design with a loss class of Keras'; metrics that the old loss chose go with it."""
    loss = {"module": "keras.losses", "class_name": kind, "config": config, "registered_name": None}
    labels = "Crossentropy" in kind
    return design.with_(
        compiled={**design.compiled, "loss": loss, "metrics": ["accuracy"] if labels else None,
                  "weighted_metrics": None, "loss_weights": None}
    )  # fmt: skip


def from_logits(design: Design) -> bool:
    """Return whether the loss expects logits."""
    loss = loss_of(design)
    inner = loss.get("config") if isinstance(loss, Mapping) else None
    return bool(isinstance(inner, Mapping) and inner.get("from_logits"))


def cosine(rate: float, steps: int, *, warmup: int = 0) -> Entry:
    """Return a serialised cosine from a rate to 0, after a linear rise."""
    config = {"initial_learning_rate": rate, "decay_steps": max(1, steps - warmup)}
    if warmup:
        config |= {"initial_learning_rate": 0.0, "warmup_target": rate, "warmup_steps": warmup}
    return {
        "module": "keras.optimizers.schedules",
        "class_name": "CosineDecay",
        "config": config,
        "registered_name": None,
    }


def canonical_output(known: Mapping[str, Any]) -> tuple[int, str, str, str] | None:
    """Return (units, activation, class of the loss, its name) that the targets call for; None when not known."""
    width = int(known.get("target_width") or 1)
    kind = known.get("kind")
    if kind == "binary" and width == 1:
        zero_one = known.get("target_min") == 0 and known.get("target_max") == 1
        return (1, "sigmoid", "BinaryCrossentropy", "binary_crossentropy") if zero_one else None
    if kind in ("binary", "multiclass") and width > 1:
        return width, "softmax", "CategoricalCrossentropy", "categorical_crossentropy"
    if kind == "multiclass" and known.get("target_min") == 0:
        classes = int(known["target_max"]) + 1
        return classes, "softmax", "SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"
    if kind == "multilabel":
        return width, "sigmoid", "BinaryCrossentropy", "binary_crossentropy"
    if kind in ("regression", "multioutput"):
        return width, "linear", "MeanSquaredError", "mean_squared_error"
    return None


# ---------------------------------------------------------------------------------------------- how it is trained


# What `fallline.train` takes where nothing is said.
EPOCHS, BATCH = 100, 32


def with_training(design: Design, **changes: Any) -> Design:
    """Return the design with other keywords for its training."""
    return design.with_(training={**design.training, **changes})


def planned_steps(design: Design, known: Mapping[str, Any]) -> int | None:
    """Return the steps of the whole training; None where the number of rows is not known."""
    rows = known.get("n_rows")
    if not rows:
        return None
    size = int(design.training.get("batch_size") or BATCH)
    return -(-int(rows) // size) * int(design.training.get("epochs") or EPOCHS)
