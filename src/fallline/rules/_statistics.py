"""The statistics a rule may ask for: each name with the words that tell a person what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.types import LAYER_STATISTICS, NETWORK_STATISTICS

__all__ = [
    "CROSS_ENTROPIES",
    "QUANTITY_LOSSES",
    "STATISTICS",
    "canonical_loss",
    "constant_prediction_loss",
    "input_statistics",
    "target_statistics",
]

STATISTICS: Mapping[str, str] = {
    # learning curves, each (epochs,), NaN where not watched
    "loss": "the training loss per epoch",
    "val_loss": "the validation loss per epoch",
    "running_loss": "the training loss as seen while training (running mean)",
    "accuracy": "the training accuracy per epoch",
    "val_accuracy": "the validation accuracy per epoch",
    # read off the curves
    "loss_is_running": "whether the training loss is a running mean in training mode",
    "start_loss": "a finite training loss to start from",
    "reference_loss": "the loss of the best constant prediction",
    "kept_loss": "the training loss at the epoch whose weights were kept",
    "kept_val_loss": "the validation loss at the epoch whose weights were kept",
    "lost_at": "the epoch at which the loss stopped being a number",
    "lost_members": "how many networks ended with a loss that is not a number",
    "members": "the number of networks in the ensemble",
    # how the training went
    "best_epoch": "the epoch with the best validation loss",
    "restored": "whether the weights of the best epoch were restored",
    "stopped_early": "whether the training was stopped before its last planned epoch",
    "planned_epochs": "the number of epochs planned",
    "batch_size": "the batch size",
    "optimizer_name": "the optimizer",
    "learning_rate": "the learning rate",
    "first_rate": "the learning rate at the start",
    "rate_is_scheduled": "whether the learning rate follows a schedule",
    "momentum": "the momentum",
    "shuffle": "whether the rows are shuffled in each epoch",
    "total_steps": "the number of steps of the whole training",
    "explained": "the share of a constant prediction's training loss that the network explains",
    # the problem
    "problem_kind": "the kind of problem",
    "model_scores": "the model's scores on held-out rows",
    "baseline_scores": "the baselines' scores on the same rows",
    "class_counts": "the number of training rows of each class",
    "class_recall": "the share of each class that is recognised on held-out rows",
    "n_train": "the number of training rows",
    "n_validation": "the number of validation rows",
    "n_features": "the number of input features",
    # what the first trainable layer sees, each (d,)
    "input_mean": "the mean of each input as the first trainable layer sees it",
    "input_sd": "the standard deviation of each input as the first trainable layer sees it",
    "input_min": "the smallest value of each input as the first trainable layer sees it",
    "input_max": "the largest value of each input as the first trainable layer sees it",
    "input_names": "the names of the inputs",
    # the inputs as they are given to the model
    "input_axes": "the number of axes of the inputs",
    "missing_inputs": "the number of inputs that are NaN or infinite",
    "rows_with_missing": "the number of rows with such an input",
    "inputs_with_missing": "the names of such inputs",
    "sentinels": "values that stand for 'missing', with their share, by input",
    "constant_inputs": "the names of the inputs that do not vary",
    "twin_inputs": "the names of the inputs that repeat another one",
    "input_correlation": "the strongest correlation between two inputs",
    "correlated_pair": "the names of these two",
    "input_condition": "the largest over the smallest variance of the scaled inputs in any direction",
    # inputs and targets together
    "order_correlation": "how alike the targets of successive rows are",
    "contradicting_rows": "the share of rows whose inputs equal another row's with another label",
    "inputs_are_real": "whether equal inputs mean that it is the same row",
    "shared_rows": "the share of validation rows that also stand among the training rows",
    "leak_strength": "how far the best single input is a copy of the target",
    "leak_next": "how far the second input is a copy of the target",
    "leak_input": "the name of the best single input",
    "neighbour_gain": "how much nearest neighbours tell about the target, in standard errors",
    "relation_strength": "how much the best single input tells about the target, in standard errors",
    "unseen_class_rows": "the share of validation rows of classes without a training row",
    "input_shift": "how differently validation inputs are scaled from training inputs",
    "input_shrink": "how many times less validation inputs vary than training inputs",
    "target_shift": "the distance between the targets' distributions in training and validation",
    # the targets as the loss sees them
    "missing_targets": "the number of targets that are NaN or infinite",
    "target_mean": "the mean of the targets",
    "target_min": "the smallest target",
    "target_max": "the largest target",
    "target_sd": "the standard deviation of the targets",
    "target_word": "a target that is no number, where there are such",
    "target_width": "the number of target columns",
    "target_is_whole": "whether all targets are whole numbers",
    "target_is_one_hot": "whether each row of the targets has a single 1 among zeros",
    # the model
    "output_activation": "the activation of the model's output",
    "output_units": "the number of output units",
    "loss_name": "the loss function",
    "from_logits": "whether the loss expects logits",
    "metric_names": "the metrics the model was compiled with",
    "layers": "the list of the model's layers",
    # the inside of a run: the median over the networks, (looks, layers) and (looks,)
    "watched_epochs": "the epochs at which the inside was looked at",
    "layer_names": "the names of the watched layers",
    "layer_kinds": "the classes of the watched layers",
    "layer_activations": "the activations of the watched layers",
    "output_layer": "which of the watched layers is the output",
    **{f"layer_{name}": f"in each layer, the {words}" for name, words in LAYER_STATISTICS.items()},
    **{f"network_{name}": f"of the whole network, the {words}" for name, words in NETWORK_STATISTICS.items()},
    # over many runs
    "scores_over_seeds": "the scores of trainings that differ in their seed alone",
    "no_skill_score": "the score of a prediction that ignores the inputs",
    "search_values": "the values that a search tried",
    "search_scores": "the score of each value",
    "search_name": "the name of the setting that was searched",
    "search_limits": "the natural limits of that setting",
    "higher_is_better": "the direction of the score",
    "trials": "the number of trials of the search",
    "validation_rows": "the number of rows that the trials were judged by",
    "validation_score": "the score of the chosen trial on those rows",
    "test_score": "the score of the chosen trial on untouched rows",
    "test_rows": "the number of untouched rows",
}

CROSS_ENTROPIES = ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
QUANTITY_LOSSES = ("mse", "mae", "huber", "log_cosh", "mape", "msle")

_LOSS_ALIASES = {
    "bce": "binary_crossentropy",
    "binary_cross_entropy": "binary_crossentropy",
    "categorical_cross_entropy": "categorical_crossentropy",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "huber_loss": "huber",
    "logcosh": "log_cosh",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_logarithmic_error": "msle",
}


def canonical_loss(name: str) -> str:
    """Return one spelling for the many names of a loss.

    >>> canonical_loss("MeanSquaredError"), canonical_loss("BinaryCrossentropy")
    ('mse', 'binary_crossentropy')
    """
    spelled = (
        "".join(
            f"_{c.lower()}" if c.isupper() and i and not name[i - 1].isupper() else c.lower()
            for i, c in enumerate(name)
        )
        .replace("-", "_")
        .replace(" ", "_")
        .replace("__", "_")
    )
    return _LOSS_ALIASES.get(spelled, spelled)


def constant_prediction_loss(
    loss_name: str,
    class_counts: Mapping[Any, int] | None,
    target_sd: float | np.ndarray | None,
    target_mean: float | np.ndarray | None = None,
) -> float | None:
    """Return the loss of the best constant prediction: the classes' entropy (nats), or the targets' variance.

    Args:
        loss_name: canonical name; other losses than cross-entropy and mse have no reference here (None).
        class_counts: rows of each class.
        target_sd: standard deviation of each target column, in the units the loss sees.
        target_mean: mean of each target column: of several labels a row, the share that has each.

    >>> round(constant_prediction_loss("binary_crossentropy", {"a": 50, "b": 50}, None), 4)
    0.6931
    """
    if loss_name in (*CROSS_ENTROPIES, "cross_entropy") and class_counts:
        counts = np.array([count for count in class_counts.values() if count > 0], np.float64)
        if len(counts) < 2:
            return None
        share = counts / counts.sum()
        return float(-(share * np.log(share)).sum())
    if loss_name == "binary_crossentropy" and target_mean is not None:
        p = np.asarray(target_mean, np.float64)
        if not ((p >= 0) & (p <= 1)).all():
            return None
        p = np.clip(p, 1e-12, 1 - 1e-12)
        entropy = float(-np.mean(p * np.log(p) + (1 - p) * np.log(1 - p)))
        return entropy if entropy > 1e-9 else None
    if loss_name == "mse" and target_sd is not None:
        variance = float(np.mean(np.square(np.asarray(target_sd, np.float64))))
        return variance if math.isfinite(variance) and variance > 0 else None
    return None


def input_statistics(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean, sd, min and max of each column of x (rows, d), missing values left out."""
    x = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    present = ~np.isnan(x)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, x, 0.0).sum(axis=0) / count
    sd = np.sqrt(np.where(present, (x - mean) ** 2, 0.0).sum(axis=0) / count)
    low = np.where(present, x, np.inf).min(axis=0, initial=np.inf)
    high = np.where(present, x, -np.inf).max(axis=0, initial=-np.inf)
    return {"input_mean": mean, "input_sd": sd, "input_min": low, "input_max": high}


def target_statistics(y: np.ndarray) -> dict[str, Any]:
    """Return what the rules ask of targets y, (n,) or (n, k) numbers; missing values left out."""
    table = y.reshape(len(y), -1).astype(np.float64)
    kept = table[np.isfinite(table).all(axis=1)]
    found: dict[str, Any] = {
        "target_width": table.shape[1],
        "missing_targets": int((~np.isfinite(table)).sum()),
    }
    if not kept.size:
        return found
    binary = bool(np.isin(kept, (0.0, 1.0)).all())
    return found | {
        "target_min": float(kept.min()),
        "target_max": float(kept.max()),
        "target_mean": kept.mean(axis=0),
        "target_sd": kept.std(axis=0),
        "target_is_whole": bool((kept == np.round(kept)).all()),
        "target_is_one_hot": binary and table.shape[1] > 1 and bool((kept.sum(axis=1) == 1).all()),
    }
