"""Problem and recipe, or a Keras model and arrays, to a Run: the only room where Keras meets the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fallline.train.api import train, train_many
    from fallline.train.diagnosed import diagnose_training
    from fallline.train.final import examine_final
    from fallline.train.find_rate import find_learning_rate
    from fallline.train.gradients import check_gradients
    from fallline.train.landscape import loss_landscape
    from fallline.train.prediction import predict, predict_proba
    from fallline.train.table import train_problem

__all__ = [
    "check_gradients",
    "diagnose_training",
    "examine_final",
    "find_learning_rate",
    "loss_landscape",
    "predict",
    "predict_proba",
    "train",
    "train_many",
    "train_problem",
]

# Looked up when used: importing this package alone starts neither JAX nor Keras.
_HOMES = {
    "check_gradients": "gradients",
    "diagnose_training": "diagnosed",
    "examine_final": "final",
    "find_learning_rate": "find_rate",
    "loss_landscape": "landscape",
    "predict": "prediction",
    "predict_proba": "prediction",
    "train": "api",
    "train_many": "api",
    "train_problem": "table",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    # Submodules would shadow functions of the same name on the package: bind the function, once.
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
